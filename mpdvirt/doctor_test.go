package mpdvirt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/general"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// stub is a hypervisor that answers what a test says.
type stub struct {
	absent   error
	machines []hypervisor.Machine
	states   error // what States fails with
	network  netip.Prefix
	netErr   error
	found    []hypervisor.Finding
	hangs    bool

	mu    sync.Mutex
	asked map[string]int
}

func (s *stub) called(ctx context.Context, what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[what]++
	return ctx.Err()
}

func (s *stub) Name() string { return "stub" }

func (s *stub) Available(ctx context.Context) error {
	if s.hangs {
		<-ctx.Done()
	}
	return errors.Join(s.absent, s.called(ctx, "available"))
}

func (s *stub) Network(ctx context.Context) (netip.Prefix, error) {
	return s.network, errors.Join(s.netErr, s.called(ctx, "network"))
}

func (s *stub) Locate(context.Context, hypervisor.Query) (hypervisor.Machine, error) {
	return hypervisor.Machine{}, hypervisor.ErrNoMachine
}

func (s *stub) States(ctx context.Context) ([]hypervisor.Machine, error) {
	return append([]hypervisor.Machine{}, s.machines...), errors.Join(s.states, s.called(ctx, "states"))
}

func (s *stub) Inspect(ctx context.Context) ([]hypervisor.Finding, error) {
	return s.found, s.called(ctx, "inspect")
}

func (s *stub) Version(ctx context.Context) (string, error) { return "4.7.5", s.called(ctx, "version") }

// has adds a VM to the hypervisor.
func (s *stub) has(name, uuid string, state hypervisor.State) {
	s.machines = append(s.machines, hypervisor.Machine{Name: name, UUID: uuid, State: state})
}

// patient is a lab with the backends general and stub, and the stub.
type patient struct {
	*lab
	stub *stub
}

func newPatient(t *testing.T, o options) *patient {
	p := &patient{stub: &stub{asked: map[string]int{}}}
	was := o.config
	o.config = func(c *mpdvirt.Config) {
		c.Backends = []hypervisor.Hypervisor{general.New(), p.stub}
		if was != nil {
			was(c)
		}
	}
	p.lab = newLab(t, o)
	return p
}

// setUp is the lab's VM, set up and with its tunnel on.
func (p *patient) setUp() {
	p.world.Tunnel(p.vm)
	p.setup(adoption)
	p.forget()
}

// uuid gives an entry a UUID.
func (p *patient) uuid(o mpdvirt.Octet, uuid string) {
	name := ".mpd-virt/" + o.String() + "/env"
	p.write(name, p.read(name)+"MPD_VM_UUID="+uuid+"\n", 0o600)
}

func (p *patient) doctor() *mpdvirt.Report {
	p.t.Helper()
	report, err := p.Doctor(p.t.Context())
	check(p.t, err)
	return report
}

// symptom is one thing that is so, and what one check says of it.
type symptom struct {
	name    string
	options options
	change  func(p *patient)
	want    mpdvirt.Status
	words   []string // of the summary and the fixes
	refused bool
}

func testSymptoms(t *testing.T, id string, list []symptom) {
	t.Helper()
	for _, tt := range list {
		bubble(t, tt.name, func(t *testing.T) {
			p := newPatient(t, tt.options)
			if tt.change != nil {
				tt.change(p)
			}
			before := p.tree()
			report := p.doctor()
			c := report.Check(id)
			text := c.Summary
			for _, f := range c.Fixes {
				text += "\n" + f.Text + " " + f.Command()
			}
			if c.Status != tt.want || c.Refused != tt.refused || c.Status == fail && len(c.Fixes) == 0 {
				t.Errorf("%s is %q, refused %t, want %q, %t:\n%s", id, c.Status, c.Refused, tt.want, tt.refused, text)
			}
			for _, w := range tt.words {
				if !strings.Contains(text, w) {
					t.Errorf("%s does not say %q:\n%s", id, w, text)
				}
			}
			if d := cmp.Diff(before, p.tree()); d != "" {
				t.Errorf("it changed files:\n%s", d)
			}
			for _, c := range report.Checks {
				if c.Summary == "" || c.Phase == "" {
					t.Errorf("%+v", c)
				}
				if c.Status == fail && c.Phase == mpdvirt.Mandatory && report.Healthy() {
					t.Errorf("it is healthy, although %s failed", c.ID)
				}
			}
			if tt.refused && !errors.Is(report.Err(), mpdvirt.ErrRefused) {
				t.Errorf("the report's error is %v", report.Err())
			}
		})
	}
}

// setUp, as a change.
func setUp(p *patient) { p.setUp() }

// on registers mpd-150 on the stub.
func onStub(p *patient) { register(p.lab, 150, "stub") }

func TestDoctor(t *testing.T) {
	bubble(t, "a Mac on which nothing was done", func(t *testing.T) {
		p := newPatient(t, options{})
		report := p.doctor()
		wantChecks(t, report, statuses{
			"permissions": skipped, "running": skipped, "host-keys": skipped, "local-network": skipped,
			"ca-trust": skipped, "ca-expiry": skipped, "ca-rotation": skipped,
		})
		if report.Err() != nil || report.Name != "this Mac" || report.Verdict != "no VM is registered; no tunnel is up." {
			t.Errorf("%v, %q, %q", report.Err(), report.Name, report.Verdict)
		}
		if p.exists(".mpd-virt") {
			t.Error("it made a folder")
		}
	})
	bubble(t, "one VM, set up", func(t *testing.T) {
		p := newPatient(t, options{})
		p.setUp()
		logins, before := p.vm.Logins(), p.tree()
		report := p.doctor()
		wantChecks(t, report, statuses{"ca-trust": warn})
		if p.vm.Logins() != logins || report.Err() != nil {
			t.Errorf("%d logins, %v", p.vm.Logins()-logins, report.Err())
		}
		if d := cmp.Diff(before, p.tree()); d != "" {
			t.Errorf("it changed files:\n%s", d)
		}
		if want := "1 VM registered, 1 of them known to run; mpd-150 answers through the tunnel."; report.Verdict != want {
			t.Errorf("verdict %q, want %q", report.Verdict, want)
		}
		ended := 0
		for _, e := range p.seen() {
			if e.Kind == mpdvirt.StepEnded {
				ended++
			}
		}
		if ended != len(report.Checks) {
			t.Errorf("%d events for %d checks", ended, len(report.Checks))
		}
		if calls, err := p.world.Mac().NotPlayed(); err != nil || len(calls) > 0 {
			t.Errorf("%v, %v", calls, err)
		}
	})
	bubble(t, "no Mac", func(t *testing.T) {
		p := newPatient(t, options{world: mpdvirttest.Options{NoMac: true}})
		p.setUp()
		report := p.doctor()
		wantChecks(t, report, statuses{"macos": skipped, "local-network": skipped, "tunnel": skipped, "routes": skipped, "resolver-files": skipped, "ca-trust": skipped})
		if report.Name != "this machine" || report.Verdict != "1 VM registered, 1 of them known to run." {
			t.Errorf("%q, %q", report.Name, report.Verdict)
		}
	})
	bubble(t, "cancelled", func(t *testing.T) {
		p := newPatient(t, options{})
		p.stub.hangs = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if report, err := p.Doctor(ctx); report != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v", report, err)
		}
	})
	bubble(t, "as JSON", func(t *testing.T) {
		p := newPatient(t, options{})
		p.setUp()
		text, err := json.Marshal(p.doctor())
		check(t, err)
		var report mpdvirt.Report
		check(t, json.Unmarshal(text, &report))
		if report.Schema != mpdvirt.ReportSchema || report.Check("mpd-150").Facts["answers"] != "true" || report.Octet != 0 {
			t.Errorf("%s", text)
		}
	})
}

// The registry full of VMs that are off costs one round of pings, and each
// hypervisor one question of each kind.
func TestDoctorOfManyVMs(t *testing.T) {
	for name, state := range map[string]hypervisor.State{"off": hypervisor.Stopped, "running and dead": hypervisor.Running} {
		for _, silent := range []bool{false, true} {
			bubble(t, fmt.Sprintf("%s, silent %t", name, silent), func(t *testing.T) {
				p := newPatient(t, options{world: mpdvirttest.Options{SilentHosts: silent}})
				for o := mpdvirt.Octet(100); o <= 254; o++ {
					register(p.lab, o, "stub")
					p.uuid(o, "00000000-0000-4000-8000-000000000"+o.String())
					p.stub.has(o.VMName(), "00000000-0000-4000-8000-000000000"+o.String(), state)
				}
				start := time.Now()
				report := p.doctor()
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("it took %v", took)
				}
				if d := cmp.Diff(map[string]int{"available": 1, "states": 1, "network": 1, "inspect": 1, "version": 1}, p.stub.asked); d != "" {
					t.Errorf("asked, -want +got:\n%s", d)
				}
				programs := map[string]int{}
				for _, c := range p.world.Commands() {
					programs[filepath.Base(c.Argv[0])]++
				}
				pings := 1 // of this machine, for the tool
				if state == hypervisor.Running {
					pings += 155
				}
				if programs["ping"] != pings {
					t.Errorf("%d pings, want %d", programs["ping"], pings)
				}
				delete(programs, "ping")
				n := 0
				for _, times := range programs {
					n += times
				}
				if n > 16 {
					t.Errorf("%d programs besides ping: %v", n, programs)
				}
				if got := report.Check("mpd-254"); got.Status != map[hypervisor.State]mpdvirt.Status{hypervisor.Stopped: ok, hypervisor.Running: warn}[state] {
					t.Errorf("%+v", got)
				}
				for _, c := range report.Checks { // lines for people stay short
					if len(c.Summary) > 24*155/2 {
						t.Errorf("%s: %d bytes: %s", c.ID, len(c.Summary), c.Summary)
					}
				}
			})
		}
	}
}

// Over the emulated tools of Parallels and UTM.
func TestDoctorOfHypervisors(t *testing.T) {
	bubble(t, "both", func(t *testing.T) {
		l := newLab(t, options{config: func(c *mpdvirt.Config) { c.Backends = nil }})
		parallels, err := l.world.AddParallels(mpdvirttest.ParallelsOptions{})
		check(t, err)
		utm, err := l.world.AddUTM(mpdvirttest.UTMOptions{})
		check(t, err)
		_, err = parallels.AddVM("mpd-150", mpdvirttest.VMOptions{Addr: canonical})
		check(t, err)
		_, err = utm.AddVM("mpd-160", mpdvirttest.VMOptions{Off: true})
		check(t, err)
		register(l, 150, "parallels")
		register(l, 151, "utm")
		report, err := l.Doctor(t.Context())
		check(t, err)
		for id, want := range map[string]struct {
			status mpdvirt.Status
			words  string
		}{
			"backend-parallels": {ok, "version 26.4.1, 1 VM is on it, in 10.211.55.0/24"},
			"backend-utm":       {ok, "version 4.7.5, 1 VM is on it, in 192.168.64.0/24"},
			"mpd-150":           {ok, "on parallels, 10.211.55.150, running"},
			"mpd-151":           {fail, "utm has no such VM any more"},
			"orphans":           {warn, "utm has a VM mpd-160 (stopped) that is not registered"},
			"running":           {ok, "mpd-150 runs, and no other"},
		} {
			if c := report.Check(id); c.Status != want.status || !strings.HasPrefix(c.Summary, want.words) {
				t.Errorf("%s: %s %q", id, c.Status, c.Summary)
			}
		}
		lists := 0
		for _, c := range l.world.Commands() {
			if tool := filepath.Base(c.Argv[0]); slices.Contains(c.Argv, "list") && (tool == "prlctl" || tool == "utmctl") {
				lists++
			}
		}
		if lists != 2 {
			t.Errorf("%d questions for all VMs, want one for each hypervisor", lists)
		}
	})
	bubble(t, "UTM may not be controlled", func(t *testing.T) {
		l := newLab(t, options{config: func(c *mpdvirt.Config) { c.Backends = nil }})
		utm, err := l.world.AddUTM(mpdvirttest.UTMOptions{})
		check(t, err)
		check(t, utm.Inject(mpdvirttest.UTMFault{Kind: "event", Number: -1743, Text: "Not authorized to send Apple events to UTM.", Times: -1}))
		report, err := l.Doctor(t.Context())
		check(t, err)
		if c := report.Check("backend-utm"); c.Status != warn || len(c.Fixes) == 0 || !strings.Contains(c.Fixes[0].Text, "Automation") {
			t.Errorf("%+v", c)
		}
		if c := report.Check("backend-parallels"); c.Status != skipped {
			t.Errorf("%+v", c)
		}
	})
}

// F98: nothing is written, so nothing has to be writable.
func TestDoctorReadOnly(t *testing.T) {
	bubble(t, "F98", func(t *testing.T) {
		p := newPatient(t, options{})
		p.setUp()
		root := p.path(".mpd-virt")
		check(t, os.Chmod(root, 0o500))
		defer os.Chmod(root, 0o700)
		before := p.tree()
		report := p.doctor()
		wantChecks(t, report, statuses{"permissions": warn, "ca-trust": warn})
		if d := cmp.Diff(before, p.tree()); d != "" {
			t.Errorf("it changed files:\n%s", d)
		}
	})
}

// A backend that hangs costs its bound, and the rest of the report is there.
func TestDoctorHangingBackend(t *testing.T) {
	bubble(t, "hangs", func(t *testing.T) {
		p := newPatient(t, options{})
		p.setUp()
		register(p.lab, 151, "stub")
		p.stub.hangs = true
		start := time.Now()
		report := p.doctor()
		if took := time.Since(start); took > 12*time.Second {
			t.Errorf("it took %v", took)
		}
		if c := report.Check("backend-stub"); c.Status != fail || !strings.Contains(c.Summary, "does not answer within 10s") {
			t.Errorf("%+v", c)
		}
		if c := report.Check("mpd-151"); c.Status != skipped || c.Summary != "not tried: backend-stub failed" {
			t.Errorf("%+v", c)
		}
		if c := report.Check("mpd-150"); c.Status != ok {
			t.Errorf("%+v", c)
		}
		if !errors.Is(report.Err(), mpdvirt.ErrUnhealthy) {
			t.Errorf("%v", report.Err())
		}
	})
}

// What a state folder that cannot be read leaves unasked.
func TestDoctorRootCause(t *testing.T) {
	bubble(t, "the folder is a file", func(t *testing.T) {
		p := newPatient(t, options{})
		p.write(".mpd-virt", "", 0o600)
		report := p.doctor()
		var unasked []string
		for _, c := range report.Checks {
			if c.Summary == "not tried: state failed" {
				unasked = append(unasked, c.ID)
			}
		}
		want := []string{"permissions", "registry", "identity", "backend-general", "backend-stub", "locks", "leftovers", "orphans", "running", "host-keys", "local-network",
			"ca-trust", "ca-expiry", "ca-rotation"}
		if c := report.Check("state"); c.Status != fail || !slices.Equal(unasked, want) {
			t.Errorf("%+v; not tried: %q", c, unasked)
		}
	})
}
