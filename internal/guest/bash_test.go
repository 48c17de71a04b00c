package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bashWorld is a VM whose commands are read by a real shell of this machine.
func bashWorld(t *testing.T, shell string) *Conn {
	t.Helper()
	for _, program := range []string{shell, "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	w := newWorld(t)
	newServer(t, func(x *session) {
		cmd := exec.CommandContext(t.Context(), shell, "-c", x.line)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = x, x, x.Stderr()
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.home}
		err := cmd.Run()
		var status uint32
		if err != nil {
			status = 127
			if e := (*exec.ExitError)(nil); errors.As(err, &e) {
				status = uint32(e.ExitCode())
			}
		}
		x.exit(status)
	}).listen(w.net, firstAddr)
	return w.dial(t)
}

// TestRealShells is F32: the login shell makes no difference.
func TestRealShells(t *testing.T) {
	for _, shell := range []string{"sh", "dash", "bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			c := bashWorld(t, shell)
			args := []string{"", "it's", `a\b`, "$(id) `id`", "two\nlines", "*", "é"}
			var lines []string
			err := c.Run(t.Context(), Script{
				Name: "it's a step", Args: args, Stdin: []byte("input"),
				Text:   "printf '<%s>' \"$0\" \"$@\"; echo; cat; echo >&2 oops; [[ -n $BASH_VERSION ]]\nexit 7",
				Output: func(l string) { lines = append(lines, l) },
			})
			var e *ExitError
			if !errors.As(err, &e) || e.Status != 7 || e.Last != "oops" || e.Name != "it's a step" {
				t.Errorf("error %v, want status 7 and oops", err)
			}
			slices.Sort(lines)
			want := []string{"<it's a step><><it's><a\\b><$(id) `id`><two", "input", "lines><*><é>", "oops"}
			slices.Sort(want)
			if !slices.Equal(lines, want) {
				t.Errorf("lines %q, want %q", lines, want)
			}
			got, err := c.Query(t.Context(), Script{Name: "q", Args: args, Text: "set -e; printf '%s|' \"$@\"; exit 0; echo no"})
			if want := strings.Join(args, "|") + "|"; err != nil || string(got) != want {
				t.Errorf("Query = %q, %v, want %q", got, err, want)
			}
		})
	}
}

// gnu skips where push's tools are not those of Debian.
func gnu(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "mv", "--version").Output(); err != nil || !bytes.Contains(out, []byte("GNU")) {
		t.Skip("mv is not GNU's, and no VM has another")
	}
}

func TestPush(t *testing.T) {
	gnu(t)
	c := bashWorld(t, "sh")
	secret := bytes.Repeat([]byte("\x00secret\xff\r\n"), 1000)
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string)
		path    string
		mode    fs.FileMode
		data    []byte
		fails   string
	}{
		{"new, with folders", nil, "conf/wireguard/mpd0.conf", 0o600, secret, ""},
		{"replaced, with mode", func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, "f"), "old and longer")
			os.Chmod(filepath.Join(dir, "f"), 0o666)
		}, "f", 0o644, []byte("new"), ""},
		{"empty", nil, "f", 0o600, nil, ""},
		{"strange name", nil, "it's $(a) -f", 0o600, []byte("x"), ""},
		{"leftovers of a killed push", func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, ".f.mpd-virt.0123456789"), "half")
		}, "f", 0o600, []byte("x"), ""},
		{"link at the path", func(t *testing.T, dir string) { os.Symlink("/etc/passwd", filepath.Join(dir, "f")) },
			"f", 0o600, []byte("x"), "f is a symbolic link"},
		{"link above", func(t *testing.T, dir string) { os.Symlink(t.TempDir(), filepath.Join(dir, "d")) },
			"d/e/f", 0o600, []byte("x"), "d is a symbolic link"},
		{"folder at the path", func(t *testing.T, dir string) { os.Mkdir(filepath.Join(dir, "f"), 0o700) },
			"f", 0o600, []byte("x"), "f is a folder"},
		{"file above", func(t *testing.T, dir string) { writeFile(t, filepath.Join(dir, "d"), "") },
			"d/f", 0o600, []byte("x"), "mkdir"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if tt.prepare != nil {
				tt.prepare(t, dir)
			}
			path := filepath.Join(dir, tt.path)
			err = c.Push(t.Context(), File{Path: path, Mode: tt.mode, Data: tt.data})
			if tt.fails != "" {
				if !errors.As(err, new(*ExitError)) {
					t.Fatalf("error %v, want *ExitError", err)
				}
				contains(t, "error", err.Error(), "push "+path, tt.fails)
			} else {
				got, readErr := os.ReadFile(path)
				info, statErr := os.Stat(path)
				if err != nil || readErr != nil || statErr != nil || !bytes.Equal(got, tt.data) || info.Mode() != tt.mode {
					t.Errorf("push: %v; file %.20q, %v", err, got, info)
				}
			}
			noLeftovers(t, dir)
		})
	}
}

func noLeftovers(t *testing.T, dir string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(dir, ".*.mpd-virt.*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestPushCut: input that ends early, as when the connection breaks, changes
// nothing.
func TestPushCut(t *testing.T) {
	gnu(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "f")
	writeFile(t, path, "old")
	c := bashWorld(t, "sh")
	err = c.Run(t.Context(), Script{Name: "push", Text: pushText, Args: []string{path, "0600", "10"}, Stdin: []byte("123456789")})
	if got, _ := os.ReadFile(path); err == nil || string(got) != "old" {
		t.Errorf("error %v, file %q, want the old one", err, got)
	}
	contains(t, "error", fmt.Sprint(err), "9 of 10 bytes arrived")
	noLeftovers(t, dir)
}

// TestNoSecretsInView: what is pushed is on no command line and in no log.
func TestNoSecretsInView(t *testing.T) {
	w := newWorld(t)
	var debug []string
	w.opts.Debug = func(s string) { debug = append(debug, s) }
	var line string
	newServer(t, func(x *session) { line = x.line; says(0, "")(x) }).listen(w.net, firstAddr)
	if err := w.dial(t).Push(t.Context(), File{Path: "/x", Mode: 0o600, Data: []byte("CANARY")}); err != nil {
		t.Fatal(err)
	}
	if all := line + strings.Join(debug, ""); strings.Contains(all, "CANARY") {
		t.Errorf("seen in %q", all)
	}
}
