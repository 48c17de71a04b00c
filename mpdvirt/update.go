package mpdvirt

import (
	"context"

	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// Update runs the update script of a registered VM, which fetches, builds and
// sets up mpd again, and ends with a non-interactive Diag. Errors are those of
// Setup; the result is not nil once the VM is known.
func (m *Manager) Update(ctx context.Context, req UpdateRequest) (*SetupResult, error) {
	r, err := m.begun("update", req.Octet)
	if err != nil {
		return nil, err
	}
	if _, err := m.registered(req.Octet); err != nil {
		return nil, r.fail(err)
	}
	lock, err := m.lockOctet(ctx, req.Octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	t, err := m.loaded(req.Octet)
	if err != nil {
		return nil, r.fail(err)
	}
	// Not SetSource: if the update goes well, the steps that it repeats are done
	// from the new source, and if not, the journal is not saved.
	if t.journal.Source, err = m.source(t.journal, SetupRequest{Repo: req.Repo, Branch: req.Branch}); err != nil {
		return nil, r.fail(err)
	}
	if err := r.openLog(); err != nil {
		return nil, r.fail(err)
	}
	defer r.end()
	res := &SetupResult{Schema: SetupSchema, VM: t.vm(), Steps: r.steps, Log: r.logPath()}
	r.emit(Event{Kind: VerbStarted, Text: t.String()})
	err = m.update(ctx, r, t, res, lock)
	res.Steps = r.steps
	return res, r.fail(err)
}

func (m *Manager) update(ctx context.Context, r *run, t *target, res *SetupResult, lock *statefile.Lock) error {
	conn, err := guestAt(ctx, m.login(ctx, r, t), t.known.Addr)
	if err != nil {
		return m.off(ctx, *t.known, err)
	}
	defer conn.Close()
	cfg := bootstrap.Config{
		Octet: r.octet, User: t.journal.User, Journal: t.journal,
		Held: lock.Check, Rehearse: m.teller(), Now: m.cfg.Now, Observer: r.observer(),
	}
	if err := bootstrap.Update(ctx, conn, cfg); err != nil {
		return err
	}
	// The next setup and update shall use the source that is now in the VM.
	if err := t.journal.Save(); err != nil {
		return err
	}
	return m.concluded(ctx, r, res, conn)
}
