package macemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// statusNotPlayed is that of a wrong use of a program: EX_USAGE.
const statusNotPlayed = 64

// call is one run of a tool.
type call struct {
	e    *Emulator
	ctx  context.Context
	from *emu.Call
	tool string
	args []string
	root bool
	dry  bool // nothing that it does lasts
	env  map[string]string
	set  Settings
	// out and errs are one if the command has a terminal.
	out, errs *bytes.Buffer
}

func (e *Emulator) play(ctx context.Context, from *emu.Call) (int, error) {
	c := &call{e: e, ctx: ctx, from: from, out: new(bytes.Buffer), errs: new(bytes.Buffer)}
	if from.Terminal {
		c.errs = c.out
	}
	status, err := c.run(from.Argv)
	if err != nil {
		return 0, err
	}
	if from.Terminal {
		if hook := e.opts.Hooks.Terminal; hook != nil && c.out.Len() > 0 {
			hook(c.out.String())
		}
		return status, nil
	}
	if _, err := from.Stdout.Write(c.out.Bytes()); err != nil {
		return 0, err
	}
	_, err = from.Stderr.Write(c.errs.Bytes())
	return status, err
}

// run runs one command line, the caller's own or one that a tool runs.
func (c *call) run(argv []string) (int, error) {
	known := false
	c.tool, known = tool(argv[0])
	c.args = argv[1:]
	var fault Fault
	err := c.e.tx(func(st *state, _ time.Time) error {
		c.set = st.Settings
		if !known || slices.Contains(c.set.NoTools, c.tool) {
			return emu.Missing(argv[0])
		}
		if len(argv) == len(c.from.Argv) {
			st.Called(argv)
		}
		fault = st.fault(c.tool, c.verb(), c.args)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if status, done, err := c.spoiled(fault); done || err != nil {
		return status, err
	}
	status, err := c.work()
	if err == nil && fault.Kind == FaultAfter {
		status = c.refused(fault)
	}
	return status, err
}

// nested runs a command line inside of this one. A program that is not there is
// found false.
func (c *call) nested(argv []string, change func(n *call)) (status int, found bool, err error) {
	n := *c
	change(&n)
	status, err = n.run(argv)
	if errors.Is(err, hypervisor.ErrToolMissing) {
		return 0, false, nil
	}
	return status, true, err
}

// place is the folder of a tool; "" is one that the package does not play.
func place(name string) string {
	switch name {
	case "security", "sudo", "pbcopy", "pbpaste", "open", "dscacheutil", "sw_vers", "env", "killall", "tee", "install", "id":
		return "/usr/bin"
	case "scutil", "netstat", "arp":
		return "/usr/sbin"
	case "route", "ifconfig":
		return "/sbin"
	case "mkdir", "rm", "rmdir", "cp", "chmod":
		return "/bin"
	}
	return ""
}

// tool is the bare name of a program, which is a bare name itself or an absolute
// path.
func tool(program string) (string, bool) {
	dir, name := path.Split(program)
	known := place(name)
	return name, known != "" && (dir == "" || dir == known+"/")
}

func (c *call) work() (int, error) {
	switch c.tool {
	case "security":
		return c.security()
	case "sudo":
		return c.sudo()
	case "env":
		return c.runEnv()
	case "scutil":
		return c.scutil()
	case "route":
		return c.route()
	case "netstat":
		return c.netstat()
	case "ifconfig":
		return c.ifconfig()
	case "arp":
		return c.arp()
	case "dscacheutil":
		return c.dscacheutil()
	case "killall":
		return c.killall()
	case "pbcopy":
		return c.pbcopy()
	case "pbpaste":
		return c.pbpaste()
	case "open":
		return c.open()
	case "sw_vers":
		return c.swVers()
	case "id":
		return c.id()
	}
	return c.files()
}

// verb is the word by which faults know a use of a tool.
func (c *call) verb() string {
	word := func(i int) string {
		if i < len(c.args) {
			return c.args[i]
		}
		return ""
	}
	switch c.tool {
	case "security", "dscacheutil":
		return word(0)
	case "scutil":
		if word(0) == "--nc" {
			return word(1)
		}
		return word(0)
	case "route":
		for _, a := range c.args {
			if !strings.HasPrefix(a, "-") {
				return a
			}
		}
	case "sudo":
		o, _ := sudoOptions(c.args)
		return o.alone()
	case "open":
		for _, v := range []string{"R", "a"} {
			if strings.HasPrefix(word(0), "-") && strings.Contains(word(0), v) {
				return "-" + v
			}
		}
	}
	return ""
}

// notPlayed ends a use of a tool that this package does not know.
func (c *call) notPlayed() (int, error) {
	fmt.Fprintf(c.errs, "macemu: not played: %s\n", strings.Join(c.from.Argv, " "))
	return statusNotPlayed, c.e.tx(func(st *state, _ time.Time) error {
		st.Unplayed = append(st.Unplayed, slices.Clone(c.from.Argv))
		return nil
	})
}

// say prints a line on standard error and returns the status.
func (c *call) say(status int, format string, args ...any) (int, error) {
	fmt.Fprintf(c.errs, format+"\n", args...)
	return status, nil
}

// stdin is all of the standard input.
func (c *call) stdin() ([]byte, error) { return io.ReadAll(c.from.Stdin) }

// options are what stands before the operands of a command, by letter.
type options map[byte][]string

func (o options) has(letter byte) bool { return len(o[letter]) > 0 }

// last is the value of an option that was given last, "" if it was not.
func (o options) last(letter byte) string {
	if v := o[letter]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// getopt reads options as the C library does: spec has the letters, those with a
// value followed by a colon. ok is false for an unknown letter or a value that
// is missing.
func getopt(args []string, spec string) (o options, rest []string, ok bool) {
	o = options{}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0][1:]
		args = args[1:]
		if word == "-" {
			return o, args, true
		}
		for word != "" {
			letter := word[0]
			word = word[1:]
			at := strings.IndexByte(spec, letter)
			switch {
			case at < 0 || letter == ':':
				return nil, nil, false
			case at+1 == len(spec) || spec[at+1] != ':':
				o[letter] = append(o[letter], "")
				continue
			case word == "" && len(args) == 0:
				return nil, nil, false
			case word == "":
				word, args = args[0], args[1:]
			}
			o[letter] = append(o[letter], word)
			word = ""
		}
	}
	return o, args, true
}

func upper(s string) string { return strings.ToUpper(s) }
