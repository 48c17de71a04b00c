package command

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func TestRunHandsOverWhatItIsGiven(t *testing.T) {
	r := tool(t)
	r.Env = append(r.Env, "A=1", "LC_ALL=de_DE.UTF-8")
	var log []string
	r.Debug = func(s string) { log = append(log, s) }
	c := argv("report", "two words", "", "$(id)", "-x\n")
	c.Stdin = []byte("secret on stdin")
	res, err := r.Run(t.Context(), c)
	// More may follow: a tool built for coverage complains at its end.
	if err != nil || res.Status != 0 || !strings.HasPrefix(string(res.Stderr), "on stderr") {
		t.Fatalf("Run = status %d, %q, %v", res.Status, res.Stderr, err)
	}
	var saw report
	if err := json.Unmarshal(res.Stdout, &saw); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(saw.Args, c.Argv) {
		t.Errorf("arguments %q, want %q", saw.Args, c.Argv)
	}
	if want := []string{r.Env[0], quickEnd, "A=1", "LC_ALL=C"}; !slices.Equal(saw.Env, want) {
		t.Errorf("environment %q, want %q", saw.Env, want)
	}
	if saw.Stdin != "secret on stdin" {
		t.Errorf("standard input %q", saw.Stdin)
	}
	if want := []string{fakeTool + ` report "two words" "" $(id) "-x\n"`}; !slices.Equal(log, want) {
		t.Errorf("debug log %q, want %q", log, want)
	}
}

func TestRunWithoutEnvironmentInheritsNone(t *testing.T) {
	r := Runner{Dirs: []string{toolDir(t)}}
	res, err := r.Run(t.Context(), argv("report"))
	var saw report
	if err != nil || json.Unmarshal(res.Stdout, &saw) != nil {
		t.Fatalf("Run = %+v, %v", res, err)
	}
	if !slices.Equal(saw.Env, []string{"LC_ALL=C"}) || saw.Stdin != "" {
		t.Errorf("environment %q, input %q", saw.Env, saw.Stdin)
	}
}

func TestRunStatus(t *testing.T) {
	r := tool(t)
	for name, tc := range map[string]struct {
		args   []string
		status int
		stdout string
	}{
		"ended well":        {[]string{"exit", "0"}, 0, "good answer"},
		"exit 1 and output": {[]string{"exit", "1"}, 1, "good answer"},
		"exit 255":          {[]string{"exit", "255"}, 255, "good answer"},
		"SIGKILL":           {[]string{"signal", "9"}, 137, ""},
		"SIGTERM of others": {[]string{"signal", "15"}, 143, ""},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := r.Run(t.Context(), argv(tc.args...))
			if err != nil || res.Status != tc.status || string(res.Stdout) != tc.stdout || res.Stderr == nil {
				t.Errorf("Run = %+v, %v; want status %d, output %q", res, err, tc.status, tc.stdout)
			}
		})
	}
}

// F53: what ignores SIGTERM is killed with its children, at the caller's end
// and at the limit.
func TestRunEndsTheWholeGroup(t *testing.T) {
	for name, tc := range map[string]struct {
		mode     string
		terminal bool
		limit    time.Duration
		want     error
		holds    int // how many hold the fifo when the caller cancels; 0: it does not
	}{
		"cancelled, ignores SIGTERM": {"stubborn", false, time.Hour, context.Canceled, 2},
		"cancelled, polite":          {"polite", false, time.Hour, context.Canceled, 1},
		"limit, ignores SIGTERM":     {"stubborn", false, time.Second, context.DeadlineExceeded, 0},
		"terminal, ignores SIGTERM":  {"stubborn-child", true, 0, context.Canceled, 1},
		"terminal, polite":           {"polite", true, 0, context.Canceled, 1},
		"terminal with a limit":      {"polite", true, time.Second, context.DeadlineExceeded, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path, held, released := fifo(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tc.holds > 0 {
				go func() { held(tc.holds); cancel() }()
			}
			c := argv(tc.mode, path)
			c.Terminal, c.Limit = tc.terminal, tc.limit
			res, err := tool(t).Run(ctx, c)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), fakeTool) {
				t.Errorf("error %v, want %v and the name", err, tc.want)
			}
			if res.Status != 0 || res.Stdout != nil || res.Stderr != nil {
				t.Errorf("a result beside the error: %+v", res)
			}
			released()
		})
	}
}

func TestRunBoundsOutput(t *testing.T) {
	r := tool(t)
	res, err := r.Run(t.Context(), argv("print", "16777216"))
	if err != nil || len(res.Stdout) != MaxOutput {
		t.Errorf("just at the bound: %d bytes, %v", len(res.Stdout), err)
	}
	res, err = r.Run(t.Context(), argv("print", "16777217"))
	if !errors.Is(err, ErrTooMuchOutput) || res.Stdout != nil {
		t.Errorf("one byte more: %d bytes, %v", len(res.Stdout), err)
	}
	if _, err = r.Run(t.Context(), argv("flood")); !errors.Is(err, ErrTooMuchOutput) {
		t.Errorf("endless output: %v", err)
	}
}

// A child that holds the pipes must not keep Run waiting, and is not ours to
// kill.
func TestRunLeavesWhatAToolLeft(t *testing.T) {
	path, held, released := fifo(t)
	leash := filepath.Join(t.TempDir(), "leash")
	if err := syscall.Mkfifo(leash, 0o600); err != nil {
		t.Fatal(err)
	}
	hand, err := os.OpenFile(leash, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	res, err := tool(t).Run(t.Context(), argv("leave", path, leash))
	if err != nil || res.Status != 0 || string(res.Stdout) != "done" {
		t.Errorf("Run = %+v, %v", res, err)
	}
	held(1)
	_ = hand.Close() // the child reads to its end, says so and ends
	held(1)
	released()
}

func TestRunOfThisMachine(t *testing.T) {
	t.Setenv("MPD_TEST", "inherited")
	file := filepath.Join(toolDir(t), fakeTool)
	res, err := New(os.Environ()).Run(t.Context(), hypervisor.Command{Argv: []string{file, "report"}})
	if err != nil || !strings.Contains(string(res.Stdout), "MPD_TEST=inherited") {
		t.Errorf("Run = %s, %v; want the tool at its absolute path, with our environment", res.Stdout, err)
	}
}

func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    hypervisor.Command
		want time.Duration
	}{
		{"none given", hypervisor.Command{}, hypervisor.DefaultLimit},
		{"given", hypervisor.Command{Limit: time.Minute / 2}, time.Minute / 2},
		{"negative", hypervisor.Command{Limit: -1}, hypervisor.DefaultLimit},
		{"terminal", hypervisor.Command{Terminal: true}, 0},
		{"terminal, given", hypervisor.Command{Terminal: true, Limit: time.Hour}, time.Hour},
	} {
		if got := limitOf(tc.c); got != tc.want {
			t.Errorf("%s: limit %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestRunRefusesBeforeStarting(t *testing.T) {
	r := tool(t)
	r.Debug = func(s string) { t.Errorf("started %q", s) }
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Run(done, argv("exit", "0")); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	if _, err := r.Run(t.Context(), hypervisor.Command{}); err == nil {
		t.Error("no arguments: no error")
	}
}

// F52: what can be found but not started is not "missing".
func TestRunStartFailures(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"other-machine":  "\x7fELF\x02\x01\x01no program of this machine",
		"no-interpreter": "#!/nonexistent/interpreter\n",
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := Runner{Path: dir}.Run(t.Context(), hypervisor.Command{Argv: []string{name}})
			if err == nil || errors.Is(err, hypervisor.ErrToolMissing) || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want a plain one with the name", err)
			}
		})
	}
	_, err := tool(t).Run(t.Context(), argv("exit", "0\x00"))
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("NUL in an argument: %v", err)
	}
}

// With the terminal, output is not captured, and the locale stays the user's.
func TestRunTerminal(t *testing.T) {
	r := tool(t)
	res, err := r.Run(t.Context(), argv("terminal", "exit", "3"))
	const want = "good answerstatus 3, captured false, error <nil>, terminal kept true"
	if err != nil || string(res.Stdout) != want {
		t.Errorf("printed %q, %v; want %q", res.Stdout, err, want)
	}
	res, err = r.Run(t.Context(), argv("terminal", "report"))
	if err != nil || strings.Count(string(res.Stdout), "LC_ALL") != 1 {
		t.Errorf("printed %s, %v; want only the outer LC_ALL", res.Stdout, err)
	}
}

func TestExec(t *testing.T) {
	r := tool(t)
	res, err := r.Run(t.Context(), argv("become", "exit", "7"))
	if err != nil || res.Status != 7 || string(res.Stdout) != "good answer" {
		t.Errorf("Run = %+v, %v; want the other program's end", res, err)
	}
	if err := Exec([]string{"mpd-no-such-tool"}, []string{"PATH=/nonexistent"}); !errors.Is(err, hypervisor.ErrToolMissing) {
		t.Errorf("missing: %v", err)
	}
	if err := Exec(nil, nil); err == nil {
		t.Error("no arguments: no error")
	}
}
