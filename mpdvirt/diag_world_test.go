package mpdvirt_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const (
	ok      = mpdvirt.OK
	warn    = mpdvirt.Warn
	fail    = mpdvirt.Fail
	skipped = mpdvirt.Skipped
)

type statuses map[string]mpdvirt.Status

// wantChecks compares the checks that are not OK.
func wantChecks(t *testing.T, report *mpdvirt.Report, want statuses) {
	t.Helper()
	got := statuses{}
	for _, c := range report.Checks {
		if c.Status != ok {
			got[c.ID] = c.Status
		}
		if c.Summary == "" || c.Status == fail && len(c.Fixes) == 0 {
			t.Errorf("%s (%s) says %q and offers %+v", c.ID, c.Status, c.Summary, c.Fixes)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
		for _, c := range report.Checks {
			t.Logf("%s: %s %s", c.ID, c.Status, c.Summary)
		}
	}
}

const (
	tunnelDown = "which VM answers: none, no tunnel to a VM is up."
	nobody     = "which VM answers: none, although a tunnel is on."
)

// One thing is wrong with a VM that was set up and whose tunnel is on.
func TestDiag(t *testing.T) {
	noSSH := statuses{"platform": fail, "ssh-alias": skipped, "wireguard-key": skipped}
	noDNS := statuses{"dns-identity": fail, "resolver": skipped, "portal": skipped}
	dead := statuses{"ping": fail}
	maps.Copy(dead, noSSH)
	maps.Copy(dead, noDNS)
	noTunnel := statuses{"tunnel": fail, "route": skipped, "dns-identity": skipped, "resolver": skipped, "dns-scope": skipped, "portal": skipped}
	stale := maps.Clone(noTunnel)
	stale["resolver"] = warn
	for _, tt := range []struct {
		name    string
		world   mpdvirttest.Options
		change  func(l *lab)
		want    statuses
		class   error // of Report.Err
		verdict string
		within  time.Duration // 0: 3 s
	}{
		{name: "healthy", change: nothing, want: statuses{}, verdict: "which VM answers: mpd-150 (its own DNS says so)."},
		{name: "tunnel off", change: func(l *lab) { l.world.Tunnel(nil) }, want: noTunnel, verdict: tunnelDown},
		{name: "dead", change: func(l *lab) { l.vm.PowerOff() }, want: dead, class: mpdvirt.ErrUnhealthy, verdict: nobody},
		{name: "dead and silent", world: mpdvirttest.Options{SilentHosts: true}, change: func(l *lab) { l.vm.PowerOff() },
			want: dead, class: mpdvirt.ErrUnhealthy, verdict: nobody},
		{name: "suspended", world: mpdvirttest.Options{SilentHosts: true}, change: func(l *lab) { l.vm.Suspend() },
			want: dead, class: mpdvirt.ErrUnhealthy, verdict: nobody},
		{name: "F35 ping is blocked", change: func(l *lab) { l.world.HandleCommand("ping", deaf) }, want: statuses{"ping": warn}},
		{name: "F35 only sshd is off", change: func(l *lab) { check(l.t, l.vm.SetServer(mpdvirttest.ServerClosed)) },
			want: noSSH, class: mpdvirt.ErrUnhealthy},
		{name: "sshd is silent", change: func(l *lab) { check(l.t, l.vm.SetServer(mpdvirttest.ServerSilent)) },
			want: noSSH, class: mpdvirt.ErrUnhealthy, within: 11 * time.Second},
		{name: "key not authorised any more", change: func(l *lab) { check(l.t, l.vm.Deauthorize(l.world.Key())) },
			want: noSSH, class: mpdvirt.ErrUnhealthy},
		{name: "F19 host key changed", change: func(l *lab) { check(l.t, l.vm.RotateHostKeys()) },
			want: noSSH, class: mpdvirt.ErrRefused},
		{name: "dead, and the pins are lost", change: func(l *lab) {
			l.vm.PowerOff()
			check(l.t, os.Remove(l.path(".mpd-virt/150/known_hosts")))
		}, want: dead, class: mpdvirt.ErrRefused, verdict: nobody},
		{name: "no ping here", change: func(l *lab) { l.world.HandleCommand("ping", missing) }, want: statuses{"ping": warn}},
		{name: "no ssh here", change: func(l *lab) { l.world.HandleCommand("ssh", missing) }, want: statuses{"ssh-alias": warn}},
		{name: "ssh fails", change: func(l *lab) { l.world.HandleCommand("ssh", broken) }, want: statuses{"ssh-alias": fail}, class: mpdvirt.ErrUnhealthy},
		{name: "entries removed", change: func(l *lab) {
			check(l.t, errors.Join(os.Remove(l.path(".mpd-virt/ssh_config")), os.Remove(l.path(".ssh/config"))))
		}, want: statuses{}},
		{name: "entries changed", change: func(l *lab) { l.write(".mpd-virt/ssh_config", "Host mpd-150\n  HostName 10.0.0.9\n", 0o600) }, want: statuses{}},
		{name: "ssh config writable by all", change: func(l *lab) { check(l.t, os.Chmod(l.path(".ssh/config"), 0o666)) }, want: statuses{"ssh-alias": warn}},
		{name: "F106 tunnel up but DNS silent", change: func(l *lab) { l.vm.SetDNS(mpdvirttest.DNSSilent) }, want: noDNS, within: 5 * time.Second},
		{name: "F109 stale cache, tunnel off", change: func(l *lab) {
			l.world.Tunnel(nil)
			l.world.Claim("vm.service.mpd.test", canonical)
		}, want: stale, verdict: tunnelDown},
		{name: "F109 stale cache, tunnel on", change: func(l *lab) { l.world.Claim("vm.service.mpd.test", firstAddr) }, want: statuses{"resolver": warn},
			verdict: "which VM answers: mpd-150 (its own DNS says so)."},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l := adopted(t, options{world: tt.world})
			l.diag() // the tunnel's conf is imported
			tt.change(l)
			start := time.Now()
			report := l.diag()
			if tt.within == 0 {
				tt.within = 3 * time.Second
			}
			if took := time.Since(start); took > tt.within {
				t.Errorf("it took %v", took)
			}
			wantChecks(t, report, tt.want)
			if err := report.Err(); !errors.Is(err, tt.class) || report.Healthy() != (tt.class == nil) {
				t.Errorf("Err() = %v, want %v", err, tt.class)
			}
			if tt.verdict != "" && report.Verdict != tt.verdict {
				t.Errorf("verdict %q, want %q", report.Verdict, tt.verdict)
			}
			if report.Schema != mpdvirt.ReportSchema || report.Name != "mpd-150" || report.Backend != "general" || report.Addr != canonical {
				t.Errorf("report %+v", report)
			}
			if text := l.read(".ssh/config"); !strings.HasPrefix(text, "Include ") || !strings.Contains(l.read(".mpd-virt/ssh_config"), "10.211.55.150") {
				t.Errorf("entries were not re-asserted: %s", text)
			}
		})
	}
}

func missing(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	return hypervisor.Result{}, hypervisor.ErrToolMissing
}

func broken(context.Context, hypervisor.Command) (hypervisor.Result, error) {
	return hypervisor.Result{Status: 255, Stderr: []byte("Bad \x1b[31mowner or permissions\n")}, nil
}

// F48: platform.env is what the VM's own setup says of it.
func TestDiagPlatform(t *testing.T) {
	const file = "/var/lib/mpd/conf/platform.env"
	const good = "MPD_PLATFORM=managed\nMPD_VM_IP=10.211.55.150\nMPD_VM_ID=150\n"
	for _, tt := range []struct {
		name, text string
		word       string // of the failure; "": it passes
	}{
		{"as it should be", good, ""},
		{"CRLF and quotes", "MPD_VM_IP=\"10.211.55.150\"\r\nMPD_VM_ID=150\r\n", ""},
		{"empty", "", "MPD_VM_ID"},
		{"other number", strings.ReplaceAll(good, "ID=150", "ID=151"), "MPD_VM_ID"},
		{"other address", strings.ReplaceAll(good, "55.150", "55.37"), "MPD_VM_IP"},
		{"twice", good + "MPD_VM_ID=150\n", "twice"},
		{"no assignment", good + "garbage\n", "="},
		{"too large", good + strings.Repeat("#\n", 5<<20), "larger"},
		{"control characters", "MPD_VM_ID=\x1b]0;x\a\n", "MPD_VM_ID"},
	} {
		bubble(t, "F48 "+tt.name, func(t *testing.T) {
			l := adopted(t, options{})
			check(t, l.vm.WriteFile(file, []byte(tt.text), 0o644))
			wantPlatform(t, l.diag(), tt.word)
		})
	}
	bubble(t, "F48 missing", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.Remove(file))
		wantPlatform(t, l.diag(), "missing")
	})
	bubble(t, "F48 symlink", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, errors.Join(l.vm.WriteFile("/tmp/x", []byte(good), 0o644), l.vm.Remove(file), l.vm.Symlink("/tmp/x", file)))
		wantPlatform(t, l.diag(), "missing")
	})
	bubble(t, "F48 setup mends it", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.Remove(file))
		l.setup(alone)
	})
}

func wantPlatform(t *testing.T, report *mpdvirt.Report, word string) {
	t.Helper()
	c := report.Check("platform")
	if word == "" {
		wantChecks(t, report, statuses{})
		return
	}
	wantChecks(t, report, statuses{"platform": fail, "ssh-alias": skipped, "wireguard-key": skipped})
	fix := []string{"mpd-virt", "setup", "150", "--from=30-networking"}
	if !strings.Contains(c.Summary, word) || strings.ContainsAny(c.Summary, "\x1b\a") || !slices.ContainsFunc(c.Fixes, func(f mpdvirt.Fix) bool { return slices.Equal(f.Argv, fix) }) {
		t.Errorf("%q does not say %q, or %+v not %v", c.Summary, word, c.Fixes, fix)
	}
}

// F106, F107: what answers DNS through the tunnel.
func TestDiagDNS(t *testing.T) {
	for mode, kind := range map[mpdvirttest.NameServer]string{
		mpdvirttest.DNSUnknown: "nxdomain", mpdvirttest.DNSNoData: "nodata", mpdvirttest.DNSClosed: "refused", mpdvirttest.DNSGarbage: "",
		mpdvirttest.DNSNotAuthoritative: "not-authoritative", mpdvirttest.DNSServFail: "servfail",
	} {
		bubble(t, "F106 "+string(mode), func(t *testing.T) {
			l := adopted(t, options{})
			l.vm.SetDNS(mode)
			start := time.Now()
			report := l.diag()
			if took := time.Since(start); took > 3*time.Second || !report.Healthy() {
				t.Errorf("%v after %v", report.Err(), took)
			}
			c := report.Check("dns-identity")
			if c.Status != fail || kind != "" && c.Facts["answer"] != kind {
				t.Errorf("%s %q, facts %v, want %q", c.Status, c.Summary, c.Facts, kind)
			}
			if kind != "" && report.Verdict != "which VM answers: not known, no name server of an mpd VM answers." {
				t.Errorf("verdict %q", report.Verdict)
			}
		})
	}
	bubble(t, "F106 answer to another question", func(t *testing.T) {
		l := adopted(t, options{})
		l.vm.SetDNSHandler(func(q *dns.Msg) *dns.Msg {
			reply := new(dns.Msg).SetReply(q)
			reply.Question[0].Name = "vm.service.other.test."
			return reply
		})
		report := l.diag()
		if c := report.Check("dns-identity"); c.Status != fail || c.Facts["answer"] != "malformed" {
			t.Errorf("%s %q, facts %v", c.Status, c.Summary, c.Facts)
		}
	})
	bubble(t, "F106 answer by TCP only", func(t *testing.T) {
		l := adopted(t, options{})
		l.vm.SetDNS(mpdvirttest.DNSTruncates)
		wantChecks(t, l.diag(), statuses{})
	})
	for _, registered := range []bool{true, false} {
		name, verdict := "F107 another VM's tunnel", "which VM answers: mpd-151 (DNS), not mpd-150."
		if !registered {
			name, verdict = "F107 a forgotten VM's tunnel", "which VM answers: one at 10.211.55.151 that is not registered here, not mpd-150."
		}
		bubble(t, name, func(t *testing.T) {
			l := adopted(t, options{})
			other := second(l)
			l.world.Tunnel(other)
			if !registered {
				_, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: 151, Yes: true})
				check(t, err)
			}
			report := l.diag()
			if report.Verdict != verdict || !report.Healthy() {
				t.Errorf("verdict %q (%v), want %q", report.Verdict, report.Err(), verdict)
			}
			c := report.Check("dns-identity")
			if want := map[bool]string{true: "mpd-151"}[registered]; c.Status != fail || c.Facts["vm"] != want || c.Facts["address"] != "10.211.55.151" {
				t.Errorf("%s, facts %v", c.Status, c.Facts)
			}
		})
	}
}

// F17: the real ssh has other keys than we have, and fails where we do not.
func TestDiagAliasKeys(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stderr string
		status int
		want   mpdvirt.Status
		fix    string
	}{
		{"passphrase", "dev@10.211.55.150: Permission denied (publickey).", 255, warn, "agent"},
		{"30 keys in the agent", "Received disconnect from 10.211.55.150 port 22:2: Too many authentication failures", 255, fail, "IdentitiesOnly yes"},
		{"no such rights in the VM", "bash: /usr/bin/true: Permission denied", 126, fail, "what ssh says"},
		{"bad settings", "/home/dev/.ssh/config: line 1: Bad configuration option: x", 255, fail, "what ssh says"},
	} {
		bubble(t, "F17 "+tt.name, func(t *testing.T) {
			l := adopted(t, options{})
			l.world.HandleCommand("ssh", func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
				return hypervisor.Result{Status: tt.status, Stderr: []byte("a banner\n" + tt.stderr + "\n")}, nil
			})
			c := l.diag().Check("ssh-alias")
			if c.Status != tt.want || len(c.Fixes) != 1 || !strings.Contains(c.Fixes[0].Text, tt.fix) {
				t.Errorf("%s %q, %+v", c.Status, c.Summary, c.Fixes)
			}
		})
	}
}

// F108: a VM whose DNS gives the right address, while the right VM, asked over
// SSH, has no conf through which it could be the one that answers.
func TestDiagForeignConf(t *testing.T) {
	bubble(t, "F108", func(t *testing.T) {
		l := adopted(t, options{})
		liar := second(l)
		liar.SetDNSRecord(canonical)
		l.world.Tunnel(liar)
		check(t, l.vm.WriteFile("/etc/wireguard/mpd0.conf", []byte("[Interface]\n"), 0o600))
		report := l.diag()
		wantChecks(t, report, statuses{"tunnel": warn, "wireguard-key": fail, "dns-identity": warn})
		if c := report.Check("dns-identity"); !strings.Contains(c.Summary, "not confirmed") || len(c.Fixes) == 0 {
			t.Errorf("%q, %+v", c.Summary, c.Fixes)
		}
		if want := "which VM answers: not confirmed, DNS says mpd-150, but the tunnel cannot be its own."; report.Verdict != want {
			t.Errorf("verdict %q, want %q", report.Verdict, want)
		}
		l.setup(alone) // what it says mends it
		if report := l.diag(); report.Check("platform").Facts["wireguard"] != "" {
			t.Errorf("after setup: %+v", report.Check("platform"))
		}
	})
	bubble(t, "nothing to compare with", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, os.Remove(l.path(".mpd-virt/conf/wireguard/mac.public")))
		wantChecks(t, l.diag(), statuses{})
	})
}

// second sets up one more VM, as 151.
func second(l *lab) *mpdvirttest.VM {
	l.t.Helper()
	addr := netip.MustParseAddr("10.211.55.38")
	vm := l.addVM(mpdvirttest.VMOptions{Addr: addr})
	l.setup(mpdvirt.SetupRequest{Octet: 151, Backend: "general", Addr: addr, User: "dev"})
	return vm
}

// F24: a copied VM brings its host key.
func TestDiagTwins(t *testing.T) {
	bubble(t, "F24", func(t *testing.T) {
		l := adopted(t, options{})
		for name, text := range map[string]string{"env": l.read(".mpd-virt/150/env"), "known_hosts": l.read(".mpd-virt/150/known_hosts")} {
			text = strings.NewReplacer("10.211.55.150", "10.211.55.151", "mpd-150", "mpd-151", "OCTET=150", "OCTET=151").Replace(text)
			l.write(".mpd-virt/151/"+name, text, 0o600)
		}
		report := l.diag()
		wantChecks(t, report, statuses{"registry": warn})
		if c := report.Check("registry"); !strings.Contains(c.Summary, "mpd-150") || !strings.Contains(c.Summary, "mpd-151") {
			t.Errorf("%q does not name both", c.Summary)
		}
	})
}

// Without a usable entry nothing is asked, and the report leads on.
func TestDiagEntry(t *testing.T) {
	rest := statuses{"registry": fail}
	for _, id := range []string{"backend", "ping", "platform", "ssh-alias", "tunnel", "route", "wireguard-key", "dns-identity", "resolver", "dns-scope", "ca-trust", "ca-expiry", "portal"} {
		rest[id] = skipped
	}
	for name, tt := range map[string]struct {
		prepare func(l *lab)
		want    statuses
		word    string
	}{
		"not registered": {nothing, rest, "mpd-virt setup 150 --backend=general"},
		"unfinished": {func(l *lab) {
			l.vm.Inject(mpdvirttest.Fault{Kind: mpdvirttest.Exit})
			l.refused(adoption)
		}, rest, "mpd-virt setup 150"},
		"F88 broken entry": {func(l *lab) { l.write(".mpd-virt/150/env", "MPD_VM_OCTET=150\nx\n", 0o600) }, rest, "env:2"},
		"backend of another program": {func(l *lab) {
			l.setup(adoption)
			l.write(".mpd-virt/150/env", strings.Replace(l.read(".mpd-virt/150/env"), "general", "vmware", 1), 0o600)
		}, statuses{"backend": fail, "tunnel": fail, "route": skipped, "dns-identity": skipped, "resolver": skipped, "dns-scope": skipped, "ca-trust": warn, "portal": skipped}, `"vmware"`},
	} {
		bubble(t, name, func(t *testing.T) {
			l := newLab(t, options{})
			tt.prepare(l)
			report := l.diag()
			got := statuses{}
			var text strings.Builder
			for _, c := range report.Checks {
				if c.Status != ok {
					got[c.ID] = c.Status
				}
				text.WriteString(c.Summary + "\n")
				for _, f := range c.Fixes {
					text.WriteString(f.Text + strings.Join(f.Argv, " ") + "\n")
				}
			}
			if !maps.Equal(got, tt.want) || !errors.Is(report.Err(), mpdvirt.ErrUnhealthy) {
				t.Errorf("%v, %v", got, report.Err())
			}
			if !strings.Contains(text.String(), tt.word) {
				t.Errorf("no %q in:\n%s", tt.word, text.String())
			}
		})
	}
	bubble(t, "octet out of range", func(t *testing.T) {
		_, err := newLab(t, options{}).Diag(t.Context(), mpdvirt.DiagRequest{Octet: 7})
		wantError(t, err, mpdvirt.ErrUsage)
	})
}

// F98: who looks needs to write nothing.
func TestReadOnlyHome(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	bubble(t, "F98", func(t *testing.T) {
		l := adopted(t, options{})
		dirs := []string{"", ".ssh", ".mpd-virt", ".mpd-virt/150", ".mpd-virt/150/logs", ".mpd-virt/conf"}
		for _, d := range dirs {
			check(t, os.Chmod(l.path(d), 0o500))
			defer os.Chmod(l.path(d), 0o700)
		}
		wantChecks(t, l.diag(), statuses{})
		_, err := l.List(t.Context())
		check(t, err)
		_, err = l.Show(t.Context(), mpdvirt.ShowRequest{Octet: octet})
		check(t, err)
	})
}

// A setup that ends well with a VM that is not well says so.
func TestSetupUnhealthy(t *testing.T) {
	bubble(t, "ssh does not work", func(t *testing.T) {
		l := newLab(t, options{})
		l.world.HandleCommand("ssh", broken)
		res, err := l.Setup(t.Context(), adoption)
		wantError(t, err, mpdvirt.ErrUnhealthy, "ssh-alias")
		if res == nil || res.Report == nil || res.Report.Healthy() || res.Steps[len(res.Steps)-1].Status != fail {
			t.Errorf("the result is %+v", res)
		}
		if !l.exists(".mpd-virt/150/env") {
			t.Error("the VM is not registered")
		}
	})
}
