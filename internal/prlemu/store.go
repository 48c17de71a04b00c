package prlemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

const (
	maxState = 64 << 20
	lockWait = 10 * time.Second
)

// state is all that the emulator remembers.
type state struct {
	Settings Settings
	VMs      []*VM
	// Halves are the folders that a clone left behind when it was cut short,
	// or that unregister left; they block their names.
	Halves []string `json:",omitempty"`
	Leases []lease  `json:",omitempty"`
	// Shown is what was last written to the lease file.
	Shown  string     `json:",omitempty"`
	Faults []*Fault   `json:",omitempty"`
	Calls  [][]string `json:",omitempty"`
	Made   int        // counts what was made, for numbers that differ
}

// tx runs one change of the state, alone among all goroutines and processes.
// f must not call hooks. When f fails with a *failure the change is kept.
func (e *Emulator) tx(f func(st *state, now time.Time) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opts.State == "" {
		return e.apply(&e.mem, f)
	}
	// Not bounded by a command's context: a change is short, and half a
	// command must still be written down.
	lock, err := statefile.Acquire(context.Background(), e.opts.State+".lock", "emulator", lockWait)
	if err != nil {
		return fmt.Errorf("prlemu: %w", err)
	}
	st, was, err := e.load()
	if err == nil {
		err = e.apply(st, f)
		if saved := e.save(st, was, err); saved != nil {
			err = saved
		}
	}
	return errors.Join(err, lock.Unlock())
}

// apply settles what time has done and makes the change.
func (e *Emulator) apply(st *state, f func(st *state, now time.Time) error) error {
	now := e.now()
	for _, v := range st.VMs {
		v.settle(now)
	}
	err := f(st, now)
	if shown := st.showLeases(now); shown != nil && err == nil {
		err = shown
	}
	return err
}

func (e *Emulator) load() (st *state, data []byte, err error) {
	data, err = statefile.Read(e.opts.State, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{Settings: e.opts.Settings}, nil, nil
	}
	st = new(state)
	if err == nil {
		err = json.Unmarshal(data, st)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("prlemu: read the state: %w", err)
	}
	return st, data, nil
}

// save writes the state if it is another than it was, unless f failed for a
// reason that prlctl does not know.
func (e *Emulator) save(st *state, was []byte, err error) error {
	if refused := (*failure)(nil); err != nil && !errors.As(err, &refused) {
		return nil
	}
	data, err := json.MarshalIndent(st, "", "\t")
	if err != nil {
		return err
	}
	if data = append(data, '\n'); bytes.Equal(data, was) {
		return nil
	}
	return statefile.Write(e.opts.State, data, 0o600)
}

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
