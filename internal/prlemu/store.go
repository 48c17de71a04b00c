package prlemu

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// state is all that the emulator remembers.
type state struct {
	emu.Record[Fault]
	Settings Settings
	VMs      []*VM
	// Halves are the folders that a clone left behind when it was cut short,
	// or that unregister left; they block their names.
	Halves []string `json:",omitempty"`
	Leases []lease  `json:",omitempty"`
	// Shown is what was last written to the lease file.
	Shown string `json:",omitempty"`
	Made  int    // counts what was made, for numbers that differ
}

// tx runs one change of the state, alone among all goroutines and processes,
// after it settled what time has done. f must not call hooks. When f fails with
// a *failure the change is kept.
func (e *Emulator) tx(f func(st *state, now time.Time) error) error {
	return e.store.Do(func(st *state, now time.Time) error {
		for _, v := range st.VMs {
			v.settle(now)
		}
		err := f(st, now)
		if shown := st.showLeases(now); shown != nil && err == nil {
			err = shown
		}
		return err
	})
}

// isFailure says whether an error is prlctl's own.
func isFailure(err error) bool { return errors.As(err, new(*failure)) }

// look returns a copy of the VMs, by name, and the settings.
func (e *Emulator) look() (vms []VM, s Settings, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		vms, s = st.list(), st.Settings
		return nil
	})
	return vms, s, err
}

// settings returns them as they are now.
func (e *Emulator) settings() (s Settings, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		s = st.Settings
		return nil
	})
	return s, err
}

func (st *state) list() []VM {
	vms := make([]VM, 0, len(st.VMs))
	for _, v := range st.VMs {
		vms = append(vms, v.clone())
	}
	slices.SortStableFunc(vms, func(a, b VM) int { return strings.Compare(a.Name, b.Name) }) // S
	return vms
}

func (st *state) remove(v *VM) {
	st.VMs = slices.DeleteFunc(st.VMs, func(o *VM) bool { return o == v })
}
