package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/probe"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// Bounds on pings. A VM is in a network of this very machine, where an echo
// takes a millisecond; together they allow for one ping to every possible VM.
const (
	pingLimit   = 300 * time.Millisecond // of one ping
	pingsLimit  = time.Second            // of all pings of one backend
	pingsAtOnce = 64
)

// pinged is what came of a VM's ping.
type pinged struct {
	asked    bool // there was time for it
	answered bool
	refused  bool          // the system said at once that there is no way there
	took     time.Duration // until it said so
}

// mayRun says whether a VM is worth a ping: it runs, or its hypervisor does not
// tell.
func (s *surveyed) mayRun(e registry.Entry) bool {
	if s.err != nil {
		return false
	}
	state := stateIn(s.machines, viewOf(e))
	return s.machines == nil || state == hypervisor.Running || !state.Known()
}

// pingAll sends one ping to each VM of a backend that may run.
func (d *doctor) pingAll(ctx context.Context, backend string, slots chan struct{}) map[Octet]pinged {
	s := d.backends[backend]()
	ctx, cancel := context.WithTimeout(ctx, pingsLimit)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	all := map[Octet]pinged{}
	for _, e := range d.on(backend) {
		if !s.mayRun(e) {
			continue
		}
		wg.Go(func() {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			p := d.ping(ctx, e)
			<-slots
			mu.Lock()
			defer mu.Unlock()
			all[e.Octet] = p
		})
	}
	wg.Wait()
	return all
}

func (d *doctor) ping(ctx context.Context, e registry.Entry) pinged {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	start := time.Now()
	_, err := probe.Ping(ctx, d.r.runner(), goos, e.Addr)
	p := pinged{asked: true, answered: err == nil, took: time.Since(start)}
	if errors.Is(err, hypervisor.ErrToolMissing) {
		p.asked = false // tools says so
	}
	var no *probe.PingError
	p.refused = errors.As(err, &no) && no.Reason == probe.ReasonNoRoute
	return p
}

// askVM compares a registered VM with what its hypervisor says, and looks
// whether it answers. Nobody logs in to it: that is diag's.
func (d *doctor) askVM(e registry.Entry) Check {
	b, err := d.m.backend(e.Backend)
	if err != nil {
		c := found(err)
		c.Fixes = []Fix{{Text: "use the mpd-virt that registered it, or correct MPD_VM_BACKEND in " + d.m.state.EnvFile(e.Octet)}}
		return c
	}
	s := d.backends[e.Backend]()
	if s.err != nil {
		return Check{Status: Skipped, Summary: "not asked: " + s.err.Error()}
	}
	c := Check{}
	state := State("")
	if s.machines != nil {
		if c = same(e, s); c.Status == Fail {
			return c
		}
		if state = stateIn(s.machines, viewOf(e)); !state.Known() {
			c.finding(Warn, fmt.Sprintf("%s says that it is %q", e.Backend, state), notRunning(state, b, e.Octet))
		}
	}
	if s.network.IsValid() && !s.network.Contains(e.Addr) {
		c.finding(Warn, fmt.Sprintf("%s is not in %s, which is %s's network now", e.Addr, s.network, e.Backend),
			Fix{Text: fmt.Sprintf("give the VM an address there: mpd-virt delete %s --keep-vm, then mpd-virt setup %s --backend=%s --username=%s", e.Octet, e.Octet, e.Backend, e.User)})
	}
	ping, pingable := d.pings[e.Backend]()[e.Octet]
	c.Facts = map[string]string{"ip": e.Addr.String()}
	if state != "" {
		c.Facts["state"] = string(state)
	}
	if ping.asked {
		c.Facts["answers"] = fmt.Sprint(ping.answered)
	}
	if pingable && ping.asked && !ping.answered && state == hypervisor.Running {
		c.finding(Warn, "it runs and does not answer ping", mpdVirt("diag", e.Octet.String()))
	}
	c.Summary = strings.TrimSuffix(fmt.Sprintf("%s; %s", described(e, state, ping), c.Summary), "; ")
	c.Status = worse(c.Status, OK)
	return c
}

// described is where a VM is and how it is.
func described(e registry.Entry, state State, ping pinged) string {
	parts := []string{"on " + e.Backend, e.Addr.String()}
	switch {
	case state != "":
		parts = append(parts, string(state))
	case ping.answered:
		parts = append(parts, "answers ping")
	case ping.asked:
		parts = append(parts, "off or not to be reached")
	}
	return strings.Join(parts, ", ")
}

// same says whether the VM that was recorded is there, and no other in its
// place. The zero Check is that all is well.
func same(e registry.Entry, s *surveyed) Check {
	name := e.Name()
	var recorded, named []hypervisor.Machine
	for _, vm := range s.machines {
		if e.UUID != "" && strings.EqualFold(vm.UUID, e.UUID) {
			recorded = append(recorded, vm)
		}
		if vm.Name == name {
			named = append(named, vm)
		}
	}
	forget := mpdVirt("delete", e.Octet.String(), "--keep-vm")
	switch {
	case e.UUID == "" && len(named) > 1, len(recorded) > 1:
		return Check{Status: Fail, Refused: true, Summary: fmt.Sprintf("%s has several VMs that could be %s", e.Backend, name),
			Fixes: []Fix{{Text: fmt.Sprintf("rename all but the right one, in the window of %s", e.Backend)}}}
	case e.UUID != "" && len(recorded) == 0 && len(named) > 0:
		forget.Text = "if it is the right one, forget the old one, then adopt it with mpd-virt setup"
		return Check{Status: Fail, Refused: true, Fixes: []Fix{forget},
			Summary: fmt.Sprintf("%s's %s is another VM than the one recorded: UUID %s, not %s", e.Backend, name, named[0].UUID, e.UUID)}
	case e.UUID != "" && len(recorded) == 0, e.UUID == "" && len(named) == 0:
		return Check{Status: Fail, Summary: fmt.Sprintf("%s has no such VM any more", e.Backend), Facts: map[string]string{"state": string(hypervisor.Missing)},
			Fixes: []Fix{notRunning(hypervisor.Missing, s.b, e.Octet)}}
	}
	c := Check{}
	if len(recorded) == 1 && recorded[0].Name != name {
		c.finding(Warn, fmt.Sprintf("%s calls it %q", e.Backend, recorded[0].Name), Fix{Text: fmt.Sprintf("give it the name %s again, in the window of %s", name, e.Backend)})
	}
	if slices.ContainsFunc(named, func(vm hypervisor.Machine) bool { return e.UUID != "" && !strings.EqualFold(vm.UUID, e.UUID) }) {
		c.finding(Warn, fmt.Sprintf("%s has another VM of this name", e.Backend), Fix{Text: fmt.Sprintf("rename that one, in the window of %s", e.Backend)})
	}
	return c
}

// running are the names of the VMs that surely run.
func (d *doctor) running() (names []string) {
	for _, e := range d.entries() {
		ask, there := d.backends[e.Backend]
		if !there {
			continue
		}
		s := ask()
		state := stateIn(s.machines, viewOf(e))
		if s.err == nil && (state == hypervisor.Running || d.pings[e.Backend]()[e.Octet].answered) {
			names = append(names, e.Name())
		}
	}
	return names
}

func (d *doctor) askRunning() Check {
	switch names := d.running(); {
	case len(d.entries()) == 0:
		return Check{Status: Skipped, Summary: "not asked: no VM is registered"}
	case len(names) == 0:
		return Check{Status: OK, Summary: "no VM is known to run"}
	case len(names) == 1:
		return Check{Status: OK, Summary: names[0] + " runs, and no other"}
	default:
		return Check{Status: Warn, Summary: some(names) + " run at once: all have the same addresses behind the tunnel, so *.mpd.test is one of them",
			Fixes: []Fix{{Text: "stop those that you do not need, or turn the tunnel of the one on that you mean"}}}
	}
}

// askHostKeys looks for VMs with one host key, which are copies of each other,
// and for pins that are lost.
func (d *doctor) askHostKeys() Check {
	c := Check{}
	names := map[string][]string{}
	var order []string
	for _, e := range d.entries() {
		keys, err := guest.ReadPins(d.m.files, d.m.state.KnownHosts(e.Octet), e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			err = hint.Wrap(errors.New("its pinned host key is lost"), fmt.Sprintf("mpd-virt setup %s     (it shows how to pin the key again)", e.Octet))
		}
		if err != nil {
			wrong := found(err)
			c.finding(Warn, e.Name()+": "+wrong.Summary, wrong.Fixes...)
		}
		for _, k := range keys {
			id := string(k.Marshal())
			if names[id] == nil {
				order = append(order, id)
			}
			if !slices.Contains(names[id], e.Name()) {
				names[id] = append(names[id], e.Name())
			}
		}
	}
	told := ""
	for _, id := range order { // copies have all keys in common
		if who := some(names[id]); len(names[id]) > 1 && who != told {
			c.finding(Warn, who+" have the same SSH host key: they are copies", Fix{Text: "delete the copies and make them anew with mpd-virt clone or create, which gives each its own"})
			told = who
		}
	}
	switch {
	case c.Status != "":
		return c
	case len(d.entries()) == 0:
		return Check{Status: Skipped, Summary: "not asked: no VM is registered"}
	}
	return Check{Status: OK, Summary: "each VM has its own SSH host key"}
}

// askLocalNetwork recognises that macOS keeps us from VMs that run.
func (d *doctor) askLocalNetwork(ctx context.Context) Check {
	return onMac(d.examination, func() Check {
		answered, asked, suspected := 0, 0, false
		for _, e := range d.entries() {
			ask, there := d.backends[e.Backend]
			if !there {
				continue
			}
			p := d.pings[e.Backend]()[e.Octet]
			if p.asked {
				asked++
			}
			if p.answered {
				answered++
			}
			// macOS treats all VMs alike, so the first that is refused tells.
			if p.refused && !suspected && stateIn(ask().machines, viewOf(e)) == hypervisor.Running {
				suspected = true
				if private(ctx, d.mac, syscall.EHOSTUNREACH, p.took, e.Addr) {
					return Check{Status: Warn, Summary: "macOS seems to forbid this program the local network", Fixes: []Fix{privacy()}}
				}
			}
		}
		switch {
		case answered > 0:
			return Check{Status: OK, Summary: "this program may talk to VMs"}
		case asked > 0:
			return Check{Status: OK, Summary: "nothing says that macOS forbids it"}
		}
		return Check{Status: Skipped, Summary: "not asked: no VM runs, and macOS tells only by what it refuses"}
	})
}
