package cli

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// F101, F102, F12: while one process works on a VM, others that want to change
// it fail at once and name the one that does; those that only look, and those
// that work on another VM, are not kept. When the process is killed, the VM is
// free.
func TestF101Busy(t *testing.T) {
	t.Parallel() // diag waits for a name server that does not run yet
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	if _, err := s.AddVM(mpdvirttest.VMOptions{Addr: netip.MustParseAddr("10.211.55.38")}); err != nil {
		t.Fatal(err)
	}
	first, release := s.heldAt(t, mpdvirttest.StepBuild)
	defer release()

	for _, args := range [][]string{{"setup", "150"}, setupLine, {"update", "150"}, {"delete", "150", "--yes"}} {
		got := s.run(t, args...)
		if got.code != 5 || got.stdout != "" {
			t.Errorf("%q: exit %d, want 5\n%s%s", args, got.code, got.stdout, got.stderr)
		}
		contains(t, "stderr", got.stderr, fmt.Sprintf("another run holds the lock ~/.mpd-virt/.lock-150: setup, pid %d\n", first.Process.Pid))
	}
	for _, args := range [][]string{{"list", "--json"}, {"show", "150", "--json"}, {"diag", "150", "--json"}} {
		if got := s.mustRun(t, args...); !json.Valid([]byte(got.stdout)) {
			t.Errorf("%q prints %s", args, got.stdout)
		}
	}
	s.mustRun(t, "setup", "151", "--backend=general", "--ip=10.211.55.38", "--username=dev")

	first.Process.Kill()
	if code := exitOf(t, first.Wait()); code != -1 {
		t.Errorf("the process was not killed: exit %d", code)
	}
	s.mustRun(t, "setup", "150")
}

// F101: a delete, too, keeps others away.
func TestF101BusyDelete(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	s.mustRun(t, setupLine...)
	release := s.holdSharedLock(t)
	first := s.command(t, "delete", "150", "--yes")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	s.untilHeld(t, "delete")
	if got := s.run(t, "setup", "150"); got.code != 5 {
		t.Errorf("exit %d, want 5\n%s", got.code, got.stderr)
	} else {
		contains(t, "stderr", got.stderr, fmt.Sprintf("another run holds the lock ~/.mpd-virt/.lock-150: delete, pid %d\n", first.Process.Pid))
	}
	release()
	if code := exitOf(t, first.Wait()); code != 0 {
		t.Errorf("delete: exit %d", code)
	}
}

// heldAt starts a setup and waits until it is in a script of the VM, where it
// stays until release.
func (s *sharedWorld) heldAt(t *testing.T, script string) (cmd *exec.Cmd, release func()) {
	t.Helper()
	begun, held := make(chan struct{}), make(chan struct{})
	s.vm.OnStep(func(step, phase string) {
		if step == script && phase == "begin" {
			s.vm.OnStep(nil)
			close(begun)
			<-held
		}
	})
	cmd = s.command(t, setupLine...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	return cmd, func() { close(held) }
}

// holdSharedLock is another run that has the lock of what all VMs share.
func (s *sharedWorld) holdSharedLock(t *testing.T) (release func()) {
	t.Helper()
	lock, err := statefile.Acquire(t.Context(), filepath.Join(s.Home(), ".mpd-virt/.lock"), "test", 0)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	}
}

// untilHeld waits until a process that does a verb has the lock of VM 150.
func (s *sharedWorld) untilHeld(t *testing.T, verb string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		holder, err := os.ReadFile(filepath.Join(s.Home(), ".mpd-virt/.lock-150"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(string(holder), " "+verb+"\n") {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("nobody took the lock")
		}
	}
}
