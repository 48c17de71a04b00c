package prlemu

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// States of a VM as prlctl writes them. Any other word may be set, too. C
const (
	running    = "running"
	stopped    = "stopped"
	suspended  = "suspended"
	paused     = "paused"
	starting   = "starting"
	stopping   = "stopping"
	suspending = "suspending"
	resuming   = "resuming"
	invalid    = "invalid" // the bundle is missing
)

// VM is a virtual machine or a template as Parallels sees it. Empty fields get
// defaults from AddVM.
type VM struct {
	UUID  string // lower case, without braces; "": made up
	Name  string
	State string // "": stopped
	// MAC is twelve hexadecimal digits; "": made up.
	MAC      string
	Template bool `json:",omitempty"`
	// IP is an address that the guest set itself; invalid: from DHCP. A clone
	// has the same. Not used where Hooks.Addr is set.
	IP netip.Addr `json:",omitzero"`
	// Reports, if not nil, are the words that Tools report in the place of
	// real addresses.
	Reports []string `json:",omitempty"`
	// NoTools: Parallels Tools are not installed; they report no address.
	NoTools bool `json:",omitempty"`
	// Hostname is the guest's name; a clone has the same. "": Name.
	Hostname string `json:",omitempty"`
	CPUs     int    // 0: 4
	RAM      int    // MB; 0: 8192
	Disk     int    // MB; 0: 65536
	// Linked: the disk is shared with the VM that it was cloned from.
	Linked    bool       `json:",omitempty"`
	Parent    string     `json:",omitempty"` // its UUID
	Snapshots []Snapshot `json:",omitempty"`
	Bundle    string     // the folder; "": below /Users/u/Parallels

	// Next is the state that the VM has from Until on; "" if none is due.
	Next  string    `json:",omitempty"`
	Until time.Time `json:",omitzero"`
	// Since is when the guest began to run; Warm, that it was resumed then.
	Since time.Time `json:",omitzero"`
	Warm  bool      `json:",omitempty"`
	// Copied is when a clone of the VM that is being made will be done, and
	// LinkedCopy says of which kind it is.
	Copied     time.Time  `json:",omitzero"`
	LinkedCopy bool       `json:",omitempty"`
	Leased     netip.Addr `json:",omitzero"` // by DHCP, at its last start
	Last       netip.Addr `json:",omitzero"` // address when it last ran
}

// Snapshot is a saved state of a VM's disk.
type Snapshot struct {
	ID, Name string
	Date     time.Time
}

// fill gives the empty fields of v their defaults.
func (st *state) fill(v *VM) {
	st.Made++
	if v.UUID == "" {
		v.UUID = st.uuid("vm")
	}
	if v.MAC == "" {
		sum := sha256.Sum256(fmt.Appendf(nil, "mac %d", st.Made))
		v.MAC = fmt.Sprintf("001C42%X", sum[:3]) // Parallels' vendor number. C
	}
	v.State, v.Hostname = or(v.State, stopped), or(v.Hostname, v.Name)
	v.Bundle = or(v.Bundle, bundleOf(v.Name))
	for field, value := range map[*int]int{&v.CPUs: 4, &v.RAM: 8192, &v.Disk: 65536} {
		if *field == 0 {
			*field = value
		}
	}
}

// uuid makes one up that is the same in every run.
func (st *state) uuid(kind string) string { return emu.UUID(fmt.Sprintf("%s %d", kind, st.Made)) }

func bundleOf(name string) string { return "/Users/u/Parallels/" + name + ".pvm" }

// clone is a copy that shares nothing with v.
func (v *VM) clone() VM {
	c := *v
	c.Reports, c.Snapshots = slices.Clone(v.Reports), slices.Clone(v.Snapshots)
	return c
}

// bare is a UUID without its braces, in lower case.
func bare(uuid string) string { return strings.ToLower(strings.Trim(uuid, "{}")) }

// find looks a VM up as prlctl does: by UUID first, with or without braces (C),
// then by the exact name (S). With two of one name it is the first (A).
func (st *state) find(id string) *VM {
	for _, v := range st.VMs {
		if bare(v.UUID) == bare(id) {
			return v
		}
	}
	for _, v := range st.VMs {
		if v.Name == id {
			return v
		}
	}
	return nil
}

// transitional says whether the state is one that ends by itself. C
func transitional(state string) bool {
	return slices.Contains([]string{starting, stopping, suspending, resuming, "restoring", "pausing", "resetting", "compacting",
		"snapshoting", "continuing", "migrating", "del_snapshot", "syncing", "reconnecting"}, state)
}

// become changes the state at once, or after d.
func (v *VM) become(now time.Time, d time.Duration, next string) {
	if d <= 0 {
		v.State, v.Next, v.Until = next, "", time.Time{}
		return
	}
	v.Next, v.Until = next, now.Add(d)
}

// settle lets the time that passed have its effect.
func (v *VM) settle(now time.Time) {
	if v.Next != "" && !now.Before(v.Until) {
		v.State, v.Next, v.Until = v.Next, "", time.Time{}
	}
	if !now.Before(v.Copied) {
		v.Copied, v.LinkedCopy = time.Time{}, false
	}
}

// copying says whether a clone of the VM is being made.
func (v *VM) copying() bool { return !v.Copied.IsZero() }
