package utmemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	Files    []string   `json:",omitempty"`
	Faults   []*Fault   `json:",omitempty"`
	Calls    [][]string `json:",omitempty"`
	Made     int        // counts what was made, for UUIDs that differ
}

// tx runs one change of the state, alone among all goroutines and processes. f
// must not call hooks.
func (e *Emulator) tx(f func(st *state, now time.Time) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.opts.State == "" {
		return e.apply(&e.mem, f)
	}
	// Not bounded by a command's context: a change is short, and half a command
	// must still be written down.
	lock, err := statefile.Acquire(context.Background(), e.opts.State+".lock", "emulator", lockWait)
	if err != nil {
		return fmt.Errorf("utmemu: %w", err)
	}
	st, was, err := e.load()
	if err == nil {
		if err = e.apply(st, f); err == nil || errors.As(err, new(*failure)) {
			err = errors.Join(err, e.save(st, was))
		}
	}
	return errors.Join(err, lock.Unlock())
}

func (e *Emulator) apply(st *state, f func(st *state, now time.Time) error) error {
	now := e.now()
	for _, v := range st.VMs {
		v.settle(now)
	}
	return f(st, now)
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
		return nil, nil, fmt.Errorf("utmemu: read the state: %w", err)
	}
	return st, data, nil
}

func (e *Emulator) save(st *state, was []byte) error {
	data, err := json.MarshalIndent(st, "", "\t")
	if err != nil {
		return err
	}
	if data = append(data, '\n'); bytes.Equal(data, was) {
		return nil
	}
	return statefile.Write(e.opts.State, data, 0o600)
}
