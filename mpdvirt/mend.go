package mpdvirt

import (
	"context"
	"errors"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/shell"
)

// mend goes through what failed, if there is a person to mend it: it shows each
// finding with its fix, waits until they say that it is done, asks that
// question again and goes on. End of input leaves the rest as it is.
func (m *Manager) mend(ctx context.Context, r *run, report *Report) error {
	if m.cfg.Prompter == nil || report.Checks[0].Status == Fail {
		return nil
	}
	entry, err := m.state.Load(r.octet)
	if err != nil {
		return err
	}
	x := &examination{m: m, r: r, entry: entry}
	for i, c := range checks {
		found := &report.Checks[i+1] // registry is the first
		if found.Status != Fail || len(found.Fixes) == 0 {
			continue
		}
		text, command := found.instructions()
		err := m.cfg.Prompter.Pause(ctx, text, command)
		if errors.Is(err, ErrDeclined) {
			break
		}
		if err != nil {
			return err
		}
		x.again(ctx, report, c)
	}
	report.Verdict = x.verdict(report)
	return ctx.Err()
}

// instructions are a finding and its fixes for a person: sentences as text,
// command lines to run elsewhere.
func (c *Check) instructions() (text, command string) {
	lines := []string{c.ID + ": " + c.Summary}
	var commands []string
	for _, f := range c.Fixes {
		if f.Text != "" {
			lines = append(lines, f.Text)
		}
		argv := f.Argv
		if f.Root {
			argv = append([]string{"sudo"}, argv...)
		}
		if len(argv) > 0 {
			commands = append(commands, shell.Join(argv...))
		}
	}
	return strings.Join(lines, "\n"), strings.Join(commands, "\n")
}

// again asks one question anew, and those that were not tried.
func (x *examination) again(ctx context.Context, report *Report, asked check) {
	for i, c := range checks {
		found := &report.Checks[i+1]
		if c.id != asked.id && found.Status != Skipped {
			continue
		}
		*found = x.one(ctx, c)
	}
	reconcile(report)
	for i, c := range checks {
		if found := report.Checks[i+1]; c.id == asked.id || found.Status != Skipped {
			x.r.emit(Event{Kind: StepEnded, Step: c.id, Status: found.Status, Text: found.Summary, Elapsed: found.Elapsed})
		}
	}
}
