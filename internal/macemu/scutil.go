package macemu

import (
	"fmt"
	"slices"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// scutil tells of names and VPN services, and turns those on and off, all without
// root. C
func (c *call) scutil() (int, error) {
	switch {
	case slices.Equal(c.args, []string{"--dns"}):
		return c.dns()
	case len(c.args) < 2 || c.args[0] != "--nc":
		return c.notPlayed()
	case c.args[1] == "list" && len(c.args) == 2:
		return 0, c.look(func(st *state, _ time.Time) { c.services(st) })
	case len(c.args) != 3:
		return c.notPlayed()
	}
	switch c.args[1] {
	case "status":
		return c.service(func(_ *state, t *Tunnel, _ time.Time, _ *emu.Later) { c.status(t) })
	case "start":
		return c.service(func(st *state, t *Tunnel, now time.Time, later *emu.Later) { c.e.up(st, t, now, later) })
	case "stop":
		return c.service(func(st *state, t *Tunnel, now time.Time, later *emu.Later) { c.e.down(t, st.ends(now), later) })
	}
	return c.notPlayed()
}

// services lists all that are known; the first line is always there. C
func (c *call) services(st *state) {
	fmt.Fprintln(c.out, "Available network connection services in the current set (*=enabled):")
	for _, t := range st.Tunnels {
		if !st.hides(&t) {
			fmt.Fprintf(c.out, "* %-16s %s VPN (%s) %-32s [VPN:%s]\n", "("+string(t.State)+")", t.UUID, t.App, `"`+t.Name+`"`, t.App)
		}
	}
}

// hides says whether scutil does not know a tunnel.
func (st *state) hides(t *Tunnel) bool { return st.Settings.TunnelGap && t.App == wireGuard }

// service does something to one service, by its name or UUID.
func (c *call) service(f func(st *state, t *Tunnel, now time.Time, later *emu.Later)) (int, error) {
	found := false
	err := c.change(func(st *state, now time.Time, later *emu.Later) error {
		t := st.tunnel(c.args[2])
		if found = t != nil && !st.hides(t); found {
			f(st, t, now, later)
		}
		return nil
	})
	if err != nil || found {
		return 0, err
	}
	return c.say(1, "No service") // C
}

// status tells a state and, in a dictionary, its number. C, A for the dictionary
func (c *call) status(t *Tunnel) {
	number := map[TunnelState]int{Disconnected: 0, Connecting: 1, Connected: 2, Disconnecting: 3}[t.State]
	fmt.Fprintf(c.out, "%s\nExtended Status <dictionary> {\n  Status : %d\n}\n", t.State, number)
}
