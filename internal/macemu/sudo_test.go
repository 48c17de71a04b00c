package macemu_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// macos-host.md 6, F112
func TestSudo(t *testing.T) {
	const needs = "sudo: a password is required\n"
	noTerminal := "sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper\n" + needs
	for _, tt := range []struct {
		name     string
		sudo     macemu.Sudo
		terminal bool
		line     string
		status   int
		shown    string
	}{
		{"validate", macemu.SudoAllowed, true, "sudo -v", 0, "Password:\n"},
		{"command", macemu.SudoAllowed, true, "sudo killall -HUP mDNSResponder", 0, "Password:\n"},
		{"the command's own status", macemu.SudoAllowed, true, "sudo ifconfig utun9", 1, "Password:\nifconfig: interface utun9 does not exist\n"},
		{"no such command", macemu.SudoAllowed, true, "sudo arp -n 10.0.0.1", 1, "Password:\nsudo: arp: command not found\n"},
		{"silent", macemu.SudoAllowed, true, "sudo -n true", 1, needs},
		{"without a terminal", macemu.SudoAllowed, false, "sudo -v", 1, noTerminal},
		{"without any terminal", macemu.SudoNoTerminal, true, "sudo -v", 1, noTerminal},
		{"wrong three times", macemu.SudoWrong, true, "sudo -v", 1, "Password:\nSorry, try again.\nPassword:\nSorry, try again.\nPassword:\nsudo: 3 incorrect password attempts\n"},
		{"no administrator", macemu.SudoNotAllowed, true, "sudo -v", 1, "Password:\ndev is not in the sudoers file.\n"},
		{"no administrator, silent", macemu.SudoNotAllowed, false, "sudo -n -v", 1, needs},
		{"cancelled", macemu.SudoCancelled, true, "sudo -v", 1, "Password:\n"},
		{"asks not", macemu.SudoAsksNot, false, "sudo -nv", 0, ""},
		{"forget", macemu.SudoWrong, false, "sudo -k", 0, ""},
		{"wipe", macemu.SudoWrong, false, "sudo -K", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, macemu.Settings{Sudo: tt.sudo, NoTools: []string{"arp"}})
			r := m.command(hypervisor.Command{Argv: strings.Fields(tt.line), Terminal: tt.terminal})
			if tt.terminal && (r.Stdout != nil || r.Stderr != nil) {
				t.Errorf("captured %q %q", r.Stdout, r.Stderr)
			}
			shown := m.shown + string(r.Stdout) + string(r.Stderr)
			if r.Status != tt.status || shown != tt.shown {
				t.Errorf("status %d, want %d\n%q\n%q", r.Status, tt.status, shown, tt.shown)
			}
		})
	}
}

func TestTicket(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	const needs = "sudo: a password is required\n"
	m.says("sudo -n -v", 1, "", needs)
	m.admit()
	m.now = m.now.Add(4 * time.Minute)
	m.says("sudo -n ifconfig utun9", 1, "", "ifconfig: interface utun9 does not exist\n")
	m.now = m.now.Add(4 * time.Minute) // the use made it young again
	m.says("sudo -n -v", 0, "", "")
	m.now = m.now.Add(5 * time.Minute)
	m.says("sudo -n -v", 1, "", needs)
	m.admit()
	m.says("sudo -k", 0, "", "")
	m.says("sudo -n -v", 1, "", needs)
	m.admit()
	m.must(m.Reboot())
	m.says("sudo -n -v", 1, "", needs)
}

// Files below /etc/resolver are real, and root's.
func TestFiles(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	const name = "/etc/resolver/mpd.test"
	const text = "nameserver 10.163.0.3\n"
	real := filepath.Join(m.root, "etc", "resolver", "mpd.test")
	m.says("mkdir -p /etc/resolver", 1, "", "mkdir: /etc/resolver: Permission denied\n")
	m.admit()
	m.says("sudo tee "+name, 1, "", "tee: "+name+": No such file or directory\n")
	m.says("sudo mkdir -p /etc/resolver", 0, "", "")
	m.says("sudo mkdir -p /private/etc/resolver", 0, "", "")
	m.says("sudo mkdir /etc/resolver", 1, "", "mkdir: /etc/resolver: File exists\n")
	tee := m.command(hypervisor.Command{Argv: []string{"sudo", "/usr/bin/tee", name}, Stdin: []byte(text)})
	if tee.Status != 0 || string(tee.Stdout) != text {
		t.Errorf("tee: %+v", tee)
	}
	is := func(what string, mode os.FileMode) {
		t.Helper()
		data, err := os.ReadFile(real)
		m.must(err)
		info, err := os.Stat(real)
		m.must(err)
		if string(data) != what || info.Mode().Perm() != mode {
			t.Errorf("%q, mode %v", data, info.Mode())
		}
	}
	is(text, 0o644)
	source := m.file("new", "port 5353\n")
	m.says("cp "+source+" "+name, 1, "", "cp: "+name+": Permission denied\n")
	m.says("sudo install -m 0640 -o root -g wheel "+source+" "+name, 0, "", "")
	is("port 5353\n", 0o640)
	m.says("sudo chmod 644 "+name, 0, "", "")
	m.command(hypervisor.Command{Argv: []string{"sudo", "tee", "-a", name}, Stdin: []byte(text)})
	is("port 5353\n"+text, 0o644)
	m.says("sudo cp "+source+" /etc/resolver", 0, "", "")
	m.says("sudo cp /does/not/exist "+name, 1, "", "cp: /does/not/exist: No such file or directory\n")
	m.says("sudo rm /etc/resolver/new", 0, "", "")
	m.says("rm -f "+name, 1, "", "rm: "+name+": Permission denied\n")
	m.says("sudo rmdir /etc/resolver", 1, "", "rmdir: /etc/resolver: Directory not empty\n")
	m.says("sudo rm -f "+name, 0, "", "")
	m.says("sudo rm -f "+name, 0, "", "")
	m.says("sudo rm "+name, 1, "", "rm: "+name+": No such file or directory\n")
	m.says("sudo rmdir /etc/resolver", 0, "", "")

	for _, line := range []string{"sudo rm -rf /etc", "sudo rm -f /etc/resolver/../hosts", "sudo tee /etc/hosts", "sudo mkdir /tmp/x", "sudo sh -c true", "sudo -S -v", "sudo"} {
		if r := m.run(line); r.Status != 64 {
			t.Errorf("%s: %+v", line, r)
		}
	}
	if out, err := m.NotPlayed(); err != nil || len(out) != 7 {
		t.Errorf("not played: %v, %v", out, err)
	}
}

func TestToolsThatAreMissing(t *testing.T) {
	m := newMac(t, macemu.Settings{NoTools: []string{"scutil"}})
	for _, program := range []string{"scutil", "/usr/sbin/scutil", "/usr/bin/route", "sbin/route", "/bin/sh", "prlctl"} {
		if _, err := m.Runner()(t.Context(), hypervisor.Command{Argv: []string{program}}); !errors.Is(err, hypervisor.ErrToolMissing) {
			t.Errorf("%s: %v", program, err)
		}
	}
	if calls, err := m.Calls(); err != nil || len(calls) > 0 {
		t.Errorf("calls %v, %v", calls, err)
	}
	if !macemu.Plays("/usr/sbin/scutil") || !macemu.Plays("route") || macemu.Plays("/bin/route") || macemu.Plays("ping") {
		t.Error("Plays")
	}
}
