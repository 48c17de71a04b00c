package mpdvirttest_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// desk is a Mac under test, with the VM 150 that this program would have set up.
type desk struct {
	*testing.T
	*mpdvirttest.World
	mac   *mpdvirttest.Mac
	vm    *mpdvirttest.VM
	store *identity.Store
}

// newDesk sets the VM up, with the identity that the Mac keeps for it.
func newDesk(t *testing.T) *desk {
	t.Helper()
	w := newWorld(t, mpdvirttest.Options{})
	d := &desk{T: t, World: w, mac: w.Mac(), vm: addVM(t, w, mpdvirttest.VMOptions{})}
	d.store = identity.Open(filepath.Join(w.Home(), ".mpd-virt", "conf"), w.Config().Now)
	id, err := d.store.Ensure(150, at150)
	d.must(err)
	bootstrapWith(t, w, d.vm, string(id.ServerConf), string(id.CACert), string(id.CAKey)).Close()
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// says runs a command whose words have no blanks and returns what it printed.
func (d *desk) says(line string) string {
	d.Helper()
	r, err := d.World.Run(d.Context(), hypervisor.Command{Argv: strings.Fields(line)})
	d.must(err)
	return string(r.Stdout) + string(r.Stderr)
}

// answers says what the platform's name server tells through the tunnel.
func (d *desk) answers(want string) {
	d.Helper()
	if got := query(d.T, d.World, "udp"); got != want {
		d.Errorf("10.163.0.3: %s, want %s", got, want)
	}
}

// up is the name of the tunnel that is Connected, "" if none is.
func (d *desk) up() (name string) {
	d.Helper()
	all, err := d.mac.Tunnels()
	d.must(err)
	for _, t := range all {
		if t.State == "Connected" {
			name += t.Name
		}
	}
	return name
}

func TestMacTools(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	mac := w.Mac()
	run := func(c hypervisor.Command) hypervisor.Result {
		t.Helper()
		r, err := w.Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := run(hypervisor.Command{Argv: []string{"/usr/bin/sw_vers", "-productVersion"}}); string(r.Stdout) != "26.6.2\n" {
		t.Errorf("sw_vers: %q", r.Stdout)
	}
	for bridge, addr := range map[string]string{"bridge100": "192.168.64.1 ", "bridge101": "10.211.55.2 "} {
		if r := run(hypervisor.Command{Argv: []string{"/sbin/ifconfig", bridge}}); !strings.Contains(string(r.Stdout), "\tinet "+addr) {
			t.Errorf("%s: %s", bridge, r.Stdout)
		}
	}
	sudo := []string{"sudo", "-v"}
	if r := run(hypervisor.Command{Argv: sudo}); r.Status != 1 {
		t.Errorf("sudo without a terminal: status %d", r.Status)
	}
	var screen strings.Builder
	mac.SetTerminal(&screen)
	if r := run(hypervisor.Command{Argv: sudo, Terminal: true}); r.Status != 0 || r.Stdout != nil {
		t.Errorf("sudo on a terminal: %+v", r)
	}
	mac.SetTerminal(nil)
	if got := mac.Terminal(); got != "Password:\n" || screen.String() != got {
		t.Errorf("the terminal shows %q and %q", got, screen.String())
	}
	if err := mac.Change(func(s *mpdvirttest.MacSettings) { s.Sudo = "asks not" }); err != nil {
		t.Fatal(err)
	}
	run(hypervisor.Command{Argv: []string{"sudo", "-k"}})
	if r := run(hypervisor.Command{Argv: []string{"sudo", "-n", "mkdir", "/etc/resolver"}}); r.Status != 0 {
		t.Errorf("a sudo that asks for nothing: %+v", r)
	}
	if info, err := os.Stat(filepath.Join(w.Root(), "etc", "resolver")); err != nil || !info.IsDir() {
		t.Errorf("/etc/resolver: %v", err)
	}
	if none, err := mac.NotPlayed(); err != nil || len(none) > 0 {
		t.Errorf("not played: %q, %v", none, err)
	}
	run(hypervisor.Command{Argv: []string{"security", "unlock-keychain"}})
	if one, err := mac.NotPlayed(); err != nil || len(one) != 1 {
		t.Errorf("not played: %q, %v", one, err)
	}
	w.HandleCommand("security", func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
		return hypervisor.Result{Status: 7}, nil
	})
	if r := run(hypervisor.Command{Argv: []string{"security", "unlock-keychain"}}); r.Status != 7 {
		t.Errorf("a program of the test's own: %+v", r)
	}
}

// A person may think about a question for ever; other commands have their limit.
func TestTerminalHasNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		slow := mpdvirttest.MacFault{Kind: "slow", Tool: "sudo", After: 24 * time.Hour, Times: -1}
		if err := w.Mac().Inject(slow); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Run(t.Context(), hypervisor.Command{Argv: []string{"sudo", "-v"}, Terminal: true}); err != nil {
			t.Errorf("on a terminal: %v", err)
		}
		if _, err := w.Run(t.Context(), hypervisor.Command{Argv: []string{"sudo", "-v"}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without: %v", err)
		}
	})
}

func TestNoMac(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{NoMac: true})
	for _, tool := range []string{"security", "/usr/sbin/scutil", "sudo", "ifconfig", "sw_vers", "pbcopy"} {
		if _, err := w.Run(t.Context(), hypervisor.Command{Argv: []string{tool, "x"}}); !errors.Is(err, hypervisor.ErrToolMissing) {
			t.Errorf("%s: %v", tool, err)
		}
	}
	bootstrap(t, w, addVM(t, w, mpdvirttest.VMOptions{}))
	if err := w.Mac().Change(func(s *mpdvirttest.MacSettings) { s.LocalNetworkDenied = true }); err != nil {
		t.Fatal(err)
	}
	login(t, w, at150).Close()
	if _, err := w.DialContext(t.Context(), "tcp", "10.211.55.99:22"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("nobody's address: %v", err)
	}
}

// From the profile to the tunnel that works, and its ends.
func TestMacTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.answers("no answer")
		d.says("open " + d.store.ProfileFile(150))
		if all, err := d.mac.Tunnels(); err != nil || len(all) != 1 || all[0].Name != "mpd-150" || d.up() != "" {
			t.Fatalf("%d tunnels, %q is up, %v", len(all), d.up(), err)
		}
		own := func() bool {
			addrs, err := d.LocalAddrs()
			d.must(err)
			return slices.Contains(addrs, netip.MustParseAddr("10.164.0.1"))
		}
		if own() {
			t.Error("the Mac has the tunnel's address already")
		}
		d.says("scutil --nc start mpd-150")
		d.answers("10.211.55.150")
		if !own() || !strings.Contains(d.says("ifconfig utun4"), "inet 10.164.0.1 ") || !d.Reachable(netip.MustParseAddr("10.164.0.2")) {
			t.Error("the Mac has not the tunnel's address")
		}
		d.vm.SetUnit("wg-quick@mpd0", false)
		d.answers("no answer")
		d.vm.SetUnit("wg-quick@mpd0", true)
		d.answers("10.211.55.150")
		d.says("scutil --nc stop mpd-150")
		d.answers("no answer")
		if own() {
			t.Error("the tunnel's address stays")
		}
		d.must(d.mac.Activate("mpd-150"))
		d.answers("10.211.55.150")
		d.must(d.mac.Reboot())
		d.answers("no answer")
	})
}

// A tunnel with other keys is Connected, and nothing comes back.
func TestMacTunnelOtherKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		private, _ := keys(t, 80)
		id, err := d.store.Load(150)
		d.must(err)
		const line = "PrivateKey = "
		before, rest, _ := strings.Cut(string(id.ClientConf), line)
		_, after, _ := strings.Cut(rest, "\n")
		for name, conf := range map[string]string{
			"another key":      before + line + private + "\n" + after,
			"another endpoint": strings.ReplaceAll(string(id.ClientConf), "Endpoint = 10.211.55.150", "Endpoint = 10.211.55.37"),
			"another port":     strings.ReplaceAll(string(id.ClientConf), ":51820", ":51821"),
			"not the VM's end": strings.ReplaceAll(string(id.ClientConf), "10.164.0.0/30, ", ""),
			"not containers":   strings.ReplaceAll(string(id.ClientConf), ", 10.163.0.0/24", ""),
		} {
			if conf == string(id.ClientConf) {
				t.Fatalf("%s: nothing was replaced", name)
			}
			d.must(d.mac.ImportTunnel(name, conf))
			d.must(d.mac.Activate(name))
			if d.up() != name {
				t.Errorf("%s: %q is up", name, d.up())
			}
			d.answers("no answer")
		}
		d.Tunnel(d.vm)
		d.answers("10.211.55.150")
	})
}

// World.Tunnel does what a person does, whenever the configuration comes.
func TestTunnelImports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		d := &desk{T: t, World: w, mac: w.Mac(), vm: addVM(t, w, mpdvirttest.VMOptions{})}
		w.Tunnel(d.vm)
		if d.up() != "mpd-template-trixie" {
			t.Errorf("without a configuration %q is up", d.up())
		}
		bootstrap(t, w, d.vm) // writes one
		d.answers("10.211.55.150")
		if all, err := d.mac.Tunnels(); err != nil || len(all) != 1 || d.up() != "mpd-150" {
			t.Errorf("%d tunnels, %q is up, %v", len(all), d.up(), err)
		}
		d.says("scutil --nc stop mpd-150")
		if d.up() != "" {
			t.Error("a person's stop does not last")
		}
		confs(t, w, "150", 24)
		d.must(d.mac.Activate("mpd-150"))
		d.answers("10.211.55.150") // nothing is imported by itself
		w.Tunnel(d.vm)
		d.answers("no answer")
		w.Tunnel(nil)
		d.must(os.RemoveAll(filepath.Join(w.Home(), ".mpd-virt")))
		d.must(d.mac.RemoveTunnel("mpd-150"))
		w.Tunnel(d.vm)
		d.answers("10.211.55.150")
		w.Tunnel(nil)
		if err := d.mac.Activate("mpd-150"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the makeshift tunnel is still there: %v", err)
		}
	})
}

// The routing table decides where packets for the containers go.
func TestMacRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		net := netip.MustParsePrefix("10.163.0.0/24")
		d.must(d.mac.AddRoute(net, at150))
		d.answers("10.211.55.150") // the VM forwards
		d.must(d.mac.Reboot())
		d.answers("no answer")
		d.must(d.mac.AddRoute(net, netip.MustParseAddr("10.211.55.99")))
		d.Tunnel(d.vm)
		d.answers("no answer")
		d.must(d.mac.Change(func(s *mpdvirttest.MacSettings) { s.Sudo = "asks not" }))
		d.says("sudo route -n delete -net 10.163.0.0/24 10.211.55.99")
		d.answers("10.211.55.150")
	})
}

// macOS keeps programs without the permission from its own networks, at once, and
// not from what a tunnel reaches.
func TestLocalNetworkDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.Tunnel(d.vm)
		set := func(denied bool) {
			d.must(d.mac.Change(func(s *mpdvirttest.MacSettings) { s.LocalNetworkDenied = denied }))
		}
		set(true)
		start := time.Now()
		for _, network := range []string{"tcp", "udp"} {
			if _, err := d.DialContext(t.Context(), network, "10.211.55.150:22"); !errors.Is(err, syscall.EHOSTUNREACH) {
				t.Errorf("%s: %v", network, err)
			}
		}
		if got := d.says("ping -n -c 1 -t 2 10.211.55.150"); !strings.Contains(got, "ping: sendto: No route to host\n") {
			t.Errorf("ping: %s", got)
		}
		if got := d.says("ssh -o BatchMode=yes dev@10.211.55.150 true"); !strings.Contains(got, "No route to host") {
			t.Errorf("ssh: %s", got)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		d.answers("10.211.55.150")
		if got := d.says("ping -n -c 1 -t 2 10.163.0.3"); !strings.Contains(got, "1 packets received") {
			t.Errorf("ping through the tunnel: %s", got)
		}
		if !strings.Contains(d.says("route -n get 10.211.55.150"), "interface: bridge101") {
			t.Error("the route is not what it was")
		}
		set(false)
		login(t, d.World, at150).Close()
	})
}
