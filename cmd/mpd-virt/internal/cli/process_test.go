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
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// worldVariable names the socket of the world in which a test's child process
// is the command mpd-virt: the real Main in a process that can be killed, while
// the VMs live on in the test.
const (
	worldVariable    = "MPD_VIRT_TEST_WORLD"
	stubbornVariable = "MPD_VIRT_TEST_STUBBORN" // programs do not end when they are told to
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(worldVariable); socket != "" {
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
	// Not t.TempDir: its long names do not fit into a socket's address.
	dir, err := os.MkdirTemp("", "mpd")
	if err != nil {
		t.Fatal(err)
	}
	world, err := mpdvirttest.New(mpdvirttest.Options{})
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
	cmd.Env = []string{worldVariable + "=" + s.socket, "HOME=" + s.Home(), "LANG=C.UTF-8", "TERM=xterm"}
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

// shape is which files are in the home folder and in the VM, and who may do
// what with them. The keys in them differ from world to world.
func (s *sharedWorld) shape(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.Walk(s.Home(), func(path string, info os.FileInfo, err error) error {
		if err == nil && !strings.Contains(path, "/logs/") {
			out = append(out, info.Mode().String()+" "+strings.TrimPrefix(path, s.Home()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, what := range s.vm.Tree() {
		mode, rest, _ := strings.Cut(what, " ")
		owner, _, _ := strings.Cut(rest, " ")
		out = append(out, "vm "+mode+" "+owner+" "+path)
	}
	slices.Sort(out)
	return out
}
