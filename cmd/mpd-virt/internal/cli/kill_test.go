package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// The real process is killed by SIGKILL in each step of a setup, when the
// step's work is done and when the journal knows that, and at the begin and the
// end of each script in the VM. The same command then brings the Mac and the VM
// to where a setup that nobody disturbed brings them.
func TestKill(t *testing.T) {
	t.Parallel()
	want, vmSteps := undisturbed(t)
	tests := map[string]func(t *testing.T){}
	for _, step := range setupSteps() {
		for _, m := range moments {
			tests[string(m)+" "+step] = func(t *testing.T) {
				s := newSharedWorld(t, mpdvirttest.VMOptions{})
				s.meetsFate(t, &fate{signal: syscall.SIGKILL, moment: m, step: step}, -1, setupLine...)
				if isVMStep(step) && slices.Contains(s.done(t), step) != (m == atEnd) {
					t.Errorf("the journal says that these steps are done: %q", s.done(t))
				}
				s.converges(t, want)
				if m == atEnd {
					s.settled(t)
				}
			}
		}
	}
	for _, step := range vmSteps {
		for _, phase := range []string{"begin", "end"} {
			tests[phase+" of script "+step] = func(t *testing.T) {
				s := newSharedWorld(t, mpdvirttest.VMOptions{})
				s.killAtScript(t, step, phase)
				s.converges(t, want)
			}
		}
	}
	overlapping(t, tests)
}

// undisturbed is what a setup makes that nobody disturbs, and the scripts that
// it runs.
func undisturbed(t *testing.T) (shape map[string]string, scripts []string) {
	t.Helper()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	s.mustRun(t, setupLine...)
	return s.shape(t), s.vm.Steps()
}

// meetsFate runs a command to its fate and returns what it printed on stderr.
func (s *sharedWorld) meetsFate(t *testing.T, f *fate, code int, args ...string) string {
	t.Helper()
	cmd := s.command(t, args...)
	cmd.Env = append(cmd.Env, f.variable())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if got := exitOf(t, cmd.Run()); got != code {
		t.Fatalf("exit %d, want %d\n%s", got, code, stderr.String())
	}
	return stderr.String()
}

// killAtScript kills a setup when a script in the VM begins, so that the script
// comes to nothing, or ends, so that nobody is told.
func (s *sharedWorld) killAtScript(t *testing.T, step, phase string) {
	t.Helper()
	if phase == "begin" {
		s.vm.Inject(mpdvirttest.Fault{Step: step, Kind: mpdvirttest.Hang})
	}
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
// finds, and runs exactly the scripts that the journal did not know as done.
func (s *sharedWorld) converges(t *testing.T, want map[string]string) {
	t.Helper()
	keys, done, ran := s.keys(t), s.done(t), len(s.vm.Steps())
	s.mustRun(t, setupLine...)
	if diff := cmp.Diff(missing(done), s.vm.Steps()[ran:]); diff != "" {
		t.Errorf("not the scripts that were missing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.shape(t)); diff != "" {
		t.Errorf("not what an undisturbed setup makes (-want +got):\n%s", diff)
	}
	after := s.keys(t)
	for name, hash := range keys {
		if after[name] != hash {
			t.Errorf("%s was made anew", name)
		}
	}
}

// settled checks that one more setup has nothing left to do.
func (s *sharedWorld) settled(t *testing.T) {
	t.Helper()
	ran := len(s.vm.Steps())
	if got := s.run(t, "setup", "150"); got.code != 0 || len(s.vm.Steps()) != ran {
		t.Errorf("once more: exit %d, ran %q\n%s", got.code, s.vm.Steps()[ran:], got.stderr)
	}
}

// scriptOf are the steps that run a script in the VM, and how the VM calls it.
var scriptOf = map[string]string{
	"10-passwordless-sudo": mpdvirttest.StepSudo, "20-git-clone": mpdvirttest.StepClone, "30-networking": mpdvirttest.StepNetworking,
	"40-install-software": mpdvirttest.StepInstall, "50-build": mpdvirttest.StepBuild, "60-wireguard": mpdvirttest.StepWireGuard,
	"mpd-setup": mpdvirttest.StepSetup,
}

// isVMStep says whether a step changes the VM, so that the journal keeps it.
func isVMStep(step string) bool { return scriptOf[step] != "" || step == "push" }

// missing are the scripts of the steps that are not done.
func missing(done []string) []string {
	scripts := []string{}
	for _, step := range setupSteps() {
		if name := scriptOf[step]; name != "" && !slices.Contains(done, step) {
			scripts = append(scripts, name)
		}
	}
	return scripts
}

// done are the steps that the journal knows as done.
func (s *sharedWorld) done(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.Home(), ".mpd-virt/150/journal.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var journal struct {
		Done map[string]string
	}
	if err == nil {
		err = json.Unmarshal(data, &journal)
	}
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for step := range journal.Done {
		steps = append(steps, step)
	}
	return steps
}

// keys are the hashes of the keys and certificates on the Mac.
func (s *sharedWorld) keys(t *testing.T) map[string][32]byte {
	t.Helper()
	out := map[string][32]byte{}
	for _, name := range []string{"caroot/rootCA-key.pem", "caroot/rootCA.pem", "wireguard/mac.private", "wireguard/150/private"} {
		data, err := os.ReadFile(filepath.Join(s.Home(), ".mpd-virt/conf", name))
		if err == nil {
			out[name] = sha256.Sum256(data)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return out
}
