package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// F4: a signal ends a setup in the middle of a script at once; its exit code
// says which, and the same command goes on.
func TestF4Signals(t *testing.T) {
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		t.Run(sig.String(), func(t *testing.T) {
			s := newSharedWorld(t, mpdvirttest.VMOptions{})
			s.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepInstall, Kind: mpdvirttest.Hang})
			var stderr bytes.Buffer
			cmd := s.command(t, setupLine...)
			cmd.Stderr = &stderr
			begun := make(chan struct{})
			s.vm.OnStep(func(step, phase string) {
				if step == mpdvirttest.StepInstall && phase == "begin" {
					close(begun)
					s.vm.OnStep(nil)
				}
			})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-begun
			cmd.Process.Signal(sig)
			if got := exitOf(t, cmd.Wait()); got != code {
				t.Errorf("exit %d, want %d", got, code)
			}
			contains(t, "stderr", stderr.String(), "mpd-virt: setup mpd-150: 40-install-software: interrupted\n", "  log:  ~/")
			if got := s.run(t, "setup", "150"); got.code != 0 {
				t.Errorf("again: exit %d\n%s", got.code, got.stderr)
			}
		})
	}
}

// F5: a second signal ends what does not want to end.
func TestF5SecondSignal(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	if got := s.run(t, setupLine...); got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	cmd := s.command(t, "show", "150", "--debug")
	cmd.Env = append(cmd.Env, stubbornVariable+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(stderr, "    debug: run ping")
	// Two different ones: the same twice may arrive as one.
	cmd.Process.Signal(syscall.SIGINT)
	cmd.Process.Signal(syscall.SIGTERM)
	io.Copy(io.Discard, stderr)
	if got := exitOf(t, cmd.Wait()); got != 130 && got != 143 {
		t.Errorf("exit %d", got)
	}
}

// F119: nobody reads what the real process writes. It is no reason to die
// without a word, nor in the middle of the work on a VM.
func TestF119ClosedPipe(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()

	var stderr bytes.Buffer
	cmd := s.command(t, "help")
	cmd.Stdout, cmd.Stderr = w, &stderr
	if code := exitOf(t, cmd.Run()); code != 1 {
		t.Errorf("help: exit %d", code)
	}
	contains(t, "stderr", stderr.String(), "mpd-virt: write error: standard output: broken pipe\n")

	var stdout bytes.Buffer
	cmd = s.command(t, setupLine...)
	cmd.Stdout, cmd.Stderr = &stdout, w
	if code := exitOf(t, cmd.Run()); code != 0 || !strings.Contains(stdout.String(), "mpd-150 is set up") {
		t.Errorf("setup without a reader of its progress: exit %d, %s", code, stdout.String())
	}
}

// What --debug shows has no secret in it.
func TestDebugHasNoSecrets(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	got := s.run(t, append([]string{"--debug"}, setupLine...)...)
	if got.code != 0 {
		t.Fatalf("exit %d\n%s", got.code, got.stderr)
	}
	diag := s.run(t, "diag", "150", "--debug")
	contains(t, "debug output", got.stderr+diag.stderr, "    debug: run ping ", "    debug: run ssh ", "debug: ssh: ")
	for name := range s.keys(t) {
		data, err := os.ReadFile(s.Home() + "/.mpd-virt/conf/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(string(data)) {
			if len(line) > 40 && strings.Contains(got.stdout+got.stderr+diag.stdout+diag.stderr, line) {
				t.Errorf("a line of %s is shown", name)
			}
		}
	}
}
