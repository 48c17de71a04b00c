package utmemu

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// failure is an Apple event error: what UTM or macOS says in the place of an
// answer.
type failure struct {
	number int
	text   string // UTM's own
}

func (f *failure) Error() string { return fmt.Sprintf("%s (%d)", f.text, f.number) }

// said is a refusal by UTM itself. C
func said(text string) error { return &failure{-2700, text} }

// UTM's texts. C, in English; UTM translates them
const (
	textNotRunning = "The virtual machine is not running."
	textNotStopped = "The virtual machine must be stopped before this operation can be performed."
	textNoStart    = "Operation not available."
	textParameter  = "One or more required parameters are missing or invalid."
	textExists     = "An existing virtual machine already exists with this name."
	textNoSnapshot = "Suspend is not supported for virtualization."
)

// Errors of macOS. R
func denied() error  { return &failure{-1743, "Not authorized to send Apple events to UTM."} }
func down() error    { return &failure{-600, "Application isn\u2019t running."} }
func cut() error     { return &failure{-609, "Connection is invalid."} }
func noApp() error   { return &failure{-1728, "Can\u2019t get application id \"com.utmapp.UTM\"."} }
func unknown() error { return &failure{-1728, "Can\u2019t get virtual machine id."} }

// exec runs the call and returns its exit status. An error is one of the
// emulator itself, or ctx's.
func (c *call) exec() (int, error) {
	switch c.tool {
	case "ifconfig":
		return c.ifconfig(), nil
	case "defaults":
		return c.defaults(), nil
	}
	switch wrong := ""; c.tool {
	case "utmctl":
		if wrong = c.usage(); wrong != "" {
			c.errs.WriteString(wrong)
			return 64, nil
		}
	case "osascript": // which compiles a script before it runs a line of it
		if wrong = c.syntax(); wrong != "" {
			c.errs.WriteString(wrong)
			return 1, nil
		}
	}
	if status, done, err := c.spoiled(); done {
		return status, err
	}
	return c.finish(c.work())
}

// finish turns the outcome of the work into output and status.
func (c *call) finish(err error) (int, error) {
	if c.fault.Kind == FaultEventAfter && err == nil {
		c.out.Reset()
		err = &failure{c.fault.Number, c.fault.Text}
	}
	if c.tool == "utmctl" {
		return c.utmctlStatus(err)
	}
	return c.osascriptStatus(err)
}

// spoiled does what a fault does in the place of the work.
func (c *call) spoiled() (status int, done bool, err error) {
	switch f := c.fault; f.Kind {
	case FaultHang:
		<-c.ctx.Done()
		return 0, true, c.ctx.Err()
	case FaultGarbage:
		text := f.Text
		if text == "" {
			text = "\x1b[31mlicence?\x00 \xff<html>[{\n"
		}
		c.out.WriteString(text)
	case FaultEmpty, FaultNoEffect:
	case FaultPartial:
		if _, err := c.finish(c.work()); err != nil || c.verb != "list" {
			return 1, true, err
		}
		c.out.Truncate(c.out.Len() / 2)
		return 1, true, nil
	case FaultEvent:
		status, err = c.finish(&failure{f.Number, f.Text})
		return status, true, err
	case FaultQuit:
		status, err = c.finish(c.quit())
		return status, true, err
	case FaultCrash:
		c.errs.WriteString("Trace/BPT trap: 5\n")
		return 128 + 5, true, nil
	case FaultSlow:
		later := &call{e: c.e, ctx: context.WithoutCancel(c.ctx), tool: c.tool, verb: c.verb, args: c.args, flags: c.flags, script: c.script, set: c.set}
		time.AfterFunc(f.After, func() { _ = later.work() }) // its answer has nobody to go to
	case FaultLong:
		return 0, c.wait(f.After) != nil, c.ctx.Err()
	default:
		return 0, false, nil
	}
	return 0, true, nil
}

// quit is UTM that ends in the middle.
func (c *call) quit() error {
	if c.verb == "make" && len(c.args) > 0 {
		err := c.change(func(st *state, _ time.Time) error {
			st.Files = append(st.Files, bundle(c.args[0])+"/Data/disk.qcow2")
			return nil
		})
		if err != nil {
			return err
		}
	}
	return cut()
}

// work does what the verb says.
func (c *call) work() error {
	switch {
	case c.verb == "running":
		return c.running()
	case c.set.Absent:
		return noApp()
	case c.set.Denied: // C for utmctl's list, A for its other verbs
		return denied()
	case c.set.NotRunning:
		return down()
	}
	do := map[string]func() error{
		"list": c.list, "status": c.status, "start": c.start, "suspend": c.suspend, "kill": c.kill, "force": c.force, "request": c.request,
		"delete": c.remove, "make": c.make, "drives": c.drives, "detach": c.detach,
	}[c.verb]
	if do == nil {
		return errors.New("utmemu: no verb " + c.verb)
	}
	return do()
}

// vm is change for the VM that the first argument names.
func (c *call) vm(f func(st *state, v *VM, now time.Time) error) error {
	return c.change(func(st *state, now time.Time) error {
		if len(c.args) == 0 {
			return said(textParameter)
		}
		v := st.find(c.args[0])
		if v == nil || c.tool == "osascript" && v.Name == c.args[0] {
			return unknown()
		}
		return f(st, v, now)
	})
}
