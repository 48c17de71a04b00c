package mpdvirt

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/internal/probe"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// Diag looks at a VM and at this Mac's way to it, and changes nothing but the
// SSH entries, which it writes again where they differ from the registry. All
// checks run at the same time; one whose cause failed is shown as skipped, not
// as failed. A VM that does not answer costs about two seconds.
//
// With a Prompter, each finding that has a fix is then shown to the person, and
// asked again when they say that it is mended; end of input ends that.
//
// The Report is the answer also where checks fail; see Report.Err. The error is
// that of ctx, or ErrUsage for an octet out of range.
func (m *Manager) Diag(ctx context.Context, req DiagRequest) (*Report, error) {
	r, err := m.begun("diag", req.Octet)
	if err != nil {
		return nil, err
	}
	report := m.examine(ctx, r, nil)
	if err := ctx.Err(); err != nil {
		return nil, r.fail(err)
	}
	if err := m.mend(ctx, r, report); err != nil {
		return nil, r.fail(err)
	}
	return report, nil
}

// examination is one look at one VM.
type examination struct {
	m     *Manager
	r     *run
	entry registry.Entry
	mac   *macos.Mac
	// connect logs in to the VM, once for all questions. What it returns is
	// closed by close.
	connect func() (*guest.Conn, error)
	close   func()
	isMac   func() bool
}

// examination begins one. conn is a connection to the VM to use, which stays
// the caller's; nil: log in.
func (m *Manager) examination(ctx context.Context, r *run, e registry.Entry, conn *guest.Conn) *examination {
	x := &examination{m: m, r: r, entry: e, mac: m.mac(r)}
	ctx, cancel := context.WithCancel(ctx)
	mac := lazily(func() (bool, error) { return isMac(ctx, x.mac), nil })
	x.isMac = func() bool { is, _ := mac(); return is }
	if conn != nil {
		x.connect, x.close = func() (*guest.Conn, error) { return conn, nil }, cancel
		return x
	}
	x.connect = lazily(func() (*guest.Conn, error) { return x.login(ctx) })
	x.close = func() {
		cancel()
		if own, err := x.connect(); err == nil { // or the end of ctx, if nobody asked
			own.Close()
		}
	}
	return x
}

// lazily calls do once, for the first who asks; the others wait for it. It is not
// sync.OnceValues, whose lock stops the clock of testing/synctest.
func lazily[T any](do func() (T, error)) func() (T, error) {
	turn, done := make(chan struct{}, 1), make(chan struct{})
	var value T
	var err error
	return func() (T, error) {
		select {
		case turn <- struct{}{}:
			value, err = do()
			close(done)
		default:
			<-done
		}
		return value, err
	}
}

// check is one question of an examination.
type check struct {
	id    string
	phase Phase
	needs []string // if one of these fails, the question has no meaning
	ask   func(ctx context.Context, x *examination) Check
}

// checks in the order in which they are shown. registry comes first and alone:
// it says where to look.
var ownChecks = []check{
	{"backend", Mandatory, nil, askBackend},
	{"ping", Mandatory, nil, askPing},
	{"platform", Mandatory, nil, askPlatform},
	{"ssh-alias", Mandatory, []string{"platform"}, askAlias},
	{"tunnel", Optional, nil, askTunnel},
	{"route", Optional, []string{"tunnel"}, askRoute},
	{"wireguard-key", Optional, []string{"platform"}, askKey},
	{"dns-identity", Optional, []string{"tunnel", "route"}, askDNS},
	{"resolver", Optional, nil, askResolver},
	{"dns-scope", Optional, []string{"tunnel"}, askScope},
	{"ca-trust", Optional, nil, askTrust},
	{"ca-expiry", Optional, nil, askExpiry},
	{"portal", Optional, []string{"tunnel", "route", "dns-identity"}, askPortal},
}

// checks are this program's, and those of the Config behind them.
func (m *Manager) checks() []check {
	list := ownChecks[:len(ownChecks):len(ownChecks)]
	for _, c := range m.cfg.Checks {
		list = append(list, check{c.ID, Optional, c.Needs, func(ctx context.Context, x *examination) Check {
			return c.Ask(ctx, Subject{x.entry, x.connect, c.ID})
		}})
	}
	return list
}

// examine asks all questions. conn is a connection to the VM to use, nil if
// there is none.
func (m *Manager) examine(ctx context.Context, r *run, conn *guest.Conn) *Report {
	report := &Report{Schema: ReportSchema, Octet: r.octet, Name: r.octet.VMName()}
	entry, first := m.askRegistry(r)
	report.Checks = append(report.Checks, first)
	if first.Status == Fail {
		for _, c := range m.checks() {
			report.Checks = append(report.Checks, skipped(c, first.ID))
		}
		report.Verdict = "which VM answers: not asked, " + report.Name + " is not usable as registered."
		return report
	}
	report.Backend, report.Addr = entry.Backend, entry.Addr
	x := m.examination(ctx, r, entry, conn)
	defer x.close()
	report.Checks = append(report.Checks, x.all(ctx, m.checks())...)
	reconcile(report)
	for _, c := range report.Checks[1:] {
		r.emit(Event{Kind: StepEnded, Step: c.ID, Status: c.Status, Text: c.Summary, Elapsed: c.Elapsed})
	}
	report.Verdict = x.verdict(report)
	return report
}

// all asks all questions at the same time. When one fails, those that need it
// are cancelled, and what these are needed for.
func (x *examination) all(ctx context.Context, checks []check) []Check {
	out := make([]Check, len(checks))
	contexts := make([]context.Context, len(checks))
	cancel := make([]context.CancelCauseFunc, len(checks))
	for i := range checks {
		contexts[i], cancel[i] = context.WithCancelCause(ctx)
	}
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			out[i] = x.one(contexts[i], c)
			cause, yes := context.Cause(contexts[i]).(failed)
			if out[i].Status != Fail && !yes { // what this machine cannot be asked is no cause
				return
			}
			why := failed(c.id)
			if yes {
				why = cause
			}
			for k, other := range checks {
				if slices.Contains(other.needs, c.id) {
					cancel[k](why)
				}
			}
		})
	}
	wg.Wait()
	causes := map[string]string{}
	for i, c := range checks {
		if cause, yes := context.Cause(contexts[i]).(failed); yes {
			causes[c.id] = string(cause)
		}
		cancel[i](nil)
	}
	for i, c := range checks {
		if causes[c.id] != "" {
			out[i] = skipped(c, root(causes, c.id))
		}
	}
	return out
}

// root is the first cause: what failed by itself before it was cancelled may have
// been heard of earlier than what cancelled it.
func root(causes map[string]string, id string) string {
	for range causes { // no longer than there are any
		if causes[id] == "" {
			break
		}
		id = causes[id]
	}
	return id
}

// failed is the reason for which a check is cancelled: the ID of its cause.
type failed string

func (f failed) Error() string { return string(f) + " failed" }

func (x *examination) one(ctx context.Context, c check) Check {
	x.r.emit(Event{Kind: StepStarted, Step: c.id})
	start := x.m.cfg.Now()
	found := c.ask(ctx, x)
	if cause, yes := context.Cause(ctx).(failed); yes {
		found = skipped(c, string(cause)) // whatever it says, it was interrupted
	}
	found.ID, found.Phase, found.Needs = c.id, c.phase, c.needs
	found.Elapsed = x.m.cfg.Now().Sub(start)
	return found
}

func skipped(c check, cause string) Check {
	return Check{ID: c.id, Phase: c.phase, Status: Skipped, Needs: c.needs, Summary: "not tried: " + cause + " failed", Facts: map[string]string{"cause": cause}}
}

// reconcile judges what single checks cannot: whether the VM is reachable is
// ping's and SSH's word together, since either may be blocked; and an address
// from a cache is worth a remark only if the VM itself gave another.
func reconcile(r *Report) {
	ping, ssh := r.find("ping"), r.find("platform")
	if ping.Status == Fail && ssh.Facts["ssh"] == "answers" {
		ping.Status = Warn
		ping.Summary += ", but SSH answers"
	}
	if ping.Status == Fail && ssh.Facts["local_network"] != "" {
		*ping = skipped(check{id: ping.ID, phase: ping.Phase}, ssh.ID)
	}
	dns, resolver := r.find("dns-identity"), r.find("resolver")
	if ssh.Facts["wireguard"] == foreign && dns.Status == OK {
		dns.Status, dns.Facts["wireguard"] = Warn, foreign
		dns.Summary += fmt.Sprintf(", but not confirmed: %s uses another WireGuard conf than this Mac keeps for it", r.Name)
		dns.Fixes = append(dns.Fixes, mpdVirt("setup", r.Octet.String()))
	}
	if scope := r.find("dns-scope"); scope.Status == Fail && resolver.Status == Fail {
		*resolver = skipped(check{id: resolver.ID, phase: resolver.Phase}, scope.ID)
	}
	switch claimed := resolver.Facts["address"]; {
	case dns.Status == OK, dns.Facts["wireguard"] == foreign:
	case resolver.Status == Fail, claimed != "" && claimed == dns.Facts["address"]:
		cause := dns.ID
		if c := dns.Facts["cause"]; c != "" {
			cause = c
		}
		*resolver = skipped(check{id: resolver.ID, phase: resolver.Phase}, cause)
	case claimed != "":
		resolver.Status = Warn
		resolver.Summary += ": from a cache or /etc/hosts, it proves nothing"
	}
}

func (r *Report) find(id string) *Check {
	for i := range r.Checks {
		if r.Checks[i].ID == id {
			return &r.Checks[i]
		}
	}
	return &Check{}
}

// verdict says which VM answers on this Mac, from the VM's own name server,
// which is the only proof that there is.
func (x *examination) verdict(r *Report) string {
	dns := r.find("dns-identity")
	want := r.Name
	switch who := dns.Facts["vm"]; {
	case dns.Status == OK:
		return fmt.Sprintf("which VM answers: %s (its own DNS says so).", want)
	case dns.Facts["wireguard"] == foreign:
		return fmt.Sprintf("which VM answers: not confirmed, DNS says %s, but the tunnel cannot be its own.", want)
	case who != "":
		return fmt.Sprintf("which VM answers: %s (DNS), not %s.", who, want)
	case dns.Facts["address"] != "":
		return fmt.Sprintf("which VM answers: one at %s that is not registered here, not %s.", dns.Facts["address"], want)
	}
	if tunnel := r.find("tunnel"); dns.Facts["cause"] == "" && tunnel.Facts["interface"] != "" {
		switch probe.Kind(dns.Facts["answer"]) {
		case probe.NoAnswer, probe.Unreachable, probe.Canceled:
			return "which VM answers: none, although a tunnel is on."
		}
	}
	switch probe.Kind(dns.Facts["answer"]) {
	case "", probe.NoAnswer, probe.Unreachable, probe.Canceled:
		return "which VM answers: none, no tunnel to a VM is up."
	}
	return "which VM answers: not known, no name server of an mpd VM answers."
}
