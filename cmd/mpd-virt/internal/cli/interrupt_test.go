package cli

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// F4: SIGINT and SIGTERM at each step of a setup, in the middle of the script
// where the step has one. Each ends the command soon, with its own exit code
// and a word, and the same command goes on from there.
func TestF4EachStep(t *testing.T) {
	t.Parallel()
	want, _ := undisturbed(t)
	tests := map[string]func(t *testing.T){}
	for _, step := range setupSteps() {
		tests[step] = func(t *testing.T) {
			s := newSharedWorld(t, mpdvirttest.VMOptions{})
			s.interrupts(t, step, syscall.SIGINT, 130)
			s.interrupts(t, step, syscall.SIGTERM, 143)
			s.converges(t, want)
		}
	}
	overlapping(t, tests)
}

// soon is within a second as a person counts, on a machine that is busy.
const soon = 10 * time.Second

// interrupts runs a setup until a step and sends it a signal there.
func (s *sharedWorld) interrupts(t *testing.T, step string, signal syscall.Signal, code int) {
	t.Helper()
	if scriptOf[step] == "" {
		s.meetsFate(t, &fate{signal: signal, step: step, moment: atBegin}, code, setupLine...)
		return
	}
	s.vm.Inject(mpdvirttest.Fault{Step: scriptOf[step], Kind: mpdvirttest.Hang})
	hangs := make(chan struct{})
	s.vm.OnStep(func(at, phase string) {
		if at == scriptOf[step] && phase == "begin" {
			s.vm.OnStep(nil)
			close(hangs)
		}
	})
	cmd := s.command(t, setupLine...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-hangs
	sent := time.Now()
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	if got := exitOf(t, cmd.Wait()); got != code {
		t.Errorf("exit %d, want %d", got, code)
	}
	if took := time.Since(sent); took > soon {
		t.Errorf("it took %v to end", took)
	}
	contains(t, "stderr", stderr.String(), "mpd-virt: setup mpd-150: "+step+": interrupted\n")
}
