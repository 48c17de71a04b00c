package mpdvirt_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// register writes an entry as a setup does.
func register(l *lab, o mpdvirt.Octet, backend string) {
	l.t.Helper()
	l.write(".mpd-virt/"+o.String()+"/env", fmt.Sprintf("MPD_VM_BACKEND=%s\nMPD_VM_IP=%s\nMPD_VM_USER=dev\nMPD_VM_OCTET=%s\nMPD_VM_NAME=%s\n",
		backend, o.In(firstAddr), o, o.VMName()), 0o600)
}

func TestList(t *testing.T) {
	bubble(t, "no home yet", func(t *testing.T) {
		l := newLab(t, options{})
		vms, err := l.List(t.Context())
		if check(t, err); vms == nil || len(vms) != 0 || l.exists(".mpd-virt") {
			t.Errorf("%v", vms)
		}
	})
	bubble(t, "F88 all kinds of entries", func(t *testing.T) {
		l := newLab(t, options{})
		register(l, 101, "general")
		register(l, 102, "vmware")
		l.write(".mpd-virt/103/env", "MPD_VM_OCTET=103\n=\n", 0o600)
		l.write(".mpd-virt/104/journal.json", "{", 0o600)
		l.vm.Inject(mpdvirttest.Fault{Kind: mpdvirttest.Exit})
		l.refused(adoption)
		for _, name := range []string{"099", "1000", "255", "notes"} { // not ours
			l.write(".mpd-virt/"+name+"/env", "x", 0o600)
		}
		vms, err := l.List(t.Context())
		check(t, err)
		want := []mpdvirt.VM{
			{Octet: 101, Name: "mpd-101", Backend: "general", Addr: netip.MustParseAddr("10.211.55.101"), User: "dev"},
			{Octet: 102, Name: "mpd-102", Backend: "vmware", Addr: netip.MustParseAddr("10.211.55.102"), User: "dev"},
			{Octet: 103, Name: "mpd-103", State: mpdvirt.Broken},
			{Octet: 104, Name: "mpd-104", State: mpdvirt.Unfinished, Next: "mpd-virt setup 104"},
			{Octet: 150, Name: "mpd-150", Backend: "general", Addr: firstAddr, User: "dev", State: mpdvirt.Unfinished, Next: "mpd-virt setup 150"},
		}
		for i, vm := range vms {
			switch vm.Octet {
			case 102:
				if !strings.Contains(vm.Error, `"vmware"`) {
					t.Errorf("102: %q", vm.Error)
				}
			case 103:
				if !strings.Contains(vm.Error, "103/env:2") || vm.Next == "" {
					t.Errorf("103: %q, next %q", vm.Error, vm.Next)
				}
			default:
				continue
			}
			vms[i].Error = ""
			if vm.Octet == 103 {
				vms[i].Next = ""
			}
		}
		if d := cmp.Diff(want, vms, cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
	bubble(t, "all octets", func(t *testing.T) {
		l := newLab(t, options{})
		for o := mpdvirt.Octet(100); o <= 254; o++ {
			register(l, o, "general")
		}
		vms, err := l.List(t.Context())
		check(t, err)
		if len(vms) != 155 || !slices.IsSortedFunc(vms, func(a, b mpdvirt.VM) int { return int(a.Octet) - int(b.Octet) }) {
			t.Errorf("%d VMs", len(vms))
		}
		if len(l.world.Commands()) > 0 {
			t.Errorf("%v were run", l.world.Commands())
		}
	})
	bubble(t, "F86 the folder is a file", func(t *testing.T) {
		l := newLab(t, options{})
		l.write(".mpd-virt", "", 0o600)
		_, err := l.List(t.Context())
		wantError(t, err, err, ".mpd-virt")
		failure := l.refused(adoption)
		wantError(t, failure, failure, ".mpd-virt")
	})
}

func TestShow(t *testing.T) {
	show := mpdvirt.ShowRequest{Octet: octet}
	bubble(t, "healthy", func(t *testing.T) {
		l := adopted(t, options{})
		logins := l.vm.Logins()
		res, err := l.Show(t.Context(), show)
		check(t, err)
		logs := l.path(".mpd-virt/150/logs/")
		want := &mpdvirt.ShowResult{
			Schema: mpdvirt.ShowSchema, VM: mpdvirt.VM{Octet: octet, Name: "mpd-150", Backend: "general", Addr: canonical, User: "dev"},
			Answers: true, HostKeys: []string{l.vm.HostKeyFingerprint()}, Alias: "mpd-150", Dir: l.path(".mpd-virt/150"),
			ClientConf: l.path(".mpd-virt/conf/wireguard/150/mpd-150.conf"), LastLog: logs + "/2026-11-21T19-04-11-setup.log",
			Repo: mpdvirt.DefaultRepo, Branch: mpdvirt.DefaultBranch,
		}
		if d := cmp.Diff(want, res, cmpopts.EquateComparable(netip.Addr{})); d != "" || l.vm.Logins() != logins {
			t.Errorf("%d logins, -want +got:\n%s", l.vm.Logins()-logins, d)
		}
	})
	bubble(t, "off", func(t *testing.T) {
		l := adopted(t, options{})
		l.vm.PowerOff()
		res, err := l.Show(t.Context(), show)
		if check(t, err); res.Answers {
			t.Error("it answers")
		}
	})
	bubble(t, "little is left", func(t *testing.T) {
		l := newLab(t, options{})
		register(l, octet, "vmware")
		res, err := l.Show(t.Context(), show)
		if check(t, err); res.Error == "" || res.HostKeys != nil || res.LastLog != "" || res.ClientConf != "" {
			t.Errorf("%+v", res)
		}
	})
	bubble(t, "not registered", func(t *testing.T) {
		_, err := newLab(t, options{}).Show(t.Context(), show)
		wantError(t, err, mpdvirt.ErrNotRegistered, "mpd-virt setup 150")
	})
	bubble(t, "unfinished", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Kind: mpdvirttest.Exit})
		l.refused(adoption)
		_, err := l.Show(t.Context(), show)
		wantError(t, err, mpdvirt.ErrNotRegistered, "mpd-virt setup 150     (its setup did not finish)")
	})
	bubble(t, "F88 broken", func(t *testing.T) {
		l := newLab(t, options{})
		l.write(".mpd-virt/150/env", "x\n", 0o600)
		_, err := l.Show(t.Context(), show)
		var broken *mpdvirt.EntryError
		if !errors.As(err, &broken) || broken.Line != 1 || broken.File != l.path(".mpd-virt/150/env") {
			t.Errorf("%v", err)
		}
	})
}

func TestSSHCommand(t *testing.T) {
	bubble(t, "argv", func(t *testing.T) {
		l := adopted(t, options{})
		config := l.path(".ssh/config") // the world's home is not the account's
		for name, tt := range map[string]struct{ args, want []string }{
			"shell":              {nil, []string{"ssh", "-F", config, "mpd-150"}},
			"command":            {[]string{"uptime"}, []string{"ssh", "-F", config, "mpd-150", "--", "uptime"}},
			"looks like options": {[]string{"-oProxyCommand=x", "a b"}, []string{"ssh", "-F", config, "mpd-150", "--", "-oProxyCommand=x", "a b"}},
		} {
			argv, err := l.SSHCommand(t.Context(), mpdvirt.SSHRequest{Octet: octet, Args: tt.args})
			if check(t, err); !slices.Equal(argv, tt.want) {
				t.Errorf("%s: %q, want %q", name, argv, tt.want)
			}
		}
	})
	bubble(t, "entries are written again", func(t *testing.T) {
		l := adopted(t, options{})
		l.write(".ssh/config", "Host x\n", 0o600)
		_, err := l.SSHCommand(t.Context(), mpdvirt.SSHRequest{Octet: octet})
		if check(t, err); !strings.HasPrefix(l.read(".ssh/config"), "Include ") {
			t.Errorf("it is %q", l.read(".ssh/config"))
		}
	})
	bubble(t, "not registered", func(t *testing.T) {
		l := newLab(t, options{})
		_, err := l.SSHCommand(t.Context(), mpdvirt.SSHRequest{Octet: octet})
		if wantError(t, err, mpdvirt.ErrNotRegistered); l.exists(".ssh/config") {
			t.Error("an entry was written")
		}
	})
}
