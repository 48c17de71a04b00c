package emu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/command"
)

// play is a tool that does what its first argument says.
func play(ctx context.Context, c *Call) (int, error) {
	if c.Argv[0] != "tool" {
		return 0, Missing(c.Argv[0])
	}
	switch verb := c.Argv[1]; verb {
	case "echo":
		if _, err := io.Copy(c.Stdout, c.Stdin); err != nil {
			return 0, err
		}
		_, err := io.WriteString(c.Stderr, "done")
		return 3, err
	case "quiet":
		return 0, nil
	case "terminal":
		fmt.Fprint(c.Stdout, "Password:")
		return map[bool]int{true: 0, false: 1}[c.Terminal], nil
	case "flood", "deaf flood":
		for range 17 {
			if _, err := c.Stdout.Write(make([]byte, 1<<20)); err != nil && verb == "flood" {
				return 0, err
			}
		}
		return 0, nil
	case "wait":
		return 4, Wait(ctx, time.Minute)
	case "hang":
		return 0, c.Hang(ctx, false)
	case "stubborn":
		return 0, c.Hang(ctx, true)
	}
	return 0, errOther
}

func TestRunner(t *testing.T) {
	for _, tt := range []struct {
		name    string
		command hypervisor.Command
		status  int
		out     string // both outputs
		err     error
		text    string
	}{
		{"output", hypervisor.Command{Argv: []string{"tool", "echo"}, Stdin: []byte("a\x00")}, 3, "a\x00done", nil, ""},
		{"no input", hypervisor.Command{Argv: []string{"tool", "echo"}}, 3, "done", nil, ""},
		{"no output", hypervisor.Command{Argv: []string{"tool", "quiet"}}, 0, "", nil, ""},
		{"no terminal", hypervisor.Command{Argv: []string{"tool", "terminal"}}, 1, "Password:", nil, ""},
		{"a minute passes", hypervisor.Command{Argv: []string{"tool", "wait"}, Limit: 61 * time.Second}, 4, "", nil, ""},
		{"no program", hypervisor.Command{}, 0, "", nil, "run: no program given"},
		{"missing", hypervisor.Command{Argv: []string{"/x/other"}}, 0, "", hypervisor.ErrToolMissing, "run /x/other: " + hypervisor.ErrToolMissing.Error()},
		{"own error", hypervisor.Command{Argv: []string{"tool", "?"}}, 0, "", errOther, "other"},
		{"too much", hypervisor.Command{Argv: []string{"tool", "flood"}}, 0, "", command.ErrTooMuchOutput, "run tool: printed more than 16 MiB"},
		{"too much, unheard", hypervisor.Command{Argv: []string{"tool", "deaf flood"}}, 0, "", command.ErrTooMuchOutput, "run tool: printed more than 16 MiB"},
		{"limit", hypervisor.Command{Argv: []string{"tool", "hang"}, Limit: 7 * time.Second}, 0, "", context.DeadlineExceeded,
			"run tool: still running after 7s: context deadline exceeded"},
		{"limit by itself", hypervisor.Command{Argv: []string{"tool", "stubborn"}}, 0, "", context.DeadlineExceeded,
			"run tool: still running after 1m0s: context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := Runner(play)(t.Context(), tt.command)
				if tt.text != "" {
					if r.Stdout != nil || r.Stderr != nil || r.Status != 0 || err == nil || err.Error() != tt.text || tt.err != nil && !errors.Is(err, tt.err) {
						t.Errorf("error %v, want %s; result %v", err, tt.text, r)
					}
					return
				}
				if got := string(r.Stdout) + string(r.Stderr); err != nil || r.Status != tt.status || got != tt.out {
					t.Errorf("%v, status %d, %q; want %d, %q", err, r.Status, got, tt.status, tt.out)
				}
				if r.Stdout == nil || r.Stderr == nil {
					t.Error("nil says that there was a terminal")
				}
			})
		})
	}
}

func TestRunnerTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := Runner(play)
		for _, verb := range []string{"terminal", "flood"} {
			r, err := run(t.Context(), hypervisor.Command{Argv: []string{"tool", verb}, Terminal: true})
			if err != nil || r.Status != 0 || r.Stdout != nil || r.Stderr != nil {
				t.Errorf("%s: %v %v", verb, r, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		begin := time.Now()
		_, err := run(ctx, hypervisor.Command{Argv: []string{"tool", "hang"}, Terminal: true})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 24*time.Hour {
			t.Errorf("a person may take long, and had %v: %v", time.Since(begin), err)
		}
	})
}

func TestRunnerStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		for _, text := range []string{"run tool: stopped: context canceled", "run tool: context canceled"} {
			_, err := Runner(play)(ctx, hypervisor.Command{Argv: []string{"tool", "wait"}, Limit: time.Hour})
			if !errors.Is(err, context.Canceled) || err.Error() != text || time.Since(begin) != time.Second {
				t.Errorf("%v after %v, want %s", err, time.Since(begin), text)
			}
		}
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, d := range []time.Duration{-time.Second, 0, time.Second} {
			if err := Wait(ended, d); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, ended: %v", d, err)
			}
			begin := time.Now()
			if err := Wait(t.Context(), d); err != nil || time.Since(begin) != max(0, d) {
				t.Errorf("%v took %v: %v", d, time.Since(begin), err)
			}
		}
	})
}

func TestMainProgram(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		argv   string
		status int
		out    string
		hung   bool
	}{
		{"output", nil, "tool echo", 3, "indone", false},
		{"hang", ended, "tool hang", 255, "", true},
		{"own error", nil, "tool ?", 70, "toolemu: other\n", false},
		{"missing", nil, "other", 70, "toolemu: run other: " + hypervisor.ErrToolMissing.Error() + "\n", false},
		{"no program", nil, "", 70, "toolemu: no program given\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			hung := false
			p := Process{Name: "toolemu", Context: tt.ctx, Stdin: strings.NewReader("in"), Stdout: &out, Stderr: &out, Terminated: 255}
			p.Hanging = func() { hung = true }
			status := p.Main(strings.Fields(tt.argv), play)
			if status != tt.status || out.String() != tt.out || hung != tt.hung {
				t.Errorf("status %d, %q, hung %t; want %d, %q, %t", status, out.String(), hung, tt.status, tt.out, tt.hung)
			}
		})
	}
}

// The zero Process plays, too: nothing is read, and what is printed is lost.
func TestMainZero(t *testing.T) {
	for argv, status := range map[string]int{"tool echo": 3, "tool ?": 70, "": 70} {
		if got := (Process{}).Main(strings.Fields(argv), play); got != status {
			t.Errorf("%q: status %d, want %d", argv, got, status)
		}
	}
}

func TestUUID(t *testing.T) {
	// The form is that of RFC 9562, version 4; the value is what keeps made-up
	// VMs the same from one release to the next.
	if got, want := UUID("vm 1"), "ebf30ea1-d509-4978-b161-2467f8309c5b"; got != want {
		t.Errorf("UUID %s, want %s", got, want)
	}
	if UUID("vm 1") == UUID("vm 2") {
		t.Error("two seeds have one UUID")
	}
}
