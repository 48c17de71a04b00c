package mpdvirt_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// What can be in the cache, and images of the user's own.
func TestPlanOfImages(t *testing.T) {
	ctx := context.Background()
	// cached is a Mac with an image in its cache, and no VM.
	cached := func(t *testing.T) *utmMac {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		_, err := f.Create(ctx, creation(octet))
		check(t, err)
		_, err = f.Delete(ctx, mpdvirt.DeleteRequest{Octet: octet, Yes: true})
		check(t, err)
		return f
	}
	in := func(f *utmMac, pattern string) string {
		all, err := filepath.Glob(f.path(".mpd-virt/cache/" + pattern))
		if err != nil || len(all) != 1 {
			f.t.Fatalf("%s: %v, %v", pattern, all, err)
		}
		return all[0]
	}
	spoil := func(f *utmMac, path string) {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		check(f.t, err)
		_, err = file.WriteAt([]byte("spoilt"), 600)
		check(f.t, errors.Join(err, file.Close()))
	}
	holds := func(f *utmMac, req mpdvirt.CreateRequest) {
		f.t.Helper()
		s := f.on(f.t)
		s.holds(req, func() error {
			_, err := f.Create(ctx, req)
			f.named(s)
			return err
		})
	}
	for name, prepare := range map[string]func(f *utmMac){
		"all there":      func(*utmMac) {},
		"wide":           func(f *utmMac) { check(f.t, os.Chmod(f.path(".mpd-virt/cache"), 0o755)) },
		"damaged":        func(f *utmMac) { spoil(f, in(f, "debian*.tar.xz")) },
		"damaged disk":   func(f *utmMac) { spoil(f, in(f, "*.raw")) },
		"damaged stamp":  func(f *utmMac) { check(f.t, os.WriteFile(in(f, "*.raw.json"), []byte("x"), 0o600)) },
		"no disk":        func(f *utmMac) { check(f.t, os.Remove(in(f, "*.raw"))) },
		"no archive":     func(f *utmMac) { check(f.t, os.Remove(in(f, "debian*.tar.xz"))) },
		"no cache":       func(f *utmMac) { check(f.t, os.RemoveAll(f.path(".mpd-virt/cache"))) },
		"other download": func(f *utmMac) { check(f.t, os.WriteFile(in(f, "debian*.tar.xz")+".partial", []byte("x"), 0o600)) },
		"left folder": func(f *utmMac) {
			check(f.t, os.Remove(in(f, "*.raw")))
			check(f.t, os.MkdirAll(f.path(".mpd-virt/cache/.extract-12/x"), 0o700))
		},
		"left folder, not in the way": func(f *utmMac) { check(f.t, os.MkdirAll(f.path(".mpd-virt/cache/.extract-12/x"), 0o700)) },
	} {
		bubble(t, name, func(t *testing.T) {
			f := cached(t)
			prepare(f)
			holds(f, creation(octet))
		})
	}
	bubble(t, "half a download", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		f.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageCut, N: 1 << 20, Times: -1})
		stopped, stop := context.WithCancel(ctx)
		defer stop()
		f.watch = func(e mpdvirt.Event) {
			if e.Kind == mpdvirt.StepProgress && e.Done >= 1<<20 {
				stop()
			}
		}
		if _, err := f.Create(stopped, creation(octet)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		f.watch = nil
		f.ClearImage()
		in(f, "*.partial")
		holds(f, creation(octet))
	})
	bubble(t, "an archive", func(t *testing.T) {
		f := cached(t)
		req := creation(octet)
		req.Image = f.path("my image's.tar.xz")
		check(t, os.Rename(in(f, "debian*.tar.xz"), req.Image))
		holds(f, req)
	})
	bubble(t, "an archive of which nothing is in the cache", func(t *testing.T) {
		f := cached(t)
		req := creation(octet)
		req.Image, req.Keep = f.path("x.tar.xz"), true
		check(t, os.Rename(in(f, "debian*.tar.xz"), req.Image))
		check(t, os.RemoveAll(f.path(".mpd-virt/cache")))
		holds(f, req)
	})
	bubble(t, "a disk", func(t *testing.T) {
		f := cached(t)
		req := creation(octet)
		req.Image = f.path("x.raw")
		check(t, os.Rename(in(f, "*.raw"), req.Image))
		holds(f, req)
	})
	bubble(t, "refused", func(t *testing.T) {
		f := cached(t)
		refuses := func(req mpdvirt.CreateRequest) {
			f.t.Helper()
			f.on(t).refuses(req, func() error { _, err := f.Create(ctx, req); return err })
		}
		req := creation(octet)
		req.Disk = hypervisor.MiB // of a disk that is there
		refuses(req)
		req.Image = f.path("x.raw")
		check(t, os.Rename(in(f, "*.raw"), req.Image))
		refuses(req)
		req = creation(octet)
		req.Image = f.path("x.tar.xz")
		check(t, os.WriteFile(req.Image, []byte("\xfd7zXZ\x00 and no more"), 0o600))
		refuses(req)
		check(t, os.RemoveAll(in(f, "debian*.tar.xz")))
		check(t, os.Symlink("/nowhere", f.path(".mpd-virt/cache/"+filepath.Base(f.cfg.Image.URL))))
		refuses(creation(octet))
	})
}

// macOS may have moved its VMs' network since a VM was made.
func TestPlanOfMovedNetwork(t *testing.T) {
	for _, step := range []string{mpdvirt.StepDisk, mpdvirt.StepFirstBoot, mpdvirt.StepSeed} {
		bubble(t, step, func(t *testing.T) {
			f := newUTM(t, mpdvirttest.UTMOptions{})
			if _, err := f.Create(f.cancelAt(step), creation(octet)); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			f.watch = nil
			check(t, f.utm.SetNetwork(netip.MustParsePrefix("192.168.65.0/24")))
			_, err := f.utm.AddVM("other", mpdvirttest.VMOptions{}) // which the plan can see
			check(t, err)
			s := f.on(t)
			s.holds(creation(octet), func() error {
				n := len(f.World.Commands())
				_, err := f.Create(context.Background(), creation(octet))
				for _, c := range f.World.Commands()[n:] { // the VM that was made for the other network
					if len(c.Argv) > 2 && c.Argv[1] == "delete" && step == mpdvirt.StepDisk {
						s.standins[c.Argv[2]] = hypervisor.NilUUID
					}
				}
				if step != mpdvirt.StepSeed { // there it is not made anew
					f.named(s)
				}
				return err
			})
		})
	}
}
