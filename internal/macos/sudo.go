package macos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Sudo runs commands one after the other, those with Root through sudo: first
// `sudo -v`, at which the person types the password on the terminal, then each
// command, then `sudo -k`, so that nothing that runs later has the right. The
// last is done in any case, also after an error and after the end of ctx. The
// caller has shown the whole list before; show, if not nil, is called right
// before each command, from the calling goroutine.
//
// A command that fails does not keep the next ones from being run, except for
// those with After. The error is a *SudoError that lists what failed and what
// was not run, with a hint that holds these commands. That it is nil proves
// nothing: the caller asks the Mac again what is so now.
//
// Commands that open a dialog get the terminal of this process. A terminal must
// be there for them and for the password, see Mac.NoTerminal.
func (m *Mac) Sudo(ctx context.Context, cmds []Command, show func(Command)) error {
	if len(cmds) == 0 {
		return nil
	}
	root := slices.ContainsFunc(cmds, func(c Command) bool { return c.Root })
	if root {
		if err := m.ticket(ctx); err != nil {
			// A ticket may exist even so: the wait for it may have ended late.
			return (&SudoError{Err: also(err, m.dropTicket(ctx)), Left: slices.Clone(cmds)}).hinted()
		}
	}
	s := session{mac: m, show: show}
	s.all(ctx, cmds)
	if root {
		s.err = also(s.err, m.dropTicket(ctx))
	}
	if s.err == nil {
		return nil
	}
	return (&SudoError{Err: s.err, Failed: s.failed, Left: s.left}).hinted()
}

// session is one walk through a list of commands.
type session struct {
	mac          *Mac
	show         func(Command)
	err          error // the first one
	failed, left []Command
}

func (s *session) all(ctx context.Context, cmds []Command) {
	worked := true
	for i, c := range cmds {
		if c.After && !worked {
			s.left = append(s.left, c)
			continue
		}
		ran, err := s.one(ctx, c)
		if worked = err == nil; worked {
			continue
		}
		if s.err == nil || !ran {
			s.err = also(s.err, err)
		}
		if ran {
			s.failed = append(s.failed, c)
			continue
		}
		s.left = append(s.left, c)
		if ctx.Err() != nil || errors.Is(err, ErrNoTicket) {
			s.left = append(s.left, cmds[i+1:]...)
			return
		}
	}
}

// one runs a command and says whether it ran to its end.
func (s *session) one(ctx context.Context, c Command) (ran bool, err error) {
	if c.Dialog && s.mac.NoTerminal {
		return false, fmt.Errorf("%s: %w", c.Argv[0], ErrNoTerminal)
	}
	if s.show != nil {
		s.show(c)
	}
	res, err := s.mac.start(ctx, c.command())
	switch {
	case err != nil:
		return false, err
	case c.Root && passwordWanted(res):
		return false, ErrNoTicket
	}
	return true, c.judge(res)
}

// also is both errors in one line, or the one that there is.
func also(first, second error) error {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return fmt.Errorf("%w; %w", first, second)
}

// passwordWanted says whether sudo itself refused to start the command. A
// command's own exit status 1 looks the same, so only sudo's text counts.
func passwordWanted(res hypervisor.Result) bool {
	return res.Status == 1 && strings.HasPrefix(string(res.Stderr), "sudo: ") &&
		has(res, "a password is required")
}

// ticket makes sudo ready to run commands without a question.
func (m *Mac) ticket(ctx context.Context) error {
	// Where no password is needed, no terminal is either.
	res, err := m.ask(ctx, sudoTool, "-n", "-v")
	switch {
	case err != nil:
		return err
	case res.Status == 0:
		return nil
	case notAllowed(res):
		return ErrNotAdmin
	case m.NoTerminal:
		return ErrNoTerminal
	}
	// sudo talks to the terminal itself; what it says cannot be captured.
	res, err = m.start(ctx, hypervisor.Command{Argv: []string{sudoTool, "-v"}, Terminal: true, Limit: DialogLimit})
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrSudoCancelled, ctx.Err())
	case err != nil:
		return err
	case res.Status == 0:
		return nil
	case res.Status > 128: // ended by a signal: Ctrl-C at the prompt
		return ErrSudoCancelled
	}
	return m.refusal(ctx)
}

// notAllowed reads sudo's words for an account that is not in sudoers.
func notAllowed(res hypervisor.Result) bool {
	return has(res, "is not in the sudoers file") || has(res, "may not run sudo")
}

// refusal finds out why sudo refused, since its exit status is 1 for
// everything: macOS's sudoers file names the group of administrators only.
func (m *Mac) refusal(ctx context.Context) error {
	res, err := m.ask(ctx, idTool, "-Gn")
	groups := strings.Fields(string(res.Stdout))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrSudoCancelled, ctx.Err())
	case err != nil || res.Status != 0 || len(groups) == 0:
		return ErrSudoRefused
	case slices.Contains(groups, "admin"):
		return ErrSudoPassword
	}
	return ErrNotAdmin
}

// dropTicket takes the right back, also when ctx has ended.
func (m *Mac) dropTicket(ctx context.Context) error {
	res, err := m.ask(context.WithoutCancel(ctx), sudoTool, "-k")
	switch {
	case errors.Is(err, hypervisor.ErrToolMissing):
		return nil // then there is no ticket
	case err != nil:
		return fmt.Errorf("take the right of sudo back: %w", err)
	case res.Status != 0:
		return fmt.Errorf("take the right of sudo back: %s: %s", exitStatus(res.Status), said(res))
	}
	return nil
}
