package macemu

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// wireGuard is the app whose tunnels are played. C
const wireGuard = "com.wireguard.macos"

// TunnelState is a word of scutil. C, all that there are but Invalid
type TunnelState string

// The states of a tunnel.
const (
	Disconnected  TunnelState = "Disconnected"
	Connecting    TunnelState = "Connecting"
	Connected     TunnelState = "Connected" // which needs no other end
	Disconnecting TunnelState = "Disconnecting"
)

// Tunnel is a VPN service of the Mac.
type Tunnel struct {
	Name string
	UUID string // in upper case
	App  string // "com.wireguard.macos", or another app's that is only listed
	Conf string // what was imported; holds secrets
	// Profile is the identifier of the configuration profile that brought it,
	// "" if a person imported it.
	Profile string `json:",omitempty"`
	State   TunnelState
	// Until is when the state ends by itself; zero is never.
	Until time.Time `json:",omitzero"`
	// Lost are its routes that were deleted while it is up.
	Lost []netip.Prefix `json:",omitempty"`
}

// settle ends a state whose time is over.
func (t *Tunnel) settle(now time.Time) {
	if t.Until.IsZero() || now.Before(t.Until) {
		return
	}
	t.Until = time.Time{}
	switch t.State {
	case Connecting:
		t.State = Connected
	case Disconnecting:
		t.State = Disconnected
	case Connected, Disconnected:
	}
}

// AddTunnel imports a configuration, as a person does in WireGuard.app. It is
// refused if the app does not take it, and is fs.ErrExist if there is a tunnel of
// that name: an import never replaces. C
func (e *Emulator) AddTunnel(name, conf string) error {
	if _, err := ParseConf(conf); err != nil {
		return err
	}
	return e.tx(func(st *state, _ time.Time) error {
		switch {
		case name == "":
			return fmt.Errorf("macemu: a tunnel has a name")
		case slices.Contains(st.Settings.NoApps, "WireGuard"):
			return fmt.Errorf("macemu: WireGuard is not installed")
		case st.tunnel(name) != nil:
			return fmt.Errorf("macemu: a tunnel with the name %q already exists: %w", name, fs.ErrExist)
		}
		st.Tunnels = append(st.Tunnels, Tunnel{Name: name, UUID: st.uuid(), App: wireGuard, Conf: conf, State: Disconnected})
		return nil
	})
}

// AddVPN adds a service of another app, which is only listed; the name may be
// there already.
func (e *Emulator) AddVPN(name, app string) error {
	return e.tx(func(st *state, _ time.Time) error {
		st.Tunnels = append(st.Tunnels, Tunnel{Name: name, UUID: st.uuid(), App: app, State: Disconnected})
		return nil
	})
}

// RemoveTunnel deletes a tunnel, as a person does in WireGuard.app. It is
// fs.ErrNotExist if there is none of that name.
func (e *Emulator) RemoveTunnel(name string) error {
	return e.named(name, func(st *state, t *Tunnel, _ time.Time, later *emu.Later) {
		e.down(t, time.Time{}, later)
		id := t.UUID
		st.Tunnels = slices.DeleteFunc(st.Tunnels, func(t Tunnel) bool { return t.UUID == id })
	})
}

// Activate starts a tunnel and stops the one that is up, as a person does in
// WireGuard.app. It is fs.ErrNotExist if there is none of that name.
func (e *Emulator) Activate(name string) error {
	return e.named(name, func(st *state, t *Tunnel, now time.Time, later *emu.Later) { e.up(st, t, now, later) })
}

// Deactivate stops a tunnel, which need not be up. It is fs.ErrNotExist if there
// is none of that name.
func (e *Emulator) Deactivate(name string) error {
	return e.named(name, func(st *state, t *Tunnel, now time.Time, later *emu.Later) { e.down(t, st.ends(now), later) })
}

// Tunnels are all VPN services, in the order in which they came.
func (e *Emulator) Tunnels() (out []Tunnel, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		out = slices.Clone(st.Tunnels)
		return nil
	})
	return out, err
}

func (e *Emulator) named(name string, f func(st *state, t *Tunnel, now time.Time, later *emu.Later)) error {
	return e.change(func(st *state, now time.Time, later *emu.Later) error {
		t := st.tunnel(name)
		if t == nil || t.App != wireGuard {
			return fmt.Errorf("macemu: tunnel %q: %w", name, fs.ErrNotExist)
		}
		f(st, t, now, later)
		return nil
	})
}

// tunnel is the first of a name or UUID; nil if there is none.
func (st *state) tunnel(name string) *Tunnel {
	for i := range st.Tunnels {
		if t := &st.Tunnels[i]; t.Name == name || t.UUID == name {
			return t
		}
	}
	return nil
}

// ends is when a state of a tunnel that begins now ends; zero is at once.
func (st *state) ends(now time.Time) time.Time {
	if d := st.Settings.scaled(tunnelTime); d > 0 {
		return now.Add(d)
	}
	return time.Time{}
}

// up starts a tunnel; only one of the app can be up. C
func (e *Emulator) up(st *state, t *Tunnel, now time.Time, later *emu.Later) {
	if t.State == Connecting || t.State == Connected {
		return
	}
	until := st.ends(now)
	for i := range st.Tunnels {
		if other := &st.Tunnels[i]; other.App == t.App && other.UUID != t.UUID {
			e.down(other, until, later)
		}
	}
	t.State, t.Until, t.Lost = Connecting, until, nil
	if until.IsZero() {
		t.State = Connected
	}
	if hook := e.opts.Hooks.TunnelUp; hook != nil {
		if conf, err := ParseConf(t.Conf); err == nil {
			told := *t
			later.Add(func() { hook(told, conf) })
		}
	}
}

// down stops a tunnel until a time; zero is at once.
func (e *Emulator) down(t *Tunnel, until time.Time, later *emu.Later) {
	if t.State == Disconnected || t.State == Disconnecting {
		return
	}
	t.State, t.Until = Disconnecting, until
	if until.IsZero() {
		t.State = Disconnected
	}
	if hook := e.opts.Hooks.TunnelDown; hook != nil {
		told := *t
		later.Add(func() { hook(told) })
	}
}

// Active is the WireGuard tunnel that is Connected, with its configuration; ok is
// false if there is none.
func (e *Emulator) Active() (t Tunnel, c Conf, ok bool, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		if up, conf := st.active(); up != nil {
			t, c, ok = *up, conf, true
		}
		return nil
	})
	return t, c, ok, err
}

// active is the tunnel that is Connected, with its configuration; nil if there is
// none.
func (st *state) active() (*Tunnel, Conf) {
	for i := range st.Tunnels {
		t := &st.Tunnels[i]
		if t.App != wireGuard || t.State != Connected {
			continue
		}
		if conf, err := ParseConf(t.Conf); err == nil {
			return t, conf
		}
	}
	return nil, Conf{}
}
