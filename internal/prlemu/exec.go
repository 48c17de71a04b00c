package prlemu

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

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// call is one run of a tool.
type call struct {
	e         *Emulator
	ctx       context.Context
	run       *emu.Call
	tool      string
	verb      string
	args      []string // behind the verb
	out, errs io.Writer
	fault     *Fault // nil: none
	set       Settings
	// after are the hooks that the change of the state asks for.
	after emu.Later
}

// exec plays a tool. An error is one of the emulator itself, or ctx's.
func (e *Emulator) exec(ctx context.Context, run *emu.Call) (int, error) {
	argv := run.Argv
	c := &call{e: e, ctx: ctx, run: run, tool: path.Base(argv[0]), args: argv[1:], out: run.Stdout, errs: run.Stderr}
	if len(c.args) > 0 {
		c.verb, c.args = c.args[0], c.args[1:]
	}
	if c.tool == "prlsrvctl" && !strings.HasPrefix(c.verb, "-") {
		c.verb = "prlsrvctl " + c.verb
	}
	err := e.syncNames()
	if err == nil {
		err = e.tx(func(st *state, _ time.Time) error {
			st.Called(append([]string{c.tool}, argv[1:]...))
			if f, met := st.Take(c.verb, c.args); met {
				c.fault = &f
			}
			c.set = st.Settings
			return nil
		})
	}
	if err != nil {
		return 0, err
	}
	return c.status(c.spoiled())
}

// status turns a verb's error into output and exit status.
func (c *call) status(err error) (int, error) {
	var f *failure
	switch {
	case errors.As(err, &f):
		_, err = io.WriteString(c.errs, f.text)
		return f.status, err
	case err != nil:
		return 0, err
	}
	return 0, nil
}

// is says whether the call has a fault of this kind.
func (c *call) is(kind FaultKind) bool { return c.fault != nil && c.fault.Kind == kind }

// spoiled does the work with what goes wrong with it.
func (c *call) spoiled() error {
	f := c.fault
	if f == nil {
		return c.work()
	}
	switch f.Kind {
	case FaultHang:
		return c.hang()
	case FaultHangAfter:
		c.out, c.errs = io.Discard, io.Discard
		return errors.Join(c.work(), c.hang())
	case FaultGarbage:
		return c.end(or(f.Text, "\x00\xff{]\"uuid\": \x1b[31m}{,,\n"), "", f.Status)
	case FaultHuge:
		return c.flood()
	case FaultPartial:
		return c.partial()
	case FaultEmpty:
		return c.end("", "", f.Status)
	case FaultBusy, FaultPassword, FaultErrorWithZero, FaultRefuse:
		return c.refuse()
	case FaultLogin:
		return &failure{textNoService + "\n", statusRefused}
	case FaultService:
		return &failure{textNoService + "\n", statusNoService}
	case FaultNoSpace:
		if c.verb != "clone" { // which breaks off by itself
			return refused("%s%s", wordsOf(c.verb).failed, whyNoSpace)
		}
	case FaultNoEffect:
		if w := wordsOf(c.verb); w.done != "" {
			return c.end(strings.TrimPrefix(w.first+"\n", "\n")+w.done+"\n", "", 0)
		}
	case FaultOneWithGood:
		if err := c.work(); err != nil {
			return err
		}
		return &failure{"", 1}
	case FaultNoise:
		return c.noisy()
	case FaultSlow:
		if err := c.wait(f.After); err != nil {
			return err
		}
	case FaultRenameBehind, FaultDeleteBehind, FaultReplaceBehind, FaultStateBehind:
		err := c.work()
		return errors.Join(c.behind(), err)
	}
	return c.work()
}

// end prints and ends.
func (c *call) end(out, errs string, status int) error {
	if _, err := io.WriteString(c.out, out); err != nil {
		return err
	}
	if status == 0 && errs == "" {
		return nil
	}
	return &failure{errs, status}
}

// refuse is a failure without work.
func (c *call) refuse() error {
	f, w := c.fault, wordsOf(c.verb)
	why := map[FaultKind]string{FaultBusy: whyBusy, FaultPassword: whyPassword}[f.Kind]
	text := w.failed + or(why, whyGeneric)
	if c.verb == "set" {
		text = or(why, whyGeneric) + "\n" + textNotConfigured
	}
	first := w.first
	if first != "" {
		first += "\n"
	}
	status := statusRefused
	switch {
	case f.Kind == FaultErrorWithZero:
		status = 0
	case f.Status != 0:
		status = f.Status
	}
	return c.end(first, or(f.Text, text)+"\n", status)
}

// flood prints more than anybody wants, as long as somebody reads. C, for exec
// output of some releases; A here
func (c *call) flood() error {
	line := []byte(strings.Repeat("prl_disp_service: connection is not available, retry\n", 1200))
	for n := 0; n < 256<<20; n += len(line) {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if _, err := c.out.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// partial breaks off: of a list half is printed, a change is not made.
func (c *call) partial() error {
	if w := wordsOf(c.verb); w.done != "" {
		return c.end(w.first+"\n", "", statusRefused)
	}
	var whole bytes.Buffer
	out := c.out
	c.out = &whole
	if err := c.work(); err != nil {
		return err
	}
	c.out = out
	return c.end(whole.String()[:whole.Len()/2], "", statusRefused)
}

// noise is what stands before and behind JSON in some releases. C that there
// are control characters and foreign text, A which
const noiseBefore, noiseBehind = "\x1b[?1034h\x07prl_client_app: retry\r\n", "\x00\x04\x1b[0m\n"

func (c *call) noisy() error {
	if _, err := io.WriteString(c.out, noiseBefore); err != nil {
		return err
	}
	if err := c.work(); err != nil {
		return err
	}
	_, err := io.WriteString(c.out, noiseBehind)
	return err
}

// hang never ends, but with ctx.
func (c *call) hang() error { return c.run.Hang(c.ctx, c.fault.Stubborn) }

// wait lets time pass.
func (c *call) wait(d time.Duration) error { return emu.Wait(c.ctx, d) }

// spend lets the time of an operation pass.
func (c *call) spend(d time.Duration) error { return c.wait(c.set.scaled(d)) }

// change runs one change of the state, and then the hooks that it asks for.
func (c *call) change(f func(st *state, now time.Time) error) error {
	err := c.e.tx(f)
	c.after.Run()
	return err
}

// vm is change for one VM, the unknown-VM line if there is none.
func (c *call) vm(id string, f func(st *state, v *VM, now time.Time) error) error {
	return c.change(func(st *state, now time.Time) error {
		v := st.find(id)
		if v == nil {
			return &failure{textUnknownVM + "\n", statusRefused}
		}
		return f(st, v, now)
	})
}

// usage is the answer to arguments that nobody knows. A
func (c *call) usage(what string) error {
	return &failure{fmt.Sprintf("%s: %s\nUsage: %[1]s ACTION <ID | NAME> [OPTIONS]\n", c.tool, what), statusUsage}
}

// work does what the verb says.
func (c *call) work() error {
	verbs := map[string]func() error{
		"--version": c.version, "-v": c.version,
		"list": c.list, "status": c.stateLine, "snapshot-list": c.snapshots,
		"start": c.start, "resume": c.resume, "suspend": c.suspend, "pause": c.pause, "stop": c.stop,
		"restart": c.restart, "reset": c.restart,
		"clone": c.clone, "set": c.configure, "delete": c.remove, "unregister": c.unregister,
		"prlsrvctl info": c.info, "prlsrvctl net": c.net,
	}
	do := verbs[c.verb]
	switch {
	case do == nil, strings.HasPrefix(c.verb, "prlsrvctl") != (c.tool == "prlsrvctl") && !strings.HasPrefix(c.verb, "-"):
		return c.usage(fmt.Sprintf("Unrecognized action %q", strings.TrimPrefix(c.verb, "prlsrvctl ")))
	case c.verb[0] == '-': // C: works always
		return do()
	case c.set.ServiceDown:
		return &failure{textNoService + "\n", statusNoService}
	case c.set.Edition == "standard" && c.gated():
		return refused("%s", textEdition)
	}
	return do()
}

// gated says whether the Standard edition refuses the verb. C for start, stop,
// status and snapshots, and that list and register work; A for the others
func (c *call) gated() bool {
	return c.tool == "prlctl" && !slices.Contains([]string{"list", "unregister"}, c.verb)
}

// version works without service and licence. C
func (c *call) version() error {
	_, err := fmt.Fprintf(c.out, "%s version %s\n", c.tool, or(c.set.Version, "26.4.1 (57516)"))
	return err
}

// syncNames gives running VMs the names of their guests, if that is on.
func (e *Emulator) syncNames() error {
	if s, err := e.settings(); err != nil || !s.HostnameSync {
		return err
	}
	vms, _, err := e.look()
	if err != nil {
		return err
	}
	for _, v := range vms {
		name := v.Hostname
		if e.opts.Hooks.Hostname != nil {
			name = e.opts.Hooks.Hostname(v.UUID)
		}
		if v.State == running && !v.NoTools && name != "" && name != v.Name {
			err = errors.Join(err, e.Rename(v.UUID, name))
		}
	}
	return err
}
