package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/identity"
)

// Observer is told what happens, on the goroutine that causes it, one call at
// a time. Nil functions are not called.
type Observer struct {
	Started func(step string)
	Output  func(step, line string) // a line of a remote script, cleaned
	Ended   func(step string, outcome Outcome)
	Note    func(text string)
}

func (o Observer) note(format string, args ...any) {
	if o.Note != nil {
		o.Note(fmt.Sprintf(format, args...))
	}
}

// Outcome is how a step ended.
type Outcome struct {
	Summary string // what was found or done
	Warning bool   // it holds, but a person should read Summary
	Err     error  // nil if the step holds now
	Elapsed time.Duration
}

// Config is one run of the pipeline.
type Config struct {
	Octet   hypervisor.Octet
	User    hypervisor.User
	Journal *Journal // addresses, source and what is done; saved as steps end
	From    string   // force the steps from this one on; "" none

	// Dial logs in at the first of the addresses where the VM answers,
	// checking the host key against the pin. Within limit it tries again; 0
	// means one attempt at each.
	Dial func(ctx context.Context, addrs []netip.Addr, limit time.Duration) (*guest.Conn, error)
	// Pin records the connection's host key as the VM's, if it is new.
	Pin func(c *guest.Conn) error
	// Repin makes keys the only host keys of the VM.
	Repin func(keys []ssh.PublicKey) error
	// Identity makes or reads what is pushed to the VM.
	Identity func(ctx context.Context) (*identity.Identity, error)
	// Free says whether nobody answers at the canonical address; an error if
	// somebody does.
	Free func(ctx context.Context, addr netip.Addr, key ssh.PublicKey) error
	// Register writes the registry entry and all that follows from it. The
	// summary says where. restarted says that the VM may have been restarted
	// meanwhile.
	Register func(ctx context.Context) (summary string, restarted bool, err error)
	// Ask shows the person a text and a command to run elsewhere and returns
	// when they say it is done; nil means that nobody can be asked.
	Ask func(ctx context.Context, text, command string) error

	// Rehearse, if not nil, is told what would be done to the VM, and nothing is:
	// see guest.Conn.Rehearse. Dial then returns connections that rehearse, or
	// absent ones. What a step would do counts as done.
	Rehearse guest.Teller

	// Held says whether the VM's lock is still this run's; nil is not asked.
	Held     func() error
	Now      func() time.Time
	Observer Observer
}

// StepError says which step of the pipeline failed.
type StepError struct {
	Step string
	Err  error
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }
func (e *StepError) Unwrap() error { return e.Err }

// step is one part of the pipeline. Those with holds are recorded in the
// journal and not run again while the journal and holds agree that they are
// done; the others are cheap, repeatable and always run.
type step struct {
	id string
	// do makes the step true and says what it did.
	do func(ctx context.Context, r *run) (summary string, err error)
	// holds says what of the step's effect is missing on the VM, "" if
	// nothing is; it is also what do must have achieved.
	holds func(r *run) (missing string)
	// only says for which VMs the step is there at all; nil is for all.
	only func(j *Journal) bool
	// done is the summary of a step that was not run again; nil says so in
	// general words.
	done func(r *run) string
}

var pipeline = []step{
	{id: StepSSH, do: connect},
	{id: StepSudo, do: sudo},
	{id: StepGuest, do: gate},
	{id: StepRotate, do: rotate, only: func(j *Journal) bool { return j.Rotate }},
	{id: StepAddress, do: free},
	{id: StepIdentity, do: ensureIdentity},
	{id: StepSudoers, do: fetched(StepSudoers), holds: sudoHolds},
	{id: StepClone, do: fetched(StepClone), holds: cloneHolds, done: cloned},
	{id: StepPush, do: push, holds: pushHolds},
	{id: StepNetwork, do: network, holds: networkHolds, done: hasAddress},
	{id: StepRegister, do: register},
	{id: StepPackages, do: packages, holds: packagesHold},
	{id: StepBuild, do: script(StepBuild), holds: buildHolds},
	{id: StepWireGuard, do: script(StepWireGuard), holds: wireGuardHolds},
	{id: StepMPD, do: setupMPD, holds: mpdHolds},
}

// run is the state of one pass through the pipeline.
type run struct {
	Config
	conn  *guest.Conn
	facts Facts
	id    *identity.Identity
	// moved: step 30 changed the address in this run, so packages of the old
	// network manager may still be on their way out.
	moved bool
}

// Run takes the VM through all steps that it needs. It returns the connection
// to the VM, at its canonical address, which the caller closes; on failure the
// connection is closed and the error is a *StepError.
func Run(ctx context.Context, cfg Config) (*guest.Conn, Facts, error) {
	r := &run{Config: cfg}
	if cfg.From != "" && !slices.Contains(Steps(), cfg.From) {
		return nil, Facts{}, fmt.Errorf("there is no step %q", cfg.From)
	}
	forced := false
	for _, s := range pipeline {
		if s.only != nil && !s.only(r.Journal) {
			continue
		}
		forced = forced || s.id == cfg.From
		if err := r.step(ctx, s, forced); err != nil {
			if r.conn != nil {
				r.conn.Close()
			}
			return nil, r.facts, &StepError{s.id, err}
		}
	}
	return r.conn, r.facts, nil
}

func (r *run) step(ctx context.Context, s step, forced bool) error {
	start := r.Now()
	if r.Observer.Started != nil {
		r.Observer.Started(s.id)
	}
	summary, err := r.perform(ctx, s, forced)
	err = unnamed(err, s.id)
	if r.Observer.Ended != nil {
		var w warning
		out := Outcome{Summary: summary, Elapsed: r.Now().Sub(start), Err: err}
		if errors.As(err, &w) {
			out.Warning, out.Summary, out.Err = true, string(w), nil
		}
		r.Observer.Ended(s.id, out)
	}
	if errors.As(err, new(warning)) {
		return nil
	}
	return err
}

// unnamed takes a step's name off the front of an error's text: whoever shows
// it names the step.
func unnamed(err error, id string) error {
	if err == nil || !strings.HasPrefix(err.Error(), id+": ") {
		return err
	}
	return short{err, strings.TrimPrefix(err.Error(), id+": ")}
}

type short struct {
	error
	text string
}

func (s short) Error() string { return s.text }
func (s short) Unwrap() error { return s.error }

// warning is returned by a step that holds, but about which a person should
// read a line.
type warning string

func (w warning) Error() string { return string(w) }

func (r *run) perform(ctx context.Context, s step, forced bool) (string, error) {
	if r.Held != nil {
		if err := r.Held(); err != nil {
			return "", err
		}
	}
	if s.holds == nil {
		return s.do(ctx, r)
	}
	if _, done := r.Journal.Done[s.id]; done && !forced && s.holds(r) == "" {
		if s.done != nil {
			return s.done(r), nil
		}
		return "done before, still holds", nil
	}
	if err := r.forget(s.id); err != nil {
		return "", err
	}
	summary, err := s.do(ctx, r)
	if err != nil {
		return summary, err
	}
	if err := r.proved(ctx, s); err != nil {
		return "", err
	}
	r.Journal.Done[s.id] = r.Now()
	if summary == "" && s.done != nil && r.Rehearse == nil {
		summary = s.done(r)
	}
	return summary, r.Journal.Save()
}

// proved is nil if the step has done what it is for. In a rehearsal it would.
func (r *run) proved(ctx context.Context, s step) error {
	if r.Rehearse != nil {
		return nil
	}
	if err := r.look(ctx, s.id); err != nil {
		return err
	}
	if missing := s.holds(r); missing != "" {
		return fmt.Errorf("it ended without an error, but %s", missing)
	}
	return nil
}

// forget takes a step out of the journal before it is run again: a run that is
// killed in the middle of it must not leave it done.
func (r *run) forget(id string) error {
	if _, done := r.Journal.Done[id]; !done {
		return nil
	}
	r.Journal.void(id)
	return r.Journal.Save()
}

// look surveys the VM for the step with the given ID.
func (r *run) look(ctx context.Context, id string) (err error) {
	if r.conn.Absent() { // what it will be like, a rehearsal can only assume
		r.facts = Facts{Sudo: true, SetupOption: defaultOption}
		return nil
	}
	_, served := r.Journal.Done[StepMPD]
	r.facts, err = survey(ctx, r.conn, served || id == StepMPD)
	return err
}

// output hands the lines of a remote script to the observer.
func (r *run) output(id string) func(string) {
	return func(line string) {
		if r.Observer.Output != nil {
			r.Observer.Output(id, line)
		}
	}
}
