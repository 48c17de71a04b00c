package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestDispatch(t *testing.T) {
	tests := []struct {
		args string
		code int
		out  string // in stdout
		err  string // in stderr
	}{
		{"help", 0, "Verbs, in the order of a VM's life:", ""},
		{"--help", 0, "Verbs, in the order", ""},
		{"-h", 0, "Verbs, in the order", ""},
		{"--debug -help", 0, "Verbs, in the order", ""},
		{"help setup", 0, "mpd-virt setup NNN [flags]", ""},
		{"setup --help", 0, "mpd-virt setup NNN [flags]", ""},
		{"--help setup", 0, "mpd-virt setup NNN [flags]", ""},
		{"help backend", 0, "mpd-virt backend set-default NAME", ""},
		{"help backend list", 0, "mpd-virt backend list [flags]", ""},
		{"help stup", 2, "", `there is no verb "stup", did you mean setup?`},
		{"help setup 150", 2, "", `"150" is one argument too many`},
		{"version", 0, "mpd-virt v1.2.3 (0123456789ab, go1.26, darwin/arm64)\n", ""},
		{"--version", 0, "mpd-virt v1.2.3", ""},
		{"--version --json", 0, `"schema": "mpd-virt/version/1"`, ""},
		{"--json version", 0, `"version": "v1.2.3"`, ""},
		{"version 7", 2, "", `"7" is one argument too many`},
		{"stup 150", 2, "", `there is no verb "stup", did you mean setup?`},
		{"frobnicate", 2, "", `there is no verb "frobnicate"`},
		{"150", 2, "", "mpd-virt show 150"},
		{"backend lits", 2, "", "did you mean list?"},
		{"backend frobnicate", 2, "", `backend: there is no verb "frobnicate"`},
		{"backend set-default", 2, "", "NAME is missing"},
		{"setup", 2, "", "NNN is missing"},
		{"setup 150 --ipp=1", 2, "", "did you mean --ip?"},
		{"ssh 150 --events=x", 2, "", `there is no flag "--events=x"`},
		{"-- list", 2, "", "there is no verb"},
		{"-", 2, "", "there is no verb"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			got := runArgs(t, strings.Fields(tt.args)...)
			if got.code != tt.code || !strings.Contains(got.stdout, tt.out) || !strings.Contains(got.stderr, tt.err) {
				t.Errorf("exit %d, want %d\nstdout %s\nstderr %s", got.code, tt.code, got.stdout, got.stderr)
			}
			if tt.out == "" && got.stdout != "" || tt.err == "" && got.stderr != "" {
				t.Errorf("something on the wrong stream\nstdout %s\nstderr %s", got.stdout, got.stderr)
			}
		})
	}
}

// F126: whatever the arguments are, the answer is short and no trace.
func TestF126HugeAndBrokenArguments(t *testing.T) {
	long := strings.Repeat("y", 1<<20)
	for _, args := range [][]string{
		{long}, {"setup", long}, {"setup", "150", "--" + long}, {"setup", "150", "--username", long}, {"\xff\xfe"}, {""},
		{"help", long}, {"backend", long}, {"setup", "150", "--mpd-repo=" + long}, {"delete", "150", "--yes=maybe"},
		{"backend", "set-default", "\xff"}, {"delete", "150", "--yes", "--yes"},
	} {
		got := runArgs(t, args...)
		if got.code != exitUsage || got.stdout != "" || len(got.stderr) > 400 || strings.Contains(got.stderr, "goroutine") {
			t.Errorf("%.60q: exit %d, %d bytes: %.300s", args, got.code, len(got.stderr), got.stderr)
		}
	}
}

// F119: a result that cannot be written is a failure that says so.
func TestF119WriteError(t *testing.T) {
	t.Run("full disk", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		defer full.Close()
		wantWriteError(t, full, "no space left on device")
	})
	t.Run("closed pipe", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		defer w.Close()
		wantWriteError(t, w, "broken pipe")
	})
	t.Run("closed file", func(t *testing.T) {
		_, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		wantWriteError(t, w, "file already closed")
	})
}

func wantWriteError(t *testing.T, stdout io.Writer, why string) {
	t.Helper()
	env := emptyMac(t, "help")
	var stderr bytes.Buffer
	env.Stdout, env.Stderr = stdout, &stderr
	if code := Run(t.Context(), env); code != exitFailed {
		t.Errorf("exit %d, want 1", code)
	}
	if got, want := stderr.String(), "mpd-virt: write error: standard output: "+why+"\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

func TestNoHome(t *testing.T) {
	t.Setenv("HOME", "")
	env := emptyMac(t, "list")
	env.Config.Home, env.Environ = "", nil
	got := runIn(t, env)
	if got.code != exitFailed || got.stdout != "" {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	contains(t, "stderr", got.stderr, "mpd-virt: find the home folder", "next: set HOME")
}

func TestZeroEnv(t *testing.T) {
	if code := Run(t.Context(), Env{Args: []string{"version"}}); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestAwaitSignals(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	signals := make(chan os.Signal)
	second := make(chan syscall.Signal)
	go await(signals, nil, cancel, func(s syscall.Signal) { second <- s })
	signals <- syscall.SIGTERM
	<-ctx.Done()
	if interrupted(ctx) != syscall.SIGTERM {
		t.Errorf("cause is %v", context.Cause(ctx))
	}
	signals <- syscall.SIGINT
	if s := <-second; s != syscall.SIGINT {
		t.Errorf("second signal is %v", s)
	}
}

// F5: what a sudden end must undo is known at every moment.
func TestLiveTerminalUndo(t *testing.T) {
	var out bytes.Buffer
	restored := 0
	l := &liveTerminal{}
	l.undo()
	l.drawn(&out)
	l.changed(func() { restored++ })
	l.undo()
	l.undo()
	if out.String() != eraseLine || restored != 1 {
		t.Errorf("wrote %q, restored %d times", out.String(), restored)
	}
}

func TestNobodyIsAskedWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	if p := newApp(Env{Stdin: strings.NewReader("y\n"), Stdout: &out, Stderr: &out}).prompter(); p != nil {
		t.Error("there is a prompter")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if p := newApp(Env{Stdin: r, Stdout: w, Stderr: w}).prompter(); p != nil {
		t.Error("there is a prompter on pipes")
	}
}

func TestEnvironment(t *testing.T) {
	e := Env{Environ: []string{"A=1", "B=", "A=2", "AB=3"}}
	if e.get("A") != "2" || e.get("B") != "" || e.get("C") != "" {
		t.Errorf("A %q, B %q, C %q", e.get("A"), e.get("B"), e.get("C"))
	}
}

func TestSSHBecomes(t *testing.T) {
	env := emptyMac(t, "ssh", "150")
	var stderr bytes.Buffer
	env.Stderr = &stderr
	if code := Run(t.Context(), env); code != exitFailed {
		t.Errorf("exit %d", code)
	}
	contains(t, "stderr", stderr.String(), "not registered")
}
