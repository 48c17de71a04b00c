package macemu_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/emu"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// F111: a tool that does something else than it should.
func TestFaults(t *testing.T) {
	const line, none = "security find-certificate -a -Z " + keychain, ""
	for _, tt := range []struct {
		name   string
		fault  macemu.Fault
		status int
		stdout string
		stderr string
	}{
		{"garbage", macemu.Fault{Kind: macemu.FaultGarbage, Tool: "security"}, 0, "\x1b[31mlicence?\x00 \xff<html>[{\n", none},
		{"words", macemu.Fault{Kind: macemu.FaultGarbage, Tool: "security", Verb: "find-certificate", Text: "hello\n"}, 0, "hello\n", none},
		{"empty", macemu.Fault{Kind: macemu.FaultEmpty}, 0, none, none},
		{"refuse", macemu.Fault{Kind: macemu.FaultRefuse, Tool: "security", Text: "no\n"}, 1, none, "no\n"},
		{"refuse with a status", macemu.Fault{Kind: macemu.FaultRefuse, Has: keychain, Status: 51}, 51, none, none},
		{"refuse with none", macemu.Fault{Kind: macemu.FaultRefuse, Status: -1, Text: "no\n"}, 0, none, "no\n"},
		{"after", macemu.Fault{Kind: macemu.FaultAfter, Tool: "security", Status: 2, Text: "no\n"}, 2, "", "no\n"},
		{"another tool", macemu.Fault{Kind: macemu.FaultRefuse, Tool: "scutil"}, 0, none, none},
		{"another verb", macemu.Fault{Kind: macemu.FaultRefuse, Tool: "security", Verb: "verify-cert"}, 0, none, none},
		{"another argument", macemu.Fault{Kind: macemu.FaultRefuse, Has: "-p"}, 0, none, none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, macemu.Settings{})
			m.must(m.Inject(tt.fault))
			m.says(line, tt.status, tt.stdout, tt.stderr)
			m.says(line, 0, "", "") // it happened once, or does not at all
		})
	}
}

func TestFaultTimes(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	statuses := func(n int) (out []int) {
		for range n {
			out = append(out, m.run("sw_vers -productVersion").Status)
		}
		return out
	}
	m.must(m.Inject(macemu.Fault{Kind: macemu.FaultRefuse, Tool: "sw_vers", Skip: 1, Times: 2}))
	if got := statuses(4); !slices.Equal(got, []int{0, 1, 1, 0}) {
		t.Errorf("twice: %v", got)
	}
	m.must(m.Inject(macemu.Fault{Kind: macemu.FaultRefuse, Tool: "sw_vers", Times: -1}))
	if got := statuses(3); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("always: %v", got)
	}
	m.must(m.ClearFaults())
	if got := statuses(1); got[0] != 0 {
		t.Errorf("cleared: %v", got)
	}
	if err := m.Inject(macemu.Fault{Verb: "list"}); err == nil {
		t.Error("a verb of no tool")
	}
}

// A tool under sudo meets its own faults, and one without effect says that all
// is well.
func TestNoEffect(t *testing.T) {
	m := newMac(t, parallels())
	m.must(m.Inject(macemu.Fault{Kind: macemu.FaultNoEffect, Tool: "route", Verb: "add"}))
	const add, answer = "sudo route -n add -net 10.163.0.0/24 10.211.55.130", "add net 10.163.0.0: gateway 10.211.55.130\n"
	m.says(add, 0, answer, "")
	if got, err := m.StaticRoutes(); err != nil || len(got) > 0 {
		t.Errorf("routes %v, %v", got, err)
	}
	m.says(add, 0, answer, "")
	if got, err := m.StaticRoutes(); err != nil || len(got) != 1 {
		t.Errorf("routes %v, %v", got, err)
	}
	m.must(m.Inject(macemu.Fault{Kind: macemu.FaultNoEffect, Tool: "mkdir"}, macemu.Fault{Kind: macemu.FaultRefuse, Tool: "sudo", Verb: "-k", Text: "no\n"}))
	m.says("sudo mkdir /etc/resolver", 0, "", "")
	m.says("sudo rmdir /etc/resolver", 1, "", "rmdir: /etc/resolver: No such file or directory\n")
	m.says("sudo -n -v", 0, "", "")
	m.says("sudo -k", 1, "", "no\n")
}

func TestHangAndSlow(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	m.must(m.Inject(macemu.Fault{Kind: macemu.FaultHang, Tool: "scutil", Verb: "list"}, macemu.Fault{Kind: macemu.FaultSlow, Tool: "sw_vers", After: 10 * time.Second, Times: 2}))
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, err := m.Runner()(t.Context(), hypervisor.Command{Argv: strings.Fields("scutil --nc list"), Limit: 5 * time.Second})
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Second {
			t.Errorf("hang: %v after %v", err, took)
		}
		slow := hypervisor.Command{Argv: strings.Fields("sw_vers -productVersion")}
		begin = time.Now()
		r, err := m.Runner()(t.Context(), slow)
		if took := time.Since(begin); err != nil || string(r.Stdout) != "26.6.2\n" || took != 10*time.Second {
			t.Errorf("slow: %+v, %v after %v", r, err, took)
		}
		slow.Limit = 9 * time.Second
		if _, err := m.Runner()(t.Context(), slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("too slow: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.Runner()(ctx, slow); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// The tools as programs of their own.
func TestProcess(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	var out strings.Builder
	p := emu.Process{Name: "macemu", Stdin: strings.NewReader("text"), Stdout: &out}
	if status := p.Main([]string{"/usr/bin/pbcopy"}, m.Play()); status != 0 {
		t.Errorf("pbcopy: status %d", status)
	}
	if status := p.Main([]string{"pbpaste"}, m.Play()); status != 0 || out.String() != "text" {
		t.Errorf("pbpaste: status %d, %q", status, out.String())
	}
}

// Two emulators share what is in a file.
func TestStateFile(t *testing.T) {
	o := macemu.Options{State: filepath.Join(t.TempDir(), "mac.json"), Root: t.TempDir(), Settings: macemu.Settings{Sudo: macemu.SudoAsksNot, Version: "15.1"}}
	var pair [2]*mac
	for i := range pair {
		e, err := macemu.New(o)
		if err != nil {
			t.Fatal(err)
		}
		pair[i], o.Settings = &mac{T: t, Emulator: e}, macemu.Settings{}
	}
	one, two := pair[0], pair[1]
	ca := root(t, "mpd Root CA", "2026-01-01", "2126-01-01")
	file := one.file("ca.pem", ca.pem())
	one.must(one.AddTunnel("mpd-150", conf("10.163.0.0/24")))
	one.must(one.Activate("mpd-150"))
	one.says("sudo security add-trusted-cert -d -r trustRoot -k "+keychain+" "+file, 0, "", "")
	one.must(one.Inject(macemu.Fault{Kind: macemu.FaultRefuse, Tool: "arp"}))

	two.says("sw_vers -productVersion", 0, "15.1\n", "")
	two.says("security verify-cert -L -c "+file, 0, "...certificate verification successful.\n", "")
	two.says("scutil --nc status mpd-150", 0, "Connected\nExtended Status <dictionary> {\n  Status : 2\n}\n", "")
	two.says("arp -n 10.0.0.1", 1, "", "")
	if calls, err := two.Calls(); err != nil || len(calls) != 5 {
		t.Errorf("calls %q, %v", calls, err)
	}
	if s, err := two.Settings(); err != nil || s.Version != "15.1" {
		t.Errorf("settings %+v, %v", s, err)
	}
}
