package utmemu

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// The words of a status. C: all that there are
const (
	stopped  = "stopped"
	starting = "starting"
	started  = "started"
	pausing  = "pausing"
	paused   = "paused"
	resuming = "resuming"
	stopping = "stopping"
)

func words() []string {
	return []string{stopped, starting, started, pausing, paused, resuming, stopping}
}

// VM is one virtual machine of UTM.
type VM struct {
	UUID string // upper case, as UTM writes it; "" in AddVM makes one
	Name string
	// State is UTM's word; "" in AddVM is "stopped".
	State string
	// Next is the state that follows at Until; "" stays.
	Next  string    `json:",omitempty"`
	Until time.Time `json:",omitzero"`
	// Saved: a snapshot of the memory is in the disk; the next start resumes it,
	// and a resume deletes it. C
	Saved bool `json:",omitempty"`
	// Deaf: the guest ignores the power button.
	Deaf bool `json:",omitempty"`

	Arch   string
	RAM    int // MiB
	Cores  int
	MAC    string
	NIC    string // QEMU's name of the network card
	Mode   string // of the network
	Args   []string
	Drives []Drive
}

// Drive is one drive of a VM, in the order in which they are attached.
type Drive struct {
	ID        string // a UUID
	Interface string
	Removable bool
	HostSize  int // MiB, rounded down. C
	// File is the drive's file: in the VM's bundle for a drive that is not
	// removable, else where it was.
	File string
	// Source is where a copied drive came from; UTM does not keep it.
	Source string
}

func (v *VM) clone() VM {
	c := *v
	c.Args, c.Drives = slices.Clone(v.Args), slices.Clone(v.Drives)
	return c
}

// settle lets the state pass that is over by now.
func (v *VM) settle(now time.Time) {
	if v.Next != "" && !now.Before(v.Until) {
		v.State, v.Next, v.Until = v.Next, "", time.Time{}
	}
}

// pass brings the VM into a state by way of another one.
func (v *VM) pass(by, to string, now time.Time, d time.Duration) {
	v.State, v.Next, v.Until = by, to, now.Add(d)
	v.settle(now)
}

// uuid makes a UUID that differs from all before.
func (st *state) uuid() string {
	st.Made++
	return strings.ToUpper(emu.UUID(fmt.Sprintf("utmemu %d", st.Made)))
}

// find takes a UUID, and else the first VM of that exact name. C
func (st *state) find(id string) *VM {
	for _, fits := range []func(v *VM) bool{
		func(v *VM) bool { return strings.EqualFold(v.UUID, id) },
		func(v *VM) bool { return v.Name == id },
	} {
		if i := slices.IndexFunc(st.VMs, fits); i >= 0 {
			return st.VMs[i]
		}
	}
	return nil
}

// AddVM adds a VM as if it had been there before, and returns it. Without
// drives it gets a system disk.
func (e *Emulator) AddVM(v VM) (VM, error) {
	err := e.tx(func(st *state, _ time.Time) error {
		v = v.clone()
		if v.UUID == "" {
			v.UUID = st.uuid()
		}
		v.UUID = strings.ToUpper(v.UUID)
		if v.State == "" {
			v.State = stopped
		}
		if v.Drives == nil {
			v.Drives = []Drive{{ID: st.uuid(), Interface: "VirtIO", HostSize: 1200, File: bundle(v.Name) + "/Data/disk.qcow2"}}
		}
		for _, d := range v.Drives {
			if !d.Removable {
				st.Files = append(st.Files, d.File)
			}
		}
		own := v.clone()
		st.VMs = append(st.VMs, &own)
		return nil
	})
	return v, err
}

// VMs returns copies of all VMs in the order of UTM's sidebar.
func (e *Emulator) VMs() (out []VM, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		for _, v := range st.VMs {
			out = append(out, v.clone())
		}
		return nil
	})
	return out, err
}

// VM returns a copy of one VM; ok is false if there is none.
func (e *Emulator) VM(uuid string) (v VM, ok bool) {
	err := e.tx(func(st *state, _ time.Time) error {
		if found := st.find(uuid); found != nil {
			v, ok = found.clone(), true
		}
		return nil
	})
	return v, ok && err == nil
}

// Edit changes a VM behind UTM's back.
func (e *Emulator) Edit(uuid string, f func(v *VM)) error {
	return e.tx(func(st *state, _ time.Time) error {
		v := st.find(uuid)
		if v == nil {
			return errors.New("utmemu: edit: no VM " + uuid)
		}
		f(v)
		return nil
	})
}

// Remove takes a VM and its files away, whatever its state.
func (e *Emulator) Remove(uuid string) error {
	return e.tx(func(st *state, _ time.Time) error {
		if v := st.find(uuid); v != nil {
			st.remove(v)
		}
		return nil
	})
}

// remove takes a VM and the files of its bundle away.
func (st *state) remove(v *VM) {
	st.VMs = slices.DeleteFunc(st.VMs, func(o *VM) bool { return o == v })
	for _, d := range v.Drives {
		st.drop(d)
	}
}

// drop deletes the file of a drive, if it is in the bundle. C
func (st *state) drop(d Drive) {
	if !d.Removable {
		st.Files = slices.DeleteFunc(st.Files, func(f string) bool { return f == d.File })
	}
}

// Files are the disks in all bundles, those included that a make left behind
// which was cut short.
func (e *Emulator) Files() (out []string, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		out = slices.Clone(st.Files)
		return nil
	})
	return out, err
}

// bundle is the folder of a VM: some characters become hyphens. C
func bundle(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`,/:\?%*|"<>`, r) {
			return '-'
		}
		return r
	}, name) + ".utm"
}
