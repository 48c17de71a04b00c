package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// worldVariable names the socket of the world in which a test's child process
// is the command mpd-virt: the real Main in a process that can be killed, while
// the VMs live on in the test.
const (
	worldVariable    = "MPD_VIRT_TEST_WORLD"
	realWorld        = "real"                   // in the place of a socket: exactly what main does
	stubbornVariable = "MPD_VIRT_TEST_STUBBORN" // programs do not end when they are told to
	// raceVariable keeps the race detector from waiting a second when a
	// process ends.
	raceVariable = "GORACE=atexit_sleep_ms=0"
)

func TestMain(m *testing.M) {
	switch socket := os.Getenv(worldVariable); socket {
	case "":
	case realWorld:
		os.Exit(Main(mpdvirt.Config{}))
	default:
		os.Exit(child(socket))
	}
	os.Exit(m.Run())
}

func child(socket string) int {
	cfg, err := mpdvirttest.Remote(socket)
	if err != nil {
		panic(err)
	}
	if os.Getenv(stubbornVariable) != "" {
		cfg.Runner = func(context.Context, hypervisor.Command) (hypervisor.Result, error) { select {} }
	}
	if text := os.Getenv(fateVariable); text != "" {
		return fated(cfg, text)
	}
	return Main(cfg)
}

// sharedWorld is a world with a VM at .37 whose tunnel is up, in which child
// processes run the command.
type sharedWorld struct {
	*mpdvirttest.World
	vm     *mpdvirttest.VM
	socket string
}

func newSharedWorld(t *testing.T, o mpdvirttest.VMOptions) *sharedWorld {
	t.Helper()
	return newSharedWorldIn(t, mpdvirttest.Options{}, o)
}

func newSharedWorldIn(t *testing.T, w mpdvirttest.Options, o mpdvirttest.VMOptions) *sharedWorld {
	t.Helper()
	// Not t.TempDir: its long names do not fit into a socket's address.
	dir, err := os.MkdirTemp("", "mpd")
	if err != nil {
		t.Fatal(err)
	}
	world, err := mpdvirttest.New(w)
	if err != nil {
		t.Fatal(err)
	}
	s := &sharedWorld{World: world, socket: filepath.Join(dir, "world")}
	l, err := net.Listen("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- world.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		if err := errors.Join(<-served, world.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	if s.vm, err = world.AddVM(o); err != nil {
		t.Fatal(err)
	}
	world.Tunnel(s.vm)
	return s
}

var setupLine = []string{"setup", "150", "--backend=general", "--ip=10.211.55.37", "--username=dev"}

// command is the command line as a process that was not started yet.
func (s *sharedWorld) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = []string{worldVariable + "=" + s.socket, "HOME=" + s.Home(), "LANG=C.UTF-8", "TERM=xterm", raceVariable}
	return cmd
}

// run runs a command line to its end.
func (s *sharedWorld) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := s.command(t, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return result{exitOf(t, cmd.Run()), stdout.String(), stderr.String()}
}

// mustRun runs a command line that must end well.
func (s *sharedWorld) mustRun(t *testing.T, args ...string) result {
	t.Helper()
	got := s.run(t, args...)
	if got.code != 0 {
		t.Fatalf("%q: exit %d\n%s%s", args, got.code, got.stderr, got.stdout)
	}
	return got
}

// exitOf is the exit code of a process, or minus the signal that ended it.
func exitOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

// until reads until a line begins with the given text.
func until(r io.Reader, begin string) {
	var line []byte
	var b [1]byte
	for {
		if _, err := r.Read(b[:]); err != nil {
			return
		}
		if line = append(line, b[0]); strings.HasPrefix(string(line), begin) {
			return
		}
		if b[0] == '\n' {
			line = nil
		}
	}
}

// shape is the files in the home folder and in the VM: who may do what with
// them and what is in them, without what differs from run to run.
func (s *sharedWorld) shape(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.Walk(s.Home(), func(path string, info os.FileInfo, err error) error {
		if err != nil || strings.Contains(path, "/logs/") {
			return err
		}
		data := []byte("-")
		if info.Mode().IsRegular() {
			data, err = os.ReadFile(path)
		}
		if strings.HasPrefix(info.Name(), ".lock") {
			data = []byte("-") // who held it
		}
		out["~"+strings.TrimPrefix(path, s.Home())] = info.Mode().String() + " " + s.masked(string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, what := range s.vm.Tree() {
		out["vm:"+path] = s.masked(what)
	}
	return out
}

// A WireGuard key, and the inside of a PEM block as it is and quoted.
var (
	wireGuardKey = regexp.MustCompile(`[A-Za-z0-9+/]{43}=`)
	pemBlock     = regexp.MustCompile(`(-----BEGIN [A-Z ]+-----)[^-]*(-----END)`)
)

// masked is text without the keys that each world makes for itself.
func (s *sharedWorld) masked(text string) string {
	text = pemBlock.ReplaceAllString(strings.ReplaceAll(text, s.Home(), "~"), "$1$2")
	return wireGuardKey.ReplaceAllString(text, "KEY")
}
