package mpdvirt

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/mutms/mpd-virt-macos/internal/guest"
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
	conn  *guest.Conn // nil: log in
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
var checks = []check{
	{"backend", Mandatory, nil, askBackend},
	{"ping", Mandatory, nil, askPing},
	{"platform", Mandatory, nil, askPlatform},
	{"ssh-alias", Mandatory, []string{"platform"}, askAlias},
	{"dns-identity", Optional, nil, askDNS},
	{"resolver", Optional, nil, askResolver},
}

// examine asks all questions. conn is a connection to the VM to use, nil if
// there is none.
func (m *Manager) examine(ctx context.Context, r *run, conn *guest.Conn) *Report {
	report := &Report{Schema: ReportSchema, Octet: r.octet, Name: r.octet.VMName()}
	entry, first := m.askRegistry(r)
	report.Checks = append(report.Checks, first)
	if first.Status == Fail {
		for _, c := range checks {
			report.Checks = append(report.Checks, skipped(c, first.ID))
		}
		report.Verdict = "which VM answers: not asked, " + report.Name + " is not usable as registered."
		return report
	}
	report.Backend, report.Addr = entry.Backend, entry.Addr
	x := &examination{m: m, r: r, entry: entry, conn: conn}
	report.Checks = append(report.Checks, x.all(ctx, checks)...)
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
			if s := out[i].Status; s != Fail && s != Skipped {
				return
			}
			why := failed(c.id)
			if cause, yes := context.Cause(contexts[i]).(failed); yes {
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
	for i, c := range checks {
		if cause, yes := context.Cause(contexts[i]).(failed); yes {
			out[i] = skipped(c, string(cause))
		}
		cancel[i](nil)
	}
	return out
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
	return Check{ID: c.id, Phase: c.phase, Status: Skipped, Needs: c.needs, Summary: "not tried: " + cause + " failed"}
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
	dns, resolver := r.find("dns-identity"), r.find("resolver")
	if ssh.Facts["wireguard"] == foreign && dns.Status == OK {
		dns.Status, dns.Facts["wireguard"] = Warn, foreign
		dns.Summary += fmt.Sprintf(", but not confirmed: %s uses another WireGuard conf than this Mac keeps for it", r.Name)
		dns.Fixes = append(dns.Fixes, mpdVirt("setup", r.Octet.String()))
	}
	switch claimed := resolver.Facts["address"]; {
	case dns.Status == OK, dns.Facts["wireguard"] == foreign:
	case resolver.Status == Fail, claimed != "" && claimed == dns.Facts["address"]:
		*resolver = skipped(check{id: resolver.ID, phase: resolver.Phase}, dns.ID)
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
	switch probe.Kind(dns.Facts["answer"]) {
	case "", probe.NoAnswer, probe.Unreachable, probe.Canceled:
		return "which VM answers: none, no tunnel to a VM is up."
	}
	return "which VM answers: not known, no name server of an mpd VM answers."
}
