package mpdvirt_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// classes are what callers, and exit codes, decide by.
var classes = []error{
	mpdvirt.ErrUsage, mpdvirt.ErrRefused, mpdvirt.ErrUnhealthy, mpdvirt.ErrNotRegistered, mpdvirt.ErrExists, mpdvirt.ErrDeclined,
	mpdvirt.ErrLogin, mpdvirt.ErrToolMissing, errors.ErrUnsupported, os.ErrNotExist, hypervisor.ErrDrift, hypervisor.ErrNoMachine,
	hypervisor.ErrState, hypervisor.ErrTaken, context.Canceled, statefile.ErrChanged,
}

// refuses makes the plan of req, which must change nothing, and runs the verb:
// both must end with the same error.
func (s *stage) refuses(req mpdvirt.PlanRequest, run func() error) error {
	s.t.Helper()
	if s.vms == nil {
		s.vms = func() []*mpdvirttest.VM { return nil }
	}
	before, n, seen := s.all(), len(s.world.Commands()), s.seen()
	p, err := s.m.Plan(s.t.Context(), req)
	if after := s.all(); !maps.Equal(before, after) {
		s.t.Fatalf("the plan changed something:\n%s", difference(before, after))
	}
	if did := append(s.changes(n), s.scripts(seen)...); len(did) > 0 {
		s.t.Fatalf("the plan ran %q", did)
	}
	ran := run()
	if err == nil || ran == nil {
		s.t.Fatalf("the plan of %d steps ends with %v, the verb with %v", len(p.Steps), err, ran)
	}
	for _, c := range classes {
		if errors.Is(err, c) != errors.Is(ran, c) {
			s.t.Errorf("%v: the plan ends with %v, the verb with %v", c, err, ran)
		}
	}
	e, r := wrapped(s.t, err), wrapped(s.t, ran)
	// A lock is only looked at.
	if text := strings.Replace(err.Error(), "look at the lock", "lock", 1); text != ran.Error() || e.Hint != r.Hint || e.Step != r.Step {
		s.t.Errorf("the plan ends at %q with\n\t%v\n\t%q\nand the verb at %q with\n\t%v\n\t%q", e.Step, err, e.Hint, r.Step, ran, r.Hint)
	}
	return err
}

func TestPlanRefusesAsTheVerb(t *testing.T) {
	ctx := context.Background()
	setup := func(l *lab, req mpdvirt.SetupRequest) func() error {
		return func() error { _, err := l.Setup(ctx, req); return err }
	}
	bubble(t, "no sudo", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.SetSudo(mpdvirttest.SudoPassword)
		l.on(t).refuses(adoption, setup(l, adoption))
	})
	bubble(t, "a key with a passphrase", func(t *testing.T) {
		l := newLab(t, options{})
		l.write(".ssh/id_ed25519", encryptedKey(t), 0o600)
		check(t, os.Remove(l.path(".ssh/id_ed25519.pub")))
		l.on(t).refuses(adoption, setup(l, adoption))
	})
	bubble(t, "taken", func(t *testing.T) {
		l := newLab(t, options{})
		l.world.AddHost(canonical)
		l.on(t).refuses(adoption, setup(l, adoption))
	})
	bubble(t, "another host key", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.RotateHostKeys())
		s := l.on(t)
		s.refuses(alone, setup(l, alone))
		s.refuses(mpdvirt.UpdateRequest{Octet: octet}, func() error { _, err := l.Update(ctx, mpdvirt.UpdateRequest{Octet: octet}); return err })
		wrong := mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: "SHA256:" + strings.Repeat("A", 43)}
		s.refuses(wrong, setup(l, wrong))
	})
	bubble(t, "contradictions", func(t *testing.T) {
		l := adopted(t, options{})
		for _, req := range []mpdvirt.SetupRequest{
			{Octet: octet, Addr: canonical.Next()}, {Octet: octet, User: "root"}, {Octet: octet, Backend: "utm"}, {Octet: octet, From: "x"}, {Octet: octet, AcceptHostKey: "x"},
		} {
			l.on(t).refuses(req, setup(l, req))
		}
	})
	bubble(t, "damage", func(t *testing.T) {
		for name, text := range map[string]string{"150/env": "X\n", "150/journal.json": "{", "150/known_hosts": "", "conf/caroot/rootCA.pem": "x", "conf/caroot/rootCA-key.pem": "x", "conf/wireguard/mac.private": "x"} {
			t.Log(name)
			l := adopted(t, options{})
			l.write(".mpd-virt/"+name, text, 0o600)
			l.on(t).refuses(alone, setup(l, alone))
			l.on(t).refuses(mpdvirt.CARotateRequest{Yes: true}, func() error { _, err := l.CARotate(ctx, mpdvirt.CARotateRequest{Yes: true}); return err })
		}
	})
	for _, name := range []string{".mpd-virt", ".mpd-virt/150", ".mpd-virt/conf", ".mpd-virt/conf/wireguard", ".mpd-virt/150/logs"} {
		bubble(t, "a file in the way, "+name, func(t *testing.T) {
			l := newLab(t, options{})
			l.write(name, "x", 0o600)
			l.on(t).refuses(adoption, setup(l, adoption))
			check(t, os.Remove(l.path(name)))
			check(t, os.Symlink(l.path("."), l.path(name)))
			l.on(t).refuses(adoption, setup(l, adoption))
		})
	}
	for _, name := range []string{".ssh/config", ".mpd-virt/ssh_config", ".mpd-virt/.lock", ".mpd-virt/.lock-150", ".mpd-virt/conf/wireguard/150/client.conf", ".mpd-virt/150/known_hosts"} {
		bubble(t, "a folder in the way, "+name, func(t *testing.T) {
			l := newLab(t, options{})
			check(t, os.RemoveAll(l.path(name)))
			l.write(name+"/x", "", 0o600)
			l.on(t).refuses(adoption, setup(l, adoption))
			check(t, os.RemoveAll(l.path(name)))
			check(t, os.Symlink("/nowhere", l.path(name)))
			l.on(t).refuses(adoption, setup(l, adoption))
		})
	}
	bubble(t, "start and stop", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		_, err := f.m.Clone(ctx, order(octet))
		check(t, err)
		start := func() error { _, err := f.m.Start(ctx, mpdvirt.StartRequest{Octet: octet}); return err }
		check(t, f.parallels.VM("mpd-150").RotateHostKeys())
		f.on(t).refuses(mpdvirt.StartRequest{Octet: octet}, start)
		check(t, f.parallels.Rename(f.parallels.UUID("mpd-150"), "other"))
		_, err = f.parallels.AddVM("mpd-150", mpdvirttest.VMOptions{})
		check(t, err)
		f.on(t).refuses(mpdvirt.StartRequest{Octet: octet}, start)
		f.on(t).refuses(mpdvirt.StopRequest{Octet: octet}, func() error { return f.m.Stop(ctx, mpdvirt.StopRequest{Octet: octet}) })
		req := mpdvirt.DeleteRequest{Octet: octet, Yes: true}
		f.on(t).refuses(req, func() error { _, err := f.m.Delete(ctx, req); return err })
		check(t, f.parallels.Remove(f.parallels.UUID("other")))
		check(t, f.parallels.Remove(f.parallels.UUID("mpd-150")))
		f.on(t).refuses(mpdvirt.StartRequest{Octet: octet}, start)
		f.on(t).refuses(mpdvirt.StopRequest{Octet: octet}, func() error { return f.m.Stop(ctx, mpdvirt.StopRequest{Octet: octet}) })
	})
	bubble(t, "clone", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		clone := func(req mpdvirt.CloneRequest) func() error {
			return func() error { _, err := f.m.Clone(ctx, req); return err }
		}
		req := order(octet)
		req.Template = "nothing"
		f.on(t).refuses(req, clone(req))
		f.World.AddHost(canonical)
		f.on(t).refuses(order(octet), clone(order(octet)))
		_, err := f.parallels.AddVM("MPD-151", mpdvirttest.VMOptions{})
		check(t, err)
		f.on(t).refuses(order(151), clone(order(151)))
		create := creation(octet)
		create.Backend = "parallels"
		f.on(t).refuses(create, func() error { _, err := f.m.Create(ctx, create); return err })
	})
	bubble(t, "clone whose template is gone", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		stopped, stop := context.WithCancel(ctx)
		f.watch = func(e mpdvirt.Event) {
			if e.Kind == mpdvirt.StepStarted && e.Step == mpdvirt.StepMake {
				stop()
			}
		}
		_, err := f.m.Clone(stopped, order(octet))
		if err == nil {
			t.Fatal("it was not stopped")
		}
		f.watch = nil
		check(t, f.parallels.Remove(f.parallels.UUID(templateName)))
		f.on(t).refuses(order(octet), func() error { _, err := f.m.Clone(ctx, order(octet)); return err })
	})
	bubble(t, "create", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		create := func(req mpdvirt.CreateRequest) func() error {
			return func() error { _, err := f.Create(ctx, req); return err }
		}
		req := creation(octet)
		req.Image = f.path("none.raw")
		f.on(t).refuses(req, create(req))
		f.World.AddHost(octet.In(netip.MustParseAddr("192.168.64.1")))
		f.on(t).refuses(creation(octet), create(creation(octet)))
		_, err := f.utm.AddVM("MPD-151", mpdvirttest.VMOptions{})
		check(t, err)
		f.on(t).refuses(creation(151), create(creation(151)))
		f.change(func(s *mpdvirttest.UTMSettings) { s.Denied = true })
		f.on(t).refuses(creation(152), create(creation(152)))
		f.change(func(s *mpdvirttest.UTMSettings) { s.Denied, s.Absent = false, true })
		f.on(t).refuses(creation(152), create(creation(152)))
	})
	bubble(t, "rotate", func(t *testing.T) {
		rotate := func(l *lab) func() error {
			return func() error { _, err := l.CARotate(ctx, mpdvirt.CARotateRequest{Yes: true}); return err }
		}
		l, vm := pair(t, yes, mpdvirttest.Options{})
		vm.PowerOff()
		l.on(t).refuses(mpdvirt.CARotateRequest{Yes: true}, rotate(l))
		t.Log("goes on")
		l.on(t).refuses(mpdvirt.CARotateRequest{Yes: true}, rotate(l))
		l.write(".mpd-virt/151/env", "x\n", 0o600)
		t.Log("broken")
		l.on(t).refuses(mpdvirt.CARotateRequest{Yes: true}, rotate(l))
		t.Log("busy")
		lock, err := statefile.Acquire(ctx, l.path(".mpd-virt/.lock-150"), "update", 0)
		check(t, err)
		defer lock.Unlock()
		l.on(t).refuses(mpdvirt.CARotateRequest{Yes: true}, rotate(l))
		t.Log("uninstall")
		l.on(t).refuses(forced, func() error { _, err := l.Uninstall(ctx, forced); return err })
		l.on(t).refuses(removal, func() error { _, err := l.Uninstall(ctx, removal); return err })
	})
}
