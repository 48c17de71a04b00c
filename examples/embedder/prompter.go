package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// policy answers the questions of the SDK in the place of a person, by rules
// that were made before. It never waits, so that it needs no context.
type policy struct {
	log *slog.Logger
	// consent answers yes to questions that hold this text, and no to others;
	// "" says no to all.
	consent string
	// commands are the first words of command lines that may be run.
	commands []string
	// passphrase unlocks private keys; nil: none can be.
	passphrase func(keyFile string) ([]byte, error)
}

var _ mpdvirt.Prompter = (*policy)(nil)

// Confirm says yes to what was agreed to.
func (p *policy) Confirm(_ context.Context, question string) (bool, error) {
	yes := p.consent != "" && strings.Contains(question, p.consent)
	p.log.Info("asked", "question", question, "answer", yes)
	return yes, nil
}

// Pause wants a person to do something elsewhere, and there is none.
func (p *policy) Pause(_ context.Context, text, command string) error {
	p.log.Warn("a person is needed", "text", text, "command", command)
	return fmt.Errorf("nobody is here to do it: %w", mpdvirt.ErrDeclined)
}

// Choose runs what may be run, and else leaves the finding as it is. It never
// says that it has mended something itself: it would be asked for ever.
func (p *policy) Choose(_ context.Context, q mpdvirt.Question) (string, error) {
	offers := func(id string) bool {
		return slices.ContainsFunc(q.Actions, func(a mpdvirt.Action) bool { return a.ID == id })
	}
	choice := mpdvirt.ActionQuit
	switch {
	case offers(mpdvirt.ActionRun) && p.mayRun(q.Commands):
		choice = mpdvirt.ActionRun
	case offers(mpdvirt.ActionSkip):
		choice = mpdvirt.ActionSkip
	case !offers(mpdvirt.ActionQuit):
		return "", fmt.Errorf("none of %v is for a program: %w", q.Actions, mpdvirt.ErrDeclined)
	}
	p.log.Info("finding", "text", q.Text, "commands", q.Commands, "answer", choice)
	return choice, nil
}

// mayRun says whether all commands begin with a word of the policy's. One that
// needs root begins with sudo.
func (p *policy) mayRun(commands []string) bool {
	return len(commands) > 0 && !slices.ContainsFunc(commands, func(line string) bool {
		word, _, _ := strings.Cut(line, " ")
		return !slices.Contains(p.commands, word)
	})
}

// Passphrase asks the policy's own store.
func (p *policy) Passphrase(_ context.Context, keyFile string) ([]byte, error) {
	if p.passphrase == nil {
		return nil, fmt.Errorf("no passphrase is known for %s: %w", keyFile, mpdvirt.ErrDeclined)
	}
	return p.passphrase(keyFile)
}
