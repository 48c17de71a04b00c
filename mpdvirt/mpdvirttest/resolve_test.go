package mpdvirttest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// lookup is what the system's resolver says within two seconds.
func (d *desk) lookup(name string) string {
	ctx, cancel := context.WithTimeout(d.Context(), 2*time.Second)
	defer cancel()
	addrs, err := d.Resolve(ctx, "ip4", name)
	var dnsErr *net.DNSError
	switch {
	case err == nil:
		return fmt.Sprint(addrs[0])
	case errors.As(err, &dnsErr) && dnsErr.IsNotFound:
		return "not found"
	case errors.As(err, &dnsErr) && dnsErr.IsTimeout:
		return "timeout"
	}
	return err.Error()
}

// cached is what dscacheutil says, in the same words.
func (d *desk) cached(name string) string {
	r, err := d.World.Run(d.Context(), hypervisor.Command{Argv: []string{"dscacheutil", "-q", "host", "-a", "name", name}, Limit: 2 * time.Second})
	_, addr, _ := strings.Cut(string(r.Stdout), "ip_address: ")
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case err != nil:
		return err.Error()
	case addr == "":
		return "not found"
	}
	return strings.TrimSpace(addr)
}

// etc writes a file below the Mac's /etc.
func (d *desk) etc(name, text string) {
	d.Helper()
	file := filepath.Join(d.Root(), "etc", name)
	d.must(os.MkdirAll(filepath.Dir(file), 0o755))
	d.must(os.WriteFile(file, []byte(text), 0o644))
}

func TestResolver(t *testing.T) {
	const ours, vm = "vm.service.mpd.test", "10.211.55.150"
	noDNS := func(d *desk) {
		id, err := d.store.Load(150)
		d.must(err)
		d.must(d.mac.ImportTunnel("split", strings.ReplaceAll(string(id.ClientConf), "DNS = 10.163.0.3\n", "")))
		d.must(d.mac.Activate("split"))
	}
	for _, tt := range []struct {
		name string
		do   func(d *desk)
		host string
		want string
	}{
		{"nothing is up", func(*desk) {}, ours, "not found"},
		{"the tunnel takes all", func(d *desk) { d.Tunnel(d.vm) }, ours, vm},
		{"in capitals, with a dot", func(d *desk) { d.Tunnel(d.vm) }, "VM.Service.mpd.test.", vm},
		{"also what the VM does not know", func(d *desk) { d.Tunnel(d.vm) }, "example.org", "not found"},
		{"the VM is off", func(d *desk) { d.Tunnel(d.vm); d.vm.PowerOff() }, "example.org", "timeout"},
		{"its name server is silent", func(d *desk) { d.Tunnel(d.vm); d.vm.SetDNS(mpdvirttest.DNSSilent) }, "example.org", "timeout"},
		{"a tunnel without DNS", noDNS, ours, "not found"},
		{"split", func(d *desk) { noDNS(d); d.etc("resolver/mpd.test", "nameserver 10.163.0.3\n") }, ours, vm},
		{"split, others", func(d *desk) { noDNS(d); d.vm.PowerOff(); d.etc("resolver/mpd.test", "nameserver 10.163.0.3\n") }, "example.org", "not found"},
		{"a file without a tunnel", func(d *desk) { d.etc("resolver/mpd.test", "nameserver 10.163.0.3\n") }, ours, "timeout"},
		{"a file that is foreign", func(d *desk) { d.Tunnel(d.vm); d.etc("resolver/mpd.test", "nameserver 192.168.1.1\n") }, ours, "not found"},
		{"no name server there", func(d *desk) { d.etc("resolver/mpd.test", "nameserver 10.211.55.150\n") }, ours, "timeout"},
		{"another port", func(d *desk) { d.Tunnel(d.vm); d.etc("resolver/mpd.test", "nameserver 10.163.0.3\nport 5353\n") }, ours, "timeout"},
		{"/etc/hosts", func(d *desk) { d.Tunnel(d.vm); d.etc("hosts", "10.0.0.1 "+ours+"\n") }, ours, "10.0.0.1"},
		{"a stale cache", func(d *desk) { d.Claim(ours, netip.MustParseAddr("10.0.0.2")) }, ours, "10.0.0.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				tt.do(d)
				if got := d.lookup(tt.host); got != tt.want {
					t.Errorf("%s: %s, want %s", tt.host, got, tt.want)
				}
				if got := d.cached(tt.host); got != tt.want {
					t.Errorf("dscacheutil: %s: %s, want %s", tt.host, got, tt.want)
				}
			})
		})
	}
}

// A name that was looked up in vain stays so until root says otherwise.
func TestResolverCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.must(d.mac.Change(func(s *mpdvirttest.MacSettings) { s.CachesUnknown, s.Sudo = true, "asks not" }))
		const ours = "vm.service.mpd.test"
		if got := d.lookup(ours); got != "not found" {
			t.Errorf("before: %s", got)
		}
		d.Tunnel(d.vm)
		if got := d.lookup(ours); got != "not found" {
			t.Errorf("from the cache: %s", got)
		}
		d.says("sudo dscacheutil -flushcache")
		if got := d.lookup(ours); got != "10.211.55.150" {
			t.Errorf("afterwards: %s", got)
		}
	})
}
