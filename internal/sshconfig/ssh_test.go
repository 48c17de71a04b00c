package sshconfig

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sshClient runs the real ssh in these tests, with one settings file and
// nothing of the machine's own. It only asks how ssh reads the settings (-G).
type sshClient struct {
	t    *testing.T
	path string
}

func realSSH(t *testing.T) sshClient {
	t.Helper()
	path, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("no ssh on PATH")
	}
	return sshClient{t, path}
}

// settings is the output of ssh -G; ok is false if ssh refuses the file.
func (s sshClient) settings(config, host string) (out string, ok bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.path, "-G", "-F", config, host)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stderr.String(), false
	}
	return stdout.String(), true
}

// wants compares some of the settings of a host. A setting that is not there
// counts as "".
func (s sshClient) wants(config, host string, want map[string]string) {
	s.t.Helper()
	out, ok := s.settings(config, host)
	if !ok {
		s.t.Fatalf("ssh refuses %s: %s", config, out)
	}
	got := make(map[string]string)
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if _, wanted := want[key]; wanted {
			got[key] += value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			s.t.Errorf("ssh -G %s: %s is %q, want %q", host, key, got[key], want[key])
		}
	}
}

// O4: our entries say what they should, and all other hosts keep every
// setting.
func TestRealSSHReadsTheEntries(t *testing.T) {
	ssh := realSSH(t)
	const text = "Port 2200\n\nHost other mpd-1*\n    User eve\n    HostName other.example\n" +
		"    StrictHostKeyChecking no\n    UpdateHostKeys yes\n    ForwardAgent yes\n"
	for name, text := range map[string]string{"LF": text, "CRLF": strings.ReplaceAll(text, "\n", "\r\n")} {
		t.Run(name, func(t *testing.T) {
			ssh := sshClient{t, ssh.path}
			h := withConfig(t, text)
			before := make(map[string]string)
			others := []string{"other", "elsewhere.example", "mpd-1", "mpd-199"}
			for _, host := range others {
				before[host], _ = ssh.settings(h.User, host)
			}
			vm := testVM(150)
			vm.Port = 2222
			h.assert(true, vm, testVM(151))
			for _, host := range others {
				if after, ok := ssh.settings(h.User, host); !ok || after != before[host] {
					t.Errorf("ssh -G %s before:\n%s\nafter:\n%s", host, before[host], after)
				}
			}
			ssh.wants(h.User, "mpd-150", map[string]string{
				"hostname": "10.211.55.150", "port": "2222", "user": "dev", "hostkeyalias": "mpd-150",
				"userknownhostsfile": vm.KnownHosts, "stricthostkeychecking": "true", "updatehostkeys": "false",
				"forwardagent": "yes", "proxyjump": "",
			})
			ssh.wants(h.User, "mpd-151", map[string]string{"hostname": "10.211.55.151", "port": "22"})
			for _, c := range containers {
				ssh.wants(h.User, "mpd-150-"+c, map[string]string{
					"hostname": c + ".runtime.mpd.test", "user": "dev", "proxyjump": "mpd-150",
					"userknownhostsfile": vm.ContainerKnownHosts, "stricthostkeychecking": "accept-new",
					"hostkeyalias": "",
				})
			}
		})
	}
}

// A home folder with all characters that need care is found and read.
func TestRealSSHReadsHardPaths(t *testing.T) {
	ssh := realSSH(t)
	dir := filepath.Join(t.TempDir(), `a b'c"d\e[f]*?$g#{h,i}é`)
	if err := os.MkdirAll(filepath.Join(dir, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := home{Files{User: filepath.Join(dir, ".ssh/config"), Ours: filepath.Join(dir, ".mpd-virt/ssh_config")}, dir, t}
	vm := testVM(150)
	vm.KnownHosts = filepath.Join(dir, "100%h %%/known_hosts")
	h.assert(true, vm)
	ssh.wants(h.User, "mpd-150", map[string]string{"hostname": "10.211.55.150", "userknownhostsfile": vm.KnownHosts})
}

// A text that ssh accepts, it accepts with our line, and reads the same.
func TestRealSSHAcceptsTheVectors(t *testing.T) {
	ssh := realSSH(t)
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")
	accepted := 0
	for name, v := range vectors(t) {
		if v.Refused {
			continue
		}
		for file, text := range map[string]string{before: v.Config, after: v.Added} {
			// Whatever home folders this machine has, their files stay out.
			text = strings.ReplaceAll(text, "/Users/", dir+"/")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		was, ok := ssh.settings(before, "a")
		if !ok {
			continue
		}
		accepted++
		if is, ok := ssh.settings(after, "a"); !ok || is != was {
			t.Errorf("%s: ssh -G before:\n%s\nafter (accepted: %v):\n%s", name, was, ok, is)
		}
	}
	if accepted < 20 {
		t.Errorf("ssh accepts only %d of the vectors", accepted)
	}
}
