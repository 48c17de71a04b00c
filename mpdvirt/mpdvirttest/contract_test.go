package mpdvirttest_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const inClone = "bash /opt/mpd/bootstrap/"

// The stand-ins keep the contract of the real scripts: each case is a sentence
// of it.
func TestContract(t *testing.T) {
	type world struct {
		*testing.T
		w *mpdvirttest.World
		v *mpdvirttest.VM
		c *ssh.Client
	}
	status := func(w world, want int, command, text string) {
		w.Helper()
		if out, got := run(w.T, w.c, "", command); got != want || !strings.Contains(out, text) {
			w.Errorf("%s: status %d, want %d, output %q, want one with %q", command, got, want, out, text)
		}
	}
	clone := func(w world) { mustRun(w.T, w.c, "", download("20-git-clone.sh")) }
	tests := []struct {
		sentence string
		o        mpdvirttest.VMOptions
		check    func(w world)
	}{
		{"10: other host names are refused", mpdvirttest.VMOptions{Hostname: "printer"}, func(w world) {
			status(w, 1, download("10-passwordless-sudo.sh"), "Error: ")
		}},
		{"10: other systems are refused", mpdvirttest.VMOptions{}, func(w world) {
			if err := w.v.SetOS("debian", "bookworm"); err != nil {
				w.Fatal(err)
			}
			status(w, 1, download("10-passwordless-sudo.sh"), "Error: ")
		}},
		{"10: without sudo it asks for root's password, and an empty input is none", mpdvirttest.VMOptions{}, func(w world) {
			w.v.SetSudo(mpdvirttest.SudoPassword)
			status(w, 1, download("10-passwordless-sudo.sh"), "su: Authentication failure")
		}},
		{"10: says what it did", mpdvirttest.VMOptions{}, func(w world) {
			status(w, 0, download("10-passwordless-sudo.sh"), "\n==> Hostname gate\n    ok: hostname 'mpd-template-trixie' accepted\n\n==> OS gate\n")
		}},
		{"20: needs sudo", mpdvirttest.VMOptions{}, func(w world) {
			w.v.SetSudo(mpdvirttest.SudoPassword)
			status(w, 1, download("20-git-clone.sh"), "Error: ")
		}},
		{"20: makes two folders of the user's, empty below /var/lib/mpd", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			status(w, 0, "stat -c '%U %a' /opt/mpd /var/lib/mpd; ls -A /var/lib/mpd", "dev 755\ndev 755\n")
		}},
		{"20: takes repository and branch from its environment", mpdvirttest.VMOptions{}, func(w world) {
			w.w.SetBranch("feature/x", strings.Repeat("ab", 20))
			status(w, 0, "f=$(mktemp); wget -qO $f "+strings.Replace(rawURL, "/main/", "/feature/x/", 1)+"20-git-clone.sh && MPD_REPO=https://example.org/r.git MPD_BRANCH=feature/x bash $f", "ababab")
			status(w, 0, "cd /opt/mpd; git branch --show-current; git remote get-url origin", "feature/x\nhttps://example.org/r.git\n")
		}},
		{"20: an unknown branch is git's 128", mpdvirttest.VMOptions{}, func(w world) {
			status(w, 128, "f=$(mktemp); wget -qO $f "+rawURL+"20-git-clone.sh; MPD_BRANCH=nope bash $f", "fatal: ")
		}},
		{"20: other files in /opt/mpd make the clone fail", mpdvirttest.VMOptions{}, func(w world) {
			if err := w.v.WriteFile("/opt/mpd/mine", nil, 0o644); err != nil {
				w.Fatal(err)
			}
			status(w, 128, download("20-git-clone.sh"), "not an empty directory")
		}},
		{"40: installs, and a second run finds all there", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			status(w, 1, "dpkg-query -W podman", "no packages found")
			status(w, 0, inClone+"40-install-software.sh", "Setting up podman")
			status(w, 0, inClone+"40-install-software.sh", "already")
		}},
		{"40: a locked dpkg is apt's 100", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			w.v.LockDpkg()
			status(w, 100, inClone+"40-install-software.sh", "E: Could not get lock /var/lib/dpkg/lock-frontend")
			w.v.UnlockDpkg()
			status(w, 0, inClone+"40-install-software.sh", "")
		}},
		{"50: needs the Makefile", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			status(w, 0, "rm /opt/mpd/Makefile", "")
			status(w, 1, inClone+"50-build.sh", "Makefile")
		}},
		{"50: a login shell other than bash does not find mpd", mpdvirttest.VMOptions{Shell: "/bin/dash"}, func(w world) {
			clone(w)
			status(w, 0, inClone+"40-install-software.sh", "")
			status(w, 0, inClone+"50-build.sh", "")
			status(w, 127, "mpd --help", "not found")
			status(w, 0, "/opt/mpd/bin/mpd --help", "--setup")
		}},
		{"60: without a pushed conf it does nothing and ends well", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			status(w, 0, inClone+"60-wireguard.sh", "skipping")
			status(w, 3, "systemctl is-active wg-quick@mpd0", "inactive")
		}},
		{"60: a conf that wg-quick refuses is systemctl's 1", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			status(w, 0, "mkdir -p /var/lib/mpd/conf/wireguard; echo nonsense > /var/lib/mpd/conf/wireguard/mpd0.conf", "")
			status(w, 1, inClone+"60-wireguard.sh", "Job for wg-quick@mpd0.service failed")
		}},
		{"setup: names what is missing", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			status(w, 0, inClone+"40-install-software.sh; "+inClone+"50-build.sh", "")
			w.v.RemovePackage("jq")
			status(w, 1, "mpd --setup", "Bootstrap incomplete — missing: jq")
		}},
		{"setup: needs platform.env; without a pushed CA it makes one; the key must be there", mpdvirttest.VMOptions{}, func(w world) {
			clone(w)
			status(w, 0, inClone+"40-install-software.sh; "+inClone+"50-build.sh", "")
			status(w, 1, "mpd --setup", "platform.env is missing")
			if err := w.v.WriteFile("/var/lib/mpd/conf/platform.env", []byte("MPD_PLATFORM=managed\nMPD_VM_IP=10.211.55.37\n"), 0o644); err != nil {
				w.Fatal(err)
			}
			for _, dir := range []string{"/var/lib/mpd/conf"} {
				if err := w.v.Chown(dir, false); err != nil {
					w.Fatal(err)
				}
			}
			status(w, 0, "mpd --setup", "made a CA")
			status(w, 0, "dig +short @10.163.0.3 vm.service.mpd.test", "10.211.55.37\n")
			status(w, 0, "rm /var/lib/mpd/conf/caroot/rootCA-key.pem", "")
			status(w, 1, "mpd --setup", "rootCA-key.pem is missing")
		}},
		{"setup: later versions call it --vm-setup", mpdvirttest.VMOptions{VMSetup: true}, func(w world) {
			clone(w)
			status(w, 0, inClone+"40-install-software.sh; "+inClone+"50-build.sh", "")
			status(w, 0, "mpd --help | grep -- '  --'", "--vm-setup")
			status(w, 64, "mpd --setup", "Unknown option")
		}},
		{"the scripts run as the user, who cannot write what is root's", mpdvirttest.VMOptions{}, func(w world) {
			status(w, 0, "id -un", "dev\n")
			status(w, 1, "echo x > /etc/hostname", "permission denied")
			status(w, 0, "echo x | sudo -n tee /etc/new && stat -c %U /etc/new", "root\n")
		}},
		{"wget may be missing, and curl there", mpdvirttest.VMOptions{NoWget: true, Curl: true}, func(w world) {
			status(w, 127, "wget -q "+rawURL+"20-git-clone.sh", "command not found")
			status(w, 0, "f=$(mktemp) && curl -fsSL --max-time 120 -o \"$f\" "+rawURL+"20-git-clone.sh && bash \"$f\"", "main at 3f2c9e1")
			status(w, 22, "curl -fsSL "+rawURL+"nope.sh", "404")
		}},
		{"sudo may lecture", mpdvirttest.VMOptions{}, func(w world) {
			w.v.SetSudo(mpdvirttest.SudoLectures)
			status(w, 1, "sudo -n true", "usual lecture")
		}},
		{"a full disk takes nothing", mpdvirttest.VMOptions{}, func(w world) {
			w.v.SetDiskFull(true)
			status(w, 1, "cat /etc/hostname > full", "no space left on device")
		}},
		{"the kernel's word on the machine", mpdvirttest.VMOptions{}, func(w world) {
			w.v.SetArch("riscv64")
			w.v.SetClockSkew(-24 * time.Hour)
			status(w, 0, "uname -s; uname -m; uname -n; hostname -s; cat /etc/machine-id | wc -c; date +%F", "Linux\nriscv64\nmpd-template-trixie\nmpd-template-trixie\n33\n2026-11-20\n")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, mpdvirttest.Options{})
				v := addVM(t, w, tt.o)
				tt.check(world{t, w, v, login(t, w, v.Addr())})
			})
		})
	}
}

// 70 runs 20, 50 and mpd --setup, and ends with the first failure.
func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})
		c := bootstrap(t, w, v)
		w.SetBranch("main", strings.Repeat("9", 40))
		before := len(v.Steps())
		if out := mustRun(t, c, "", inClone+"70-update.sh"); !strings.HasSuffix(out, "ok: Update complete.\n") {
			t.Errorf("ended with %q", out)
		}
		if got, want := v.Steps()[before:], []string{"70-update", "20-git-clone", "50-build", "mpd --setup"}; !slices.Equal(got, want) {
			t.Errorf("ran %q, want %q", got, want)
		}
		if out := mustRun(t, c, "", "git -C /opt/mpd rev-parse --short HEAD"); out != "9999999\n" {
			t.Errorf("at %q", out)
		}
		v.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepBuild, Kind: mpdvirttest.Exit, Status: 2})
		before = len(v.Steps())
		if _, status := run(t, c, "", inClone+"70-update.sh"); status != 2 || len(v.Steps()) != before+3 {
			t.Errorf("status %d, ran %q", status, v.Steps()[before:])
		}
	})
}

// Two machines may want one address: the one that has it keeps it.
func TestTakenAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		mine := addVM(t, w, mpdvirttest.VMOptions{})
		other := addVM(t, w, mpdvirttest.VMOptions{Addr: at150})
		if _, err := w.AddVM(mpdvirttest.VMOptions{Addr: at150}); err == nil {
			t.Error("two VMs came up at one address")
		}
		if err := mine.SetAddr(at150); err == nil {
			t.Error("SetAddr took an address that is taken")
		}
		mustRun(t, login(t, w, at150), "", "true")
		if other.Logins() != 1 || mine.Logins() != 0 {
			t.Errorf("logins: %d, %d", other.Logins(), mine.Logins())
		}
		printer := netip.MustParseAddr("10.211.55.151")
		w.AddHost(printer)
		if _, err := tryLogin(t, w, printer); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("the printer: %v", err)
		}
	})
}

// What a power cut, a reboot and a suspend do to a connection.
func TestPower(t *testing.T) {
	alive := func(c *ssh.Client) bool {
		_, _, err := c.SendRequest("keepalive@openssh.com", true, nil)
		return err == nil
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})

		c := login(t, w, v.Addr())
		v.Suspend()
		answer := make(chan bool, 1)
		go func() { answer <- alive(c) }()
		select {
		case <-answer:
			t.Error("a suspended VM answered")
		case <-time.After(time.Hour):
		}
		v.Resume()
		if !<-answer {
			t.Error("the connection did not live on")
		}

		v.Reboot(time.Minute)
		if alive(c) {
			t.Error("the connection outlived a reboot")
		}
		if _, err := tryLogin(t, w, v.Addr()); err == nil {
			t.Error("logged in to a rebooting VM")
		}
		pass(2 * time.Minute)

		c = login(t, w, v.Addr())
		v.PowerOff()
		go func() { answer <- alive(c) }()
		select {
		case <-answer:
			t.Error("a VM without power answered, or hung up")
		case <-time.After(time.Hour):
		}
		c.Close()
		<-answer
		if err := v.PowerOn(); err != nil {
			t.Fatal(err)
		}
		mustRun(t, login(t, w, v.Addr()), "", "true")
	})
}

func TestHostKeys(t *testing.T) {
	a, b := newWorld(t, mpdvirttest.Options{}), newWorld(t, mpdvirttest.Options{})
	c := newWorld(t, mpdvirttest.Options{Seed: "c"})
	va, vb, vc := addVM(t, a, mpdvirttest.VMOptions{}), addVM(t, b, mpdvirttest.VMOptions{}), addVM(t, c, mpdvirttest.VMOptions{})
	first := va.HostKeyFingerprint()
	if first != vb.HostKeyFingerprint() || first == vc.HostKeyFingerprint() || !bytes.Equal(a.Key().Marshal(), b.Key().Marshal()) {
		t.Error("the keys do not follow the seed")
	}
	if err := va.AddHostKey("ecdsa"); err != nil {
		t.Fatal(err)
	}
	if keys := va.HostKeys(); len(keys) != 2 || keys[1].Type() != "ecdsa-sha2-nistp256" || va.HostKeyFingerprint() != first {
		t.Errorf("%d keys", len(keys))
	}
	if err := va.RotateHostKeys(); err != nil {
		t.Fatal(err)
	}
	if len(va.HostKeys()) != 1 || va.HostKeyFingerprint() == first {
		t.Error("the old key is still there")
	}
}

// A client that is gone takes a command that prints with it, and leaves one
// that does not.
func TestHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})
		c := login(t, w, v.Addr())
		for _, command := range []string{"sleep 60; : > quiet", "sleep 60; echo x; sleep 1; : > loud"} {
			s, err := c.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(command); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		pass(2 * time.Minute)
		if out := mustRun(t, login(t, w, v.Addr()), "", "ls"); out != "quiet\n" {
			t.Errorf("files %q", out)
		}
	})
}
