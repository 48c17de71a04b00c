package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// backendLimit bounds what a hypervisor is asked in all, so that one that hangs
// keeps nobody from the rest of the report.
const backendLimit = 10 * time.Second

// surveyed is what one backend says, each question having been asked once.
type surveyed struct {
	b   hypervisor.Hypervisor
	err error // why it cannot be asked for its VMs; the rest is zero then

	version  string // "" if it does not tell
	machines []hypervisor.Machine
	network  netip.Prefix
	netErr   error
	found    []hypervisor.Finding
	foundErr error
}

// survey asks a backend whether it can be used, and then all else at once.
func (d *doctor) survey(ctx context.Context, b hypervisor.Hypervisor) *surveyed {
	limited, cancel := context.WithTimeout(ctx, backendLimit)
	defer cancel()
	s := &surveyed{b: b}
	in := func(err error) error {
		if errors.Is(err, context.DeadlineExceeded) && limited.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("%s does not answer within %v", b.Name(), backendLimit)
		}
		return err
	}
	if s.err = in(b.Available(limited)); s.err != nil {
		return s
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if s.machines, s.err = b.States(limited); s.err != nil {
			s.machines, s.err = nil, in(fmt.Errorf("ask %s for its VMs: %w", b.Name(), s.err))
		}
	})
	wg.Go(func() {
		s.network, s.netErr = b.Network(limited)
		s.netErr = in(s.netErr)
	})
	if i, ok := b.(hypervisor.Inspector); ok {
		wg.Go(func() {
			s.found, s.foundErr = i.Inspect(limited)
			s.foundErr = in(s.foundErr)
		})
	}
	if v, ok := b.(hypervisor.Versioner); ok {
		wg.Go(func() { s.version, _ = v.Version(limited) }) // Available has said what is wrong
	}
	wg.Wait()
	return s
}

// askHypervisor judges one backend. That one is missing matters only if a VM is
// on it.
func (d *doctor) askHypervisor(name string) Check {
	s := d.backends[name]()
	needed := len(d.on(name))
	if s.err != nil {
		c := found(s.err)
		switch {
		case needed > 0:
			c.Summary += fmt.Sprintf(" (%s on it)", are(needed))
		case errors.Is(s.err, hypervisor.ErrToolMissing):
			return Check{Status: Skipped, Summary: "not there, and no VM is on it"}
		default:
			c.Status = Warn
		}
		return c
	}
	c := Check{Status: OK, Summary: are(needed) + " on it", Facts: map[string]string{}}
	if s.version != "" {
		c.Facts["version"] = s.version
		c.Summary = "version " + s.version + ", " + c.Summary
	}
	if s.network.IsValid() {
		c.Facts["network"] = s.network.String()
		c.Summary += ", in " + s.network.String()
	}
	c.add(s.found, s.foundErr)
	if s.netErr != nil {
		wrong := found(s.netErr)
		c.Status, c.Summary, c.Fixes = Warn, c.Summary+"; "+wrong.Summary, append(c.Fixes, wrong.Fixes...)
	}
	return c
}

// are is a number of VMs with its verb.
func are(n int) string {
	switch n {
	case 0:
		return "no VM is"
	case 1:
		return "1 VM is"
	}
	return fmt.Sprintf("%d VMs are", n)
}

// askOrphans looks for VMs that have the name of ours and that nobody here knows:
// those of a registry that was lost, or of a run that was killed.
func (d *doctor) askOrphans() Check {
	known := map[Octet]string{}
	for _, it := range d.items {
		known[it.Entry.Octet] = it.Entry.Backend
	}
	asked := 0
	c := Check{}
	for _, b := range d.m.cfg.Backends {
		s := d.backends[b.Name()]()
		if s.machines != nil {
			asked++
		}
		for _, vm := range s.machines {
			o, mine := octetOf(vm.Name)
			on, registered := known[o]
			switch {
			case !mine || registered && (on == "" || on == b.Name()):
			case registered:
				c.finding(Warn, fmt.Sprintf("%s has a VM %s, and the one that is registered is on %s", b.Name(), vm.Name, on),
					Fix{Text: fmt.Sprintf("rename or delete the one that is not wanted, in the window of %s", b.Name())})
			default:
				fix := mpdVirt("setup", o.String(), "--backend="+b.Name(), "--username=NAME")
				fix.Text = fmt.Sprintf("delete %s in the window of %s, or adopt it", vm.Name, b.Name())
				c.finding(Warn, fmt.Sprintf("%s has a VM %s (%s) that is not registered", b.Name(), vm.Name, vm.State), fix)
			}
		}
	}
	switch {
	case c.Status != "":
		return c
	case asked == 0:
		return Check{Status: Skipped, Summary: "not asked: no hypervisor can be asked for its VMs"}
	}
	return Check{Status: OK, Summary: "every VM with a name of ours is registered"}
}

// octetOf is the number in a VM's name.
func octetOf(name string) (Octet, bool) {
	if len(name) < 3 {
		return 0, false
	}
	o, err := ParseOctet(name[len(name)-3:])
	return o, err == nil && name == o.VMName()
}
