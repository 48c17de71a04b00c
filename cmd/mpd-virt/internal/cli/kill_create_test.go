package cli

import (
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// newUTMWorld is a world with UTM.
func newUTMWorld(t *testing.T) *makerWorld {
	t.Helper()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	u, err := s.AddUTM(mpdvirttest.UTMOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &makerWorld{
		sharedWorld: s, hypervisor: u, tools: []string{"utmctl", "osascript"}, play: u.Emulator().Runner(), pins: 1,
		line: []string{"create", "150", "--backend=utm", "--username=dev"},
	}
}

// created is becomesOne without what it was told at its first boot.
func (s *makerWorld) created(t *testing.T) {
	t.Helper()
	s.becomesOne(t)
	s.seedless(t)
}

// seedless checks that the VM has its disk and no seed.
func (s *makerWorld) seedless(t *testing.T) {
	t.Helper()
	if vm, _ := s.hypervisor.(*mpdvirttest.UTM).Emulator().VM(s.hypervisor.UUID("mpd-150")); len(vm.Drives) != 1 {
		t.Errorf("the VM has the drives %+v", vm.Drives)
	}
}

// F2, F8, F9: the real process is killed by SIGKILL in each step that only a
// create has: when it begins, when its work is done and nobody was told, and
// when it ended. The same command makes one VM of it.
func TestKillCreate(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, step := range createSteps() {
		for _, m := range moments {
			tests[string(m)+" "+step] = func(t *testing.T) {
				s := newUTMWorld(t)
				s.killedAt(t, step, m)
				s.created(t)
			}
		}
	}
	for _, step := range []string{mpdvirt.StepImage, mpdvirt.StepDisk} { // before UTM has anything
		tests["work of "+step+", then delete"] = func(t *testing.T) {
			s := newUTMWorld(t)
			s.killedAt(t, step, atWork)
			s.deleted(t)
		}
	}
	// UTM has done its work, and the process that asked it for that never knows.
	for _, verb := range []string{"make", "start", "request", "detach"} {
		tests["when UTM did "+verb] = func(t *testing.T) {
			s := newUTMWorld(t)
			s.killedIn(t, verb, s.line...)
			s.created(t)
		}
		tests["when UTM did "+verb+", then delete"] = func(t *testing.T) {
			s := newUTMWorld(t)
			s.killedIn(t, verb, s.line...)
			s.deleted(t)
			s.mustRun(t, s.line...)
		}
	}
	// F10: the VM is off, or gone, and the entry is still there.
	for _, verb := range []string{"kill", "delete"} {
		tests["when UTM did "+verb] = func(t *testing.T) {
			s := newUTMWorld(t)
			s.mustRun(t, s.line...)
			s.killedIn(t, verb, "delete", "150", "--yes")
			s.deleted(t)
		}
	}
	overlapping(t, tests)
}

// F4: Ctrl-C in a create says which VM there is, how to go on, and how to be rid
// of it; the command that it names goes on.
func TestF4Create(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){}
	for _, step := range append(createSteps(), "50-build") {
		tests[step] = func(t *testing.T) {
			s := newUTMWorld(t)
			s.mustRun(t, s.interruptedAt(t, step)...)
			s.has(t, "mpd-150")
			s.seedless(t)
			s.tidy(t)
		}
	}
	overlapping(t, tests)
}

// F3, F9: strace kills the create at each change of a name in the file system
// until UTM has made the VM.
func TestKillCreateAtFileChanges(t *testing.T) {
	t.Parallel()
	strace := straceFound(t)
	changes := atFileChanges(t, func(t *testing.T, n int) bool {
		s := newUTMWorld(t)
		if !s.killedAtChange(t, strace, n, s.line...) {
			return true
		}
		made := s.hypervisor.UUID("mpd-150") != ""
		s.created(t)
		return made
	})
	if changes < 5 {
		t.Errorf("after %d changes there is a VM", changes)
	}
}
