package macemu_test

import (
	"slices"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// macos-host.md 9: without a language in UTF-8 each byte is a character of its own.
func TestClipboard(t *testing.T) {
	for _, tt := range []struct {
		name   string
		locale string
		argv   []string
		want   string
	}{
		{"no language", "", []string{"pbcopy"}, "√Ñpfel ‚Äì \n"},
		{"C", "C", []string{"/usr/bin/pbcopy"}, "√Ñpfel ‚Äì \n"},
		{"the caller's", "en_US.UTF-8", []string{"pbcopy"}, "Äpfel – \n"},
		{"the command's", "", []string{"/usr/bin/env", "LC_CTYPE=UTF-8", "pbcopy"}, "Äpfel – \n"},
		{"stronger", "UTF-8", []string{"env", "LC_ALL=C", "pbcopy"}, "√Ñpfel ‚Äì \n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, macemu.Settings{Locale: tt.locale})
			if r := m.command(hypervisor.Command{Argv: tt.argv, Stdin: []byte("Äpfel – \n")}); r.Status != 0 || len(r.Stdout)+len(r.Stderr) > 0 {
				t.Errorf("answer %+v", r)
			}
			if got, err := m.Clipboard(); err != nil || got != tt.want {
				t.Errorf("clipboard %q, want %q, %v", got, tt.want, err)
			}
			if r := m.run("env LC_CTYPE=UTF-8 pbpaste"); string(r.Stdout) != tt.want {
				t.Errorf("pasted %q", r.Stdout)
			}
		})
	}
	m := newMac(t, macemu.Settings{})
	m.command(hypervisor.Command{Argv: []string{"env", "LC_ALL=UTF-8", "pbcopy"}, Stdin: []byte("é日")})
	m.says("pbpaste", 0, "\x8e?", "")
	m.must(m.Change(func(s *macemu.Settings) { s.NoScreen = true }))
	m.says("pbcopy", 1, "", "")
}

func TestOpen(t *testing.T) {
	m := newMac(t, macemu.Settings{NoApps: []string{"UTM"}})
	file := m.file("mpd-150.conf", "")
	const pane = "x-apple.systempreferences:com.apple.preference.security?Privacy_LocalNetwork"
	m.says("open "+file, 0, "", "")
	m.says("open -R "+file, 0, "", "")
	m.says("/usr/bin/open -ga WireGuard", 0, "", "")
	m.says("open -a WireGuard "+file, 0, "", "")
	m.says("open "+pane, 0, "", "")
	m.says("open /x", 1, "", "The file /x does not exist.\n")
	m.says("open -ga UTM", 1, "", "Unable to find application named 'UTM'\n")
	m.command(hypervisor.Command{Argv: []string{"open", "-ga", "Parallels Desktop"}})
	want := []macemu.Opening{
		{Kind: "file", Target: file}, {Kind: "folder of", Target: file}, {Kind: "app", Target: "WireGuard"}, {Kind: "file", Target: file, App: "WireGuard"},
		{Kind: "url", Target: pane}, {Kind: "app", Target: "Parallels Desktop"},
	}
	if got, err := m.Opened(); err != nil || !slices.Equal(got, want) {
		t.Errorf("opened %+v, %v", got, err)
	}
	m.must(m.Change(func(s *macemu.Settings) { s.NoScreen = true }))
	m.says("open "+file, 1, "", "LSOpenURLsWithRole() failed with error -10810 for the file "+file+".\n")
}

func TestVersion(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	m.says("sw_vers -productVersion", 0, "26.6.2\n", "")
	m.must(m.Change(func(s *macemu.Settings) { s.Version = "15.7" }))
	m.says("/usr/bin/sw_vers -productVersion", 0, "15.7\n", "")
}

// What is not played is loud, and remembered.
func TestNotPlayed(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	lines := []string{
		"security", "security list-keychains", "security find-certificate -x", "security find-certificate /x.keychain", "security verify-cert -p smime -c x",
		"security add-trusted-cert -r unspecified x", "security delete-certificate -t", "security dump-trust-settings -s", "security trust-settings-export -d relative",
		"scutil", "scutil --proxy", "scutil --nc show x", "scutil --nc status", "route get 10.0.0.1", "route -n flush", "route -n get", "route -n -v get 10.0.0.1",
		"netstat -rn", "netstat -rn -f inet6", "ifconfig", "ifconfig -l", "arp -a", "dscacheutil -q user", "killall Finder", "pbcopy -Prefer txt", "open",
		"open relative", "open -b com.example", "open mailto:x", "sw_vers -buildVersion", "env", "env -i pbcopy", "env true", "mkdir", "rm -v x", "cp a b c", "sudo -E -v",
	}
	for _, line := range lines {
		m.says(line, 64, "", "macemu: not played: "+line+"\n")
	}
	if got, err := m.NotPlayed(); err != nil || len(got) != len(lines) {
		t.Errorf("%d of %d, %v", len(got), len(lines), err)
	}
}
