package macemu

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// Options say how an Emulator works. The zero value keeps its state in memory
// and has no /etc/resolver.
type Options struct {
	// State is the file that keeps the state, in a folder that exists; many
	// processes may use it at once. "" keeps it in memory.
	State string
	// Root is the folder below which /etc/resolver and /etc/hosts are; it
	// exists. "" is a Mac on which they cannot be made.
	Root string
	// Settings are those of a new state; a file that exists has its own.
	Settings Settings
	// Hooks tie the Mac to something that really runs.
	Hooks Hooks
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Hooks tie the Mac to a network and to a person. Each may be nil. They are
// called with no lock held, before the command that causes them returns, and may
// use the Emulator.
type Hooks struct {
	// TunnelUp tells that a tunnel was started, at once and not only when its
	// state is Connected.
	TunnelUp func(t Tunnel, c Conf)
	// TunnelDown tells that a started tunnel was stopped or taken away.
	TunnelDown func(t Tunnel)
	// Lookup asks a name server for the IPv4 address of a name, without a dot
	// at its end. nil is that no server answers.
	Lookup func(ctx context.Context, name string, server netip.AddrPort) (netip.Addr, bool)
	// Terminal gets what a command with a terminal shows there.
	Terminal func(text string)
}

// Emulator is a Mac. Its methods may be called at the same time.
type Emulator struct {
	opts  Options
	store emu.Store[state]
}

// New makes an emulator, which needs no closing. An error is one of reading the
// state's file.
func New(o Options) (*Emulator, error) {
	e := &Emulator{opts: o}
	e.store.Name, e.store.File, e.store.Clock = "macemu", o.State, o.Now
	e.store.First = state{Settings: o.Settings}
	return e, e.tx(func(*state, time.Time) error { return nil })
}

// Runner answers the tools of this package. Other programs, and those of
// [Settings].NoTools, are hypervisor.ErrToolMissing.
func (e *Emulator) Runner() hypervisor.Runner { return emu.Runner(e.play) }

// Play is the body of the tools, for [emu.Process], which runs them as real
// programs.
func (e *Emulator) Play() emu.Play { return e.play }

// Plays says whether a program, by its bare name or its place, is one of this
// package's, whatever the settings are: for those who share a Runner among
// emulators.
func Plays(program string) bool {
	_, ok := tool(program)
	return ok
}

// Change changes the settings. f must not use the Emulator.
func (e *Emulator) Change(f func(s *Settings)) error {
	return e.tx(func(st *state, _ time.Time) error {
		st.Settings = st.Settings.clone()
		f(&st.Settings)
		st.dropRoutes()
		return nil
	})
}

// Settings are the settings as they are now.
func (e *Emulator) Settings() (s Settings, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		s = st.Settings
		return nil
	})
	return s, err
}

// Calls are all commands so far that were programs of this Mac.
func (e *Emulator) Calls() (out [][]string, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		out = slices.Clone(st.Calls)
		return nil
	})
	return out, err
}

// NotPlayed are the commands so far that ended with "macemu: not played:".
func (e *Emulator) NotPlayed() (out [][]string, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		out = slices.Clone(st.Unplayed)
		return nil
	})
	return out, err
}

// Reboot starts the Mac anew: static routes, the ticket of sudo and the
// clipboard are gone, and no tunnel is up. C for the routes
func (e *Emulator) Reboot() error {
	return e.change(func(st *state, _ time.Time, later *emu.Later) error {
		for i := range st.Tunnels {
			e.down(&st.Tunnels[i], time.Time{}, later)
		}
		st.Routes, st.Ticket, st.Clipboard, st.Unknown = nil, time.Time{}, "", nil
		return nil
	})
}
