package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// makerWorld is a shared world with a hypervisor that makes mpd-150.
type makerWorld struct {
	*sharedWorld
	hypervisor interface {
		VM(id string) *mpdvirttest.VM
		UUID(name string) string
		Machines() ([]hypervisor.Machine, error)
	}
	line   []string // the command that makes the VM
	tools  []string // the hypervisor's programs, which play plays
	play   hypervisor.Runner
	others []string // the VMs and templates that are there, sorted
	pins   int      // how many host keys the new VM has
}

// overlapping runs subtests of which each waits most of the time: more of them
// at once than there are processors, which is what t.Parallel would do.
func overlapping(t *testing.T, tests map[string]func(t *testing.T)) {
	t.Helper()
	names := make(chan string)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for name := range names {
				t.Run(name, tests[name])
			}
		})
	}
	for name := range tests {
		names <- name
	}
	close(names)
	wg.Wait()
}

// atFileChanges does something at the first change of a name in the file system,
// at the second, and so on, until it says that it was too late. It returns how
// many changes there were.
func atFileChanges(t *testing.T, kill func(t *testing.T, n int) (late bool)) int {
	t.Helper()
	var next, last atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for last.Load() == 0 && !t.Failed() {
				n := next.Add(1)
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					if kill(t, int(n)) {
						last.CompareAndSwap(0, n)
					}
				})
			}
		})
	}
	wg.Wait()
	return int(last.Load())
}

// killedAt runs the command to its end in a step.
func (s *makerWorld) killedAt(t *testing.T, step string, m moment) {
	t.Helper()
	s.meetsFate(t, &fate{signal: syscall.SIGKILL, moment: m, step: step}, -1, s.line...)
}

// killedIn kills a command when a tool has done the work of a verb.
func (s *makerWorld) killedIn(t *testing.T, verb string, args ...string) {
	t.Helper()
	cmd := s.command(t, args...)
	started := make(chan struct{})
	s.handleTools(func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		res, err := s.play(ctx, c)
		if toolVerb(c.Argv) == verb {
			<-started
			cmd.Process.Kill()
		}
		return res, err
	})
	defer s.handleTools(s.play)
	err := cmd.Start()
	close(started)
	if err == nil {
		err = cmd.Wait()
	}
	if code := exitOf(t, err); code != -1 {
		t.Fatalf("the process was not killed: exit %d", code)
	}
}

func (s *makerWorld) handleTools(play hypervisor.Runner) {
	for _, name := range s.tools {
		s.HandleCommand(name, play)
	}
}

// interruptedAt sends the command SIGINT where a step begins, and checks that it
// says which VM there is, how to go on, and how to be rid of it. It returns the
// command that goes on.
func (s *makerWorld) interruptedAt(t *testing.T, step string) []string {
	t.Helper()
	stderr := s.meetsFate(t, &fate{signal: syscall.SIGINT, moment: atBegin, step: step}, 130, s.line...)
	contains(t, "stderr", stderr, "mpd-virt: "+s.line[0]+" mpd-150: "+step+": interrupted\n", "        mpd-virt delete 150 ")
	if uuid := s.hypervisor.UUID("mpd-150"); uuid != "" {
		contains(t, "stderr", stderr, "(goes on with mpd-150, "+uuid+")")
	}
	_, next, _ := strings.Cut(stderr, "  next: mpd-virt ")
	next, _, ok := strings.Cut(next, "     (goes on")
	if !ok {
		t.Fatalf("it does not say how to go on:\n%s", stderr)
	}
	return strings.Fields(next)
}

// becomesOne checks that the same command makes one VM mpd-150 of what there
// is, that only its own keys are pinned, and that nothing is left to do.
func (s *makerWorld) becomesOne(t *testing.T) *mpdvirttest.VM {
	t.Helper()
	s.mustRun(t, s.line...)
	s.has(t, "mpd-150")
	vm := s.hypervisor.VM("mpd-150")
	s.Tunnel(vm)
	pins, err := os.ReadFile(filepath.Join(s.Home(), ".mpd-virt/150/known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(pins, []byte("mpd-150 ")); n != s.pins {
		t.Errorf("%d keys are pinned, want %d:\n%s", n, s.pins, pins)
	}
	m, err := mpdvirt.New(s.Config()) // in this process: cheaper than one more
	if err != nil {
		t.Fatal(err)
	}
	shown, err := m.Show(t.Context(), mpdvirt.ShowRequest{Octet: 150})
	if err != nil {
		t.Fatal(err)
	}
	if len(shown.HostKeys) != s.pins || !slices.Contains(shown.HostKeys, vm.HostKeyFingerprint()) {
		t.Errorf("pinned are %q, the VM has %s", shown.HostKeys, vm.HostKeyFingerprint())
	}
	if uuid := s.hypervisor.UUID("mpd-150"); shown.UUID != uuid || shown.State != hypervisor.Running {
		t.Errorf("registered is %s, %s; the VM is %s", shown.UUID, shown.State, uuid)
	}
	ran := len(vm.Steps())
	if _, err := m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: 150}); err != nil || len(vm.Steps()) != ran {
		t.Errorf("once more: error %v; it runs %q", err, vm.Steps()[ran:])
	}
	s.tidy(t)
	return vm
}

// has checks which VMs there are besides those of others.
func (s *makerWorld) has(t *testing.T, names ...string) {
	t.Helper()
	machines, err := s.hypervisor.Machines()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range machines {
		got = append(got, m.Name)
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(append(names, s.others...))); !slices.Equal(got, want) {
		t.Fatalf("there are %q, want %q", got, want)
	}
}

// tidy checks that no run has left what belongs to no VM (O5).
func (s *makerWorld) tidy(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(s.Home(), func(path string, d os.DirEntry, err error) error {
		name := filepath.Base(path)
		if strings.HasSuffix(name, ".tmp") || strings.Contains(name, ".partial") || strings.HasPrefix(name, ".extract-") || name == "making" {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// deleted checks that delete takes away what there is, and that the number is
// free again.
func (s *makerWorld) deleted(t *testing.T) {
	t.Helper()
	s.mustRun(t, "delete", "150", "--yes")
	s.has(t)
	s.tidy(t)
	if _, err := os.Lstat(filepath.Join(s.Home(), ".mpd-virt/150")); err == nil {
		t.Error("the folder of the VM is left")
	}
}
