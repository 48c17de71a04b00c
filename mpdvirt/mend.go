package mpdvirt

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// mend goes through what was found, if there is a person to mend it: it shows
// each finding with its fixes, does what they choose, asks that question again
// and goes on. End of input leaves the rest as it is.
func (m *Manager) mend(ctx context.Context, r *run, report *Report) error {
	if m.cfg.Prompter == nil || report.Checks[0].Status == Fail {
		return nil
	}
	entry, err := m.state.Load(r.octet)
	if err != nil {
		return err
	}
	x := m.examination(ctx, r, entry, nil)
	defer x.close()
	for i, c := range m.checks() {
		found := &report.Checks[i+1] // registry is the first
		if found.Status != Fail && found.Status != Warn || len(found.Fixes) == 0 {
			continue
		}
		err := m.settle(ctx, x, report, c, found)
		if errors.Is(err, ErrDeclined) {
			break
		}
		if err != nil {
			return err
		}
	}
	report.Verdict = x.verdict(report)
	return ctx.Err()
}

// settle offers one finding to the person and asks its question again; once more
// if there is another way to mend it then: a tunnel that was imported is to be
// turned on.
func (m *Manager) settle(ctx context.Context, x *examination, report *Report, c check, found *Check) error {
	for tried := []Fix(nil); len(found.Fixes) > 0 && !slices.EqualFunc(tried, found.Fixes, Fix.same); {
		tried = found.Fixes
		mended, err := m.offer(ctx, x.r, found)
		if err != nil || !mended {
			return err
		}
		x.again(ctx, report, c)
		if found.Status != Fail && found.Status != Warn {
			return nil
		}
	}
	return nil
}

// offer lets the person decide about one finding, until something may have
// changed (then it is true) or they leave it. The error is ErrDeclined if they
// leave all others, too.
func (m *Manager) offer(ctx context.Context, r *run, c *Check) (mended bool, err error) {
	q := c.question()
	for {
		action, err := m.cfg.Prompter.Choose(ctx, q)
		if err != nil {
			return false, err
		}
		switch action {
		case ActionAgain:
			return true, nil
		case ActionSkip:
			return false, nil
		case ActionRun:
			if err := m.runFixes(ctx, r, c.Fixes); err != nil && ctx.Err() == nil {
				r.note("%v", err)
			}
			return true, ctx.Err()
		case ActionOpen, ActionCopy:
			switch err := m.hand(ctx, r, c.Fixes, action); {
			case ctx.Err() != nil:
				return false, ctx.Err()
			case err != nil:
				r.note("%v", err)
			default:
				q = q.without(action)
			}
		default:
			return false, ErrDeclined
		}
	}
}

// hand opens or copies what the fixes name.
func (m *Manager) hand(ctx context.Context, r *run, fixes []Fix, action string) error {
	for _, f := range fixes {
		var err error
		switch {
		case action == ActionOpen && f.Open != "":
			err = m.open(ctx, r, f.Open)
		case action == ActionCopy && f.Copy != "":
			err = m.copyFile(ctx, r, f.Copy)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// question is a finding with all that can be done about it.
func (c *Check) question() Question {
	lines := []string{c.ID + ": " + c.Summary}
	q := Question{Actions: []Action{{ActionAgain, "it is mended, look again"}}}
	var opens, copies, runs bool
	for _, f := range c.Fixes {
		if f.Text != "" {
			lines = append(lines, f.Text)
		}
		if command := f.Command(); command != "" {
			q.Commands = append(q.Commands, command)
		}
		opens, copies, runs = opens || f.Open != "", copies || f.Copy != "", runs || f.runnable()
	}
	for _, a := range []struct {
		there bool
		Action
	}{
		{runs, Action{ActionRun, "run this"}},
		{opens, Action{ActionOpen, "open it"}},
		{copies, Action{ActionCopy, "copy it, with its private key, to the clipboard"}},
		{true, Action{ActionSkip, "leave it as it is"}},
		{true, Action{ActionQuit, "leave this and the rest"}},
	} {
		if a.there {
			q.Actions = append(q.Actions, a.Action)
		}
	}
	q.Text = strings.Join(lines, "\n")
	return q
}

// without is the question after something was opened or copied: what was found
// is not told twice.
func (q Question) without(action string) Question {
	q.Text, q.Commands = map[string]string{ActionOpen: "It is open.", ActionCopy: "It is on the clipboard."}[action], nil
	var left []Action
	for _, a := range q.Actions {
		if a.ID != action {
			left = append(left, a)
		}
	}
	q.Actions = left
	return q
}

// again asks one question anew, and those that were not tried if now nothing
// stands in their way.
func (x *examination) again(ctx context.Context, report *Report, asked check) {
	asks, checks := map[string]bool{}, x.m.checks()
	for i, c := range checks {
		found := &report.Checks[i+1]
		if c.id != asked.id && found.Facts["cause"] == "" {
			continue
		}
		if cause := report.blocked(c); cause != "" {
			*found = skipped(c, cause)
			continue
		}
		*found, asks[c.id] = x.one(ctx, c), true
	}
	reconcile(report)
	for i, c := range checks {
		if found := report.Checks[i+1]; asks[c.id] {
			x.r.emit(Event{Kind: StepEnded, Step: c.id, Status: found.Status, Text: found.Summary, Elapsed: found.Elapsed})
		}
	}
}

// blocked is the check that failed without which c says nothing; "" if there is
// none.
func (r *Report) blocked(c check) string {
	for _, id := range c.needs {
		switch need := r.find(id); {
		case need.Status == Fail:
			return id
		case need.Facts["cause"] != "":
			return need.Facts["cause"]
		}
	}
	return ""
}
