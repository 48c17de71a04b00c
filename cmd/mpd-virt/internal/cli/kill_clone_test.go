package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const template = "mpd-template-trixie"

var cloneLine = []string{"clone", "150", "--backend=parallels", "--template=" + template, "--username=dev"}

// prlWorld is a shared world with Parallels and one template.
type prlWorld struct {
	*sharedWorld
	parallels *mpdvirttest.Parallels
	template  *mpdvirttest.VM
}

func newPrlWorld(t *testing.T, o mpdvirttest.ParallelsOptions) *prlWorld {
	t.Helper()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	p, err := s.AddParallels(o)
	if err != nil {
		t.Fatal(err)
	}
	vm, err := p.AddTemplate(template, mpdvirttest.VMOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &prlWorld{s, p, vm}
}

// The real process is killed by SIGKILL in each step that only a clone has:
// when it begins, when its work is done and nobody was told, and when it ended.
// The same command makes one VM of it, with keys of its own.
func TestKillClone(t *testing.T) {
	for _, step := range []string{mpdvirt.StepMake, mpdvirt.StepStart, mpdvirt.StepLease, "rotate"} {
		for _, m := range moments {
			t.Run(string(m)+" "+step, func(t *testing.T) {
				t.Parallel()
				s := newPrlWorld(t, mpdvirttest.ParallelsOptions{})
				s.killed(t, &fate{signal: syscall.SIGKILL, moment: m, step: step})
				s.becomesOne(t)
			})
		}
	}
	// prlctl has done its work, and the process that called it never knows.
	for _, verb := range []string{"clone", "start"} {
		t.Run("in prlctl "+verb, func(t *testing.T) {
			t.Parallel()
			s := newPrlWorld(t, mpdvirttest.ParallelsOptions{})
			s.killedInPrlctl(t, verb)
			s.becomesOne(t)
		})
		t.Run("in prlctl "+verb+", then delete", func(t *testing.T) {
			t.Parallel()
			s := newPrlWorld(t, mpdvirttest.ParallelsOptions{})
			s.killedInPrlctl(t, verb)
			s.mustRun(t, "delete", "150", "--yes")
			if names := s.names(t); !slices.Equal(names, []string{template}) {
				t.Errorf("delete leaves %q", names)
			}
			s.mustRun(t, cloneLine...)
		})
	}
}

// F4: Ctrl-C in a clone says which VM there is, how to go on, and how to be rid
// of it; the command that it names goes on.
func TestF4Clone(t *testing.T) {
	for _, step := range []string{mpdvirt.StepMake, mpdvirt.StepStart, mpdvirt.StepLease, "rotate", "50-build"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			s := newPrlWorld(t, mpdvirttest.ParallelsOptions{})
			cmd := s.command(t, cloneLine...)
			cmd.Env = append(cmd.Env, (&fate{signal: syscall.SIGINT, moment: atBegin, step: step}).variable())
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if code := exitOf(t, cmd.Run()); code != 130 {
				t.Errorf("exit %d, want 130", code)
			}
			contains(t, "stderr", stderr.String(), "mpd-virt: clone mpd-150: "+step+": interrupted\n", "        mpd-virt delete 150 ")
			if uuid := s.parallels.UUID("mpd-150"); uuid != "" {
				contains(t, "stderr", stderr.String(), "(goes on with mpd-150, "+uuid+")")
			}
			_, next, _ := strings.Cut(stderr.String(), "  next: mpd-virt ")
			next, _, ok := strings.Cut(next, "     (goes on")
			if !ok {
				t.Fatalf("it does not say how to go on:\n%s", stderr.String())
			}
			s.mustRun(t, strings.Fields(next)...)
			if names := s.names(t); !slices.Equal(names, []string{"mpd-150", template}) {
				t.Errorf("Parallels has %q", names)
			}
		})
	}
}

// strace kills the clone at each change of a name in the file system until the
// VM has keys of its own; what comes behind that is a setup's, too.
func TestKillCloneAtFileChanges(t *testing.T) {
	t.Parallel()
	strace := straceFound(t)
	for n := 1; ; n++ {
		s := newPrlWorld(t, mpdvirttest.ParallelsOptions{})
		if !s.killedAtChange(t, strace, n, cloneLine...) || len(s.keys(t)) > 0 {
			if n < 5 {
				t.Errorf("after %d changes there are keys", n)
			}
			return
		}
		s.becomesOne(t)
		if t.Failed() {
			t.Fatalf("killed at change %d", n)
		}
	}
}

// killed runs a clone to its fate.
func (s *prlWorld) killed(t *testing.T, f *fate) {
	t.Helper()
	cmd := s.command(t, cloneLine...)
	cmd.Env = append(cmd.Env, f.variable())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if code := exitOf(t, cmd.Run()); code != -1 {
		t.Fatalf("the process was not killed: exit %d\n%s", code, stderr.String())
	}
}

// killedInPrlctl kills a clone when prlctl has done its work.
func (s *prlWorld) killedInPrlctl(t *testing.T, verb string) {
	t.Helper()
	cmd := s.command(t, cloneLine...)
	real := s.parallels.Emulator().Runner()
	started := make(chan struct{})
	s.HandleCommand("prlctl", func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		res, err := real(ctx, c)
		if c.Argv[1] == verb {
			<-started
			cmd.Process.Kill()
		}
		return res, err
	})
	err := cmd.Start()
	close(started)
	if err == nil {
		err = cmd.Wait()
	}
	if code := exitOf(t, err); code != -1 {
		t.Fatalf("the process was not killed: exit %d", code)
	}
	s.HandleCommand("prlctl", real)
}

// becomesOne checks that the same command makes one VM mpd-150 of what there
// is, that only its own keys are pinned, and that nothing is left to do.
func (s *prlWorld) becomesOne(t *testing.T) {
	t.Helper()
	got := s.mustRun(t, cloneLine...)
	if names := s.names(t); !slices.Equal(names, []string{"mpd-150", template}) {
		t.Fatalf("Parallels has %q", names)
	}
	vm := s.parallels.VM("mpd-150")
	s.Tunnel(vm)
	pins, err := os.ReadFile(filepath.Join(s.Home(), ".mpd-virt/150/known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(pins), "mpd-150 "); n != 3 {
		t.Errorf("%d keys are pinned, want 3:\n%s", n, pins)
	}
	if vm.HostKeyFingerprint() == s.template.HostKeyFingerprint() {
		t.Error("the VM has its template's host key")
	}
	var shown mpdvirt.ShowResult
	if err := json.Unmarshal([]byte(s.mustRun(t, "show", "150", "--json").stdout), &shown); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(shown.HostKeys, vm.HostKeyFingerprint()) || slices.Contains(shown.HostKeys, s.template.HostKeyFingerprint()) {
		t.Errorf("pinned are %q, the VM has %s, its template %s", shown.HostKeys, vm.HostKeyFingerprint(), s.template.HostKeyFingerprint())
	}
	if shown.UUID != s.parallels.UUID("mpd-150") || shown.State != hypervisor.Running {
		t.Errorf("registered is %s, %s; the VM is %s\n%s", shown.UUID, shown.State, s.parallels.UUID("mpd-150"), got.stderr)
	}
	ran := len(vm.Steps())
	s.mustRun(t, "setup", "150")
	if again := vm.Steps()[ran:]; len(again) > 0 {
		t.Errorf("once more it runs %q", again)
	}
}

// names are the VMs and templates of Parallels.
func (s *prlWorld) names(t *testing.T) []string {
	t.Helper()
	machines, err := s.parallels.Machines()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range machines {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names
}
