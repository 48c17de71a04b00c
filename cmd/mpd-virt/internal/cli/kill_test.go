package cli

import (
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// The real process is killed by SIGKILL after each step of a setup, and at the
// begin and end of each script in the VM. The same command then brings the Mac
// and the VM to where a setup that nobody disturbed brings them.
func TestKill(t *testing.T) {
	clean := newSharedWorld(t, mpdvirttest.VMOptions{})
	if got := clean.run(t, setupLine...); got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	want := clean.shape(t)

	for _, step := range append(mpdvirt.StepIDs(), "diag") {
		t.Run("after "+step, func(t *testing.T) {
			s := newSharedWorld(t, mpdvirttest.VMOptions{})
			s.killAfterLine(t, "  ok   "+step)
			s.converges(t, want)
		})
	}
	for _, step := range clean.vm.Steps() {
		for _, phase := range []string{"begin", "end"} {
			t.Run(phase+" of "+step, func(t *testing.T) {
				s := newSharedWorld(t, mpdvirttest.VMOptions{})
				s.killAtScript(t, step, phase)
				s.converges(t, want)
			})
		}
	}
}

// killAfterLine kills a setup that has printed a line.
func (s *sharedWorld) killAfterLine(t *testing.T, begin string) {
	t.Helper()
	cmd := s.command(t, setupLine...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(stderr, begin)
	cmd.Process.Kill()
	io.Copy(io.Discard, stderr)
	cmd.Wait()
}

// killAtScript kills a setup when a script in the VM begins or ends.
func (s *sharedWorld) killAtScript(t *testing.T, step, phase string) {
	t.Helper()
	cmd := s.command(t, setupLine...)
	started, dead := make(chan *exec.Cmd, 1), make(chan struct{})
	s.vm.OnStep(func(at, when string) {
		if at == step && when == phase {
			(<-started).Process.Kill()
			<-dead
			s.vm.OnStep(nil)
		}
	})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started <- cmd
	if code := exitOf(t, cmd.Wait()); code != -1 {
		t.Errorf("the process was not killed: exit %d", code)
	}
	close(dead)
}

// converges checks that the same command ends well, keeps the keys that it
// finds, and that a further one has nothing left to do.
func (s *sharedWorld) converges(t *testing.T, want []string) {
	t.Helper()
	before := s.keys(t)
	if got := s.run(t, setupLine...); got.code != 0 {
		t.Fatalf("the same command again: exit %d\n%s%s", got.code, got.stderr, got.stdout)
	}
	if diff := cmp.Diff(want, s.shape(t)); diff != "" {
		t.Errorf("not what an undisturbed setup makes (-want +got):\n%s", diff)
	}
	after := s.keys(t)
	for name, hash := range before {
		if after[name] != hash {
			t.Errorf("%s was made anew", name)
		}
	}
	ran := len(s.vm.Steps())
	if got := s.run(t, "setup", "150"); got.code != 0 || len(s.vm.Steps()) != ran {
		t.Errorf("once more: exit %d, ran %q\n%s", got.code, s.vm.Steps()[ran:], got.stderr)
	}
}

// keys are the hashes of the private keys on the Mac.
func (s *sharedWorld) keys(t *testing.T) map[string][32]byte {
	t.Helper()
	out := map[string][32]byte{}
	for _, name := range []string{"caroot/rootCA-key.pem", "caroot/rootCA.pem", "wireguard/mac.private", "wireguard/150/private"} {
		data, err := os.ReadFile(filepath.Join(s.Home(), ".mpd-virt/conf", name))
		if err == nil {
			out[name] = sha256.Sum256(data)
		} else if !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return out
}
