package mpdvirt

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// StepIDs are the steps of Setup in their order, as events, results and
// SetupRequest.From name them.
func StepIDs() []string { return bootstrap.Steps() }

// Setup takes a VM that answers SSH through the whole bootstrap, registers it
// and ends with a non-interactive Diag. Steps that the VM has behind it are
// verified and not run again, so that Setup also goes on after a failure and
// confirms a healthy VM.
//
// The error is ErrUsage if the request lacks something or contradicts what is
// recorded, *LockedError if another run works on the VM, ErrRefused if the
// machine must not be set up, *HostKeyError, ErrLogin, *UnreachableError or
// *StepError if a step failed, and ErrUnhealthy if all steps went well but
// Diag's mandatory phase does not hold. The result is not nil once the VM is
// known.
//
// When ctx ends, Setup ends within a second and leaves what it needs to go on.
func (m *Manager) Setup(ctx context.Context, req SetupRequest) (*SetupResult, error) {
	r, err := m.begun("setup", req.Octet)
	if err != nil {
		return nil, err
	}
	if err := req.validate(); err != nil {
		return nil, r.fail(err)
	}
	lock, err := m.lockOctet(ctx, req.Octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	return m.setup(ctx, r, req, lock)
}

// fingerprint is what ssh-keygen -l prints of a key.
var fingerprint = regexp.MustCompile(`^SHA256:[A-Za-z0-9+/]{43}$`)

func (req SetupRequest) validate() error {
	if req.Addr.IsValid() {
		if _, err := hypervisor.ParseAddr(req.Addr.String()); err != nil {
			return err
		}
	}
	if req.User != "" {
		if _, err := hypervisor.ParseUser(string(req.User)); err != nil {
			return err
		}
	}
	if req.AcceptHostKey != "" && !fingerprint.MatchString(req.AcceptHostKey) {
		return usage("%.60q is not a host key fingerprint like SHA256:… with 43 characters", req.AcceptHostKey)
	}
	if req.From != "" && !slices.Contains(StepIDs(), req.From) {
		return hint.Wrap(usage("there is no step %.60q", req.From), "steps: "+strings.Join(StepIDs(), ", "))
	}
	return nil
}

// setup is Setup under the lock.
func (m *Manager) setup(ctx context.Context, r *run, req SetupRequest, lock *statefile.Lock) (*SetupResult, error) {
	t, err := m.target(ctx, req)
	if err != nil {
		return nil, r.fail(err)
	}
	if !r.begun { // else this is the second half of a clone
		if err := r.openLog(); err != nil {
			return nil, r.fail(err)
		}
		defer r.end()
		r.emit(Event{Kind: VerbStarted, Text: t.String()})
	}
	if err := t.journal.Save(); err != nil { // so that the octet alone is enough to go on
		return nil, r.fail(err)
	}
	res := &SetupResult{Schema: SetupSchema, VM: t.vm(), Steps: r.steps, Log: r.logPath()}

	login := m.login(ctx, r, t)
	login.hostKeys.Accept = req.AcceptHostKey
	conn, _, err := bootstrap.Run(ctx, bootstrap.Config{
		Octet: req.Octet, User: t.journal.User, Journal: t.journal, From: req.From,
		Dial:     login.dial,
		Pin:      login.pin,
		Repin:    login.repin,
		Identity: func(ctx context.Context) (*identity.Identity, error) { return m.identity(ctx, r, t) },
		Free:     login.free,
		Register: func(ctx context.Context) (string, bool, error) { return m.register(ctx, r, t) },
		Ask:      m.ask(),
		Held:     lock.Check,
		Rehearse: m.teller(),
		Now:      m.cfg.Now,
		Observer: r.observer(),
	})
	res.VM, res.Steps = t.vm(), r.steps
	if err != nil && t.known != nil {
		err = m.off(ctx, *t.known, err)
	}
	if err != nil {
		return res, r.fail(err)
	}
	defer conn.Close()
	t.journal.Making = nil
	if err := t.journal.Save(); err != nil {
		return res, r.fail(err)
	}
	return res, r.fail(m.concluded(ctx, r, res, conn))
}

// concluded ends setup and update with a non-interactive diag over the
// connection that they have.
func (m *Manager) concluded(ctx context.Context, r *run, res *SetupResult, conn *guest.Conn) error {
	r.emit(Event{Kind: StepStarted, Step: "diag"})
	start := m.cfg.Now()
	if m.rehearsal != nil {
		m.rehearsal.wait("diag has looked whether all of it works")
		r.ended(StepResult{ID: "diag", Status: OK})
		return m.looked(ctx, r)
	}
	report := m.examine(ctx, r, conn)
	if err := ctx.Err(); err != nil {
		return err
	}
	s := StepResult{ID: "diag", Status: OK, Summary: report.Verdict, Elapsed: m.cfg.Now().Sub(start)}
	err := report.Err()
	if err != nil {
		s.Status = Fail
	}
	r.ended(s)
	res.Steps, res.Report = r.steps, report
	return err
}

// ask is the pipeline's way to the person, nil if there is nobody.
func (m *Manager) ask() func(context.Context, string, string) error {
	if m.cfg.Prompter == nil || m.rehearsal != nil {
		return nil
	}
	return m.cfg.Prompter.Pause
}

// identity makes or reads the keys and confs of the VM.
func (m *Manager) identity(ctx context.Context, r *run, t *target) (id *identity.Identity, err error) {
	err = m.locked(ctx, r.verb, func() error {
		id, err = m.keys.Ensure(r.octet, t.journal.Canonical)
		return err
	})
	return id, err
}

// register writes the entry, if it is new or different, and the SSH entries of
// all VMs, and tells the backend.
func (m *Manager) register(ctx context.Context, r *run, t *target) (summary string, restarted bool, err error) {
	if t.journal.UUID == "" { // an old entry
		t.journal.UUID = t.uuid(ctx)
	}
	want := t.entry()
	if t.known == nil || *t.known != want {
		if err := m.state.Save(want); err != nil {
			return "", false, err
		}
	}
	t.known = &want
	if _, err := m.assertAliases(ctx, r); err != nil {
		return "", false, err
	}
	a, adopter := t.backend.(hypervisor.Adopter)
	if adopter {
		machine := hypervisor.Machine{UUID: want.UUID, Name: want.Name(), Addr: want.Addr}
		err := m.does(t.backend, want.Octet, func() error { return a.Adopted(ctx, want.Octet, machine) }, "adopt %s", want.Name())
		if err != nil {
			return "", true, fmt.Errorf("tell %s of the adoption: %w", t.backend.Name(), err)
		}
	}
	return m.state.EnvFile(want.Octet), adopter, nil
}

// uuid is that of the VM which the hypervisor knows at the address where this
// run is logged in; "" if it does not know.
func (t *target) uuid(ctx context.Context) string {
	at := t.journal.Canonical
	machine, err := t.backend.Locate(ctx, hypervisor.Query{Octet: t.journal.Octet, Addr: at})
	if err != nil || machine.Addr != at {
		return ""
	}
	return machine.UUID
}
