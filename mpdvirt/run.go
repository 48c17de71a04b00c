package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/shell"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// run is one call of a verb: it carries events to the observer and to the log
// of the run, and wraps what fails.
type run struct {
	m     *Manager
	verb  string
	octet Octet
	log   *os.File // nil: this run keeps no log, or rehearses
	begun bool     // openLog was called
	steps []StepResult
}

func (m *Manager) begin(verb string, o Octet) *run {
	m.rehearsal.about(verb, o)
	return &run{m: m, verb: verb, octet: o, steps: []StepResult{}}
}

// begun is begin for verbs that must have a valid octet.
func (m *Manager) begun(verb string, o Octet) (*run, error) {
	r := m.begin(verb, o)
	if !o.Valid() {
		return r, r.fail(usage("octet %d is not between %s and %s", uint8(o), hypervisor.FirstOctet, hypervisor.LastOctet))
	}
	return r, nil
}

func (r *run) emit(e Event) {
	e.Schema, e.Time, e.Verb, e.Octet = EventSchema, r.m.cfg.Now(), r.verb, r.octet
	if r.log != nil && e.Kind != StepProgress {
		r.write(e)
	}
	if r.m.cfg.Observer == nil {
		return
	}
	r.m.observing.Lock()
	defer r.m.observing.Unlock()
	r.m.cfg.Observer(e)
}

func (r *run) note(format string, args ...any) {
	r.emit(Event{Kind: Note, Text: fmt.Sprintf(format, args...)})
}

func (r *run) debug(text string) { r.emit(Event{Kind: Debug, Text: text}) }

// runner starts outside programs and shows each as a Debug event.
func (r *run) runner() hypervisor.Runner {
	return func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		r.debug("run " + c.String())
		return r.m.cfg.Runner(ctx, c)
	}
}

// observer turns the pipeline's news into events and results.
func (r *run) observer() bootstrap.Observer {
	return bootstrap.Observer{
		Started: func(id string) { r.emit(Event{Kind: StepStarted, Step: id}) },
		Output:  func(id, line string) { r.emit(Event{Kind: StepOutput, Step: id, Text: line}) },
		Note:    func(text string) { r.note("%s", text) },
		Ended: func(id string, o bootstrap.Outcome) {
			s := StepResult{ID: id, Status: OK, Summary: o.Summary, Elapsed: o.Elapsed}
			switch {
			case o.Err != nil:
				s.Status, s.Summary = Fail, o.Err.Error()
			case o.Warning:
				s.Status = Warn
			}
			r.ended(s)
		},
	}
}

func (r *run) ended(s StepResult) {
	r.steps = append(r.steps, s)
	r.emit(Event{Kind: StepEnded, Step: s.ID, Status: s.Status, Text: s.Summary, Elapsed: s.Elapsed})
}

// keptLogs is how many logs a VM keeps; older ones are removed.
const keptLogs = 20

// openLog makes the log of this run. Names sort by time.
func (r *run) openLog() error {
	r.begun = true
	dir := r.m.state.LogDir(r.octet)
	for _, d := range []string{r.m.state.Dir(r.octet), dir} {
		if err := r.m.files.EnsureDir(d); err != nil {
			return err
		}
	}
	if r.m.rehearsal != nil {
		return nil
	}
	stamp := r.m.cfg.Now().Format("2006-01-02T15-04-05") + "-" + r.verb
	for n := 1; ; n++ {
		name := stamp + ".log"
		if n > 1 {
			name = fmt.Sprintf("%s.%d.log", stamp, n)
		}
		f, err := statefile.AppendLog(filepath.Join(dir, name))
		if errors.Is(err, os.ErrExist) && n < 100 {
			continue
		}
		if err != nil {
			return err
		}
		r.log = f
		return r.pruneLogs(dir)
	}
}

func (r *run) pruneLogs(dir string) error {
	logs := r.m.logs(r.octet)
	for _, name := range logs[:max(0, len(logs)-keptLogs)] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// logs are the names of a VM's logs, oldest first.
func (m *Manager) logs(o Octet) []string {
	files, _ := os.ReadDir(m.state.LogDir(o)) // no folder is no logs
	var names []string
	for _, f := range files {
		if f.Type().IsRegular() && strings.HasSuffix(f.Name(), ".log") {
			names = append(names, f.Name())
		}
	}
	slices.Sort(names)
	return names
}

// write adds one line to the log. A log that cannot be written (a full disk)
// must not end a run that otherwise works, so nobody is told.
func (r *run) write(e Event) {
	text := e.Text
	if e.Status != "" {
		text = strings.TrimSpace(string(e.Status) + " " + text)
	}
	fmt.Fprintf(r.log, "%s %-12s %-20s %s\n", e.Time.Format("15:04:05.000"), e.Kind, e.Step, text)
}

func (r *run) logPath() string {
	if r.log == nil {
		return ""
	}
	return r.log.Name()
}

// end closes the log; it is safe to call without one.
func (r *run) end() {
	if r.log != nil {
		r.log.Close()
	}
}

// fail is the *Error for err, or nil for nil.
func (r *run) fail(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Verb: r.verb, Hint: hint.Of(err)}
	if log := r.logPath(); exists(log) { // it went with the VM that could not be made
		e.Log = log
	}
	if r.octet.Valid() {
		e.VM = r.octet.VMName()
	}
	var step *bootstrap.StepError
	if errors.As(err, &step) {
		e.Step, err = step.Step, step.Err
	}
	e.Err = classify(err, e.Step)
	if e.Hint == "" {
		e.Hint = r.m.fileHint(err)
	}
	// A refusal does not go away by itself.
	if e.Hint == "" && e.Step != "" && !errors.Is(err, context.Canceled) && !errors.Is(e.Err, ErrRefused) {
		e.Hint = fmt.Sprintf("mpd-virt %s %s     (goes on at %s)", r.again(), r.octet, e.Step)
	}
	return e
}

// fileHint is what to do when the Mac itself refuses to write or read a file,
// "" if that is not what happened.
func (m *Manager) fileHint(err error) string {
	if !errors.As(err, new(*os.PathError)) && !errors.As(err, new(*os.LinkError)) {
		return ""
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room on this Mac's disk, then run the command again"
	case errors.Is(err, syscall.EROFS), errors.Is(err, os.ErrPermission):
		return shell.Join("ls", "-ld", filepath.Dir(m.state.SharedLockFile()), filepath.Dir(m.alias.User)) + "     (they must be your own, with mode 0700)"
	}
	return ""
}

// again is the verb that goes on where this run failed at a step: once a VM is
// made, the rest of create and clone is setup's.
func (r *run) again() string {
	if r.verb == "update" {
		return r.verb
	}
	return "setup"
}

// step runs one step of a verb that is not the pipeline's and tells of it.
func (r *run) step(id string, do func() (summary string, err error)) error {
	r.emit(Event{Kind: StepStarted, Step: id})
	start := r.m.cfg.Now()
	summary, err := do()
	s := StepResult{ID: id, Status: OK, Summary: summary, Elapsed: r.m.cfg.Now().Sub(start)}
	if w := warning(""); errors.As(err, &w) {
		s.Status, s.Summary, err = Warn, string(w), nil
	}
	if err != nil {
		s.Status, s.Summary = Fail, unnamed(err, r.verb+" "+r.octet.VMName())
		if errors.Is(err, context.Canceled) {
			s.Summary = "interrupted"
		}
	}
	r.ended(s)
	if err != nil {
		return &bootstrap.StepError{Step: id, Err: err}
	}
	return nil
}

// warning is returned by a step that holds, but about which a person should
// read a line.
type warning string

func (w warning) Error() string { return string(w) }
