//go:build e2e && linux

package e2e

import (
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each test is one thing that goes wrong during an adoption, and how it ends.

// TestForegroundCut: step 30 takes the address away while it still runs, and
// nothing closes the connection.
func TestForegroundCut(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("foreground", "")
	r := l.Want(exitDone, adoption("150", firstIP)...)
	within(t, r, 90*time.Second)
	wantSteps(t, g, allSteps)
}

// TestLateAddress: the new address comes long after step 30 has ended.
func TestLateAddress(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("late", "12")
	l.Want(exitDone, adoption("150", firstIP)...)
	wantSteps(t, g, allSteps)
}

// TestNetworkingFails: a status that was delivered is a failure at once, and
// the next run goes on there.
func TestNetworkingFails(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("fail-once-30", "1")
	r := l.Want(exitFailed, adoption("150", firstIP)...)
	within(t, r, 45*time.Second)
	wantText(t, "stderr", r.Stderr, "30-networking", "next:", "setup 150")
	l.Want(exitDone, "setup", "150")
	wantSteps(t, g, "10 20 30 30 40 50 60 setup")
}

// TestStepFailsOnce: the VM is registered by then, and a second setup goes on
// at the step that failed.
func TestStepFailsOnce(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("fail-once-40", "7")
	r := l.Want(exitFailed, adoption("150", firstIP)...)
	wantText(t, "stderr", r.Stderr, "40-install-software", "7", "log:", "next:", "setup 150")
	if l.listed()[150] == nil {
		t.Error("not registered, although the address is live")
	}
	l.Want(exitDone, "setup", "150")
	wantSteps(t, g, "10 20 30 40 40 50 60 setup")
}

// TestDpkgLocked: another program holds dpkg's lock when step 40 comes. The
// steps' noise must not reach the output as it is.
func TestDpkgLocked(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("dpkg-lock", "12")
	g.SetSwitch("noisy-40", "")
	l.Want(exitDone, append(adoption("150", firstIP), "--verbose")...)
	if steps := g.Steps(); steps[len(steps)-1] != "setup" {
		t.Errorf("steps that ran: %v", steps)
	}
}

// TestNoKey: the VM does not know the Mac's key; nothing is asked without a
// terminal, and the command that helps is named.
func TestNoKey(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{NoKey: true})
	r := l.Want(exitFailed, adoption("150", firstIP)...)
	within(t, r, 30*time.Second)
	wantText(t, "stderr", r.Stderr, "ssh-copy-id", "dev@"+firstIP)
	wantSteps(t, g, "")
	g.Authorize()
	l.Want(exitDone, adoption("150", firstIP)...)
	wantSteps(t, g, allSteps)
}

// TestSudoPassword: sudo asks; the same.
func TestSudoPassword(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{SudoPassword: true})
	r := l.Want(exitFailed, adoption("150", firstIP)...)
	within(t, r, 30*time.Second)
	wantText(t, "stderr", r.Stderr, "ssh -t", "dev@"+firstIP, "10-passwordless-sudo.sh")
	wantSteps(t, g, "")
}

// TestWrongHostname: a machine that is no template of mpd's is refused before
// anything secret goes there.
func TestWrongHostname(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{Hostname: "mpd-151"})
	r := l.Want(exitRefused, adoption("150", firstIP)...)
	wantText(t, "stderr", r.Stderr, "mpd-151")
	wantSteps(t, g, "")
	if got := g.Run("ls /var/lib/mpd 2>&1 || true"); !strings.Contains(got, "No such file") {
		t.Errorf("something was pushed: %s", got)
	}
}

// TestAddressTaken: another machine has the canonical address already.
func TestAddressTaken(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	l.Stranger("10.211.55.150")
	r := l.Want(exitRefused, adoption("150", firstIP)...)
	wantText(t, "stderr", r.Stderr, "10.211.55.150")
	if steps := strings.Join(g.Steps(), " "); strings.Contains(steps, "30") {
		t.Errorf("step 30 ran although its address is taken: %s", steps)
	}
}

// TestNewHostKeys: another VM answers at the address of a known one.
func TestNewHostKeys(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	l.Want(exitDone, adoption("150", firstIP)...)
	g.NewHostKeys()
	for _, verb := range [][]string{{"setup", "150"}, {"update", "150"}, {"diag", "150", "--non-interactive"}} {
		r := l.Want(exitRefused, verb...)
		if n := len(uniqueFingerprints(r.Stdout + r.Stderr)); n < 2 {
			t.Errorf("%v shows %d fingerprints, want both: %v", verb, n, r)
		}
	}
	wantSteps(t, g, allSteps)
	key := strings.Fields(g.Run("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"))[1]
	l.Want(exitDone, "setup", "150", "--accept-host-key="+key)
	l.Diag(exitDone, "150").want(t, "ssh-alias", "ok")
}

func uniqueFingerprints(text string) map[string]bool {
	found := map[string]bool{}
	for _, f := range regexp.MustCompile(`SHA256:[A-Za-z0-9+/]{43}`).FindAllString(text, -1) {
		found[f] = true
	}
	return found
}

// TestDownloadFails: however a script's download fails, nothing of it runs,
// and the next run goes on.
func TestDownloadFails(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	for _, how := range []string{webMissing, webEmpty, webHTML, webCut} {
		l.web.fail("20-git-clone", how)
		r := l.Want(exitFailed, adoption("150", firstIP)...)
		wantText(t, "stderr", r.Stderr, "20-git-clone")
		if got := g.Run("ls -d /opt/mpd 2>&1 || true"); got == "/opt/mpd" {
			t.Errorf("%s: the script ran", how)
		}
	}
	l.web.fail("20-git-clone", "")
	l.Want(exitDone, "setup", "150")
	wantSteps(t, g, allSteps)
}

// TestKilled: the program dies in the middle of a step, which runs on in the
// VM; the next run finishes the work.
func TestKilled(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("slow-40", "3")
	run := l.Begin(g, "40", adoption("150", firstIP)...)
	run.Signal(syscall.SIGKILL)
	if r := run.Wait(); r.Code != 128+int(syscall.SIGKILL) {
		t.Fatalf("killed: %v", r)
	}
	g.ClearSwitch("slow-40")
	l.Want(exitDone, "setup", "150")
	wantSteps(t, g, "10 20 30 40 40 50 60 setup")
	l.wantPrivate()
}

// TestInterrupted: Ctrl-C ends the program within a second, and the lock that
// kept a second run away goes with it.
func TestInterrupted(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("slow-50", "600")
	run := l.Begin(g, "50", adoption("150", firstIP)...)
	busy := l.Want(exitBusy, "setup", "150")
	within(t, busy, 2*time.Second)
	wantText(t, "stderr", busy.Stderr, "setup")
	run.Signal(syscall.SIGINT)
	r := run.Wait()
	if r.Code != exitInterrupt {
		t.Errorf("interrupted: want exit %d: %v", exitInterrupt, r)
	}
	within(t, r, 1500*time.Millisecond)
	g.ClearSwitch("slow-50")
	l.Want(exitDone, "setup", "150")
	wantSteps(t, g, "10 20 30 40 50 50 60 setup")
}

// TestPowerCut: the VM dies in the middle of a step; the loss is noticed, and
// the next run finishes the work.
func TestPowerCut(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("slow-50", "600")
	run := l.Begin(g, "50", adoption("150", firstIP)...)
	g.Kill()
	r := run.Wait()
	if r.Code != exitFailed {
		t.Errorf("VM gone: want exit %d: %v", exitFailed, r)
	}
	within(t, r, 30*time.Second)
	wantText(t, "stderr", r.Stderr, "50-build", "next:", "setup 150")
	g.ClearSwitch("slow-50")
	g.Boot()
	l.Want(exitDone, "setup", "150")
	wantSteps(t, g, "10 20 30 40 50 50 60 setup")
}

// TestLaterBranch: a branch where mpd's option has its later name, and which
// later runs still know.
func TestLaterBranch(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	l.Want(exitDone, append(adoption("150", firstIP), "--mpd-branch=next")...)
	wantSteps(t, g, allSteps)
	if got := g.Run("git -C /opt/mpd branch --show-current"); got != "next" {
		t.Errorf("branch %q", got)
	}
}
