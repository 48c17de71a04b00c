package mpdvirt

import (
	"context"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/macos"
)

// asRoot tells all commands in one Note, asks the question unless yes, and runs
// them in one session of sudo. ran is false if nothing was started: nobody is
// there to type a password, or they said no. The error then says so; else it is
// what went wrong, which proves as little as nil does: the caller asks macOS.
//
// No step may run meanwhile, because its progress would be drawn over the
// password prompt.
func (m *Manager) asRoot(ctx context.Context, r *run, question string, yes bool, commands []macos.Command) (ran bool, err error) {
	if m.cfg.Prompter == nil {
		return false, hint.Wrap(&classified{macos.ErrNoTerminal, ErrDeclined}, "run this in a terminal yourself, then check again:\n"+shownCommands(commands))
	}
	r.noteAsRoot(commands)
	if !yes {
		ok, err := m.cfg.Prompter.Confirm(ctx, question)
		if err == nil && !ok {
			err = ErrDeclined
		}
		if err != nil {
			return false, err
		}
	}
	err = m.runFixes(ctx, r, fixesOf(commands...))
	if m.rehearsal != nil {
		return false, nil // and macOS has nothing new to say
	}
	if ctx.Err() != nil { // whatever else sudo made of it
		return true, hint.Wrap(ctx.Err(), hint.Of(err))
	}
	return true, err
}

// noteAsRoot tells commands before anybody is asked about them.
func (r *run) noteAsRoot(commands []macos.Command) {
	r.note("%s", "to be run as root:\n  "+strings.ReplaceAll(shownCommands(commands), "\n", "\n  ")+notes(commands))
}

// commandTexts are commands as a shell reads them.
func commandTexts(commands []macos.Command) []string {
	var lines []string
	for _, c := range commands {
		lines = append(lines, c.String())
	}
	return lines
}

// shownCommands are commands to be copied, a line each.
func shownCommands(commands []macos.Command) string {
	return strings.Join(commandTexts(commands), "\n")
}

// notes are the remarks about commands, each once, on lines of their own.
func notes(commands []macos.Command) string {
	var lines []string
	for _, c := range commands {
		if c.Note != "" && !slices.Contains(lines, c.Note) {
			lines = append(lines, c.Note)
		}
	}
	return strings.TrimRight("\n"+strings.Join(lines, "\n"), "\n")
}
