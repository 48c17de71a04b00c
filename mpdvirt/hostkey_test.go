package mpdvirt_test

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// F19: a changed host key stops everything until it is accepted on purpose.
func TestHostKeyChanged(t *testing.T) {
	bubble(t, "F19 refused", func(t *testing.T) {
		l := adopted(t, options{})
		was, before, ran := l.vm.HostKeyFingerprint(), l.tree(), len(l.vm.Steps())
		logins := l.vm.Logins()
		check(t, l.vm.RotateHostKeys())
		now := l.vm.HostKeyFingerprint()
		for name, req := range map[string]mpdvirt.SetupRequest{
			"alone":              alone,
			"accepting another":  {Octet: octet, AcceptHostKey: "SHA256:" + strings.Repeat("A", 43)},
			"accepting the lost": {Octet: octet, AcceptHostKey: was},
		} {
			err := l.refused(req)
			var key *mpdvirt.HostKeyError
			if !errors.As(err, &key) || key.Got != now || key.Addr != netip.AddrPortFrom(canonical, 22) || key.File != l.path(".mpd-virt/150/known_hosts") {
				t.Fatalf("%s: %v holds %+v", name, err, key)
			}
			wantError(t, err, mpdvirt.ErrRefused, now, "--accept-host-key="+now)
			if want := []string{was}; name != "accepting another" && !slices.Equal(key.Want, want) {
				t.Errorf("%s: want %v, not %v", name, key.Want, want)
			}
		}
		wantError(t, l.refused(alone), mpdvirt.ErrRefused, was)
		if d := cmp.Diff(before, l.tree()); d != "" || len(l.vm.Steps()) != ran || l.vm.Logins() != logins {
			t.Errorf("%d logins; -before +after:\n%s", l.vm.Logins()-logins, d)
		}
	})
	bubble(t, "F19 accepted", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.RotateHostKeys())
		now, ran := l.vm.HostKeyFingerprint(), len(l.vm.Steps())
		l.setup(mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: now})
		if d := cmp.Diff(scriptsFrom("ssh"), l.vm.Steps()[ran:]); d != "" {
			t.Errorf("the journal was not void: -want +got:\n%s", d)
		}
		wantFiles(l)
		ran = len(l.vm.Steps())
		if l.setup(alone); len(l.vm.Steps()) != ran {
			t.Error("a further setup runs scripts again")
		}
	})
	bubble(t, "F19 killed between accepting and the journal", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.RotateHostKeys())
		accept := mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: l.vm.HostKeyFingerprint()}
		for _, key := range l.vm.HostKeys() {
			if ssh.FingerprintSHA256(key) == accept.AcceptHostKey {
				l.write(".mpd-virt/150/known_hosts", "mpd-150 "+string(ssh.MarshalAuthorizedKey(key)), 0o600)
			}
		}
		wantError(t, l.refused(alone), mpdvirt.ErrRefused, "run that command again")
		l.setup(accept)
		l.setup(alone)
		wantFiles(l)
	})
	bubble(t, "another machine-id", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.SetMachineID([]byte("made anew")))
		ran := len(l.vm.Steps())
		l.setup(alone)
		if d := cmp.Diff(scriptsFrom("ssh"), l.vm.Steps()[ran:]); d != "" {
			t.Errorf("the journal was not void: -want +got:\n%s", d)
		}
	})
	bubble(t, "F22 more keys", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.AddHostKey("rsa"))
		check(t, l.vm.AddHostKey("ecdsa"))
		pins := l.read(".mpd-virt/150/known_hosts")
		if report := l.setup(alone).Report; !report.Healthy() || l.read(".mpd-virt/150/known_hosts") != pins {
			t.Error("the new keys are taken for a change")
		}
	})
}

// F23: lost or damaged pins are never silent trust.
func TestHostKeyPins(t *testing.T) {
	other, err := mpdvirttest.New(mpdvirttest.Options{Seed: "other"})
	check(t, err)
	defer other.Close()
	foreign := "mpd-150 " + string(ssh.MarshalAuthorizedKey(other.Key()))
	for name, spoil := range map[string]func(file string) error{
		"removed":  os.Remove,
		"empty":    func(file string) error { return os.Truncate(file, 0) },
		"cut":      func(file string) error { return os.Truncate(file, 40) },
		"cut late": func(file string) error { return os.Truncate(file, 80) },
		"garbage":  func(file string) error { return os.WriteFile(file, []byte("\x00\xff garbage\n"), 0o600) },
		"swapped":  func(file string) error { return os.WriteFile(file, []byte(foreign), 0o600) },
		"writable": func(file string) error { return os.Chmod(file, 0o666) },
		"a folder": func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"a symlink": func(file string) error {
			return errors.Join(os.Rename(file, file+".old"), os.Symlink(file+".old", file))
		},
	} {
		bubble(t, "F23 "+name, func(t *testing.T) {
			l := adopted(t, options{})
			file := l.path(".mpd-virt/150/known_hosts")
			check(t, spoil(file))
			logins := l.vm.Logins()
			err := l.refused(alone)
			wantError(t, err, mpdvirt.ErrRefused, file, "--accept-host-key=")
			var key *mpdvirt.HostKeyError
			if !errors.As(err, &key) || key.File != file {
				t.Errorf("%v holds %+v", err, key)
			}
			_, updateErr := l.Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet})
			wantError(t, updateErr, mpdvirt.ErrRefused, file)
			if report := l.diag(); !errors.Is(report.Err(), mpdvirt.ErrRefused) || !report.Check("platform").Refused {
				t.Errorf("diag: %v", report.Err())
			}
			if l.vm.Logins() != logins {
				t.Error("the VM was logged in to")
			}
		})
	}
	bubble(t, "F23 removed with the journal", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, errors.Join(os.Remove(l.path(".mpd-virt/150/known_hosts")), os.Remove(l.path(".mpd-virt/150/journal.json"))))
		wantError(t, l.refused(alone), mpdvirt.ErrRefused, "known_hosts")
	})
	bubble(t, "F23 removed and accepted again", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, os.Remove(l.path(".mpd-virt/150/known_hosts")))
		l.setup(mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: l.vm.HostKeyFingerprint()})
		wantFiles(l)
	})
	bubble(t, "F23 removed before registration", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepClone, Kind: mpdvirttest.Exit})
		l.refused(adoption)
		check(t, os.Remove(l.path(".mpd-virt/150/known_hosts")))
		wantError(t, l.refused(alone), mpdvirt.ErrRefused, "known_hosts")
	})
}
