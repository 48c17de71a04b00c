package mpdvirt_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// scripts are the steps that run a script in the VM, by its name there, in
// their order.
var scripts = []struct{ step, script string }{
	{"10-passwordless-sudo", mpdvirttest.StepSudo},
	{"20-git-clone", mpdvirttest.StepClone},
	{"30-networking", mpdvirttest.StepNetworking},
	{"40-install-software", mpdvirttest.StepInstall},
	{"50-build", mpdvirttest.StepBuild},
	{"60-wireguard", mpdvirttest.StepWireGuard},
	{"mpd-setup", mpdvirttest.StepSetup},
}

// scriptsFrom are the scripts of a step and of those behind it.
func scriptsFrom(step string) []string {
	ids := mpdvirt.StepIDs()
	var names []string
	for _, s := range scripts {
		if slices.Index(ids, s.step) >= slices.Index(ids, step) {
			names = append(names, s.script)
		}
	}
	return names
}

func TestSetup(t *testing.T) {
	bubble(t, "first time", func(t *testing.T) {
		// Not a whole second: the new address is knocked at once a second, and a
		// login that is under way when step 30 ends is broken off.
		l := newLab(t, options{world: mpdvirttest.Options{Clock: time.Now, Delay: 1500 * time.Millisecond}})
		l.world.Tunnel(l.vm)
		res := l.setup(adoption)

		if want := (mpdvirt.VM{Octet: octet, Name: "mpd-150", Backend: "general", Addr: canonical, User: "dev"}); res.VM != want || res.Schema != mpdvirt.SetupSchema {
			t.Errorf("schema %s, VM %+v", res.Schema, res.VM)
		}
		if d := cmp.Diff(append(mpdvirt.StepIDs(), "diag"), stepsOf(res)); d != "" {
			t.Errorf("steps -want +got:\n%s", d)
		}
		if d := cmp.Diff(scriptsFrom("ssh"), l.vm.Steps()); d != "" {
			t.Errorf("scripts -want +got:\n%s", d)
		}
		if c, h := l.vm.Connections(), l.vm.Handshakes(); c != 2 || h != 2 {
			t.Errorf("%d connections with %d handshakes, want one at each address", c, h)
		}
		for _, c := range res.Report.Checks {
			if want := map[string]mpdvirt.Status{"ca-trust": warn}[c.ID]; c.Status != ok && c.Status != want { // trust is the person's to give
				t.Errorf("%s: %s %s", c.ID, c.Status, c.Summary)
			}
		}
		sameAsEvents(t, res, l.seen())
		wantFiles(l)
		wantPushed(l)
		wantLog(l, res)
	})
}

func stepsOf(res *mpdvirt.SetupResult) (ids []string) {
	for _, s := range res.Steps {
		ids = append(ids, s.ID)
	}
	return ids
}

// sameAsEvents wants the events to tell what the result says, in its order.
func sameAsEvents(t *testing.T, res *mpdvirt.SetupResult, events []mpdvirt.Event) {
	t.Helper()
	if first := events[0]; first.Kind != mpdvirt.VerbStarted || first.Text != "mpd-150 on general, dev@10.211.55.37" || first.Octet != octet {
		t.Errorf("the first event is %+v", first)
	}
	var ended []mpdvirt.StepResult
	running := ""
	for _, e := range events {
		if e.Step != "" && !slices.Contains(stepsOf(res), e.Step) {
			continue // a check of the diag at the end
		}
		switch e.Kind {
		case mpdvirt.StepStarted:
			running = e.Step
		case mpdvirt.StepOutput, mpdvirt.StepEnded:
			if e.Step != running {
				t.Errorf("%s of %q while %q runs", e.Kind, e.Step, running)
			}
		}
		if e.Kind == mpdvirt.StepEnded {
			ended = append(ended, mpdvirt.StepResult{ID: e.Step, Status: e.Status, Summary: e.Text, Elapsed: e.Elapsed})
		}
	}
	if d := cmp.Diff(res.Steps, ended); d != "" {
		t.Errorf("-result +events:\n%s", d)
	}
	for _, s := range res.Steps {
		script := slices.ContainsFunc(scripts, func(x struct{ step, script string }) bool { return x.step == s.ID })
		if script != (s.Elapsed >= time.Second) || s.Status != mpdvirt.OK {
			t.Errorf("%+v, where a script takes a second", s)
		}
	}
}

// wantFiles checks what a first setup leaves in the Mac's home folder.
func wantFiles(l *lab) {
	l.t.Helper()
	hostKey := "mpd-150 " + string(ssh.MarshalAuthorizedKey(l.vm.HostKeys()[0]))
	for name, want := range map[string]string{
		".mpd-virt/150/env":                         "MPD_VM_BACKEND=general\nMPD_VM_IP=10.211.55.150\nMPD_VM_USER=dev\nMPD_VM_OCTET=150\nMPD_VM_NAME=mpd-150\n",
		".mpd-virt/150/known_hosts":                 hostKey,
		".ssh/config":                               fmt.Sprintf("Include %q # added by mpd-virt, which made this file\n", l.path(".mpd-virt/ssh_config")),
		".mpd-virt/conf/wireguard/150/mpd-150.conf": l.read(".mpd-virt/conf/wireguard/150/client.conf"),
	} {
		if d := cmp.Diff(want, l.read(name)); d != "" {
			l.t.Errorf("%s -want +got:\n%s", name, d)
		}
	}
	for _, line := range []string{"Host mpd-150", "HostName 10.211.55.150", "User dev", "HostKeyAlias mpd-150", "Host mpd-150-php"} {
		if !strings.Contains(l.read(".mpd-virt/ssh_config"), line+"\n") {
			l.t.Errorf("ssh_config has no line %q", line)
		}
	}
	var journal struct {
		HostKey string               `json:"host_key"`
		Moving  bool                 `json:"moving"`
		Done    map[string]time.Time `json:"done"`
	}
	check(l.t, json.Unmarshal([]byte(l.read(".mpd-virt/150/journal.json")), &journal))
	want := []string{"10-passwordless-sudo", "20-git-clone", "30-networking", "40-install-software", "50-build", "60-wireguard", "mpd-setup", "push"}
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(journal.Done))); d != "" || journal.Moving || journal.HostKey != l.vm.HostKeyFingerprint() {
		l.t.Errorf("journal %+v, done -want +got:\n%s", journal, d)
	}
	private(l)
}

// private wants nobody else to read or write below ~/.mpd-virt, but for what
// is public by nature.
func private(l *lab) {
	l.t.Helper()
	for name, text := range l.tree() {
		if !strings.HasPrefix(name, ".mpd-virt") || strings.HasSuffix(name, "rootCA.pem") {
			continue
		}
		if mode, _, _ := strings.Cut(text, " "); !strings.HasSuffix(mode, "------") && !strings.HasSuffix(mode, "r--r--") ||
			strings.HasSuffix(mode, "r--r--") && strings.Contains(text, "rivate") {
			l.t.Errorf("%s has mode %s", name, mode)
		}
	}
}

// wantPushed checks that the VM has what it should have of the keys.
func wantPushed(l *lab) {
	l.t.Helper()
	for _, f := range []struct {
		mac, vm string
		mode    os.FileMode
	}{
		{"wireguard/150/server.conf", "/var/lib/mpd/conf/wireguard/mpd0.conf", 0o600},
		{"wireguard/150/server.conf", "/etc/wireguard/mpd0.conf", 0o600},
		{"caroot/rootCA.pem", "/var/lib/mpd/conf/caroot/rootCA.pem", 0o644},
		{"caroot/rootCA-key.pem", "/var/lib/mpd/conf/caroot/rootCA-key.pem", 0o600},
	} {
		data, mode, err := l.vm.File(f.vm)
		if err != nil || mode != f.mode || string(data) != l.read(".mpd-virt/conf/"+f.mac) {
			l.t.Errorf("%s: mode %o, as on the Mac: %t, %v", f.vm, mode, string(data) == l.read(".mpd-virt/conf/"+f.mac), err)
		}
	}
}

// wantLog checks that the log names each step and what scripts printed.
func wantLog(l *lab, res *mpdvirt.SetupResult) {
	l.t.Helper()
	if dir, _ := filepath.Split(res.Log); dir != l.path(".mpd-virt/150/logs")+"/" {
		l.t.Fatalf("the log is %s", res.Log)
	}
	data, err := os.ReadFile(res.Log)
	check(l.t, err)
	for _, s := range res.Steps {
		for _, kind := range []mpdvirt.EventKind{mpdvirt.StepStarted, mpdvirt.StepEnded} {
			if want := fmt.Sprintf("%-12s %-20s", kind, s.ID); !strings.Contains(string(data), want) {
				l.t.Errorf("the log has no %q", want)
			}
		}
	}
	if !strings.Contains(string(data), "==> Passwordless sudo for dev") {
		l.t.Error("the log has nothing of what step 10 printed")
	}
	if info, err := os.Stat(res.Log); err != nil || info.Mode().Perm() != 0o600 {
		l.t.Errorf("the log: %v, %v", info.Mode(), err)
	}
}

// A second setup looks and leaves all as it is.
func TestSetupAgain(t *testing.T) {
	for name, req := range map[string]mpdvirt.SetupRequest{
		"octet alone": alone,
		"as at first": adoption,
		"as recorded": {Octet: octet, Backend: "general", Addr: canonical, User: "dev"},
	} {
		bubble(t, "F50 "+name, func(t *testing.T) {
			l := adopted(t, options{world: mpdvirttest.Options{Delay: 5 * time.Minute}})
			mac, vm, ran, logins := l.tree(), l.vm.Tree(), l.vm.Steps(), l.vm.Logins()
			start := time.Now()
			res := l.setup(req)
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
			if d := cmp.Diff(mac, l.tree()); d != "" {
				t.Errorf("the Mac -before +after:\n%s", d)
			}
			if d := cmp.Diff(vm, l.vm.Tree()); d != "" {
				t.Errorf("the VM -before +after:\n%s", d)
			}
			if d := cmp.Diff(ran, l.vm.Steps()); d != "" {
				t.Errorf("scripts -before +after:\n%s", d)
			}
			if n := l.vm.Logins() - logins; n != 1 {
				t.Errorf("%d logins, want 1", n)
			}
			for _, s := range res.Steps {
				if s.Summary == "" || s.Status != mpdvirt.OK {
					t.Errorf("%s does not say what was verified: %+v", s.ID, s)
				}
			}
		})
	}
}

// From runs steps again that are done.
func TestSetupFrom(t *testing.T) {
	for _, step := range []string{"ssh", "20-git-clone", "push", "30-networking", "mpd-setup"} {
		bubble(t, step, func(t *testing.T) {
			l := adopted(t, options{})
			ran := len(l.vm.Steps())
			l.setup(mpdvirt.SetupRequest{Octet: octet, From: step})
			if d := cmp.Diff(scriptsFrom(step), l.vm.Steps()[ran:]); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// The VM keeps the source that it was set up from; another one is cloned and
// built again.
func TestSetupSource(t *testing.T) {
	bubble(t, "another branch on a known VM", func(t *testing.T) {
		l := adopted(t, options{})
		l.world.SetBranch("next", strings.Repeat("a", 40))
		ran := len(l.vm.Steps())
		l.setup(mpdvirt.SetupRequest{Octet: octet, Branch: "next"})
		want := []string{mpdvirttest.StepSudo, mpdvirttest.StepClone, mpdvirttest.StepBuild, mpdvirttest.StepSetup}
		if d := cmp.Diff(want, l.vm.Steps()[ran:]); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		head, _, err := l.vm.File("/opt/mpd/.git/HEAD")
		if check(t, err); string(head) != "ref: refs/heads/next\n" {
			t.Errorf("HEAD is %s", head)
		}
		ran = len(l.vm.Steps())
		if l.setup(alone); len(l.vm.Steps()) != ran {
			t.Errorf("the recorded branch is taken for another one: %v", l.vm.Steps()[ran:])
		}
		show, err := l.Show(t.Context(), mpdvirt.ShowRequest{Octet: octet})
		if check(t, err); show.Branch != "next" || show.Repo != mpdvirt.DefaultRepo {
			t.Errorf("show says %s %s", show.Repo, show.Branch)
		}
	})
	for name, req := range map[string]mpdvirt.SetupRequest{
		"substitution in the branch": {Branch: "$(reboot)"},
		"quote in the branch":        {Branch: "x'y"},
		"option as branch":           {Branch: "--upload-pack=reboot"},
		"semicolon in the address":   {BootstrapURL: "https://example.org/;reboot"},
		"plain http":                 {BootstrapURL: "http://example.org"},
		"newline in the repository":  {Repo: "https://example.org/x\nreboot"},
		"backtick in the repository": {Repo: "`reboot`"},
	} {
		bubble(t, name, func(t *testing.T) {
			l := newLab(t, options{})
			full := adoption
			full.Branch, full.Repo, full.BootstrapURL = req.Branch, req.Repo, req.BootstrapURL
			wantError(t, l.refused(full), mpdvirt.ErrUsage)
			if l.vm.Connections() > 0 || l.exists(".mpd-virt/150") {
				t.Error("something was done all the same")
			}
		})
	}
}
