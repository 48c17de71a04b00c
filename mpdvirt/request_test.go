package mpdvirt_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// Requests that lack something or contradict themselves do nothing.
func TestSetupRequest(t *testing.T) {
	other := netip.MustParseAddr("10.211.55.38")
	for _, tt := range []struct {
		name  string
		known bool
		req   mpdvirt.SetupRequest
		words []string
	}{
		{"other address", true, mpdvirt.SetupRequest{Octet: octet, Addr: other}, []string{"10.211.55.150, not 10.211.55.38", "mpd-virt delete 150 --keep-vm"}},
		{"other backend", true, mpdvirt.SetupRequest{Octet: octet, Backend: "utm"}, []string{"general, not utm"}},
		{"other user", true, mpdvirt.SetupRequest{Octet: octet, User: "petr"}, []string{"dev, not petr"}},
		{"no user", false, mpdvirt.SetupRequest{Octet: octet, Backend: "general", Addr: firstAddr}, []string{"--username=NAME"}},
		{"no backend", false, mpdvirt.SetupRequest{Octet: octet, Addr: firstAddr, User: "dev"}, []string{"no default", "backend set-default general"}},
		{"no such backend", false, mpdvirt.SetupRequest{Octet: octet, Backend: "vmware", Addr: firstAddr, User: "dev"}, []string{"vmware", "general"}},
		{"no address", false, mpdvirt.SetupRequest{Octet: octet, Backend: "general", User: "dev"}, []string{"--ip=ADDRESS"}},
		{"F124 the Mac's own address", false, mpdvirt.SetupRequest{Octet: octet, Backend: "general", Addr: netip.MustParseAddr("10.211.55.2"), User: "dev"}, []string{"10.211.55.2"}},
		{"F124 IPv6", false, mpdvirt.SetupRequest{Octet: octet, Backend: "general", Addr: netip.MustParseAddr("fd00::37"), User: "dev"}, []string{"fd00::37"}},
		{"F124 a network", false, mpdvirt.SetupRequest{Octet: octet, Backend: "general", Addr: netip.MustParseAddr("10.211.55.0"), User: "dev"}, []string{"10.211.55.0"}},
		{"F121 an option as user", false, mpdvirt.SetupRequest{Octet: octet, Backend: "general", Addr: firstAddr, User: "-oProxyCommand=reboot"}, []string{"-oProxyCommand"}},
		{"F120 octet out of range", false, mpdvirt.SetupRequest{Octet: 99, Backend: "general", Addr: firstAddr, User: "dev"}, []string{"100", "254"}},
		{"octet missing", false, mpdvirt.SetupRequest{}, []string{"100", "254"}},
		{"no such step", true, mpdvirt.SetupRequest{Octet: octet, From: "70-update"}, []string{"70-update", "20-git-clone"}},
		{"no fingerprint", true, mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: "yes"}, []string{"SHA256:"}},
		{"no fingerprint of SHA256", true, mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: "MD5:" + strings.Repeat("a", 43)}, []string{"SHA256:"}},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l := newLab(t, options{})
			if tt.known {
				l.setup(adoption)
			}
			before, connections := l.tree(), l.vm.Connections()
			wantError(t, l.refused(tt.req), mpdvirt.ErrUsage, tt.words...)
			after := l.tree()
			for _, lock := range []string{".mpd-virt", ".mpd-virt/.lock-150"} { // may be made by then
				delete(before, lock)
				delete(after, lock)
			}
			if d := cmp.Diff(before, after); d != "" || l.vm.Connections() != connections {
				t.Errorf("%d connections; -before +after:\n%s", l.vm.Connections()-connections, d)
			}
		})
	}
	bubble(t, "default backend", func(t *testing.T) {
		l := newLab(t, options{})
		check(t, l.SetDefaultBackend(t.Context(), "general"))
		req := adoption
		req.Backend = ""
		l.setup(req)
	})
	bubble(t, "unfinished, with another address and user", func(t *testing.T) {
		l := newLab(t, options{vm: mpdvirttest.VMOptions{Addr: other, User: "petr"}})
		l.refused(adoption) // nobody is there
		l.setup(mpdvirt.SetupRequest{Octet: octet, Addr: other, User: "petr"})
	})
}

// F88: what is on file and cannot be used is named, and nothing is done.
func TestSetupBrokenState(t *testing.T) {
	for name, tt := range map[string]struct {
		file, text string
		line       int
	}{
		"entry":           {"env", "MPD_VM_BACKEND=general\nMPD_VM_IP=10.0.0.300\nMPD_VM_USER=dev\nMPD_VM_OCTET=150\nMPD_VM_NAME=mpd-150\n", 2},
		"empty entry":     {"env", "", 0},
		"journal":         {"journal.json", "{", 0},
		"foreign journal": {"journal.json", `{"schema":"mpd-virt/journal/9"}`, 0},
	} {
		bubble(t, "F88 "+name, func(t *testing.T) {
			l := adopted(t, options{})
			l.write(".mpd-virt/150/"+tt.file, tt.text, 0o600)
			connections := l.vm.Connections()
			var broken *mpdvirt.EntryError
			err := l.refused(alone)
			if !errors.As(err, &broken) || broken.File != l.path(".mpd-virt/150/"+tt.file) || tt.line > 0 && broken.Line != tt.line {
				t.Fatalf("error %v holds %+v", err, broken)
			}
			if err.Hint == "" || errors.Is(err, mpdvirt.ErrUsage) || l.vm.Connections() != connections {
				t.Errorf("hint %q, usage %t", err.Hint, errors.Is(err, mpdvirt.ErrUsage))
			}
			_, updateErr := l.Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet})
			if !errors.As(updateErr, &broken) {
				t.Errorf("update: %v", updateErr)
			}
		})
	}
}
