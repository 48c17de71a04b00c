package mpdvirt_test

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// Each check of the Mac's side, for each status that it can have.
func TestMacChecks(t *testing.T) {
	containers := netip.MustParsePrefix("10.163.0.0/24")
	hang := func(tool, verb string) func(l *lab) {
		return func(l *lab) {
			check(l.t, l.world.Mac().Inject(mpdvirttest.MacFault{Kind: "hang", Tool: tool, Verb: verb, Times: -1}))
		}
	}
	garbage := func(tool, verb string) func(l *lab) {
		return func(l *lab) {
			check(l.t, l.world.Mac().Inject(mpdvirttest.MacFault{Kind: "garbage", Tool: tool, Verb: verb, Times: -1}))
		}
	}
	noMac := options{world: mpdvirttest.Options{NoMac: true}}
	for _, tt := range []struct {
		check  string
		name   string
		with   options
		change func(l *lab)
		want   mpdvirt.Status
		says   string
		fix    string // in one of the fixes
	}{
		{"tunnel", "on", options{}, nothing, ok, "utun4 has 10.164.0.1, and mpd-150 is connected", ""},
		{"tunnel", "off, and imported", options{}, func(l *lab) { l.world.Tunnel(nil) }, fail, "no interface has 10.164.0.1", "scutil --nc start mpd-150"},
		{"tunnel", "off, and not there", options{}, func(l *lab) {
			l.world.Tunnel(nil)
			check(l.t, l.world.Mac().RemoveTunnel("mpd-150"))
		}, fail, "no tunnel", "mpd-150.mobileconfig"},
		{"tunnel", "another VM's", options{}, func(l *lab) { l.world.Tunnel(second(l)) }, warn, "mpd-151 is connected, not mpd-150", "--nc start mpd-150"},
		{"tunnel", "none, but a static route", options{}, func(l *lab) {
			l.world.Tunnel(nil)
			check(l.t, l.world.Mac().AddRoute(containers, canonical))
		}, warn, "static route", ""},
		{"tunnel", "F106 cannot tell", options{}, hang("ifconfig", ""), warn, "cannot tell", ""},
		{"tunnel", "no Mac", noMac, nothing, skipped, "no Mac", ""},

		{"route", "through the tunnel", options{}, nothing, ok, "10.163.0.0/24 through utun4", ""},
		{"route", "a static route before the tunnel's", options{}, func(l *lab) {
			l.world.Tunnel(nil)
			check(l.t, l.world.Mac().AddRoute(containers, canonical))
			l.world.Tunnel(l.vm)
		}, fail, "static route", "route -n delete -net 10.163.0.0/24"},
		{"route", "the tunnel is off", options{}, func(l *lab) { l.world.Tunnel(nil) }, skipped, "not tried: tunnel failed", ""},
		{"route", "F106 cannot tell", options{}, garbage("route", "get"), warn, "cannot tell", ""},
		{"route", "no Mac", noMac, nothing, skipped, "no Mac", ""},

		{"wireguard-key", "the same", options{}, nothing, ok, "the one that this Mac's tunnel expects", ""},
		{"wireguard-key", "F108 another", options{}, func(l *lab) {
			conf, _, err := l.vm.File("/etc/wireguard/mpd0.conf")
			other, _, err2 := second(l).File("/etc/wireguard/mpd0.conf")
			check(l.t, errors.Join(err, err2))
			key := func(text []byte) string {
				_, rest, _ := strings.Cut(string(text), "PrivateKey = ")
				line, _, _ := strings.Cut(rest, "\n")
				return line
			}
			check(l.t, l.vm.WriteFile("/etc/wireguard/mpd0.conf", []byte(strings.Replace(string(conf), key(conf), key(other), 1)), 0o600))
		}, fail, "not the one in client.conf", "mpd-virt setup 150 --from=push"},
		{"wireguard-key", "no interface", options{}, func(l *lab) { check(l.t, l.vm.Remove("/etc/wireguard/mpd0.conf")) }, fail, "shows no WireGuard key", "--from=push"},
		{"wireguard-key", "the VM is dead", options{}, func(l *lab) { l.vm.PowerOff() }, skipped, "not tried: platform failed", ""},

		{"dns-scope", "all names", options{}, nothing, ok, "all names", ""},
		{"dns-scope", "F114 somebody else's file sends them elsewhere", options{}, resolverFile("nameserver 127.0.0.1\n"), fail, "/etc/resolver/mpd.test", "remove it if nothing else"},
		{"dns-scope", "F114 somebody else's file has no effect", options{}, resolverFile("nameserver 10.163.0.3\ntimeout 1\n"), warn, "/etc/resolver/mpd.test", ""},
		{"resolver", "F114 somebody else's file", options{}, resolverFile("nameserver 127.0.0.1\n"), skipped, "not tried: dns-scope failed", ""},
		{"dns-scope", "F111 cannot tell", options{}, garbage("scutil", "--dns"), warn, "cannot tell", ""},
		{"dns-scope", "no Mac", noMac, nothing, skipped, "no Mac", ""},

		{"ca-trust", "trusted", options{}, nothing, ok, "is trusted", ""},
		{"ca-trust", "not trusted", options{}, func(l *lab) { l.distrust() }, warn, "is not trusted", "sudo /usr/bin/security add-trusted-cert"},
		{"ca-trust", "never to be trusted", options{}, func(l *lab) {
			check(l.t, l.world.Mac().SetTrust([]byte(l.read(".mpd-virt/conf/caroot/rootCA.pem")), "deny"))
		}, warn, "never to trust", "Keychain Access"},
		{"ca-trust", "F111 hangs", options{}, hang("security", "verify-cert"), warn, "cannot tell", ""},
		{"ca-trust", "F111 garbage", options{}, garbage("security", "verify-cert"), warn, "cannot tell", ""},
		{"ca-trust", "no Mac", noMac, nothing, skipped, "no Mac", ""},
		{"ca-trust", "no CA", options{}, func(l *lab) { check(l.t, os.Remove(l.path(".mpd-virt/conf/caroot/rootCA.pem"))) }, fail, "rootCA.pem", ""},

		{"ca-expiry", "years", options{}, nothing, ok, "valid until 2036-11-21", ""},
		{"ca-expiry", "50 days", options{}, func(l *lab) { l.later(3600 * 24 * time.Hour) }, warn, "expires in", "mpd-virt ca rotate"},
		{"ca-expiry", "over", options{}, func(l *lab) { l.later(3700 * 24 * time.Hour) }, fail, "expired", "mpd-virt ca rotate"},

		{"portal", "answers", options{}, nothing, ok, "https://mpd.test answers", ""},
		{"portal", "down", options{}, func(l *lab) { l.vm.SetPortal(mpdvirttest.PortalDown) }, fail, "10.163.0.4:443", "--from=mpd-setup"},
		{"portal", "another CA", options{}, func(l *lab) { l.vm.SetPortal(mpdvirttest.PortalOtherCA) }, fail, "not of our CA", "--from=mpd-setup"},
		{"portal", "expired", options{}, func(l *lab) { l.vm.SetPortal(mpdvirttest.PortalExpired) }, fail, "expired", "--from=mpd-setup"},
		{"portal", "another name", options{}, func(l *lab) { l.vm.SetPortal(mpdvirttest.PortalWrongName) }, fail, "mpd.test", "--from=mpd-setup"},
		{"portal", "silent", options{}, func(l *lab) { l.vm.SetPortal(mpdvirttest.PortalSilent) }, fail, "10.163.0.4:443", "--from=mpd-setup"},
		{"portal", "another VM's tunnel", options{}, func(l *lab) { l.world.Tunnel(second(l)) }, skipped, "not tried: dns-identity failed", ""},
	} {
		bubble(t, tt.check+", "+tt.name, func(t *testing.T) {
			l := adopted(t, tt.with)
			tt.change(l)
			c := l.diag().Check(tt.check)
			var fixes strings.Builder
			for _, f := range c.Fixes {
				fixes.WriteString(f.Text + "\n" + f.Command() + "\n" + f.Open + "\n")
			}
			if c.Status != tt.want || !strings.Contains(c.Summary, tt.says) || !strings.Contains(fixes.String(), tt.fix) {
				t.Errorf("%s %q, fixes %s; want %s that says %q with %q", c.Status, c.Summary, fixes.String(), tt.want, tt.says, tt.fix)
			}
			if c.Phase != mpdvirt.Optional {
				t.Error("it changes the exit code")
			}
		})
	}
}

func (l *lab) distrust() {
	l.t.Helper()
	check(l.t, l.world.Mac().SetTrust([]byte(l.read(".mpd-virt/conf/caroot/rootCA.pem")), ""))
}

// later is a Manager whose clock is ahead.
func (l *lab) later(by time.Duration) {
	now := l.cfg.Now
	l.cfg.Now = func() time.Time { return now().Add(by) }
	l.Manager = l.manager()
}

func resolverFile(text string) func(l *lab) {
	return func(l *lab) {
		dir := l.world.Root() + "/etc/resolver"
		check(l.t, errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/mpd.test", []byte(text), 0o644)))
	}
}

// With /etc/resolver in the place of DNS in the tunnel, only mpd.test's names go
// to the VM.
func TestSplitDNS(t *testing.T) {
	bubble(t, "ours", func(t *testing.T) {
		l := adopted(t, options{})
		conf := l.read(".mpd-virt/conf/wireguard/150/client.conf")
		_, rest, _ := strings.Cut(conf, "DNS = ")
		line, _, _ := strings.Cut(rest, "\n")
		l.world.Tunnel(nil)
		mac := l.world.Mac()
		check(t, errors.Join(mac.RemoveTunnel("mpd-150"), mac.ImportTunnel("mpd-150", strings.Replace(conf, "DNS = "+line+"\n", "", 1)), mac.Activate("mpd-150")))
		if c := l.diag().Check("dns-scope"); c.Status != fail || len(c.Fixes) < 3 || !strings.Contains(c.Fixes[2].Command(), "/etc/resolver/mpd.test") {
			t.Errorf("without any: %+v", c)
		}
		resolverFile("# made by mpd-virt\nnameserver 10.163.0.3\n")(l)
		if c := l.diag().Check("dns-scope"); c.Status != ok || c.Facts["scope"] != "mpd.test" {
			t.Errorf("with the file: %+v", c)
		}
	})
}

// macOS 15 keeps programs out of the local network; the VM is not dead.
func TestLocalNetworkPrivacy(t *testing.T) {
	bubble(t, "denied", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.world.Mac().Change(func(s *mpdvirttest.MacSettings) { s.LocalNetworkDenied = true }))
		report := l.diag()
		c := report.Check("platform")
		if c.Status != fail || c.Facts["local_network"] != "denied" || len(c.Fixes) != 1 || !strings.Contains(c.Fixes[0].Text, "Local Network") || c.Fixes[0].Open == "" {
			t.Errorf("%+v", c)
		}
		if p := report.Check("ping"); p.Status != skipped {
			t.Errorf("%+v", p)
		}
	})
	bubble(t, "dead, not denied", func(t *testing.T) {
		l := adopted(t, options{})
		l.vm.PowerOff()
		if c := l.diag().Check("platform"); c.Facts["local_network"] != "" {
			t.Errorf("%+v", c)
		}
	})
}
