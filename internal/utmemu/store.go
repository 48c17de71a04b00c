package utmemu

import (
	"errors"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// state is all that the emulator remembers.
type state struct {
	emu.Record[Fault]
	Settings Settings
	VMs      []*VM
	Files    []string `json:",omitempty"`
	Made     int      // counts what was made, for UUIDs that differ
}

// tx runs one change of the state, alone among all goroutines and processes,
// after it settled what time has done. f must not call hooks. When f fails with
// a *failure the change is kept.
func (e *Emulator) tx(f func(st *state, now time.Time) error) error {
	return e.store.Do(func(st *state, now time.Time) error {
		for _, v := range st.VMs {
			v.settle(now)
		}
		return f(st, now)
	})
}

// isFailure says whether an error is UTM's or macOS's own.
func isFailure(err error) bool { return errors.As(err, new(*failure)) }
