package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// M13: without a home folder nothing is done, least of all in the folder in
// which the command happens to run.
func TestM13NoHome(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, home := range map[string]string{"unset": "", "empty": "HOME=", "relative": "HOME=here", "a dot": "HOME=."} {
		for _, line := range []string{
			"list", "list --json", "show 150", "diag 150", "update 150", "delete 150 --yes", "backend list", "backend set-default general",
			"setup 150 --backend=general --username=dev",
		} {
			t.Run(name+": "+line, func(t *testing.T) {
				cmd := exec.CommandContext(t.Context(), exe, strings.Fields(line)...)
				cmd.Dir = t.TempDir()
				cmd.Env = []string{worldVariable + "=" + realWorld, raceVariable, "PATH=" + cmd.Dir}
				if home != "" {
					cmd.Env = append(cmd.Env, home)
				}
				var stdout, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				if code := exitOf(t, cmd.Run()); code != 1 || stdout.Len() > 0 {
					t.Errorf("exit %d, want 1: %s", code, stdout.String())
				}
				contains(t, "stderr", stderr.String(), "mpd-virt: ", "home folder", "  next: set HOME to your home folder\n")
				if made, err := os.ReadDir(cmd.Dir); err != nil || len(made) > 0 {
					t.Errorf("made %v, %v", made, err)
				}
			})
		}
	}
}

// F119: the real process cannot write its result. It says so and is not killed
// for it, whatever the verb did is done, and there is no trace.
func TestF119FullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	cmd := s.command(t, setupLine...)
	cmd.Stderr = full
	if code := exitOf(t, cmd.Run()); code != 0 {
		t.Errorf("setup without its progress: exit %d, want 0", code)
	}
	for _, args := range [][]string{{"setup", "150"}, {"list"}, {"list", "--json"}, {"show", "150"}, {"diag", "150"}, {"version"}, {"help"},
		{"backend", "list", "--json"}, {"delete", "150", "--yes"}} {
		var stderr bytes.Buffer
		cmd := s.command(t, args...)
		cmd.Stdout, cmd.Stderr = full, &stderr
		if code := exitOf(t, cmd.Run()); code != 1 {
			t.Errorf("%q: exit %d, want 1", args, code)
		}
		contains(t, strings.Join(args, " "), stderr.String(), "mpd-virt: write error: standard output: no space left on device\n")
		if strings.Contains(stderr.String(), "goroutine") {
			t.Errorf("%q: %s", args, stderr.String())
		}
	}
	if _, err := os.Stat(filepath.Join(s.Home(), ".mpd-virt/150")); !os.IsNotExist(err) {
		t.Errorf("delete did not delete: %v", err)
	}
}

// F117: what is no terminal gets plain text, whatever the environment says, and
// in a locale without UTF-8 nothing but ASCII.
func TestF117Environment(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	for _, environ := range []string{
		"", "TERM=xterm LANG=C.UTF-8", "TERM=dumb LANG=C.UTF-8", "TERM=xterm NO_COLOR=1 LANG=en_US.UTF-8", "TERM=xterm LANG=C",
		"TERM=xterm LANG=en_US.UTF-8 LC_ALL=C", "LANG=C COLUMNS=0", "TERM=xterm-256color CLICOLOR_FORCE=1 FORCE_COLOR=1 LANG=C",
	} {
		t.Run(environ, func(t *testing.T) {
			utf8 := strings.Contains(environ, "UTF-8") && !strings.Contains(environ, "LC_ALL=C")
			for _, args := range [][]string{setupLine, {"list"}, {"show", "150"}, {"diag", "150"}, {"setup", "151"}, {"frobnicate"}} {
				var out bytes.Buffer
				cmd := s.command(t, args...)
				cmd.Env = append([]string{cmd.Env[0], "HOME=" + s.Home(), raceVariable}, strings.Fields(environ)...)
				cmd.Stdout, cmd.Stderr = &out, &out
				exitOf(t, cmd.Run()) // whatever it is
				if out.Len() == 0 || strings.ContainsAny(out.String(), "\x1b\r\b✓✗") {
					t.Errorf("%q: not plain: %q", args, out.String())
				}
				if ascii := !strings.ContainsFunc(out.String(), func(r rune) bool { return r > '~' }); !utf8 && !ascii {
					t.Errorf("%q: not ASCII: %q", args, out.String())
				}
			}
		})
	}
}
