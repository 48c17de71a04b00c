package mpdvirt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// A backend of your own gets the Runner that New would take, and so do those
// that mpd-virt has.
func ExampleNewRunner() {
	run := mpdvirt.NewRunner(os.Environ())
	config := mpdvirt.Config{Runner: run, Backends: mpdvirt.DefaultBackends(run, "")}
	// … = append(config.Backends, yours.New(run))

	ctx := context.Background()
	res, err := config.Runner(ctx, hypervisor.Command{Argv: []string{"sh", "-c", "echo $LC_ALL; cat; exit 3"}, Stdin: []byte("input")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q, status %d\n", res.Stdout, res.Status)

	_, err = config.Runner(ctx, hypervisor.Command{Argv: []string{"mpd-no-such-tool"}})
	fmt.Println(errors.Is(err, hypervisor.ErrToolMissing), err)
	// Output:
	// "C\ninput", status 3
	// true run mpd-no-such-tool: tool not installed
}

func sh(script string, args ...string) hypervisor.Command {
	return hypervisor.Command{Argv: append([]string{"/bin/sh", "-c", script, "sh"}, args...)}
}

func TestRunnerEnvironment(t *testing.T) {
	t.Setenv("MPD_TEST_RUNNER", "of this process")
	tools := t.TempDir()
	if err := os.WriteFile(filepath.Join(tools, "mpd-tool"), []byte("#!/bin/sh\necho \"$A $MPD_TEST_RUNNER $LC_ALL\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + tools, "A=1", "LC_ALL=de_DE.UTF-8"}
	mine := mpdvirt.NewRunner(env)
	env[1] = "A=2" // no longer the Runner's
	for name, tt := range map[string]struct {
		run  hypervisor.Runner
		argv []string
		want string
	}{
		"given": {mine, []string{"mpd-tool"}, "1  C\n"},
		"nil":   {mpdvirt.NewRunner(nil), []string{filepath.Join(tools, "mpd-tool")}, "  C\n"},
		"empty": {mpdvirt.NewRunner([]string{}), []string{filepath.Join(tools, "mpd-tool")}, "  C\n"},
		// Without a PATH, too, the system's tools are found.
		"known folders": {mpdvirt.NewRunner(nil), []string{"sh", "-c", "echo found"}, "found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := tt.run(t.Context(), hypervisor.Command{Argv: tt.argv})
			if err != nil || string(res.Stdout) != tt.want {
				t.Errorf("%q = %q, %v; want %q", tt.argv, res.Stdout, err, tt.want)
			}
		})
	}
	t.Chdir(tools)
	for _, path := range []string{"", "."} {
		if _, err := mpdvirt.NewRunner([]string{"PATH=" + path})(t.Context(), hypervisor.Command{Argv: []string{"mpd-tool"}}); !errors.Is(err, hypervisor.ErrToolMissing) {
			t.Errorf("a tool of the current folder, with PATH=%q: %v", path, err)
		}
	}
}

func TestRunnerLimits(t *testing.T) {
	run := mpdvirt.NewRunner(os.Environ())
	slow := sh("exec sleep 60")
	slow.Limit = 50 * time.Millisecond
	for name, tt := range map[string]struct {
		c    hypervisor.Command
		want error // nil: any
	}{
		"limit":           {slow, context.DeadlineExceeded},
		"too much output": {sh("exec cat /dev/zero"), nil},
		"not executable":  {hypervisor.Command{Argv: []string{os.Args[0] + ".none"}}, hypervisor.ErrToolMissing},
		"no program":      {hypervisor.Command{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := run(t.Context(), tt.c)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || res.Status != 0 || res.Stdout != nil || res.Stderr != nil {
				t.Errorf("%.40v, %v; want a zero Result and %v", res, err, tt.want)
			}
		})
	}
	if res, err := run(t.Context(), sh("kill -9 $$")); err != nil || res.Status != 128+9 {
		t.Errorf("a program that a signal ended: %d, %v", res.Status, err)
	}
}

// A program that does not listen is ended with its children, which all hold the
// fifo.
func TestRunnerLeavesNoProcess(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	released := make(chan error, 1)
	go func() {
		f, err := os.Open(fifo)
		if err == nil {
			defer f.Close()
			_, err = io.ReadFull(f, make([]byte, 2))
			cancel()
		}
		if err == nil {
			_, err = io.Copy(io.Discard, f)
		}
		released <- err
	}()
	_, err := mpdvirt.NewRunner(os.Environ())(ctx, sh(`trap "" TERM; exec 3>"$1"; (printf x >&3; sleep 60) & printf x >&3; wait`, fifo))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a program that was cancelled: %v", err)
	}
	select {
	case err := <-released:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("its child goes on")
	}
}

// A Manager without a Runner starts programs as NewRunner does: its backends ask
// the tools in the PATH of this process. All their tools are there, so that on a
// Mac no real one is asked.
func TestRunnerIsTheDefault(t *testing.T) {
	tools, home := t.TempDir(), t.TempDir()
	for _, name := range []string{"prlctl", "prlsrvctl", "utmctl", "osascript"} {
		text := fmt.Sprintf("#!/bin/sh\necho \"$LC_ALL $HOME\" >> %q\nexit 1\n", filepath.Join(home, name))
		if err := os.WriteFile(filepath.Join(tools, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", tools)
	t.Setenv("HOME", home)
	m, err := mpdvirt.New(mpdvirt.Config{AgentSocket: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Backends(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(home, "prlctl"))
	if err != nil || !strings.HasPrefix(string(text), "C "+home+"\n") {
		t.Errorf("prlctl was started as %q, %v", text, err)
	}
}

func TestRunnerAtTheSameTime(t *testing.T) {
	run := mpdvirt.NewRunner([]string{"A=1"})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			want := fmt.Sprintf("1 %d C\n", i)
			if res, err := run(t.Context(), sh(`echo "$A $1 $LC_ALL"`, fmt.Sprint(i))); err != nil || string(res.Stdout) != want {
				t.Errorf("%q, %v; want %q", res.Stdout, err, want)
			}
		})
	}
	wg.Wait()
}
