//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

// parallelsTools are the programs that this test binary is, too, when it was
// started under their names.
var parallelsTools = []string{"prlctl", "prlsrvctl"}

// parallelsPace shrinks what Parallels takes: a clone of 90 seconds takes 2.
const parallelsPace = 0.02

// Parallels is a Parallels Desktop on the Mac: real processes under the real
// names, over VMs that are only records, but for the clone, whose body is a
// guest of the laboratory.
type Parallels struct {
	*prlemu.Emulator
	lab   *Lab
	guest *Guest
}

// Parallels installs Parallels Desktop with one template. The VM mpd-150 that
// is cloned from it will be the guest: Parallels tells the guest's own address,
// and unplugs it from the network while the VM does not run.
func (l *Lab) Parallels(g *Guest) *Parallels {
	l.t.Helper()
	self, err := os.Executable()
	l.must(err)
	for _, tool := range parallelsTools {
		link := filepath.Join(l.dir, "bin", tool)
		l.must(os.MkdirAll(filepath.Dir(link), 0o700))
		l.must(os.Symlink(self, link))
	}
	l.write("home/parallels-body", l.net+" "+g.name+" "+g.ns, 0o600)
	emu, err := prlemu.New(prlemu.Options{State: parallelsState(l.Home), Settings: prlemu.Settings{Delay: parallelsPace}})
	l.must(err)
	_, err = emu.AddVM(prlemu.VM{Name: "mpd-template-trixie", Template: true})
	l.must(err)
	return &Parallels{Emulator: emu, lab: l, guest: g}
}

func parallelsState(home string) string { return filepath.Join(home, "parallels.json") }

// awaitStart waits until the clone's power is on.
func (p *Parallels) awaitStart() {
	p.lab.t.Helper()
	p.lab.eventually("start of mpd-150", time.Minute, func() error {
		if v, ok := p.VM("mpd-150"); !ok || v.State != "running" {
			return fmt.Errorf("there: %t, state %q", ok, v.State)
		}
		return nil
	})
}

// playParallels is one run of prlctl or prlsrvctl, in the Mac's namespace.
func playParallels(name string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	home := os.Getenv("HOME")
	text, err := os.ReadFile(filepath.Join(home, "parallels-body"))
	words := strings.Fields(string(text))
	if err != nil || len(words) != 3 {
		fmt.Fprintf(os.Stderr, "%s: no laboratory in %s: %v\n", name, home, err)
		return 70
	}
	b := body{net: words[0], port: words[1], ns: words[2]}
	return prlemu.Main(os.Args, prlemu.Env{
		Context: ctx, State: parallelsState(home), Stdout: os.Stdout, Stderr: os.Stderr,
		Hooks: prlemu.Hooks{
			Started: func(string) { b.plug("master", "br0") }, Resumed: func(string) { b.plug("master", "br0") },
			Suspended: func(string) { b.plug("nomaster") }, Stopped: func(string, bool) { b.plug("nomaster") },
			Addr: func(string) (netip.Addr, bool) { return b.addr() },
		},
	})
}

// body is the guest that stands for the one VM that runs.
type body struct{ net, port, ns string }

// plug puts the guest's cable into the bridge, or out. A guest that is off has
// no cable, and gets one when it boots.
func (b body) plug(how ...string) {
	out, err := exec.Command("ip", append([]string{"-n", b.net, "link", "set", b.port}, how...)...).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "Cannot find device") {
		fmt.Fprintf(os.Stderr, "plug %v: %v %s\n", how, err, out)
	}
}

// addr is the address that the guest has by now.
func (b body) addr() (netip.Addr, bool) {
	out, err := exec.Command("ip", "-n", b.ns, "-4", "-o", "addr", "show", "enp0s5", "scope", "global").Output()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, word := range strings.Fields(string(out)) {
		if p, err := netip.ParsePrefix(word); err == nil {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}
