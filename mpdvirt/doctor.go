package mpdvirt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// Doctor looks at this machine as a whole: tools, permissions, networks, keys,
// the state folder, every hypervisor and every VM in one report. It changes
// nothing, asks nobody and logs in to no VM, and it works where it may only
// read. All questions are asked at the same time; each hypervisor is asked for
// its VMs once, and each VM that may run gets one ping, so that any number of
// VMs that are off costs about a second.
//
// Each registered VM is a check of its own, whose ID is the VM's name; each
// backend is one called backend-NAME, which is skipped where the backend is
// neither there nor needed.
//
// The Report is the answer also where checks fail; see Report.Err. The error is
// that of ctx.
func (m *Manager) Doctor(ctx context.Context) (*Report, error) {
	r := m.begin("doctor", 0)
	d := m.doctor(ctx, r)
	report := &Report{Schema: ReportSchema, Name: "this Mac", Checks: d.all(ctx, d.questions())}
	if err := ctx.Err(); err != nil {
		return nil, r.fail(err)
	}
	if !d.isMac() {
		report.Name = "this machine"
	}
	for _, c := range report.Checks {
		r.emit(Event{Kind: StepEnded, Step: c.ID, Status: c.Status, Text: c.Summary, Elapsed: c.Elapsed})
	}
	report.Verdict = d.verdict(report)
	return report, nil
}

// doctor is one look at the machine. What several questions need is found out
// once, by whichever needs it first; the functions below may be called at the
// same time.
type doctor struct {
	*examination // of no VM: only its engine, and the Mac

	items   []registry.Item // the registry as it was at the beginning
	listErr error           // why it cannot be read
	holders []holder        // of locks
	lockErr error

	files    func() []file
	backends map[string]func() *surveyed
	pings    map[string]func() map[Octet]pinged // by backend
	ssh      func() sshSettings
	tools    macTools
}

func (m *Manager) doctor(ctx context.Context, r *run) *doctor {
	d := &doctor{examination: &examination{m: m, r: r, mac: m.mac(r)}}
	d.isMac = shared(func() bool { return isMac(ctx, d.mac) })
	d.items, d.listErr = m.state.List()
	d.holders, d.lockErr = m.holders()
	d.files = shared(m.stateFiles)
	d.ssh = shared(func() sshSettings { return m.sshSettings(ctx, r) })
	d.tools = macToolsOf(ctx, d.mac)
	d.backends = map[string]func() *surveyed{}
	d.pings = map[string]func() map[Octet]pinged{}
	slots := make(chan struct{}, pingsAtOnce)
	for _, b := range m.cfg.Backends {
		name := b.Name()
		d.backends[name] = shared(func() *surveyed { return d.survey(ctx, b) })
		d.pings[name] = shared(func() map[Octet]pinged { return d.pingAll(ctx, name, slots) })
	}
	return d
}

// entries are the VMs whose entries can be used, in the order of their octets.
func (d *doctor) entries() []registry.Entry {
	var out []registry.Entry
	for _, it := range d.items {
		if it.Err == nil && !it.Unfinished {
			out = append(out, it.Entry)
		}
	}
	return out
}

// on are the entries of one backend.
func (d *doctor) on(backend string) []registry.Entry {
	return slices.DeleteFunc(d.entries(), func(e registry.Entry) bool { return e.Backend != backend })
}

// questions are all of them, in the order in which they are shown: causes
// before what follows from them.
func (d *doctor) questions() []check {
	state := []string{"state"}
	list := []check{
		{"state", Mandatory, nil, d.always(d.askState)},
		{"permissions", Mandatory, state, d.always(d.askPermissions)},
		{"registry", Mandatory, state, d.always(d.askEntries)},
		{"identity", Mandatory, state, d.always(d.askIdentity)},
		{"ssh-key", Mandatory, nil, d.asking(d.askKeys)},
		{"ssh", Mandatory, nil, d.asking(d.askSSH)},
	}
	for _, b := range d.m.cfg.Backends {
		list = append(list, check{"backend-" + b.Name(), Mandatory, state, d.always(func() Check { return d.askHypervisor(b.Name()) })})
	}
	for _, e := range d.entries() {
		var needs []string
		if _, there := d.backends[e.Backend]; there {
			needs = []string{"backend-" + e.Backend}
		}
		list = append(list, check{e.Name(), Mandatory, needs, d.always(func() Check { return d.askVM(e) })})
	}
	return append(list,
		check{"macos", Optional, nil, d.asking(d.askVersion)},
		check{"tools", Optional, nil, d.asking(d.askTools)},
		check{"locks", Optional, state, d.always(d.askLocks)},
		check{"leftovers", Optional, state, d.always(d.askLeftovers)},
		check{"orphans", Optional, state, d.always(d.askOrphans)},
		check{"running", Optional, state, d.always(d.askRunning)},
		check{"host-keys", Optional, state, d.always(d.askHostKeys)},
		check{"local-network", Optional, state, d.asking(d.askLocalNetwork)},
		check{"tunnel", Optional, nil, d.asking(d.askTunnelUp)},
		check{"routes", Optional, nil, d.asking(d.askStaticRoutes)},
		check{"resolver-files", Optional, nil, d.asking(d.askResolverFiles)},
		check{"ca-trust", Optional, []string{"identity"}, d.asking(d.askTrusted)},
		check{"ca-expiry", Optional, []string{"identity"}, d.always(d.askExpires)},
		check{"ca-rotation", Optional, []string{"identity"}, d.always(d.askRotation)},
	)
}

// asking and always fit questions to the engine, which hands over its
// examination; ours is d.
func (d *doctor) asking(ask func(context.Context) Check) func(context.Context, *examination) Check {
	return func(ctx context.Context, _ *examination) Check { return ask(ctx) }
}

func (d *doctor) always(ask func() Check) func(context.Context, *examination) Check {
	return func(context.Context, *examination) Check { return ask() }
}

// verdict sums up which VMs there are and which one this Mac's tunnel leads to.
func (d *doctor) verdict(r *Report) string {
	parts := []string{"no VM is registered"}
	if n := len(d.entries()); n > 0 {
		parts[0] = fmt.Sprintf("%s registered, %d of them known to run", plural(n, "VM"), len(d.running()))
	}
	switch tunnel := r.find("tunnel"); {
	case tunnel.Facts["vm"] != "":
		parts = append(parts, tunnel.Facts["vm"]+" answers through the tunnel")
	case tunnel.Facts["interface"] != "":
		parts = append(parts, "a tunnel is up")
	case tunnel.Status == OK:
		parts = append(parts, "no tunnel is up")
	}
	return strings.Join(parts, "; ") + "."
}

// shared is lazily for what has no error.
func shared[T any](do func() T) func() T {
	ask := lazily(func() (T, error) { return do(), nil })
	return func() T {
		value, _ := ask()
		return value
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// finding adds a further finding to a check: its status becomes the worse one.
// Of very many findings only the first are told.
func (c *Check) finding(s Status, summary string, fixes ...Fix) {
	first := c.Status == OK || c.Status == ""
	c.Status = worse(c.Status, s)
	switch more := "; and more of that kind"; {
	case first:
		c.Summary, c.Fixes = summary, append(c.Fixes, fixes...)
	case strings.Count(c.Summary, "; ") < shownNames:
		c.Summary, c.Fixes = c.Summary+"; "+summary, append(c.Fixes, fixes...)
	case !strings.HasSuffix(c.Summary, more):
		c.Summary += more
	}
}

// shownNames is how many names a summary tells one by one.
const shownNames = 6

// some are names for people, of which there may be very many.
func some(names []string) string {
	if more := len(names) - shownNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shownNames], ", "), more)
	}
	return strings.Join(names, ", ")
}
