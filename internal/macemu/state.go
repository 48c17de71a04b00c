package macemu

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// state is all that the emulator remembers.
type state struct {
	emu.Record[Fault]
	Settings Settings
	Unplayed [][]string `json:",omitempty"`

	System, Login [][]byte `json:",omitempty"` // DER, the keychains
	Admin, User   []record `json:",omitempty"` // the trust settings

	Ticket  time.Time `json:",omitzero"` // until when sudo asks nothing
	Routes  []static  `json:",omitempty"`
	Tunnels []Tunnel  `json:",omitempty"`
	Made    int       `json:",omitempty"` // counts what was made, for UUIDs that differ

	Clipboard string
	Opened    []Opening       `json:",omitempty"`
	Unknown   map[string]bool `json:",omitempty"` // names that were not found
}

// tx runs one change of the state, alone among all goroutines and processes,
// after it settled what time has done. f must not call hooks.
func (e *Emulator) tx(f func(st *state, now time.Time) error) error {
	return e.store.Do(func(st *state, now time.Time) error {
		for i := range st.Tunnels {
			st.Tunnels[i].settle(now)
		}
		return f(st, now)
	})
}

// change is tx for changes that hooks hear of.
func (e *Emulator) change(f func(st *state, now time.Time, later *emu.Later) error) error {
	var later emu.Later
	err := e.tx(func(st *state, now time.Time) error { return f(st, now, &later) })
	if err != nil {
		return err
	}
	later.Run()
	return nil
}

// change is the emulator's for a command, which may be one that has no effect.
func (c *call) change(f func(st *state, now time.Time, later *emu.Later) error) error {
	if !c.dry {
		return c.e.change(f)
	}
	return c.e.tx(func(st *state, now time.Time) error {
		copied, err := st.copied()
		if err != nil {
			return err
		}
		return f(copied, now, new(emu.Later))
	})
}

// look is change for those who only look.
func (c *call) look(f func(st *state, now time.Time)) error {
	return c.e.tx(func(st *state, now time.Time) error {
		f(st, now)
		return nil
	})
}

// copied is a state of its own with the same content.
func (st *state) copied() (*state, error) {
	data, err := json.Marshal(st)
	out := new(state)
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return nil, fmt.Errorf("macemu: copy the state: %w", err)
	}
	return out, nil
}

// uuid makes one up, in upper case as macOS writes it.
func (st *state) uuid() string {
	st.Made++
	return upper(emu.UUID(fmt.Sprintf("macemu %d", st.Made)))
}
