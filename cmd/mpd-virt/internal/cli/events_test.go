package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// inWorld is a command line in this process.
func (s *sharedWorld) inWorld(args ...string) Env {
	return Env{Args: args, Config: s.Config(), Environ: []string{"HOME=" + s.Home(), "LANG=C.UTF-8", "TERM=xterm"}}
}

// decoded is a stream of events, each of which must be known to its last field.
func decoded(t *testing.T, stream string) (events []mpdvirt.Event) {
	t.Helper()
	for line := range strings.Lines(stream) {
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		var e mpdvirt.Event
		if err := dec.Decode(&e); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if !strings.HasPrefix(line, `{"schema":"`+mpdvirt.EventSchema+`","kind":"`) || !strings.HasSuffix(line, "}\n") || e.Verb == "" || e.Time.IsZero() {
			t.Errorf("it is no event of a verb: %q", line)
		}
		events = append(events, e)
	}
	return events
}

// lastOf is how the verb ended, which the last event alone tells.
func lastOf(t *testing.T, events []mpdvirt.Event) mpdvirt.Outcome {
	t.Helper()
	for i, e := range events {
		if last := i == len(events)-1; (e.Kind == mpdvirt.VerbEnded) != last || (e.Outcome != nil) != last {
			t.Fatalf("event %d of %d: %+v", i+1, len(events), e)
		}
	}
	if len(events) == 0 {
		t.Fatal("no event")
	}
	return *events[len(events)-1].Outcome
}

func TestEventsFile(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	file := filepath.Join(t.TempDir(), "events")
	read := func() string {
		t.Helper()
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	got := runIn(t, s.inWorld(append([]string{"--events=" + file, "--json"}, setupLine...)...))
	if got.code != 0 || !json.Valid([]byte(got.stdout)) {
		t.Fatalf("exit %d\n%s%s", got.code, got.stderr, got.stdout)
	}
	first := read()
	events := decoded(t, first)
	if o := lastOf(t, events); o != (mpdvirt.Outcome{}) {
		t.Errorf("it ended with %+v", o)
	}
	kinds, ended := map[mpdvirt.EventKind]bool{}, 0
	for _, e := range events {
		kinds[e.Kind] = true
		if e.Kind == mpdvirt.StepEnded && e.Octet == 150 && e.Verb == "setup" {
			ended++
		}
	}
	for _, kind := range []mpdvirt.EventKind{mpdvirt.VerbStarted, mpdvirt.StepStarted, mpdvirt.StepOutput, mpdvirt.StepEnded, mpdvirt.Debug} {
		if !kinds[kind] {
			t.Errorf("no event is %s", kind)
		}
	}
	if want := len(mpdvirt.StepIDs()); ended < want {
		t.Errorf("%d steps ended, want %d", ended, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	s.noSecrets(t, first)

	// The next verb appends, and says how it failed.
	s.vm.PowerOff()
	got = runIn(t, s.inWorld("diag", "150", "--events="+file))
	second, ok := strings.CutPrefix(read(), first)
	if !ok || got.code != 3 {
		t.Fatalf("exit %d, or the file was not appended to", got.code)
	}
	if o := lastOf(t, decoded(t, second)); o.Exit != 3 || !strings.Contains(o.Error, "ping") {
		t.Errorf("it ended with %+v", o)
	}
}

// noSecrets looks for each private key of the Mac.
func (s *sharedWorld) noSecrets(t *testing.T, text string) {
	t.Helper()
	found := 0
	err := filepath.Walk(s.Home(), func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if base := filepath.Base(path); base == "private" || base == "mac.private" || base == "rootCA-key.pem" {
			found++
			for line := range strings.Lines(string(data)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") && strings.Contains(text, line) {
					t.Errorf("it tells what is in %s", path)
				}
			}
		}
		return err
	})
	if err != nil || found != 3 {
		t.Errorf("%d private keys were found, %v", found, err)
	}
}

func TestEventsStdout(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	got := runIn(t, s.inWorld(append(setupLine, "--events=-")...))
	if got.code != 0 || lastOf(t, decoded(t, got.stdout)).Exit != 0 {
		t.Errorf("exit %d\n%s", got.code, got.stdout)
	}
	contains(t, "stderr", got.stderr, "50-build", "\nmpd-150 is set up. Log in with\n  ssh mpd-150\n")

	got = runIn(t, s.inWorld("list", "--events=-"))
	if events := decoded(t, got.stdout); got.code != 0 || len(events) != 1 || lastOf(t, events).Exit != 0 {
		t.Errorf("exit %d\n%s", got.code, got.stdout)
	}
	contains(t, "stderr", got.stderr, "150  mpd-150  general")

	got = runIn(t, s.inWorld("show", "151", "--events=-"))
	if o := lastOf(t, decoded(t, got.stdout)); got.code != 1 || o.Exit != 1 || o.Error != "show mpd-151: not registered" || !strings.HasPrefix(o.Hint, "mpd-virt setup 151 ") {
		t.Errorf("exit %d, %+v", got.code, o)
	}
	contains(t, "stderr", got.stderr, "mpd-virt: show mpd-151: not registered\n  next: mpd-virt setup 151 ")
}

func TestEventsRefused(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		code int
		args []string
		says string
	}{
		"with --json":              {2, []string{"--json", "--events=-"}, "--json and --events=- both want standard output"},
		"empty":                    {2, []string{"--events="}, "--events: needs a value"},
		"a folder":                 {1, []string{"--events=" + dir}, "is a directory"},
		"in no folder":             {1, []string{"--events=" + dir + "/no/events"}, "no such file or directory\n  next: "},
		"a pipe that nobody reads": {1, []string{"--events=" + pipe}, "write events to " + pipe + ": "},
	} {
		t.Run(name, func(t *testing.T) {
			got := runIn(t, s.inWorld(append(tt.args, setupLine...)...))
			if got.code != tt.code || got.stdout != "" {
				t.Errorf("exit %d, want %d: %s", got.code, tt.code, got.stdout)
			}
			contains(t, "stderr", got.stderr, tt.says)
			if _, err := os.Stat(filepath.Join(s.Home(), ".mpd-virt")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it did something: %v", err)
			}
		})
	}
	if got := runIn(t, s.inWorld("ssh", "150", "--events=-")); got.code != 2 {
		t.Errorf("ssh, which becomes another program: exit %d", got.code)
	}
}

// failingAfter is a writer that takes n lines.
type failingAfter struct {
	n    int
	took bytes.Buffer
}

func (f *failingAfter) Write(p []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, syscall.EPIPE
	}
	return f.took.Write(p)
}

// F119: wherever the events cannot be written any more, the verb ends with 1,
// says so once, and the next run goes on.
func TestF119EventsLost(t *testing.T) {
	for _, n := range []int{0, 1, 5, 40} {
		s := newSharedWorld(t, mpdvirttest.VMOptions{})
		w, stderr := &failingAfter{n: n}, &bytes.Buffer{}
		env := s.inWorld(append(setupLine, "--events=-")...)
		env.Stdout, env.Stderr = w, stderr
		if code := Run(t.Context(), env); code != 1 {
			t.Errorf("after %d: exit %d\n%s", n, code, stderr.String())
		}
		if events := decoded(t, w.took.String()); len(events) != n || n > 0 && events[n-1].Kind == mpdvirt.VerbEnded {
			t.Errorf("after %d: %d events", n, len(events))
		}
		if got := strings.Count(stderr.String(), "mpd-virt: "); got != 1 || !strings.Contains(stderr.String(), "mpd-virt: write events to standard output: broken pipe\n") {
			t.Errorf("after %d it says %s", n, stderr.String())
		}
		if _, err := os.Stat(filepath.Join(s.Home(), ".mpd-virt/150/env")); err == nil {
			t.Errorf("after %d: the setup went on", n)
		}
		if got := runIn(t, s.inWorld(setupLine...)); got.code != 0 {
			t.Errorf("after %d, the next run: exit %d\n%s", n, got.code, got.stderr)
		}
	}
}

// F119: the last line is lost, or the verb failed for a reason of its own.
func TestF119LastEventLost(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	for line, want := range map[string]string{
		"list":     "mpd-virt: write events to standard output: broken pipe\n",
		"show 151": "ADDRESS --username=NAME\nmpd-virt: write events to standard output: broken pipe\n",
	} {
		stderr := &bytes.Buffer{}
		env := s.inWorld(append(strings.Fields(line), "--events=-")...)
		env.Stdout, env.Stderr = &failingAfter{}, stderr
		if code := Run(t.Context(), env); code != 1 || !strings.HasSuffix(stderr.String(), want) {
			t.Errorf("%s: exit %d\n%s", line, code, stderr.String())
		}
	}
}

// lineFunc is a writer that calls a function for each line.
type lineFunc func(line []byte)

func (f lineFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// F4: a Ctrl-C in the middle is an end like others: the stream is complete.
func TestF4EventsInterrupted(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	ctx, cancel := context.WithCancelCause(t.Context())
	var out bytes.Buffer
	env := s.inWorld(append(setupLine, "--events=-")...)
	env.Stdout = lineFunc(func(line []byte) {
		if out.Write(line); bytes.Contains(line, []byte(`"step-started"`)) && bytes.Contains(line, []byte(`"40-install-software"`)) {
			cancel(signalError{syscall.SIGTERM})
		}
	})
	code := Run(ctx, env)
	o := lastOf(t, decoded(t, out.String()))
	if code != 143 || o.Exit != 143 || o.Error != "setup mpd-150: 40-install-software: interrupted" || o.Log == "" || o.Hint != "" {
		t.Errorf("exit %d, %+v", code, o)
	}
}

// stuck is a writer that hangs until it is let go.
type stuck struct{ free chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.free; return len(p), nil }

func TestPatientWriter(t *testing.T) {
	for name, tt := range map[string]struct{ told, want time.Duration }{
		"nobody reads":                {0, readerPatience},
		"and the verb is told to end": {3 * time.Second, 3*time.Second + lastPatience},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, done := stuck{make(chan struct{})}, make(chan struct{})
				defer close(s.free)
				if tt.told > 0 {
					time.AfterFunc(tt.told, func() { close(done) })
				}
				start := time.Now()
				_, err := (&patientWriter{w: s, done: done}).Write([]byte("{}\n"))
				if took := time.Since(start); !errors.Is(err, errNobodyReads) || took != tt.want {
					t.Errorf("%v after %v, want %v", err, took, tt.want)
				}
			})
		})
	}
	var out bytes.Buffer
	if n, err := (&patientWriter{w: &out}).Write([]byte("x\n")); n != 2 || err != nil || out.String() != "x\n" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
	if _, err := (&patientWriter{w: &failingAfter{}}).Write([]byte("x\n")); !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}

// A program reads the events while the verb runs: it has seen that a step began
// before that step goes on.
func TestEventsLive(t *testing.T) {
	t.Parallel()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	begun, held := make(chan struct{}), make(chan struct{})
	s.vm.OnStep(func(step, phase string) {
		if step == mpdvirttest.StepBuild && phase == "begin" {
			s.vm.OnStep(nil)
			close(begun)
			<-held
		}
	})
	cmd := s.command(t, append(setupLine, "--events=-")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(out)
	var events []mpdvirt.Event
	next := func() (e mpdvirt.Event) {
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
		return e
	}
	for next().Step != "50-build" {
	}
	<-begun
	if e := events[len(events)-1]; e.Kind != mpdvirt.StepStarted {
		t.Errorf("%+v", e)
	}
	close(held)
	for next().Kind != mpdvirt.VerbEnded {
	}
	if o := lastOf(t, events); o.Exit != 0 {
		t.Errorf("%+v", o)
	}
	if rest, err := io.ReadAll(io.MultiReader(dec.Buffered(), out)); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("behind the last event: %q, %v", rest, err)
	}
	if code := exitOf(t, cmd.Wait()); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// F119: the real process and a reader that goes away, or that takes nothing.
func TestF119EventsPipe(t *testing.T) {
	t.Parallel()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	cmd := s.command(t, append(setupLine, "--events=-")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(out, `{"schema":`)
	out.Close()
	if code := exitOf(t, cmd.Wait()); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	contains(t, "stderr", stderr.String(), "mpd-virt: write events to standard output: broken pipe\n")

	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	full.Close()
	got := s.run(t, "list", "--events=/dev/full")
	if got.code != 1 {
		t.Errorf("exit %d, want 1", got.code)
	}
	contains(t, "stderr", got.stderr, "mpd-virt: write events to /dev/full: no space left on device\n")
	s.mustRun(t, setupLine...)
}
