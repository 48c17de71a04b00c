//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The exit codes that the tests look for; docs of the program define them.
const (
	exitDone      = 0
	exitFailed    = 1
	exitCheck     = 3
	exitRefused   = 4
	exitBusy      = 5
	exitInterrupt = 130
)

// sshConfig is the Mac user's own SSH configuration: line ends of another
// system and no last one, to see every byte of it come back. ssh itself takes
// the account's home folder for "~", not HOME, hence the key's whole path.
func (l *Lab) sshConfig() string {
	return "# mine\r\nHost *.example.test\r\n\tUser somebody\r\n\r\nHost *\r\n  IdentityFile " + l.Home + "/.ssh/id_ed25519"
}

// newToolLab is a laboratory for a test of the program: skipped, or failed in
// CI, if that is not built.
func newToolLab(t *testing.T) *Lab {
	t.Helper()
	t.Parallel()
	if _, err := os.Stat(toolPath(t)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("the program is not built: %v", err)
	}
	l := NewLab(t)
	l.write("home/.ssh/config", l.sshConfig(), 0o600)
	return l
}

func toolPath(t testing.TB) string {
	path := os.Getenv("MPD_VIRT_BIN")
	if path == "" {
		path = "../../bin/mpd-virt"
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// Tool runs mpd-virt on the Mac, without a terminal.
func (l *Lab) Tool(args ...string) Result {
	l.t.Helper()
	r := l.Mac(context.Background(), append([]string{toolPath(l.t)}, args...)...)
	for _, secret := range l.secrets() {
		if strings.Contains(r.Stdout+r.Stderr, secret) {
			l.t.Errorf("mpd-virt %v: a private key in the output", args)
		}
	}
	if strings.ContainsAny(r.Stdout+r.Stderr, "\x1b\r\x07\u009b") {
		l.t.Errorf("mpd-virt %v: terminal controls in the output without a terminal: %q", args, r.Stdout+r.Stderr)
	}
	return r
}

// Background is a run of mpd-virt that a test does something to.
type Background struct {
	lab            *Lab
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// Launch starts mpd-virt.
func (l *Lab) Launch(args ...string) *Background {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	l.t.Cleanup(cancel)
	b := &Background{lab: l, cmd: l.macCommand(ctx, append([]string{toolPath(l.t)}, args...)...)}
	b.cmd.Stdout, b.cmd.Stderr = &b.stdout, &b.stderr
	l.must(b.cmd.Start())
	return b
}

// Begin starts mpd-virt and waits until the guest is in the given step.
func (l *Lab) Begin(g *Guest, step string, args ...string) *Background {
	l.t.Helper()
	b := l.Launch(args...)
	l.eventually("step "+step, time.Minute, func() error {
		if !slices.Contains(g.Steps(), step) {
			return errors.New("not there yet")
		}
		return nil
	})
	return b
}

// Signal sends a signal to the program alone.
func (b *Background) Signal(s syscall.Signal) {
	b.lab.t.Helper()
	b.lab.must(b.cmd.Process.Signal(s))
}

// Wait returns how the program ended and how long that took from now on.
func (b *Background) Wait() Result {
	start := time.Now()
	b.cmd.Wait()
	r := Result{Stdout: b.stdout.String(), Stderr: b.stderr.String(), Elapsed: time.Since(start)}
	status := b.cmd.ProcessState.Sys().(syscall.WaitStatus)
	r.Code = status.ExitStatus()
	if status.Signaled() {
		r.Code = 128 + int(status.Signal())
	}
	return r
}

// Want runs mpd-virt and fails the test if it ends with another status.
func (l *Lab) Want(code int, args ...string) Result {
	l.t.Helper()
	r := l.Tool(args...)
	if r.Code != code {
		l.logTail("home/.mpd-virt/1*/logs/*", 15)
		l.t.Fatalf("mpd-virt %s: want exit %d: %v", strings.Join(args, " "), code, r)
	}
	l.t.Logf("mpd-virt %s: exit %d after %.1fs", strings.Join(args, " "), r.Code, r.Elapsed.Seconds())
	if args[0] == "setup" && !slices.Contains(args, "--verbose") {
		l.t.Logf("\n%s", r.Stderr)
	}
	return r
}

// adoption is the argument list that adopts the VM at ip.
func adoption(octet, ip string) []string {
	return []string{"setup", octet, "--backend=general", "--ip=" + ip, "--username=dev",
		"--bootstrap-url=" + bootstrapURL, "--mpd-repo=" + repoURL}
}

// secrets are the private halves that exist on the Mac by now.
func (l *Lab) secrets() []string {
	var found []string
	filepath.WalkDir(l.state("conf"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		text, _ := os.ReadFile(path)
		switch name := d.Name(); {
		case name == "private" || strings.HasSuffix(name, ".private"):
			found = append(found, strings.TrimSpace(string(text)))
		case strings.HasSuffix(name, "-key.pem"):
			if lines := strings.Split(string(text), "\n"); len(lines) > 2 {
				found = append(found, lines[1])
			}
		}
		return nil
	})
	return slices.DeleteFunc(found, func(s string) bool { return s == "" })
}

// state is a path below ~/.mpd-virt.
func (l *Lab) state(name string) string { return filepath.Join(l.Home, ".mpd-virt", name) }

func (l *Lab) clientConf(octet string) string {
	return l.state("conf/wireguard/" + octet + "/client.conf")
}

// listed is list --json, by octet.
func (l *Lab) listed() map[int]map[string]any {
	l.t.Helper()
	r := l.Want(exitDone, "list", "--json")
	var items []map[string]any
	if err := json.Unmarshal([]byte(r.Stdout), &items); err != nil {
		l.t.Fatalf("list --json: %v\n%s", err, r.Stdout)
	}
	byOctet := map[int]map[string]any{}
	for _, item := range items {
		octet, _ := item["octet"].(float64)
		byOctet[int(octet)] = item
	}
	return byOctet
}

// report is what the tests read of diag's report.
type report struct {
	Checks []struct {
		ID     string
		Status string
	}
	text string // the whole report, for messages
}

func (r report) status(id string) string {
	for _, c := range r.Checks {
		if c.ID == id {
			return c.Status
		}
	}
	return "absent"
}

// Diag runs diag --json, which must end with the given status.
func (l *Lab) Diag(code int, octet string) report {
	l.t.Helper()
	r := l.Want(code, "diag", octet, "--non-interactive", "--json")
	rep := report{text: r.Stdout}
	if err := json.Unmarshal([]byte(r.Stdout), &rep); err != nil {
		l.t.Fatalf("diag --json: %v\n%s", err, r.Stdout)
	}
	return rep
}

// wantCheck compares one check of a report.
func (r report) want(t *testing.T, id, status string) {
	t.Helper()
	if got := r.status(id); got != status {
		t.Errorf("diag: %s is %q, want %q\n%s", id, got, status, r.text)
	}
}

// wantText says what a person must be able to read.
func wantText(t *testing.T, where, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s does not say %q:\n%s", where, part, text)
		}
	}
}

// wantSteps compares the steps that ran in the guest.
func wantSteps(t *testing.T, g *Guest, want string) {
	t.Helper()
	if got := strings.Join(g.Steps(), " "); got != want {
		t.Errorf("steps that ran in the guest: %q, want %q", got, want)
	}
}

const allSteps = "10 20 30 40 50 60 setup"

// wantPrivate checks that nobody else can read anything secret on the Mac.
func (l *Lab) wantPrivate() {
	l.t.Helper()
	public := func(name string) bool {
		return name == "rootCA.pem" || name == "public" || strings.HasSuffix(name, ".public") || strings.HasSuffix(name, ".pub")
	}
	err := filepath.WalkDir(l.state(""), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && !public(d.Name()) {
			err = fmt.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
}

// within fails the test if a run took longer than a person would wait.
func within(t *testing.T, r Result, limit time.Duration) {
	t.Helper()
	if r.Elapsed > limit {
		t.Errorf("took %.1fs, want at most %v", r.Elapsed.Seconds(), limit)
	}
}
