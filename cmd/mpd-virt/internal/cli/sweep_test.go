package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// F3, F10: strace kills the process at its first change of a name in the file
// system, then at the second, and so on until it ends before that. strace
// counts for each thread of the process, so that now and then a change is met
// twice or left out.
func TestF3KillAtFileChanges(t *testing.T) {
	strace := straceFound(t)
	want, _ := undisturbed(t)
	t.Run("setup", func(t *testing.T) {
		t.Parallel()
		for n := 1; ; n++ {
			s := newSharedWorld(t, mpdvirttest.VMOptions{})
			if !s.killedAtChange(t, strace, n, setupLine...) {
				return
			}
			s.converges(t, want)
			if t.Failed() {
				t.Fatalf("killed at change %d", n)
			}
		}
	})
	t.Run("delete", func(t *testing.T) {
		t.Parallel()
		gone := deleted(t)
		for n := 1; ; n++ {
			s := newSharedWorld(t, mpdvirttest.VMOptions{})
			s.mustRun(t, setupLine...)
			keys := s.keys(t)
			if !s.killedAtChange(t, strace, n, "delete", "150", "--yes") {
				return
			}
			s.deletes(t, gone)
			if diff := cmp.Diff(keys, s.keys(t)); diff != "" {
				t.Errorf("the keys are not as they were (-before +after):\n%s", diff)
			}
			if t.Failed() {
				t.Fatalf("killed at change %d", n)
			}
		}
	})
}

// F10: a delete that is killed before it has removed anything, because another
// run has the shared lock.
func TestF10KillBeforeDelete(t *testing.T) {
	gone := deleted(t)
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	s.mustRun(t, setupLine...)
	release := s.holdSharedLock(t)
	cmd := s.command(t, "delete", "150", "--yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.untilHeld(t, "delete")
	cmd.Process.Kill()
	if code := exitOf(t, cmd.Wait()); code != -1 {
		t.Errorf("the process was not killed: exit %d", code)
	}
	release()
	if _, err := os.Stat(filepath.Join(s.Home(), ".mpd-virt/150/env")); err != nil {
		t.Error(err)
	}
	s.deletes(t, gone)
}

func straceFound(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command(strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %v: %s", err, out)
	}
	return strace
}

// killedAtChange runs a command line until its nth change of a name; false if
// it ended well before that.
func (s *sharedWorld) killedAtChange(t *testing.T, strace string, n int, args ...string) bool {
	t.Helper()
	const changes = "?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?mkdir,?mkdirat"
	cmd := s.command(t, args...)
	cmd.Args = append([]string{strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + changes,
		"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", changes, n), cmd.Path}, args...)
	cmd.Path = strace
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	switch code := exitOf(t, cmd.Run()); code {
	case -1:
		return true
	case 0:
		return false
	default:
		t.Fatalf("exit %d\n%s", code, stderr.String())
		return false
	}
}

// deleted is what is left when nobody disturbs a delete.
func deleted(t *testing.T) map[string]string {
	t.Helper()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	s.mustRun(t, setupLine...)
	s.mustRun(t, "delete", "150", "--yes")
	return s.shape(t)
}

// deletes checks that a delete which was killed is finished by the same
// command, if anything is left for it.
func (s *sharedWorld) deletes(t *testing.T, want map[string]string) {
	t.Helper()
	_, err := os.Stat(filepath.Join(s.Home(), ".mpd-virt/150"))
	got := s.run(t, "delete", "150", "--yes")
	if wantCode := map[bool]int{true: 0, false: 1}[err == nil]; got.code != wantCode {
		t.Errorf("the same command again: exit %d, want %d\n%s", got.code, wantCode, got.stderr)
	}
	if diff := cmp.Diff(want, s.shape(t)); diff != "" {
		t.Errorf("not what an undisturbed delete leaves (-want +got):\n%s", diff)
	}
}
