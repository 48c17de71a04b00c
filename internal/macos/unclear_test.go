package macos

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

var (
	nameServer = netip.MustParseAddr("10.163.0.3")
	macEnd     = netip.MustParseAddr("10.164.0.1")
)

// questions are all questions, each with the tool's command line.
var questions = []struct {
	name, line string
	ask        func(context.Context, *Mac) error
	emptyFine  bool // exit 0 and no output is an answer
}{
	{"Find", "/usr/bin/security find-certificate -a -c mpd Root CA -Z /Library/Keychains/System.keychain",
		func(ctx context.Context, m *Mac) error { _, err := m.Find(ctx, "mpd Root CA"); return err }, true},
	{"Verify", "/usr/bin/security verify-cert -L -c /ca.pem",
		func(ctx context.Context, m *Mac) error { _, err := m.Verify(ctx, "/ca.pem"); return err }, false},
	{"RouteTo", "/sbin/route -n get 10.163.0.3",
		func(ctx context.Context, m *Mac) error { _, err := m.RouteTo(ctx, nameServer); return err }, false},
	{"Routes", "/usr/sbin/netstat -rn -f inet",
		func(ctx context.Context, m *Mac) error { _, err := m.Routes(ctx); return err }, false},
	{"WithAddr", "/sbin/ifconfig -a",
		func(ctx context.Context, m *Mac) error { _, _, err := m.WithAddr(ctx, macEnd); return err }, false},
	{"SystemDNS", "/usr/sbin/scutil --dns",
		func(ctx context.Context, m *Mac) error { _, err := m.SystemDNS(ctx); return err }, false},
	{"Tunnels", "/usr/sbin/scutil --nc list",
		func(ctx context.Context, m *Mac) error { _, err := m.Tunnels(ctx); return err }, false},
	{"TunnelStatus", "/usr/sbin/scutil --nc status mpd-150",
		func(ctx context.Context, m *Mac) error { _, err := m.TunnelStatus(ctx, "mpd-150"); return err }, false},
	{"Version", "/usr/bin/sw_vers -productVersion",
		func(ctx context.Context, m *Mac) error { _, err := m.Version(ctx); return err }, false},
}

// F111: a tool that hangs, is absent, speaks another language or says nothing
// leaves the question open, within the limit, and its words do no harm.
func TestUnclearAnswers(t *testing.T) {
	for _, q := range questions {
		for name, tt := range map[string]struct {
			a    answer
			want error
		}{
			"garbage":        {answer{out: rude}, ErrUnclear},
			"garbage, fails": {answer{errs: rude, status: 1}, ErrUnclear},
			"another language": {answer{errs: "security: 指定された項目はキーチェーンに見つかりませんでした。\n", status: 1},
				ErrUnclear},
			"killed":             {answer{status: 137}, ErrUnclear},
			"does not start":     {answer{err: errors.New("exec format error")}, ErrUnclear},
			"exit 0 and nothing": {answer{}, ErrUnclear},
		} {
			t.Run(q.name+"/"+name, func(t *testing.T) {
				m, _ := says(q.line, tt.a)
				err := q.ask(t.Context(), m)
				if q.emptyFine && name == "exit 0 and nothing" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if !errors.Is(err, tt.want) {
					t.Fatalf("%v, want %v", err, tt.want)
				}
				harmless(t, err.Error())
			})
		}
		t.Run(q.name+"/absent", func(t *testing.T) {
			m := New((&script{}).run)
			if err := q.ask(t.Context(), m); !errors.Is(err, hypervisor.ErrToolMissing) || errors.Is(err, ErrUnclear) {
				t.Error(err)
			}
		})
		t.Run(q.name+"/hangs", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _ := says(q.line, answer{hang: true})
				begun := time.Now()
				if err := q.ask(t.Context(), m); !errors.Is(err, ErrUnclear) || time.Since(begun) != Limit {
					t.Errorf("%v after %v", err, time.Since(begun))
				}
			})
		})
		t.Run(q.name+"/ctx ends", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				m, _ := says(q.line, answer{hang: true})
				if err := q.ask(ctx, m); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnclear) {
					t.Error(err)
				}
			})
		})
	}
}

// The export has a file, which the script's runner does not write.
func TestAdminTrustedUnclear(t *testing.T) {
	dir := t.TempDir()
	for name, a := range map[string]answer{
		"garbage": {out: rude}, "fails": {errs: rude, status: 1}, "exit 0 and nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
				return hypervisor.Result{Stdout: []byte(a.out), Stderr: []byte(a.errs), Status: a.status}, nil
			})
			_, err := m.AdminTrusted(t.Context(), dir)
			if !errors.Is(err, ErrUnclear) {
				t.Error(err)
			}
			harmless(t, err.Error())
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
