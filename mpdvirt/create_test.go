package mpdvirt_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// utmMac is a Mac with UTM.
type utmMac struct {
	*mpdvirttest.World
	*mpdvirt.Manager
	t     *testing.T
	utm   *mpdvirttest.UTM
	cfg   mpdvirt.Config
	notes []string
	watch func(mpdvirt.Event) // nil: nobody watches
}

func newUTM(t *testing.T, o mpdvirttest.UTMOptions) *utmMac {
	t.Helper()
	w, err := mpdvirttest.New(mpdvirttest.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, w.Close()) })
	f := &utmMac{World: w, t: t}
	f.utm, err = w.AddUTM(o)
	check(t, err)
	f.cfg = w.Config()
	f.cfg.Observer = func(e mpdvirt.Event) {
		if f.watch != nil {
			f.watch(e)
		}
		if e.Kind == mpdvirt.Note {
			f.notes = append(f.notes, e.Text)
		}
	}
	f.Manager, err = mpdvirt.New(f.cfg)
	check(t, err)
	return f
}

// creation is the request that all that it leaves open is decided for.
func creation(o mpdvirt.Octet) mpdvirt.CreateRequest {
	return mpdvirt.CreateRequest{Octet: o, Backend: "utm", User: "dev"}
}

func (f *utmMac) path(name string) string { return filepath.Join(f.Home(), name) }

func (f *utmMac) exists(name string) bool {
	_, err := os.Lstat(f.path(name))
	return err == nil
}

// machines are the VMs' UUIDs by name.
func (f *utmMac) machines() map[string]string {
	f.t.Helper()
	all, err := f.utm.Machines()
	check(f.t, err)
	out := map[string]string{}
	for _, m := range all {
		out[m.Name] = m.UUID
	}
	return out
}

// nothingLeft checks that a create which failed took all away that it made.
func (f *utmMac) nothingLeft(others ...string) {
	f.t.Helper()
	got := f.machines()
	for _, name := range others {
		delete(got, name)
	}
	files, err := f.utm.Emulator().Files()
	if check(f.t, err); len(got) > 0 || len(others) == 0 && len(files) > 0 {
		f.t.Errorf("left VMs %v, files %v", got, files)
	}
	if f.exists(".mpd-virt/150") {
		f.t.Error("the order is still there")
	}
}

func (f *utmMac) drives(name string) int {
	v, _ := f.utm.Emulator().VM(f.utm.UUID(name))
	return len(v.Drives)
}

// From nothing to a VM that is set up, and its life after that.
func TestCreate(t *testing.T) {
	bubble(t, "whole life", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		var pinnedBefore bool
		f.watch = func(e mpdvirt.Event) {
			if e.Kind == mpdvirt.StepStarted && e.Step == mpdvirt.StepFirstBoot {
				pinnedBefore = f.exists(".mpd-virt/150/known_hosts")
			}
		}
		res, err := f.Create(t.Context(), creation(150))
		check(t, err)
		vm := f.utm.VM("mpd-150")
		if !res.Report.Healthy() || res.VM.UUID != f.utm.UUID("mpd-150") || res.VM.Addr.String() != "192.168.64.150" || vm.Addr() != res.VM.Addr {
			t.Errorf("%+v", res.VM)
		}
		var ids []string
		for _, s := range res.Steps {
			ids = append(ids, s.ID)
		}
		want := []string{"image", "disk", "create", "first-boot", "remove-seed", "start", "ssh", "sudo", "guest"}
		if len(ids) < len(want) || !slices.Equal(ids[:len(want)], want) || slices.Contains(ids, "rotate") {
			t.Errorf("steps %v, want first %v", ids, want)
		}
		show, err := f.Show(t.Context(), mpdvirt.ShowRequest{Octet: 150})
		if check(t, err); !pinnedBefore || !slices.Equal(show.HostKeys, []string{vm.HostKeyFingerprint()}) {
			t.Errorf("pinned before the first boot: %v; pinned %v, the VM has %s", pinnedBefore, show.HostKeys, vm.HostKeyFingerprint())
		}
		if vm.Hostname() != "mpd-150" || f.drives("mpd-150") != 1 || f.exists(".mpd-virt/150/making") {
			t.Errorf("host name %s, %d drives; folder of its making: %v", vm.Hostname(), f.drives("mpd-150"), f.exists(".mpd-virt/150/making"))
		}
		env, err := os.ReadFile(f.path(".mpd-virt/150/env"))
		for _, line := range []string{"MPD_VM_RAM=8G\n", "MPD_VM_DISK=80G\n", "MPD_VM_IP=192.168.64.150\n", "MPD_VM_UUID=" + res.VM.UUID + "\n"} {
			if err != nil || !strings.Contains(string(env), line) {
				t.Errorf("no %q in %s (%v)", line, env, err)
			}
		}
		_, err = f.Create(t.Context(), creation(150))
		wantError(t, err, mpdvirt.ErrExists, "mpd-virt show 150")

		check(t, f.Stop(t.Context(), mpdvirt.StopRequest{Octet: 150}))
		report, err := f.Start(t.Context(), mpdvirt.StartRequest{Octet: 150})
		if check(t, err); !report.Healthy() {
			t.Error(report.Err())
		}
		check(t, f.Stop(t.Context(), mpdvirt.StopRequest{Octet: 150, Kill: true}))
		vms, err := f.List(t.Context())
		if check(t, err); len(vms) != 1 || vms[0].State != hypervisor.Stopped {
			t.Errorf("%+v", vms)
		}
		_, err = f.Delete(t.Context(), deletion)
		check(t, err)
		f.nothingLeft()
	})
	bubble(t, "with the times of a Mac", func(t *testing.T) {
		f := newUTM(t, slowMac)
		res, err := f.Create(t.Context(), creation(150))
		if check(t, err); !res.Report.Healthy() || f.drives("mpd-150") != 1 {
			t.Errorf("%+v", res.VM)
		}
	})
	bubble(t, "a second one downloads and unpacks nothing", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		_, err := f.Create(t.Context(), creation(150))
		check(t, err)
		before := f.costs()
		_, err = f.Create(t.Context(), creation(151))
		if check(t, err); f.costs() != before {
			t.Errorf("downloads and runs of tar: %v, and then %v", before, f.costs())
		}
		one, other := f.utm.VM("mpd-150"), f.utm.VM("mpd-151")
		if one.HostKeyFingerprint() == other.HostKeyFingerprint() || one.Addr() == other.Addr() {
			t.Error("the VMs are alike")
		}
	})
	bubble(t, "without a backend that can", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		_, err := f.Clone(t.Context(), mpdvirt.CloneRequest{Octet: 150, Backend: "utm", Template: "x", User: "dev"})
		wantError(t, err, errors.ErrUnsupported, "mpd-virt create 150 --backend=utm")
	})
}

// costs are downloads and runs of tar.
func (f *utmMac) costs() (n [2]int) {
	n[0] = len(f.ImageRequests())
	for _, c := range f.Commands() {
		if filepath.Base(c.Argv[0]) == "tar" {
			n[1]++
		}
	}
	return n
}

func TestCreateUsage(t *testing.T) {
	bubble(t, "F123 and F121", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		for name, tt := range map[string]struct {
			change func(r *mpdvirt.CreateRequest)
			says   string
		}{
			"no account":            {func(r *mpdvirt.CreateRequest) { r.User = "" }, "user"},
			"root":                  {func(r *mpdvirt.CreateRequest) { r.User = "root" }, "user"},
			"more memory than host": {func(r *mpdvirt.CreateRequest) { r.RAM = 17 * hypervisor.GiB }, "--vm-ram=8G"},
			"negative memory":       {func(r *mpdvirt.CreateRequest) { r.RAM = -1 }, "--vm-ram=8G"},
			"no whole MiB":          {func(r *mpdvirt.CreateRequest) { r.RAM = 8*hypervisor.GiB + 1 }, "--vm-ram=8G"},
			"too little memory":     {func(r *mpdvirt.CreateRequest) { r.RAM = 512 * hypervisor.MiB }, "--vm-ram=8G"},
			"negative disk":         {func(r *mpdvirt.CreateRequest) { r.Disk = -hypervisor.GiB }, "--vm-disk=80G"},
			"file and build":        {func(r *mpdvirt.CreateRequest) { r.Image, r.ImageBuild = "/x.raw", "20260101-1" }, "only one"},
			"relative file":         {func(r *mpdvirt.CreateRequest) { r.Image = "x.raw" }, "absolute"},
			"digest of nothing":     {func(r *mpdvirt.CreateRequest) { r.ImageSHA512 = strings.Repeat("0", 128) }, "without the build"},
			"kind without digest":   {func(r *mpdvirt.CreateRequest) { r.ImageKind = "genericcloud" }, "--image-sha512"},
			"kind without root password": {func(r *mpdvirt.CreateRequest) {
				r.ImageKind, r.ImageSHA512 = "nocloud", strings.Repeat("0", 128)
			}, "generic or genericcloud"},
			"file and kind":         {func(r *mpdvirt.CreateRequest) { r.Image, r.ImageKind = "/x.raw", "generic" }, "only one"},
			"build without digest":  {func(r *mpdvirt.CreateRequest) { r.ImageBuild = "20260101-1" }, "--image-sha512"},
			"build that is no date": {func(r *mpdvirt.CreateRequest) { r.ImageBuild, r.ImageSHA512 = "../x", strings.Repeat("0", 128) }, "20260914-2601"},
			"disk below Debian's": {func(r *mpdvirt.CreateRequest) {
				r.ImageBuild, r.ImageSHA512, r.Disk = "20260101-1", strings.Repeat("0", 128), 2*hypervisor.GiB
			}, "--vm-disk=80G"},
		} {
			req := creation(150)
			tt.change(&req)
			_, err := f.Create(t.Context(), req)
			if wantError(t, err, mpdvirt.ErrUsage, tt.says); t.Failed() {
				t.Fatal(name)
			}
		}
		if calls, _ := f.utm.Calls(); len(calls) > 0 || f.exists(".mpd-virt") {
			t.Errorf("calls %q; something was written: %v", calls, f.exists(".mpd-virt"))
		}
	})
	bubble(t, "a disk smaller than the image is wrong usage, too", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		req := creation(150)
		req.Disk = hypervisor.MiB
		_, err := f.Create(t.Context(), req)
		wantError(t, err, mpdvirt.ErrUsage, "too small", "--vm-disk=80G")
		f.nothingLeft()
	})
	bubble(t, "F18 no key to log in with", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		check(t, os.RemoveAll(f.path(".ssh")))
		_, err := f.Create(t.Context(), creation(150))
		wantError(t, err, err, "no SSH key", "ssh-keygen -t ed25519")
		f.nothingLeft()
	})
}

// An image that the user brought is taken as it is, packed or not.
func TestCreateFromFile(t *testing.T) {
	bubble(t, "packed", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		_, err := f.Create(t.Context(), creation(150))
		check(t, err)
		archives, err := filepath.Glob(f.path(".mpd-virt/cache/debian*.tar.xz"))
		if check(t, err); len(archives) != 1 {
			t.Fatalf("cache: %v", archives)
		}
		req := creation(151)
		req.Image = f.path("my image's.tar.xz")
		check(t, os.Rename(archives[0], req.Image))
		before := len(f.ImageRequests())
		res, err := f.Create(t.Context(), req)
		if check(t, err); !res.Report.Healthy() || len(f.ImageRequests()) != before {
			t.Errorf("%d requests", len(f.ImageRequests())-before)
		}
	})
	bubble(t, "raw", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		_, err := f.Create(t.Context(), creation(150))
		check(t, err)
		disks, err := filepath.Glob(f.path(".mpd-virt/cache/[^.]*.raw"))
		if check(t, err); len(disks) != 1 {
			t.Fatalf("cache: %v", disks)
		}
		req := creation(151)
		req.Image = f.path("x.raw")
		check(t, os.Rename(disks[0], req.Image))
		before := f.costs()
		_, err = f.Create(t.Context(), req)
		if check(t, err); f.costs() != before {
			t.Errorf("it cost %v, and then %v", before, f.costs())
		}
	})
	for name, content := range map[string]string{"missing": "", "no disk": "hello"} {
		bubble(t, name, func(t *testing.T) {
			f := newUTM(t, mpdvirttest.UTMOptions{})
			req := creation(150)
			req.Image = f.path("x.raw")
			if content != "" {
				check(t, os.WriteFile(req.Image, []byte(content), 0o600))
			}
			_, err := f.Create(t.Context(), req)
			wantError(t, err, err, "x.raw")
			f.nothingLeft()
		})
	}
}

// cancelAt ends the context when a step begins.
func (f *utmMac) cancelAt(step string) context.Context {
	ctx, cancel := context.WithCancel(f.t.Context())
	f.t.Cleanup(cancel)
	f.watch = func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.StepStarted && e.Step == step {
			cancel()
		}
	}
	return ctx
}
