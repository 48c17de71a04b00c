package prlemu_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/command"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

// The test binary is also the tools: under their names it plays them, with the
// state that this variable names. A hang connects to the socket beside it, and
// so does a child that it starts then.
const stateVar = "PRLEMU_STATE"

func TestMain(m *testing.M) {
	switch name := filepath.Base(os.Args[0]); name {
	case "prlctl", "prlsrvctl", "prl-child":
		os.Exit(tool(name))
	}
	os.Exit(m.Run())
}

func tool(name string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	state := os.Getenv(stateVar)
	if name == "prl-child" {
		announce(state)
		for {
			<-time.After(time.Hour)
		}
	}
	return prlemu.Main(os.Args, prlemu.Env{Context: ctx, State: state, Stdout: os.Stdout, Stderr: os.Stderr, Hanging: func() {
		announce(state)
		child := exec.Command(os.Args[0])
		child.Args[0], child.Stdout = "prl-child", os.Stdout
		_ = child.Start() // the test waits for its announcement
	}})
}

// announce holds a connection as long as the process lives.
func announce(state string) {
	c, err := net.Dial("unix", state+".sock")
	if err == nil {
		go io.Copy(io.Discard, c)
	}
}

// tools is a folder with prlctl and prlsrvctl, and the runner that finds them.
func tools(t *testing.T) (e *prlemu.Emulator, run hypervisor.Runner, hanging net.Listener) {
	t.Helper()
	dir, err := os.MkdirTemp("", "prlemu") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prlctl", "prlsrvctl"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "state")
	if e, err = prlemu.New(prlemu.Options{State: state}); err != nil {
		t.Fatal(err)
	}
	if hanging, err = net.Listen("unix", state+".sock"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hanging.Close() })
	return e, command.New([]string{"PATH=" + dir, stateVar + "=" + state}).Run, hanging
}

// Many processes share one state, and none is lost.
func TestProcesses(t *testing.T) {
	e, run, _ := tools(t)
	if _, err := e.AddVM(prlemu.VM{Name: "mpd-130"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			r, err := run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "list", "-a", "-j"}})
			if err != nil || r.Status != 0 || !strings.Contains(string(r.Stdout), `"name": "mpd-130"`) {
				t.Errorf("%v %d %s%s", err, r.Status, r.Stdout, r.Stderr)
			}
		})
	}
	wg.Wait()
	r, err := run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "start", "mpd-130"}})
	if v, _ := e.VM("mpd-130"); err != nil || r.Status != 0 || v.State != "running" {
		t.Errorf("start: %v %d %s, %s", err, r.Status, r.Stderr, v.State)
	}
	r, err = run(t.Context(), hypervisor.Command{Argv: []string{"prlsrvctl", "net", "info", "Shared", "-j"}})
	if err != nil || r.Status != 0 || !strings.Contains(string(r.Stdout), `"IP scope end address": "10.211.55.99"`) {
		t.Errorf("network: %v %d %s", err, r.Status, r.Stdout)
	}
	if calls, err := e.Calls(); err != nil || len(calls) != 6 {
		t.Errorf("%d calls: %v", len(calls), err)
	}
}

// F53: one that ignores SIGTERM is killed at the bound, with its whole group.
func TestHangingProcess(t *testing.T) {
	e, run, hanging := tools(t)
	fault := prlemu.Hang("list")
	fault.Stubborn = true
	if err := e.Inject(fault); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var held []net.Conn
	done := make(chan error, 1)
	go func() {
		_, err := run(ctx, hypervisor.Command{Argv: []string{"prlctl", "list", "-a", "-j"}})
		done <- err
	}()
	for range 2 { // the tool and its child
		c, err := hanging.Accept()
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	for _, c := range held { // which the kernel closes with their processes
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Error(err)
		}
		c.Close()
	}
}

// SIGTERM ends a clone in order.
func TestInterruptedProcess(t *testing.T) {
	e, run, _ := tools(t)
	if _, err := e.AddVM(prlemu.VM{Name: "template", Template: true}); err != nil {
		t.Fatal(err)
	}
	if err := e.Change(func(s *prlemu.Settings) { s.Delay = 100 }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := run(ctx, hypervisor.Command{Argv: []string{"prlctl", "clone", "template", "--name", "mpd-150"}, Limit: time.Hour})
		done <- err
	}()
	for { // until it copies
		if v, _ := e.VM("template"); !v.Copied.IsZero() {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	v, _ := e.VM("template")
	bundles, err := e.Bundles()
	if err != nil || !v.Copied.IsZero() || len(bundles) != 1 {
		t.Errorf("%v: it left %v, copying until %v", err, bundles, v.Copied)
	}
}

// F53: output without end is cut off.
func TestHugeProcess(t *testing.T) {
	e, run, _ := tools(t)
	if err := e.Inject(prlemu.Huge("list")); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "list", "-a", "-j"}}); !errors.Is(err, command.ErrTooMuchOutput) {
		t.Errorf("it ended with %v", err)
	}
}
