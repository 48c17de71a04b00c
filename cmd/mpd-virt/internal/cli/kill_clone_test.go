package cli

import (
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const template = "mpd-template-trixie"

// newPrlWorld is a world with Parallels and one template.
func newPrlWorld(t *testing.T) *makerWorld {
	t.Helper()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	p, err := s.AddParallels(mpdvirttest.ParallelsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.AddTemplate(template, mpdvirttest.VMOptions{}); err != nil {
		t.Fatal(err)
	}
	return &makerWorld{
		sharedWorld: s, hypervisor: p, tools: []string{"prlctl"}, play: p.Emulator().Runner(), others: []string{template}, pins: 3,
		line: []string{"clone", "150", "--backend=parallels", "--template=" + template, "--username=dev"},
	}
}

// cloned is becomesOne with keys of its own.
func (s *makerWorld) cloned(t *testing.T) {
	t.Helper()
	if vm := s.becomesOne(t); vm.HostKeyFingerprint() == s.hypervisor.VM(template).HostKeyFingerprint() {
		t.Error("the VM has its template's host key")
	}
}

// The real process is killed by SIGKILL in each step that only a clone has:
// when it begins, when its work is done and nobody was told, and when it ended.
// The same command makes one VM of it, with keys of its own.
func TestKillClone(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, step := range []string{mpdvirt.StepMake, mpdvirt.StepStart, mpdvirt.StepLease, "rotate"} {
		for _, m := range moments {
			tests[string(m)+" "+step] = func(t *testing.T) {
				s := newPrlWorld(t)
				s.killedAt(t, step, m)
				s.cloned(t)
			}
		}
	}
	// prlctl has done its work, and the process that called it never knows.
	for _, verb := range []string{"clone", "start"} {
		tests["in prlctl "+verb] = func(t *testing.T) {
			s := newPrlWorld(t)
			s.killedIn(t, verb, s.line...)
			s.cloned(t)
		}
		tests["in prlctl "+verb+", then delete"] = func(t *testing.T) {
			s := newPrlWorld(t)
			s.killedIn(t, verb, s.line...)
			s.deleted(t)
			s.mustRun(t, s.line...)
		}
	}
	overlapping(t, tests)
}

// F4: Ctrl-C in a clone says which VM there is, how to go on, and how to be rid
// of it; the command that it names goes on.
func TestF4Clone(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, step := range []string{mpdvirt.StepMake, mpdvirt.StepStart, mpdvirt.StepLease, "rotate", "50-build"} {
		tests[step] = func(t *testing.T) {
			s := newPrlWorld(t)
			s.mustRun(t, s.interruptedAt(t, step)...)
			s.has(t, "mpd-150")
		}
	}
	overlapping(t, tests)
}

// strace kills the clone at each change of a name in the file system until the
// VM has keys of its own; what comes behind that is a setup's, too.
func TestKillCloneAtFileChanges(t *testing.T) {
	t.Parallel()
	strace := straceFound(t)
	changes := atFileChanges(t, func(t *testing.T, n int) bool {
		s := newPrlWorld(t)
		if !s.killedAtChange(t, strace, n, s.line...) || len(s.keys(t)) > 0 {
			return true
		}
		s.cloned(t)
		return false
	})
	if changes < 5 {
		t.Errorf("after %d changes there are keys", changes)
	}
}
