package mpdvirttest_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// desktop is a world with Parallels and one template.
type desktop struct {
	*testing.T
	*mpdvirttest.Parallels
	w        *mpdvirttest.World
	template *mpdvirttest.VM
}

func newDesktop(t *testing.T, po mpdvirttest.ParallelsOptions, vo mpdvirttest.VMOptions) *desktop {
	t.Helper()
	w := newWorld(t, mpdvirttest.Options{})
	p, err := w.AddParallels(po)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.AddTemplate("mpd-template-trixie", vo)
	if err != nil {
		t.Fatal(err)
	}
	return &desktop{t, p, w, v}
}

// prlctl runs a command line that must work.
func (d *desktop) prlctl(line string) string {
	d.Helper()
	r, err := d.w.Config().Runner(d.Context(), hypervisor.Command{Argv: append([]string{"prlctl"}, strings.Fields(line)...), Limit: time.Hour})
	if err != nil || r.Status != 0 {
		d.Fatalf("prlctl %s: %v, status %d, %s", line, err, r.Status, r.Stderr)
	}
	return string(r.Stdout)
}

// reported is what prlctl says of a VM.
func (d *desktop) reported(name string) (state, addr string) {
	d.Helper()
	var out []struct {
		Status string
		Addr   string `json:"ip_configured"`
	}
	if err := json.Unmarshal([]byte(d.prlctl("list -a -f -j "+name)), &out); err != nil || len(out) != 1 {
		d.Fatalf("list %s: %v", name, err)
	}
	return out[0].Status, out[0].Addr
}

func (d *desktop) has(v *mpdvirttest.VM, name string) string {
	d.Helper()
	data, _, err := v.File(name)
	if err != nil {
		d.Fatal(err)
	}
	return string(data)
}

// A VM from its clone to its end.
func TestParallels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesktop(t, mpdvirttest.ParallelsOptions{}, mpdvirttest.VMOptions{})
		if d.w.Reachable(netip.MustParseAddr("10.211.55.3")) {
			t.Error("the template runs")
		}
		d.prlctl("clone mpd-template-trixie --name mpd-150")
		v := d.VM("mpd-150")
		for _, name := range []string{"/etc/machine-id", "/etc/hostname", "/etc/ssh/ssh_host_ed25519_key", "/home/dev/.ssh/authorized_keys"} {
			if d.has(v, name) != d.has(d.template, name) {
				t.Errorf("%s is not that of the template", name)
			}
		}
		d.prlctl("start mpd-150")
		addr := netip.MustParseAddr("10.211.55.3")
		if state, got := d.reported("mpd-150"); v.Addr() != addr || state != "running" || got != addr.String() {
			t.Fatalf("%s at %v, reported %s", state, v.Addr(), got)
		}
		leases, err := d.LeaseFile()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(leases); err != nil || !strings.HasPrefix(string(text), "10.211.55.3=\"") {
			t.Errorf("leases: %v %q", err, text)
		}
		c := login(t, d.w, addr)
		if out := mustRun(t, c, "", "hostname; sudo id -u; cat /proc/sys/kernel/hostname"); out != "mpd-template-trixie\n0\nmpd-template-trixie\n" {
			t.Errorf("inside: %q", out)
		}
		if got := hostKeyOf(t, d.w, v, ssh.KeyAlgoED25519); !bytes.Equal(got.Marshal(), v.HostKeys()[0].Marshal()) {
			t.Error("another host key answers")
		}
		mustRun(t, c, "", rotate)
		mustRun(t, c, "", "sudo hostnamectl set-hostname mpd-150; echo mine > file")
		if d.template.Hostname() != "mpd-template-trixie" || d.has(v, "/etc/machine-id") == d.has(d.template, "/etc/machine-id") {
			t.Error("the template changed with its clone")
		}

		d.prlctl("suspend mpd-150")
		if state, got := d.reported("mpd-150"); state != "suspended" || got != "-" || d.w.Reachable(addr) {
			t.Errorf("suspended: %s at %s, answers: %t", state, got, d.w.Reachable(addr))
		}
		d.prlctl("resume mpd-150")
		mustRun(t, c, "", "true") // the same connection
		d.prlctl("stop mpd-150 --kill")
		if d.w.Reachable(addr) {
			t.Error("killed, and still there")
		}
		d.prlctl("start mpd-150")
		if out := mustRun(t, login(t, d.w, addr), "", "hostname; cat file"); out != "mpd-150\nmine\n" {
			t.Errorf("after power was off: %q", out)
		}
		d.prlctl("stop mpd-150")
		d.prlctl("delete mpd-150")
		if d.VM("mpd-150") != nil || d.UUID("mpd-150") != "" || d.w.Reachable(addr) {
			t.Error("deleted, and still there")
		}
	})
}

// A guest that has its canonical address keeps it, and prlctl tells it.
func TestParallelsBootstrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesktop(t, mpdvirttest.ParallelsOptions{}, mpdvirttest.VMOptions{})
		d.prlctl("clone mpd-template-trixie --name mpd-150")
		d.prlctl("start mpd-150")
		v := d.VM("mpd-150")
		c := bootstrap(t, d.w, v)
		if _, got := d.reported("mpd-150"); got != "10.211.55.150" {
			t.Errorf("reported at %s", got)
		}
		d.prlctl("stop mpd-150")
		c.Close()
		d.prlctl("start mpd-150")
		mustRun(t, login(t, d.w, at150), "", "/opt/mpd/bin/mpd --help; git -C /opt/mpd rev-parse HEAD")
		// A clone of it works on its own disk.
		d.prlctl("stop mpd-150")
		d.prlctl("clone mpd-150 --name mpd-151")
		d.prlctl("start mpd-151")
		mustRun(t, login(t, d.w, at150), "", "sudo rm -rf /opt/mpd; hostname")
		if d.has(v, "/opt/mpd/bin/mpd") == "" {
			t.Error("the first lost its file")
		}
	})
}

func TestParallelsStaticTemplate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr := netip.MustParseAddr("10.211.55.50")
		d := newDesktop(t, mpdvirttest.ParallelsOptions{}, mpdvirttest.VMOptions{Addr: addr})
		for _, name := range []string{"mpd-150", "mpd-151"} {
			d.prlctl("clone mpd-template-trixie --name " + name)
			d.prlctl("start " + name)
		}
		first, second := d.VM("mpd-150"), d.VM("mpd-151")
		if first.Addr() != addr || second.Addr().IsValid() {
			t.Errorf("they are at %v and %v", first.Addr(), second.Addr())
		}
		if _, got := d.reported("mpd-151"); strings.Contains(got, ".") {
			t.Errorf("the second is reported at %s", got)
		}
	})
}

// On the real scale, the guest answers some time after its power is on.
func TestParallelsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		po := mpdvirttest.ParallelsOptions{Settings: mpdvirttest.ParallelsSettings{Delay: 1}, Boot: 20 * time.Second}
		d := newDesktop(t, po, mpdvirttest.VMOptions{})
		d.prlctl("clone mpd-template-trixie --name mpd-150 --linked")
		d.prlctl("start mpd-150")
		addr := netip.MustParseAddr("10.211.55.3")
		if d.w.Reachable(addr) {
			t.Error("it is there at once")
		}
		pass(25 * time.Second)
		if _, got := d.reported("mpd-150"); !d.w.Reachable(addr) || !strings.HasPrefix(got, "169.254.") {
			t.Errorf("25 s later: %t, reported %s", d.w.Reachable(addr), got)
		}
		pass(15 * time.Second)
		if _, got := d.reported("mpd-150"); got != addr.String() {
			t.Errorf("40 s later: reported %s", got)
		}
		// A start that was undone has no late effect.
		d.prlctl("stop mpd-150 --kill")
		pass(5 * time.Second)
		d.prlctl("start mpd-150")
		d.prlctl("stop mpd-150 --kill")
		pass(time.Minute)
		if d.w.Reachable(addr) {
			t.Error("it booted after it was killed")
		}
	})
}

func TestParallelsInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesktop(t, mpdvirttest.ParallelsOptions{}, mpdvirttest.VMOptions{})
		dhcp, err := d.AddVM("handmade", mpdvirttest.VMOptions{Hostname: "mpd-sandbox"})
		if err != nil {
			t.Fatal(err)
		}
		fixed, err := d.AddVM("fixed", mpdvirttest.VMOptions{Addr: netip.MustParseAddr("10.211.55.60")})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []*mpdvirttest.VM{dhcp, fixed} {
			login(t, d.w, v.Addr())
		}
		d.prlctl("stop fixed")
		d.prlctl("start fixed")
		if got := fixed.Addr().String(); got != "10.211.55.60" {
			t.Errorf("started anew at %s", got)
		}
		machines, err := d.Machines()
		var names []string
		for _, m := range machines {
			names = append(names, m.Name+" "+string(m.State)+" "+m.Addr.String())
		}
		want := []string{"fixed running 10.211.55.60", "handmade running 10.211.55.3", "mpd-template-trixie stopped invalid IP"}
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%v %q", err, names)
		}
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(d.Rename("handmade", "mpd-140"))
		check(d.SetState("fixed", "dreaming"))
		if state, _ := d.reported("fixed"); state != "dreaming" || d.VM("mpd-140") != dhcp {
			t.Errorf("state %s", state)
		}
		check(d.Change(func(s *mpdvirttest.ParallelsSettings) { s.HostnameSync = true }))
		d.prlctl("list")
		if d.UUID("mpd-sandbox") == "" {
			t.Error("its name is not the guest's")
		}
		check(d.Inject(mpdvirttest.ParallelsFault{Kind: "busy", Verb: "list"}))
		r, err := d.w.Run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "list"}})
		if err != nil || r.Status != 255 {
			t.Errorf("a fault: %v, %d", err, r.Status)
		}
		check(d.Remove("mpd-sandbox"))
		if d.w.Reachable(dhcp.Addr()) || dhcp.Addr().IsValid() {
			t.Error("removed, and still there")
		}
		if calls, err := d.Calls(); err != nil || len(calls) < 5 {
			t.Errorf("calls: %v %q", err, calls)
		}
	})
}

// Parallels has VMs of one name; each has a guest of its own.
func TestParallelsTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		p, err := w.AddParallels(mpdvirttest.ParallelsOptions{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[netip.Addr]bool{}
		for range 2 {
			v, err := p.AddVM("twin", mpdvirttest.VMOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if a := v.Addr(); !a.IsValid() || seen[a] || !w.Reachable(a) {
				t.Errorf("at %v", a)
			}
			seen[v.Addr()] = true
		}
		vms, err := p.Machines()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range vms {
			if !seen[m.Addr] {
				t.Errorf("%v is at %v", m.UUID, m.Addr)
			}
		}
	})
}
