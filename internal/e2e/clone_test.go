//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cloning is the argument list that clones the VM from the template.
func cloning(more ...string) []string {
	return append([]string{"clone", "150", "--backend=parallels", "--template=mpd-template-trixie", "--username=dev",
		"--bootstrap-url=" + bootstrapURL, "--mpd-repo=" + repoURL, "--yes"}, more...)
}

// likeness is what a clone shares with its template until it is replaced.
type likeness struct {
	machineID    string
	keys         []string // host keys, public halves, without comments
	fingerprints string   // of all of them, as ssh-keygen tells them
}

func (g *Guest) likeness() likeness {
	g.lab.t.Helper()
	l := likeness{machineID: g.Run("cat /etc/machine-id"), fingerprints: g.Run("for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done")}
	for line := range strings.Lines(g.Run("cat /etc/ssh/ssh_host_*_key.pub")) {
		l.keys = append(l.keys, strings.Join(strings.Fields(line)[:2], " "))
	}
	return l
}

// TestClone is the life of a clone: made, told apart from its template, set up,
// off, on, destroyed. Its guest boots when Parallels starts the VM.
func TestClone(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{Off: true})
	p := l.Parallels(g)
	// It has its address, and tells it, before its sshd runs.
	g.put("etc/systemd/system/ssh.service.d/late.conf", "[Service]\nExecStartPre=/bin/sleep 4\n", 0o644)
	l.web.fail("10-passwordless-sudo", webMissing) // to see the VM before anything is done to it

	run := l.Launch(cloning("--json")...)
	p.awaitStart()
	template := g.template()
	g.Boot()
	r := run.Wait()
	if r.Code != exitFailed {
		t.Fatalf("clone without step 10: %v", r)
	}
	wantRotated(t, g, template)
	wantClean(t, g)
	checkNewKey(t, l, g, firstIP)
	steps := stepsOf(t, r)
	if want := "clone start address-lease ssh sudo guest rotate address identity 10-passwordless-sudo"; strings.Join(steps, " ") != want {
		t.Errorf("steps: %v, want %s", steps, want)
	}
	rotated := g.likeness()

	l.web.fail("10-passwordless-sudo", "")
	r = l.Want(exitDone, cloning("--json")...)
	wantSteps(t, g, allSteps)
	checkGuest(t, g)
	l.wantPrivate()
	if now := g.likeness(); now.fingerprints != rotated.fingerprints || now.machineID != rotated.machineID {
		t.Errorf("rotated twice: %v, before %v", now, rotated)
	}
	wantPinned(t, l, g, template)
	checkNewKey(t, l, g, "10.211.55.150")
	wantSecrets(t, g)
	if slices.Contains(stepsOf(t, r), "rotate") {
		t.Errorf("steps of the second run: %v", stepsOf(t, r))
	}
	checkPower(t, l, g, p)
}

// template is the likeness of a guest that is off.
func (g *Guest) template() (l likeness) {
	g.lab.t.Helper()
	id, err := os.ReadFile(g.path("etc/machine-id"))
	g.lab.must(err)
	l.machineID = strings.TrimSpace(string(id))
	files, _ := filepath.Glob(g.path("etc/ssh/ssh_host_*_key.pub"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		g.lab.must(err)
		l.keys = append(l.keys, strings.Join(strings.Fields(string(text))[:2], " "))
		l.fingerprints += g.lab.run("ssh-keygen", "-lf", f)
	}
	return l
}

// stepsOf are the steps that a result in JSON names.
func stepsOf(t *testing.T, r Result) []string {
	t.Helper()
	var res struct{ Steps []struct{ ID, Status string } }
	if err := json.Unmarshal([]byte(r.Stdout), &res); err != nil {
		t.Fatalf("--json: %v\n%v", err, r)
	}
	var ids []string
	for _, s := range res.Steps {
		ids = append(ids, s.ID)
	}
	return ids
}

// wantRotated checks on the guest that nothing of its template is left.
func wantRotated(t *testing.T, g *Guest, template likeness) {
	t.Helper()
	now := g.likeness()
	if now.machineID == template.machineID || len(now.machineID) != 32 {
		t.Errorf("machine-id %q, the template's %q", now.machineID, template.machineID)
	}
	before := uniqueFingerprints(template.fingerprints)
	after := uniqueFingerprints(now.fingerprints)
	if len(before) != 3 || len(after) != 3 {
		t.Errorf("host keys: %d, the template's %d, want 3 and 3\n%s", len(after), len(before), now.fingerprints)
	}
	for f := range before {
		if after[f] {
			t.Errorf("host key %s is its template's", f)
		}
	}
	if got := g.Run("sudo ls -A /etc/ssh | grep -v -e '^ssh_host_[a-z0-9]*_key' -e '^moduli$' -e '^sshd\\?_config'" + " || true"); got != "" {
		t.Errorf("left in /etc/ssh: %s", got)
	}
	if got := g.Run("stat -c '%a %U' /etc/ssh/ssh_host_*_key | sort -u; stat -c '%a %U' /etc/machine-id"); got != "600 root\n444 root" {
		t.Errorf("modes of host keys and machine-id: %q", got)
	}
	for _, key := range template.keys {
		if got := g.Run("sudo grep -rlF '" + key + "' /etc /home /root /var/lib/mpd 2>/dev/null || true"); got != "" {
			t.Errorf("the template's key is still in %s", got)
		}
	}
}

// wantClean checks that nothing has been done to the guest, and nothing secret
// is on it.
func wantClean(t *testing.T, g *Guest) {
	t.Helper()
	wantSteps(t, g, "")
	if got := g.Run("ls -d /var/lib/mpd /opt/mpd 2>/dev/null || true"); got != "" {
		t.Errorf("on the VM already: %s", got)
	}
	if got := g.secretFiles(); len(got) > 0 {
		t.Errorf("a private key is on the VM: %v", got)
	}
}

// secretFiles are the guest's files that hold a private key of the Mac's. They
// are looked at from outside, since the guest's sudo logs its arguments.
func (g *Guest) secretFiles() (found []string) {
	secrets := g.lab.secrets()
	for _, dir := range []string{"etc", "home", "root", "tmp", "opt", "var/lib/mpd", "var/log", "var/tmp", "run"} {
		filepath.WalkDir(g.path(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			text, _ := os.ReadFile(path) // one that is gone by now holds nothing
			if slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(string(text), s) }) {
				found = append(found, strings.TrimPrefix(path, g.root))
			}
			return nil
		})
	}
	return found
}

// wantSecrets checks that the guest has the keys that it needs, nowhere else.
func wantSecrets(t *testing.T, g *Guest) {
	t.Helper()
	want := "/etc/wireguard/mpd0.conf /var/lib/mpd/conf/caroot/rootCA-key.pem /var/lib/mpd/conf/wireguard/mpd0.conf"
	if got := strings.Join(g.secretFiles(), " "); got != want {
		t.Errorf("private keys on the VM in %s, want %s", got, want)
	}
	if got := g.Run("find /var/lib/mpd -type f ! -newer /etc/machine-id"); got != "" {
		t.Errorf("on the VM before it was told apart from its template: %s", got)
	}
}

// wantPinned checks that the Mac knows the guest's new host keys, and nothing
// of the template's in any file.
func wantPinned(t *testing.T, l *Lab, g *Guest, template likeness) {
	t.Helper()
	text, err := os.ReadFile(l.state("150/known_hosts"))
	l.must(err)
	var pinned []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "mpd-150" {
			pinned = append(pinned, f[1]+" "+f[2])
		} else if len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			t.Errorf("known_hosts: %q", line)
		}
	}
	want := g.likeness().keys
	slices.Sort(pinned)
	slices.Sort(want)
	if !slices.Equal(pinned, want) {
		t.Errorf("pinned:\n%s\nwant the VM's:\n%s", strings.Join(pinned, "\n"), strings.Join(want, "\n"))
	}
	old := append(slices.Clone(template.keys), template.machineID)
	for f := range maps.Keys(uniqueFingerprints(template.fingerprints)) {
		old = append(old, f)
	}
	filepath.WalkDir(l.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		l.must(err)
		for _, o := range old {
			if strings.HasPrefix(o, "SHA256:") && strings.Contains(path, "/logs/") {
				continue // which says what was found, and when
			}
			if strings.Contains(string(text), o) {
				t.Errorf("%s holds the template's %s", path, o)
			}
		}
		return nil
	})
}

// checkNewKey asks for the guest's host key from outside.
func checkNewKey(t *testing.T, l *Lab, g *Guest, addr string) {
	t.Helper()
	r := l.Mac(t.Context(), "ssh-keyscan", "-T", "5", "-t", "ed25519", addr)
	key := strings.Join(strings.Fields(g.Run("cat /etc/ssh/ssh_host_ed25519_key.pub"))[:2], " ")
	if !strings.Contains(r.Stdout, key) {
		t.Errorf("at %s sshd shows %s%s, want %s", addr, r.Stdout, r.Stderr, key)
	}
}

// checkPower takes the clone through off, on and away.
func checkPower(t *testing.T, l *Lab, g *Guest, p *Parallels) {
	t.Helper()
	state := func(want string) {
		t.Helper()
		if entry := l.listed()[150]; entry["state"] != want || entry["backend"] != "parallels" || entry["ip"] != "10.211.55.150" {
			t.Errorf("list --json: %v, want %s", entry, want)
		}
	}
	state("running")
	l.Want(exitDone, "stop", "150")
	state("suspended")
	l.Want(exitCheck, "diag", "150", "--non-interactive")
	l.Want(exitDone, "start", "150")
	state("running")
	if r := l.Want(exitDone, "ssh", "150", "--", "hostname"); strings.TrimSpace(r.Stdout) != "mpd-150" {
		t.Errorf("mpd-virt ssh 150: %v", r)
	}

	l.Want(exitFailed, "delete", "150") // no terminal, no --yes
	state("running")
	l.Want(exitDone, "delete", "150", "--yes")
	vms, err := p.VMs()
	l.must(err)
	if len(vms) != 1 || vms[0].Name != "mpd-template-trixie" {
		t.Errorf("after delete: Parallels has %v", vms)
	}
	if entry := l.listed()[150]; entry != nil {
		t.Errorf("after delete: still listed: %v", entry)
	}
	if !g.Running() {
		t.Error("after delete: the guest is off")
	}
}

// TestCloneKilled: the program dies while the VM's sshd begins with its new
// keys, and the same command finishes the work.
func TestCloneKilled(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	l.Parallels(g)
	template := g.likeness()
	// sshd is there again, but systemctl says so 3 seconds later.
	g.Run(`sudo mkdir /etc/systemd/system/ssh.service.d && printf '[Service]\nExecStartPost=/bin/sleep 3\n' |
		sudo tee /etc/systemd/system/ssh.service.d/slow.conf && sudo systemctl daemon-reload`)
	sshd := g.Run("systemctl show --property=MainPID --value ssh")

	run := l.Launch(cloning()...)
	l.eventually("sshd with other keys", time.Minute, func() error {
		_, err := g.try("pid=$(systemctl show --property=MainPID --value ssh); test $pid != 0 -a $pid != " + sshd +
			" && test $(systemctl is-active ssh) = activating")
		return err
	})
	run.Signal(syscall.SIGKILL)
	if r := run.Wait(); r.Code != 128+int(syscall.SIGKILL) {
		t.Fatalf("killed: %v", r)
	}
	wantRotated(t, g, template)
	wantClean(t, g)
	first := g.likeness()

	g.Run("sudo rm -r /etc/systemd/system/ssh.service.d && sudo systemctl daemon-reload")
	l.Want(exitDone, cloning()...)
	wantSteps(t, g, allSteps)
	wantRotated(t, g, template)
	wantRotated(t, g, first) // it could not know how far the first run had come
	wantPinned(t, l, g, template)
	l.wantPrivate()
	wantSecrets(t, g)
	if entry := l.listed()[150]; entry["state"] != "running" {
		t.Errorf("list --json: %v", entry)
	}
}

// TestClonePowerCut: the VM dies in the middle of it, when it has its new keys
// and sshd does not know them yet. Its sshd is one that systemd starts when
// somebody calls.
func TestClonePowerCut(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	l.Parallels(g)
	template := g.likeness()
	const slow = "etc/systemd/system/ssh.service.d/slow.conf"
	g.put(slow, "[Service]\nExecStartPre=/bin/sleep 4\n", 0o644)
	g.Run("sudo systemctl daemon-reload && sudo systemctl disable --now ssh.service && sudo systemctl enable --now ssh.socket")

	run := l.Launch(cloning()...)
	l.eventually("another machine-id", time.Minute, func() error {
		if id, err := os.ReadFile(g.path("etc/machine-id")); err != nil || strings.TrimSpace(string(id)) == template.machineID {
			return fmt.Errorf("as before (%v)", err)
		}
		return nil
	})
	g.Kill()
	r := run.Wait()
	if r.Code != exitFailed {
		t.Errorf("VM gone: want exit %d: %v", exitFailed, r)
	}
	within(t, r, 45*time.Second)
	wantText(t, "stderr", r.Stderr, "rotate", "next:")

	l.must(os.Remove(g.path(slow)))
	g.Boot()
	if got := g.Run("systemctl is-enabled ssh.service || true"); got != "disabled" {
		t.Errorf("it believed that it booted for the first time: ssh.service is %s", got)
	}
	wantClean(t, g)
	l.Want(exitDone, cloning()...)
	wantSteps(t, g, allSteps)
	wantRotated(t, g, template)
	wantPinned(t, l, g, template)
	wantSecrets(t, g)
	if got := g.Run("systemctl is-active ssh.socket"); got != "active" {
		t.Errorf("ssh.socket is %s", got)
	}
}
