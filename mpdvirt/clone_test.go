package mpdvirt_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// prlMac is a Mac with Parallels Desktop and one template.
type prlMac struct {
	*mpdvirttest.World
	parallels *mpdvirttest.Parallels
	template  *mpdvirttest.VM
	m         *mpdvirt.Manager
	notes     []string
	watch     func(mpdvirt.Event) // nil: nobody watches
	ctx       context.Context
	backends  []hypervisor.Hypervisor
}

const templateName = "mpd-template-trixie"

func newMac(t *testing.T, o mpdvirttest.ParallelsOptions) *prlMac {
	t.Helper()
	w, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	p, err := w.AddParallels(o)
	if err != nil {
		t.Fatal(err)
	}
	template, err := p.AddTemplate(templateName, mpdvirttest.VMOptions{User: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	f := &prlMac{World: w, parallels: p, template: template}
	cfg := w.Config()
	cfg.Backends = []hypervisor.Hypervisor{parallels.New(parallels.Config{
		Run: cfg.Runner, LeaseFile: w.Root() + parallels.DefaultLeaseFile,
	})}
	cfg.Observer = func(e mpdvirt.Event) {
		if f.watch != nil {
			f.watch(e)
		}
		if e.Kind == mpdvirt.Note {
			f.notes = append(f.notes, e.Text)
		}
	}
	f.backends = cfg.Backends
	if f.m, err = mpdvirt.New(cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

func order(o mpdvirt.Octet) mpdvirt.CloneRequest {
	return mpdvirt.CloneRequest{Octet: o, Backend: "parallels", Template: templateName, User: "dev"}
}

func TestClone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		res, err := f.m.Clone(t.Context(), order(150))
		if err != nil {
			t.Fatalf("clone: %v", err)
		}
		vm := f.parallels.VM("mpd-150")
		if res.VM.UUID != f.parallels.UUID("mpd-150") || !res.Report.Healthy() {
			t.Errorf("clone: %+v", res.VM)
		}
		var ids []string
		for _, s := range res.Steps {
			ids = append(ids, s.ID)
		}
		if i := slices.Index(ids, "rotate"); i < 0 || i > slices.Index(ids, "identity") {
			t.Errorf("steps %v: host keys must be the VM's own before anything secret is made for it", ids)
		}
		if vm.HostKeyFingerprint() == f.template.HostKeyFingerprint() {
			t.Error("the clone has its template's host key")
		}
		show, err := f.m.Show(t.Context(), mpdvirt.ShowRequest{Octet: 150})
		if err != nil || !slices.Contains(show.HostKeys, vm.HostKeyFingerprint()) || slices.Contains(show.HostKeys, f.template.HostKeyFingerprint()) {
			t.Errorf("pinned %v, %v; want the clone's own keys and not the template's", show.HostKeys, err)
		}
		if err := f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: 150}); err != nil {
			t.Errorf("stop: %v", err)
		}
		vms, err := f.m.List(t.Context())
		if err != nil || len(vms) != 1 || vms[0].State != hypervisor.Suspended {
			t.Errorf("list after stop: %+v, %v", vms, err)
		}
		if report, err := f.m.Start(t.Context(), mpdvirt.StartRequest{Octet: 150}); err != nil || !report.Healthy() {
			t.Errorf("start: %v", err)
		}
		if _, err := f.m.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: 150, Yes: true}); err != nil {
			t.Errorf("delete: %v", err)
		}
		if f.parallels.VM("mpd-150") != nil {
			t.Error("the VM is still there")
		}
	})
}

// Two clones of one template queue, and become two different machines.
func TestClonesQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		done := make(chan error, 2)
		for _, o := range []mpdvirt.Octet{150, 151} {
			go func() {
				_, err := f.m.Clone(t.Context(), order(o))
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		a, b := f.parallels.VM("mpd-150"), f.parallels.VM("mpd-151")
		if a == nil || b == nil || a.HostKeyFingerprint() == b.HostKeyFingerprint() {
			t.Error("two clones do not have a key each")
		}
	})
}

func TestCloneRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mend   func(t *testing.T, f *prlMac, req *mpdvirt.CloneRequest)
		class  error
		says   string
		remain bool // a VM mpd-150 that is not ours stays
	}{
		{"F65 no such template", func(_ *testing.T, _ *prlMac, req *mpdvirt.CloneRequest) { req.Template = "nope" }, hypervisor.ErrNoTemplate, templateName, false},
		{"F59 the name is another VM's", func(t *testing.T, f *prlMac, _ *mpdvirt.CloneRequest) {
			if _, err := f.parallels.AddVM("mpd-150", mpdvirttest.VMOptions{User: "dev"}); err != nil {
				t.Fatal(err)
			}
		}, mpdvirt.ErrRefused, "mpd-150", true},
		{"the name in other case", func(t *testing.T, f *prlMac, _ *mpdvirt.CloneRequest) {
			if _, err := f.parallels.AddVM("MPD-150", mpdvirttest.VMOptions{User: "dev"}); err != nil {
				t.Fatal(err)
			}
		}, mpdvirt.ErrRefused, "MPD-150", false},
		{"no template given", func(_ *testing.T, _ *prlMac, req *mpdvirt.CloneRequest) { req.Template = "" }, mpdvirt.ErrUsage, "template", false},
		{"no account given", func(_ *testing.T, _ *prlMac, req *mpdvirt.CloneRequest) { req.User = "" }, mpdvirt.ErrUsage, "account", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				req := order(150)
				tt.mend(t, f, &req)
				_, err := f.m.Clone(t.Context(), req)
				if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("clone: %v, want %v that names %s", err, tt.class, tt.says)
				}
				if (f.parallels.VM("mpd-150") != nil) != tt.remain {
					t.Error("a refused clone made or removed a VM")
				}
				if vms, err := f.m.List(t.Context()); err != nil || len(vms) != 0 {
					t.Errorf("a refused clone left %v, %v", vms, err)
				}
			})
		})
	}
}

// A clone that stops anywhere is continued by the same command, and taken away
// by delete.
func TestCloneResumes(t *testing.T) {
	for _, verb := range []string{"clone", "start", "list"} {
		for _, end := range []string{"goes on", "is taken away"} {
			t.Run(verb+" fails, it "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newMac(t, mpdvirttest.ParallelsOptions{})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					stopped := f.stopAt(verb, cancel)
					if _, err := f.m.Clone(ctx, order(150)); err == nil {
						t.Fatal("the clone was not stopped")
					}
					stopped()
					if end == "goes on" {
						if _, err := f.m.Clone(t.Context(), order(150)); err != nil {
							t.Errorf("the same clone again: %v", err)
						}
						return
					}
					if _, err := f.m.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: 150, Yes: true}); err != nil && !errors.Is(err, mpdvirt.ErrNotRegistered) {
						t.Errorf("delete: %v", err)
					}
					if f.parallels.VM("mpd-150") != nil {
						t.Error("the half-made VM is still there")
					}
				})
			})
		}
	}
}

// stopAt cancels a run when prlctl is called with the verb for a VM; the
// returned function takes the trap away.
func (f *prlMac) stopAt(verb string, cancel func()) func() {
	on := true
	real := f.parallels.Emulator().Runner()
	f.HandleCommand("prlctl", func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		res, err := real(ctx, c)
		if on && c.Argv[1] == verb && f.parallels.VM("mpd-150") != nil {
			cancel()
			return hypervisor.Result{}, context.Canceled
		}
		return res, err
	})
	return func() { on = false }
}

// F59: destructive verbs refuse once the name is another VM's.
func TestDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		if _, err := f.m.Clone(t.Context(), order(150)); err != nil {
			t.Fatal(err)
		}
		ours := f.parallels.UUID("mpd-150")
		if err := f.m.Stop(t.Context(), mpdvirt.StopRequest{Octet: 150, Kill: true}); err != nil {
			t.Fatal(err)
		}
		if err := f.parallels.Emulator().Rename(ours, "somebody"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.parallels.AddVM("mpd-150", mpdvirttest.VMOptions{User: "dev"}); err != nil {
			t.Fatal(err)
		}
		theirs := f.parallels.UUID("mpd-150")
		_, err := f.m.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: 150, Yes: true})
		if !errors.Is(err, mpdvirt.ErrRefused) || !strings.Contains(err.Error(), ours) || !strings.Contains(err.Error(), theirs) {
			t.Errorf("delete: %v, want a refusal with both UUIDs", err)
		}
		if f.parallels.VM(ours) == nil || f.parallels.VM(theirs) == nil {
			t.Error("a refused delete destroyed a VM")
		}
	})
}

// Adoption of a VM that Parallels has: by its name, else by its address, after
// which it gets its name.
func TestAdoptFromParallels(t *testing.T) {
	for _, tt := range []struct {
		name, vm string
		byAddr   bool
	}{
		{"by name", "mpd-150", false},
		{"by address", "somebody's Debian", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				vm, err := f.parallels.AddVM(tt.vm, mpdvirttest.VMOptions{User: "dev"})
				if err != nil {
					t.Fatal(err)
				}
				uuid, key := f.parallels.UUID(tt.vm), vm.HostKeyFingerprint()
				req := mpdvirt.SetupRequest{Octet: 150, Backend: "parallels", User: "dev"}
				if tt.byAddr {
					req.Addr = vm.Addr()
				}
				res, err := f.m.Setup(t.Context(), req)
				if err != nil || !strings.EqualFold(res.VM.UUID, uuid) || !res.Report.Healthy() {
					t.Fatalf("setup: %v, %+v; want %s", err, res, uuid)
				}
				if f.parallels.UUID("mpd-150") != uuid {
					t.Error("the VM did not get its name")
				}
				if vm.HostKeyFingerprint() != key {
					t.Error("an adopted VM got new host keys; only clones need them")
				}
				if _, err := f.m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: 150}); err != nil {
					t.Errorf("setup again: %v", err)
				}
			})
		})
	}
}

// F66: a disk that cannot grow is a warning; the VM is set up.
func TestCloneWarns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		req := order(150)
		req.Linked, req.Disk = true, 500*hypervisor.GiB
		res, err := f.m.Clone(t.Context(), req)
		if err != nil || len(res.Warnings) == 0 {
			t.Errorf("clone: %v, warnings %q; want one for the disk", err, res.Warnings)
		}
	})
}

// The DHCP range that Parallels is installed with is a finding, with its fix,
// and no reason to call a VM unhealthy.
func TestInspected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{Settings: mpdvirttest.ParallelsSettings{ScopeEnd: "10.211.55.254"}})
		res, err := f.m.Clone(t.Context(), order(150))
		if err != nil {
			t.Fatal(err)
		}
		c := res.Report.Check("backend")
		if c.Status != mpdvirt.Warn || len(c.Fixes) == 0 || c.Fixes[0].Argv[0] != "prlsrvctl" {
			t.Errorf("backend: %+v, want a warning with a prlsrvctl line", c)
		}
	})
}
