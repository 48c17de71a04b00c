package mpdvirt

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// after is a question that is answered with a status after some time, or, when
// it is cancelled, at once with a failure.
func after(d time.Duration, s Status) func(context.Context, *examination) Check {
	return func(ctx context.Context, _ *examination) Check {
		select {
		case <-time.After(d):
			return Check{Status: s, Summary: "answered"}
		case <-ctx.Done():
			return found(ctx.Err())
		}
	}
}

// asked runs questions as diag does.
func asked(ctx context.Context, list []check) []Check {
	m := &Manager{cfg: Config{Now: time.Now}}
	x := &examination{m: m, r: m.begin("diag", 150)}
	return x.all(ctx, list)
}

func statuses(checks []Check) map[string]Status {
	out := map[string]Status{}
	for _, c := range checks {
		out[c.ID] = c.Status
	}
	return out
}

func TestAllChecks(t *testing.T) {
	const soon, late = time.Second, time.Hour
	q := func(id string, d time.Duration, s Status, needs ...string) check {
		return check{id, Mandatory, needs, after(d, s)}
	}
	tests := []struct {
		name    string
		list    []check
		want    map[string]Status
		skipped map[string]string // what their summaries say
		within  time.Duration
	}{
		{"all at the same time", []check{q("a", soon, OK), q("b", soon, Warn), q("c", soon, Fail)},
			map[string]Status{"a": OK, "b": Warn, "c": Fail}, nil, soon},
		{"a failure cancels what needs it", []check{q("a", soon, Fail), q("b", late, OK, "a"), q("c", 2*soon, OK)},
			map[string]Status{"a": Fail, "b": Skipped, "c": OK}, map[string]string{"b": "not tried: a failed"}, 2 * soon},
		{"also what needs that", []check{q("c", late, OK, "b"), q("b", late, OK, "a"), q("a", soon, Fail)},
			map[string]Status{"a": Fail, "b": Skipped, "c": Skipped}, map[string]string{"b": "not tried: a failed", "c": "not tried: a failed"}, soon},
		{"one of two causes", []check{q("a", soon, OK), q("b", 2*soon, Fail), q("c", late, OK, "a", "b")},
			map[string]Status{"a": OK, "b": Fail, "c": Skipped}, map[string]string{"c": "not tried: b failed"}, 2 * soon},
		{"a warning cancels nothing", []check{q("a", soon, Warn), q("b", 2*soon, OK, "a")},
			map[string]Status{"a": Warn, "b": OK}, nil, 2 * soon},
		{"an answer before the cause fails says nothing either", []check{q("a", 2*soon, Fail), q("b", soon, OK, "a")},
			map[string]Status{"a": Fail, "b": Skipped}, map[string]string{"b": "not tried: a failed"}, 2 * soon},
		{"nor does a failure", []check{q("a", 2*soon, Fail), q("b", soon, Fail, "a")},
			map[string]Status{"a": Fail, "b": Skipped}, map[string]string{"b": "not tried: a failed"}, 2 * soon},
		{"needs something that is not asked", []check{q("a", soon, OK, "zzz")}, map[string]Status{"a": OK}, nil, soon},
		{"nothing", nil, map[string]Status{}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got := asked(t.Context(), tt.list)
				if took := time.Since(start); took != tt.within {
					t.Errorf("took %v, want %v", took, tt.within)
				}
				if d := cmp.Diff(tt.want, statuses(got)); d != "" {
					t.Errorf("-want +got:\n%s", d)
				}
				for i, c := range got {
					if c.ID != tt.list[i].id || c.Phase != Mandatory || !slices.Equal(c.Needs, tt.list[i].needs) {
						t.Errorf("number %d is %+v", i, c)
					}
					if c.Status == Skipped && c.Summary != tt.skipped[c.ID] {
						t.Errorf("%s: %q, want %q", c.ID, c.Summary, tt.skipped[c.ID])
					}
				}
			})
		})
	}
}

func TestInterruptedChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		got := asked(ctx, []check{
			{"a", Mandatory, nil, after(time.Hour, OK)}, {"b", Mandatory, nil, after(time.Millisecond, OK)},
		})
		if time.Since(start) != time.Second || got[0].Status != Fail || got[1].Status != OK {
			t.Errorf("after %v: %+v", time.Since(start), got)
		}
	})
}

// Contexts given to checks are not left open, and each sees its own only.
func TestChecksLeaveNothingOpen(t *testing.T) {
	var mu sync.Mutex
	var contexts []context.Context
	ask := func(ctx context.Context, _ *examination) Check {
		mu.Lock()
		defer mu.Unlock()
		contexts = append(contexts, ctx)
		return Check{Status: OK}
	}
	asked(t.Context(), []check{{"a", Mandatory, nil, ask}, {"b", Optional, []string{"a"}, ask}})
	for _, ctx := range contexts {
		if ctx.Err() == nil {
			t.Error("a context is still open")
		}
	}
}

func TestChecksOfDiag(t *testing.T) {
	seen := map[string]bool{"registry": true}
	for _, c := range ownChecks {
		if seen[c.id] || c.id == "" || c.ask == nil || c.phase != Mandatory && c.phase != Optional {
			t.Errorf("check %+v", c)
		}
		seen[c.id] = true
	}
	for _, c := range ownChecks {
		for _, need := range c.needs {
			if !seen[need] {
				t.Errorf("%s needs %s, which is not asked", c.id, need)
			}
		}
	}
}

// TestReconcile is faults F35 and F109.
func TestReconcile(t *testing.T) {
	check := func(id string, s Status, summary string, facts ...string) Check {
		c := Check{ID: id, Status: s, Summary: summary}
		for i := 0; i < len(facts); i += 2 {
			c.Facts = map[string]string{facts[i]: facts[i+1]}
		}
		return c
	}
	ping := func(s Status) Check { return check("ping", s, "1 ms") }
	sshd := func(s Status, facts ...string) Check { return check("platform", s, "", facts...) }
	dns := func(s Status) Check { return check("dns-identity", s, "") }
	claims := func(addr string) Check { return check("dns-identity", Fail, "", "address", addr) }
	resolver := func(s Status, facts ...string) Check { return check("resolver", s, "it says so", facts...) }
	tests := []struct {
		name    string
		checks  []Check
		id      string // whose verdict counts
		status  Status
		summary string
	}{
		{"both answer", []Check{ping(OK), sshd(OK, "ssh", "answers")}, "ping", OK, "1 ms"},
		{"ping is blocked", []Check{ping(Fail), sshd(OK, "ssh", "answers")}, "ping", Warn, "1 ms, but SSH answers"},
		{"ping is blocked, SSH refuses", []Check{ping(Fail), sshd(Fail, "ssh", "answers")}, "ping", Warn, "1 ms, but SSH answers"},
		{"neither answers", []Check{ping(Fail), sshd(Fail)}, "ping", Fail, "1 ms"},
		{"sshd is dead", []Check{ping(OK), sshd(Fail)}, "platform", Fail, ""},
		{"no ping program", []Check{ping(Warn), sshd(Fail)}, "ping", Warn, "1 ms"},

		{"VM and resolver agree", []Check{dns(OK), resolver(OK, "address", "10.0.0.1")}, "resolver", OK, "it says so"},
		{"only the VM answers", []Check{dns(OK), resolver(Fail)}, "resolver", Fail, "it says so"},
		{"no tunnel at all", []Check{dns(Fail), resolver(Fail)}, "resolver", Skipped, "not tried: dns-identity failed"},
		{"no tunnel, but a cache", []Check{dns(Fail), resolver(OK, "address", "10.0.0.1")}, "resolver", Warn, "it says so: from a cache or /etc/hosts, it proves nothing"},
		{"another VM, and the resolver asks it too", []Check{claims("10.0.0.2"), resolver(Warn, "address", "10.0.0.2")}, "resolver", Skipped, "not tried: dns-identity failed"},
		{"another VM, and a cache", []Check{claims("10.0.0.3"), resolver(Warn, "address", "10.0.0.2")}, "resolver", Warn, "it says so: from a cache or /etc/hosts, it proves nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{Checks: tt.checks}
			reconcile(r)
			if got := r.Check(tt.id); got.Status != tt.status || got.Summary != tt.summary {
				t.Errorf("%s is %s: %q, want %s: %q", tt.id, got.Status, got.Summary, tt.status, tt.summary)
			}
		})
	}
	empty := &Report{}
	if reconcile(empty); len(empty.Checks) != 0 {
		t.Errorf("an empty report became %+v", empty)
	}
}

func TestVerdict(t *testing.T) {
	facts := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	tests := []struct {
		name string
		dns  Check
		want string
	}{
		{"the VM", Check{Status: OK, Facts: facts("address", "10.211.55.150", "vm", "mpd-150")}, "which VM answers: mpd-150 (its own DNS says so)."},
		{"another VM", Check{Status: Fail, Facts: facts("address", "10.211.55.151", "vm", "mpd-151")}, "which VM answers: mpd-151 (DNS), not mpd-150."},
		{"a stranger", Check{Status: Fail, Facts: facts("address", "10.0.0.9")}, "which VM answers: one at 10.0.0.9 that is not registered here, not mpd-150."},
		{"no mpd VM", Check{Status: Fail, Facts: facts("answer", "nxdomain")}, "which VM answers: not known, no name server of an mpd VM answers."},
		{"silence", Check{Status: Fail, Facts: facts("answer", "no-answer")}, "which VM answers: none, no tunnel to a VM is up."},
		{"nobody", Check{Status: Fail}, "which VM answers: none, no tunnel to a VM is up."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.dns.ID = "dns-identity"
			r := &Report{Name: "mpd-150", Checks: []Check{{ID: "ping"}, tt.dns}}
			if got := (&examination{}).verdict(r); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestFound(t *testing.T) {
	c := found(hint.Wrap(errors.New("no answer"), "start it"))
	if c.Status != Fail || c.Summary != "no answer" || len(c.Fixes) != 1 || c.Fixes[0].Text != "start it" || c.Refused {
		t.Errorf("%+v", c)
	}
	if c := found(errors.New("x")); c.Fixes != nil {
		t.Errorf("a fix from nowhere: %+v", c.Fixes)
	}
	for _, err := range []error{&guest.HostKeyError{Reason: "changed"}, hypervisor.ErrDrift, bootstrap.ErrRefused} {
		if !found(err).Refused {
			t.Errorf("%v is not refused", err)
		}
	}
}

func TestLastLine(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "\n": "", "a\nb\n": "b", "a\r\nb\r\n\r\n": "b", "\x1b]0;t\ax\x1b[2J\n": "x", "one": "one",
	} {
		if got := lastLine([]byte(in)); got != want {
			t.Errorf("lastLine(%q) = %q, want %q", in, got, want)
		}
	}
}

// lonely is a Manager in an empty home folder that can reach nothing.
func lonely(t *testing.T) *Manager {
	t.Helper()
	m, err := New(Config{
		Home: t.TempDir(), AgentSocket: "none",
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, syscall.EHOSTUNREACH },
		Resolve: func(_ context.Context, _, host string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
		Runner: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{}, hypervisor.ErrToolMissing
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDiagNotRegistered(t *testing.T) {
	m := lonely(t)
	r, err := m.Diag(t.Context(), DiagRequest{Octet: 150})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(r.Err(), ErrUnhealthy) || r.Check("registry").Status != Fail || r.Name != "mpd-150" || r.Addr.IsValid() {
		t.Errorf("%+v", r)
	}
	if len(r.Checks) != 1+len(ownChecks) {
		t.Errorf("%d checks, want all %d", len(r.Checks), 1+len(ownChecks))
	}
	for _, c := range r.Checks[1:] {
		if c.Status != Skipped || c.Summary != "not tried: registry failed" {
			t.Errorf("%s is %s: %s", c.ID, c.Status, c.Summary)
		}
	}
	if !strings.Contains(r.Verdict, "not asked") {
		t.Errorf("verdict %q", r.Verdict)
	}
	if files, err := os.ReadDir(m.cfg.Home); err != nil || len(files) != 0 {
		t.Errorf("diag of nothing wrote %v, %v", files, err)
	}
}

// Who watches sees the report's verdicts: each check begins and ends once.
func TestDiagEvents(t *testing.T) {
	m := lonely(t)
	var began []string
	ended := map[string]Status{}
	m.cfg.Observer = func(e Event) {
		switch e.Kind {
		case StepStarted:
			began = append(began, e.Step)
		case StepEnded:
			if _, twice := ended[e.Step]; twice {
				t.Errorf("%s ended twice", e.Step)
			}
			ended[e.Step] = e.Status
		}
	}
	entry := registry.Entry{Octet: 150, Backend: "general", Addr: newPlace.Addr(), User: "dev"}
	if err := m.locked(t.Context(), "setup", func() error { return m.state.Save(entry) }); err != nil {
		t.Fatal(err)
	}
	r, err := m.Diag(t.Context(), DiagRequest{Octet: 150})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(statuses(r.Checks), ended); d != "" {
		t.Errorf("-report +events:\n%s", d)
	}
	if len(began) != len(r.Checks) || began[0] != "registry" {
		t.Errorf("began: %v", began)
	}
	if r.Healthy() || r.Check("backend").Status != OK || r.Check("ssh-alias").Status != Skipped {
		t.Errorf("a VM that nobody can reach: %+v", r.Checks)
	}
}

func TestDiagRefusesAnOctetOutOfRange(t *testing.T) {
	for _, o := range []Octet{0, 99, 255} {
		if r, err := lonely(t).Diag(t.Context(), DiagRequest{Octet: o}); r != nil || !errors.Is(err, ErrUsage) {
			t.Errorf("octet %d: %v, %v, want ErrUsage", uint8(o), r, err)
		}
	}
}

func TestDiagInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := lonely(t).Diag(ctx, DiagRequest{Octet: 150})
	var e *Error
	if r != nil || !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Verb != "diag" {
		t.Errorf("%v, %v", r, err)
	}
}
