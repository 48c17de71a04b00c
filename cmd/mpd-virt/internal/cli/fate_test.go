package cli

import (
	"context"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// fate is a signal that a child process sends to itself, and when. A parent
// that reads what the child prints would always come too late to say where.
type fate struct {
	signal syscall.Signal
	moment moment
	step   string
	steps  []string // of the verb, in their order

	ctx context.Context // what the signal ends, if it does not end the process
	err io.Writer       // the process's stderr

	mu    sync.Mutex
	ended string // the last step that has ended
	asked int    // how often a step asked for the time since then
	met   bool
	line  []byte // what is printed of a line
}

// moment is when, in a step.
type moment string

const (
	atBegin moment = "begin of"
	// atWork is when the step's work is done and neither the journal nor the
	// observer know it.
	atWork moment = "work of"
	// atEnd is when both know it.
	atEnd moment = "end of"
)

var moments = []moment{atBegin, atWork, atEnd}

// fateVariable tells a child process its fate: signal, step, moment.
const fateVariable = "MPD_VIRT_TEST_FATE"

func (f *fate) variable() string {
	name := map[syscall.Signal]string{syscall.SIGKILL: "KILL", syscall.SIGINT: "INT", syscall.SIGTERM: "TERM"}[f.signal]
	return fateVariable + "=" + name + " " + f.step + " " + string(f.moment)
}

// fated is Main in a process whose fate is known.
func fated(cfg mpdvirt.Config, text string) int {
	words := strings.SplitN(text, " ", 3)
	live := &liveTerminal{}
	ctx, stop := handleSignals(context.Background(), live)
	defer stop()
	f := &fate{step: words[1], moment: moment(words[2]), steps: stepsOf(os.Args[1]), ctx: ctx, err: os.Stderr}
	f.signal = map[string]syscall.Signal{"KILL": syscall.SIGKILL, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[words[0]]
	now := cfg.Now
	cfg.Now = func() time.Time {
		f.clock(caller())
		return now()
	}
	return Run(ctx, Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: f,
		Environ: os.Environ(), Config: cfg, live: live,
	})
}

// caller is the function that asks for the time.
func caller() string {
	var pcs [1]uintptr
	runtime.Callers(3, pcs[:])
	frame, _ := runtime.CallersFrames(pcs[:]).Next()
	return frame.Function
}

// clock knows from who asks for the time where a step is: when it begins, when
// it is entered in the journal, and when it reports how long it took.
func (f *fate) clock(who string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.step != f.next() {
		return
	}
	switch who[strings.LastIndex(who, ".")+1:] {
	case "perform":
		f.meet(atWork)
	case "step", "concluded":
		f.asked++
		if f.asked == 1 {
			f.meet(atBegin)
		} else {
			f.meet(atWork)
		}
	}
}

// Write looks for the lines that say which steps have ended.
func (f *fate) Write(p []byte) (int, error) {
	n, err := f.err.Write(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range p {
		if f.line = append(f.line, b); b == '\n' {
			f.read(strings.Fields(string(f.line)))
			f.line = nil
		}
	}
	return n, err
}

func (f *fate) read(words []string) {
	if len(words) < 2 || words[0] != "ok" && words[0] != "warn" {
		return
	}
	f.ended, f.asked = words[1], 0
	if f.ended == f.step {
		f.meet(atEnd)
	}
}

// meet is the end if it is the moment. Who survives the signal goes on when it
// has arrived.
func (f *fate) meet(m moment) {
	if m != f.moment || f.met {
		return
	}
	f.met = true
	if err := syscall.Kill(os.Getpid(), f.signal); err != nil {
		panic(err)
	}
	<-f.ctx.Done()
}

// setupSteps are the steps of a setup as the command names them.
func setupSteps() []string { return append(mpdvirt.StepIDs(), "diag") }

// stepsOf are the steps of a verb, in their order.
func stepsOf(verb string) []string {
	switch verb {
	case "clone":
		return cloneSteps()
	case "create":
		return append(createSteps(), setupSteps()...)
	}
	return setupSteps()
}

// createSteps are the steps that only a create has.
func createSteps() []string {
	return []string{mpdvirt.StepImage, mpdvirt.StepDisk, mpdvirt.StepCreate, mpdvirt.StepFirstBoot, mpdvirt.StepSeed, mpdvirt.StepStart}
}

// cloneSteps are the steps of a clone.
func cloneSteps() []string {
	steps := []string{mpdvirt.StepMake, mpdvirt.StepStart, mpdvirt.StepLease}
	for _, step := range setupSteps() {
		if step == "address" {
			steps = append(steps, "rotate")
		}
		steps = append(steps, step)
	}
	return steps
}

// next is the step behind the last one that has ended.
func (f *fate) next() string {
	if f.ended == "" {
		return f.steps[0]
	}
	for i, s := range f.steps[1:] {
		if f.steps[i] == f.ended {
			return s
		}
	}
	return ""
}
