package macemu

import (
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// sudoers are the options of sudo that are played.
type sudoers struct {
	validate, silent, forget, wipe bool
	command                        []string
}

// alone is the option of a sudo that runs nothing, "" if there is none.
func (o sudoers) alone() string {
	switch {
	case o.validate:
		return "-v"
	case o.wipe:
		return "-K"
	case o.forget && len(o.command) == 0:
		return "-k"
	}
	return ""
}

func sudoOptions(args []string) (o sudoers, ok bool) {
	args = slices.Clone(args)
	for i, a := range args {
		if !strings.HasPrefix(a, "-") || a == "--" {
			break
		}
		switch a {
		case "--non-interactive":
			args[i] = "-n"
		case "--validate":
			args[i] = "-v"
		case "--reset-timestamp":
			args[i] = "-k"
		case "--remove-timestamp":
			args[i] = "-K"
		}
	}
	flags, rest, ok := getopt(args, "vnkK")
	if !ok {
		return o, false
	}
	o = sudoers{flags.has('v'), flags.has('n'), flags.has('k'), flags.has('K'), rest}
	modes := 0
	for _, on := range []bool{o.validate, o.wipe, len(o.command) > 0} {
		if on {
			modes++
		}
	}
	assigns := len(rest) > 0 && strings.Contains(rest[0], "=")
	return o, !assigns && (modes == 1 || modes == 0 && o.forget)
}

// sudo runs a command as root. Its ticket is the Mac's, and not one of each
// terminal: all commands here have the same. C
func (c *call) sudo() (int, error) {
	o, ok := sudoOptions(c.args)
	switch {
	case !ok:
		return c.notPlayed()
	case o.forget && o.validate: // A: as without a ticket
	case o.wipe, o.forget && len(o.command) == 0: // C: silent, and never asks
		return 0, c.ticket(false)
	}
	if status, err := c.admit(o); status != 0 || err != nil || o.validate {
		return status, err
	}
	status, found, err := c.nested(o.command, func(n *call) { n.root = true })
	switch {
	case err != nil || found:
		return status, err
	case !Plays(o.command[0]):
		return c.notPlayed()
	}
	return c.say(1, "sudo: %s: command not found", o.command[0])
}

// ticket makes the time anew in which sudo asks nothing, or ends it.
func (c *call) ticket(on bool) error {
	return c.change(func(st *state, now time.Time, _ *emu.Later) error {
		st.Ticket = time.Time{}
		if on {
			st.Ticket = now.Add(ticketTime)
		}
		return nil
	})
}

// admit lets the user in by a ticket or a password; else the status is not 0.
func (c *call) admit(o sudoers) (int, error) {
	fresh := c.set.Sudo == SudoAsksNot
	err := c.look(func(st *state, now time.Time) { fresh = fresh || now.Before(st.Ticket) && !o.forget })
	switch {
	case err != nil:
		return 0, err
	case fresh && c.set.Sudo != SudoNotAllowed:
		return 0, c.ticket(true)
	case o.silent: // C
		return c.say(1, "sudo: a password is required")
	case !c.from.Terminal || c.set.Sudo == SudoNoTerminal: // C
		return c.say(1, "sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper\n"+
			"sudo: a password is required")
	}
	c.errs.WriteString("Password:\n") // C: on the terminal itself
	switch c.set.Sudo {
	case SudoWrong: // C
		return c.say(1, "Sorry, try again.\nPassword:\nSorry, try again.\nPassword:\nsudo: 3 incorrect password attempts")
	case SudoNotAllowed: // A
		return c.say(1, "%s is not in the sudoers file.", c.set.user())
	case SudoCancelled: // A
		return 1, nil
	}
	if o.forget && len(o.command) > 0 { // such a password makes no ticket. A
		return 0, nil
	}
	return 0, c.ticket(true)
}

// runEnv runs a command with more of an environment, of which only the language
// matters here.
func (c *call) runEnv() (int, error) {
	env, rest := map[string]string{}, c.args
	for k, v := range c.env {
		env[k] = v
	}
	for len(rest) > 0 && strings.Contains(rest[0], "=") {
		k, v, _ := strings.Cut(rest[0], "=")
		env[k], rest = v, rest[1:]
	}
	if len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return c.notPlayed()
	}
	status, found, err := c.nested(rest, func(n *call) { n.env = env })
	switch {
	case err != nil || found:
		return status, err
	case !Plays(rest[0]):
		return c.notPlayed()
	}
	return c.say(127, "env: %s: No such file or directory", rest[0])
}

// id tells the names of the user's groups. C that only an administrator is in
// admin, and that sudo takes the others' word for nothing; A for the rest
func (c *call) id() (int, error) {
	if !slices.Equal(c.args, []string{"-Gn"}) {
		return c.notPlayed()
	}
	groups := "staff everyone localaccounts _appserverusr admin _appserveradm _lpadmin com.apple.sharepoint.group.1 _appstore _lpoperator _developer"
	switch {
	case c.root:
		groups = "wheel daemon kmem sys tty operator procview procmod everyone staff certusers localaccounts admin"
	case c.set.Sudo == SudoNotAllowed:
		groups = "staff everyone localaccounts com.apple.sharepoint.group.1"
	}
	c.out.WriteString(groups + "\n")
	return 0, nil
}
