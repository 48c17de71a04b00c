//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestAdopt is the life of one VM: adopted, diagnosed, updated, off, deleted.
func TestAdopt(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	if r := l.Want(exitDone, "list", "--json"); strings.TrimSpace(r.Stdout) != "[]" {
		t.Errorf("list --json of nothing: %q, want []", r.Stdout)
	}
	sshBefore := l.Mac(t.Context(), "ssh", "-F", l.Home+"/.ssh/config", "-G", "web.example.test").Stdout

	checkPlan(t, l, g)
	l.Want(exitDone, adoption("150", firstIP)...)
	wantSteps(t, g, allSteps)
	l.wantPrivate()
	checkGuest(t, g)
	entry := l.listed()[150]
	for key, want := range map[string]any{"name": "mpd-150", "backend": "general", "ip": "10.211.55.150", "user": "dev"} {
		if entry[key] != want {
			t.Errorf("list --json: %s is %v, want %v", key, entry[key], want)
		}
	}
	checkSSH(t, l, sshBefore)

	// Without a tunnel the mandatory phase holds; with it all but the CA's
	// trust, which only a Mac has.
	rep := l.Diag(exitDone, "150")
	for _, id := range []string{"registry", "ping", "platform", "ssh-alias"} {
		rep.want(t, id, "ok")
	}
	rep.want(t, "dns-identity", "fail")
	l.TunnelUp(l.clientConf("150"))
	rep = l.Diag(exitDone, "150")
	rep.want(t, "dns-identity", "ok")
	rep.want(t, "resolver", "ok")

	checkHealthySetup(t, l, g)
	l.Want(exitDone, "update", "150")
	wantSteps(t, g, allSteps+" 70 20 50 setup")
	checkWrongRecord(t, l, g)
	checkDrift(t, l, g)
	checkOff(t, l, g)
	checkDelete(t, l, g)
}

// checkPlan makes the plan of the adoption, which logs in to the VM and changes
// neither it nor the Mac.
func checkPlan(t *testing.T, l *Lab, g *Guest) {
	t.Helper()
	r := l.Want(exitDone, append(adoption("150", firstIP), "--dry-run")...)
	for _, want := range []string{"/opt/mpd/bootstrap/30-networking.sh", "write ~/.mpd-virt/150/known_hosts", "+MPD_VM_IP=10.211.55.150"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("the plan does not have %q:\n%s", want, r.Stdout)
		}
	}
	wantSteps(t, g, "")
	if _, err := os.Lstat(l.Home + "/.mpd-virt"); err == nil {
		t.Error("the plan made ~/.mpd-virt")
	}
	if got := g.Run("ls -d /opt/mpd /tmp/mpd-virt.* 2>/dev/null; true"); got != "" {
		t.Errorf("the plan left %s in the VM", got)
	}
}

// checkGuest checks what setup left in the VM.
func checkGuest(t *testing.T, g *Guest) {
	t.Helper()
	for _, test := range []struct{ command, want string }{
		{"hostname", "mpd-150"},
		{"sed -n 's/^MPD_VM_I[DP]=//p' /var/lib/mpd/conf/platform.env | sort", "10.211.55.150\n150"},
		{"stat -c %a:%U /var/lib/mpd/conf/caroot/rootCA-key.pem", "600:dev"},
		{"stat -c %a:%U /var/lib/mpd/conf/wireguard/mpd0.conf", "600:dev"},
		{"stat -c %a /var/lib/mpd/conf/caroot/rootCA.pem", "644"},
		{"openssl x509 -noout -issuer -in /var/lib/mpd/conf/certs/portal.pem", "issuer=CN=mpd Root CA"},
		{"find /var/lib/mpd/conf/caroot /var/lib/mpd/conf/wireguard -type f | wc -l", "3"},
		{"systemctl is-active wg-quick@mpd0", "active"},
	} {
		if got := g.Run(test.command); got != test.want {
			t.Errorf("in the guest: %s: %q, want %q", test.command, got, test.want)
		}
	}
}

// checkSSH checks the aliases with the real ssh, and that they changed nothing
// for other hosts.
func checkSSH(t *testing.T, l *Lab, before string) {
	t.Helper()
	config := l.Home + "/.ssh/config"
	r := l.Mac(t.Context(), "ssh", "-F", config, "-o", "BatchMode=yes", "mpd-150", "hostname")
	if strings.TrimSpace(r.Stdout) != "mpd-150" {
		t.Errorf("ssh mpd-150: %v", r)
	}
	if r := l.Want(exitDone, "ssh", "150", "--", "hostname"); strings.TrimSpace(r.Stdout) != "mpd-150" {
		t.Errorf("mpd-virt ssh 150: %v", r)
	}
	if after := l.Mac(t.Context(), "ssh", "-F", config, "-G", "web.example.test").Stdout; after != before {
		t.Errorf("ssh -G of another host changed:\n%s\nbefore:\n%s", after, before)
	}
	text, err := os.ReadFile(config)
	l.must(err)
	if !strings.HasSuffix(string(text), l.sshConfig()) {
		t.Errorf("~/.ssh/config does not end with the user's own text: %q", text)
	}
}

// checkHealthySetup: a setup of a healthy VM runs no step and is quick.
func checkHealthySetup(t *testing.T, l *Lab, g *Guest) {
	t.Helper()
	r := l.Want(exitDone, "setup", "150")
	within(t, r, 15*time.Second)
	wantSteps(t, g, allSteps)
}

// checkWrongRecord: the name server that answers is another VM's.
func checkWrongRecord(t *testing.T, l *Lab, g *Guest) {
	t.Helper()
	g.SetSwitch("dns-record", "10.211.55.151")
	restartDNS(l, g)
	rep := l.Diag(exitDone, "150")
	rep.want(t, "dns-identity", "fail")
	wantText(t, "diag", rep.text, "10.211.55.151")
	g.ClearSwitch("dns-record")
	restartDNS(l, g)
	l.Diag(exitDone, "150").want(t, "dns-identity", "ok")
}

func restartDNS(l *Lab, g *Guest) {
	l.t.Helper()
	g.Run("sudo systemctl restart mpd-dns")
	awaitDNS(l, g)
}

// awaitDNS waits until the guest's name server answers the guest itself.
func awaitDNS(l *Lab, g *Guest) {
	l.t.Helper()
	l.eventually("the name server", 20*time.Second, func() error {
		_, err := g.try("dig +short +time=1 +tries=1 @10.163.0.3 mpd.test | grep -q 10.163.0.4")
		return err
	})
}

// checkDrift: the VM says of itself that it is another.
func checkDrift(t *testing.T, l *Lab, g *Guest) {
	t.Helper()
	const file = "/var/lib/mpd/conf/platform.env"
	g.Run("cp " + file + " /tmp/platform.env && sed -i s/^MPD_VM_ID=.*/MPD_VM_ID=151/ " + file)
	rep := l.Diag(exitCheck, "150")
	rep.want(t, "platform", "fail")
	wantText(t, "diag", rep.text, "151")
	g.Run("cp /tmp/platform.env " + file)
	l.Diag(exitDone, "150").want(t, "platform", "ok")
}

// checkOff: a VM that is off is told quickly, and comes back by itself.
func checkOff(t *testing.T, l *Lab, g *Guest) {
	t.Helper()
	l.TunnelDown()
	g.Kill()
	r := l.Want(exitCheck, "diag", "150", "--non-interactive")
	within(t, r, 6*time.Second)
	wantText(t, "diag of a VM that is off", r.Stdout, "ping")
	g.Boot()
	l.TunnelUp(l.clientConf("150"))
	awaitDNS(l, g)
	// A VM that has just booted may need WireGuard's next try (5 s) for its
	// handshake, while diag asks for 2 s.
	l.eventually("the tunnel", 20*time.Second, func() error {
		if got := l.Diag(exitDone, "150").status("dns-identity"); got != "ok" {
			return fmt.Errorf("dns-identity is %q", got)
		}
		return nil
	})
}

// checkDelete: the entry goes, the identity stays, the SSH configuration is
// again what it was, and the VM, which no hypervisor of ours owns, runs on.
func checkDelete(t *testing.T, l *Lab, g *Guest) {
	t.Helper()
	l.Want(exitFailed, "delete", "150") // no terminal, no --yes
	if l.listed()[150] == nil {
		t.Fatal("delete without --yes removed the entry")
	}
	key, err := os.ReadFile(l.state("conf/caroot/rootCA-key.pem"))
	l.must(err)
	l.Want(exitDone, "delete", "150", "--yes")
	if entry := l.listed()[150]; entry != nil {
		t.Errorf("after delete: still listed: %v", entry)
	}
	if _, err := os.Stat(l.state("150")); !os.IsNotExist(err) {
		t.Errorf("after delete: ~/.mpd-virt/150: %v", err)
	}
	if after, err := os.ReadFile(l.state("conf/caroot/rootCA-key.pem")); err != nil || string(after) != string(key) {
		t.Errorf("after delete: the CA's key changed or is gone: %v", err)
	}
	text, err := os.ReadFile(l.Home + "/.ssh/config")
	l.must(err)
	if string(text) != l.sshConfig() {
		t.Errorf("after delete: ~/.ssh/config is %q, want %q", text, l.sshConfig())
	}
	if !g.Running() {
		t.Error("after delete: the VM is off")
	}
	l.Want(exitCheck, "diag", "150", "--non-interactive")
}

// TestWrongVM: two VMs, and the tunnel of the other one is up.
func TestWrongVM(t *testing.T) {
	l := newToolLab(t)
	l.Guest(GuestOptions{})
	l.Guest(GuestOptions{Addr: secondIP})
	l.Want(exitDone, adoption("150", firstIP)...)
	l.Want(exitDone, adoption("151", secondIP)...)

	l.TunnelUp(l.clientConf("151"))
	rep := l.Diag(exitDone, "150")
	rep.want(t, "dns-identity", "fail")
	wantText(t, "diag", rep.text, "mpd-151")
	l.Diag(exitDone, "151").want(t, "dns-identity", "ok")
	l.TunnelDown()
	l.TunnelUp(l.clientConf("150"))
	l.Diag(exitDone, "150").want(t, "dns-identity", "ok")
	l.TunnelDown()

	l.Want(exitDone, "delete", "150", "--yes")
	if r := l.Mac(t.Context(), "ssh", "-F", l.Home+"/.ssh/config", "-o", "BatchMode=yes", "mpd-151", "hostname"); strings.TrimSpace(r.Stdout) != "mpd-151" {
		t.Errorf("ssh mpd-151 after delete of 150: %v", r)
	}
}
