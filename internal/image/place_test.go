package image

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// cloneByCopy plays a file system that shares blocks.
func cloneByCopy(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

func cloneHalf(_, to string) error {
	return errors.Join(os.WriteFile(to, []byte("half"), 0o600), errors.ErrUnsupported)
}

func TestPlace(t *testing.T) {
	src := filepath.Join(t.TempDir(), "x.raw")
	must(t, os.WriteFile(src, disk(), 0o600))
	for _, tc := range []struct {
		name  string
		size  hypervisor.Size
		clone func(from, to string) error
	}{
		{"as it is", 0, cloneFile},
		{"same size", 4 * hypervisor.MiB, cloneFile},
		{"grown", 80 * hypervisor.GiB, cloneFile},
		{"shared blocks", 0, cloneByCopy},
		{"shared blocks, grown", 80 * hypervisor.GiB, cloneByCopy},
		{"no shared blocks", 80 * hypervisor.GiB, cloneHalf},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "disk.img")
			must(t, os.WriteFile(dst+".partial", []byte("of a killed run"), 0o600))
			must(t, place(t.Context(), src, dst, tc.size, tc.clone))
			f, info, err := openRead(dst)
			must(t, err)
			defer f.Close()
			want := int64(max(tc.size, 4*hypervisor.MiB))
			if info.Size() != want || info.Mode() != 0o600 {
				t.Errorf("%d bytes, mode %v; want %d, 0600", info.Size(), info.Mode(), want)
			}
			got := make([]byte, 4<<20)
			if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, disk()) {
				t.Errorf("another content (%v)", err)
			}
			if n := allocated(t, dst); n > 5<<20 {
				t.Errorf("takes %d bytes", n)
			}
			alone(t, dst)
		})
	}
	t.Run("zeros are not written", func(t *testing.T) {
		dst := filepath.Join(t.TempDir(), "disk.img")
		must(t, place(t.Context(), src, dst, 0, cloneHalf))
		if n := allocated(t, dst); n > 1<<20 {
			t.Errorf("takes %d bytes", n)
		}
	})
}

func TestPlaceRefuses(t *testing.T) {
	src := filepath.Join(t.TempDir(), "x.raw")
	must(t, os.WriteFile(src, disk(), 0o600))
	t.Run("smaller", func(t *testing.T) {
		dst := filepath.Join(t.TempDir(), "d")
		err := Place(t.Context(), src, dst, 3*hypervisor.MiB)
		var small *TooSmallError
		if !errors.As(err, &small) || small.Want != 3*hypervisor.MiB || small.Image != 4*hypervisor.MiB || hint.Of(err) == "" {
			t.Errorf("Place = %v", err)
		}
		alone(t, dst)
	})
	t.Run("negative", func(t *testing.T) {
		if err := Place(t.Context(), src, filepath.Join(t.TempDir(), "d"), -1); err == nil {
			t.Error("no error")
		}
	})
	t.Run("beyond all file systems", func(t *testing.T) {
		dst := filepath.Join(t.TempDir(), "d")
		if err := Place(t.Context(), src, dst, 1<<62); err == nil {
			t.Skip("this one takes it")
		}
		if _, err := os.Stat(dst); err == nil {
			t.Error("a disk was left")
		}
		alone(t, dst)
	})
	t.Run("something is there", func(t *testing.T) {
		dst := filepath.Join(t.TempDir(), "d")
		must(t, os.WriteFile(dst, []byte("mine"), 0o600))
		if err := Place(t.Context(), src, dst, 0); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Place = %v", err)
		}
		if got, _ := os.ReadFile(dst); string(got) != "mine" {
			t.Error("it was changed")
		}
	})
	t.Run("a link is there", func(t *testing.T) {
		dst := filepath.Join(t.TempDir(), "d")
		must(t, os.Symlink("nowhere", dst))
		if err := Place(t.Context(), src, dst, 0); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Place = %v", err)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		if err := Place(t.Context(), src, filepath.Join(t.TempDir(), "no", "d"), 0); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Place = %v", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		dst := filepath.Join(t.TempDir(), "d")
		err := place(ctx, src, dst, 0, func(_, to string) error { cancel(); return cloneHalf("", to) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Place = %v", err)
		}
		if _, err := os.Stat(dst); err == nil {
			t.Error("a disk was left")
		}
		alone(t, dst)
	})
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, b, 0o600))
		return path
	}
	good := write("good", disk())
	must(t, os.Symlink(good, filepath.Join(dir, "link")))
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	for _, tc := range []struct {
		name, path string
		packed, ok bool
		format     bool // ErrFormat
	}{
		{"disk", good, false, true, false},
		{"link to a disk", filepath.Join(dir, "link"), false, true, false},
		{"archive", write("a", []byte("\xfd7zXZ\x00rest")), true, true, false},
		{"qcow2", write("q", append([]byte("QFI\xfb"), make([]byte, 2<<20)...)), false, false, true},
		{"empty", write("e", nil), false, false, true},
		{"text", write("t", []byte("hello")), false, false, true},
		{"zeros", write("z", make([]byte, 2<<20)), false, false, true},
		{"cut disk", write("c", disk()[:2<<20+5]), false, false, true},
		{"folder", filepath.Join(dir, "folder"), false, false, false},
		{"missing", filepath.Join(dir, "missing"), false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Local(tc.path)
			if (err == nil) != tc.ok || got.Packed != tc.packed || errors.Is(err, ErrFormat) != tc.format {
				t.Errorf("Local(%s) = %+v, %v", tc.path, got, err)
			}
			if tc.ok && !filepath.IsAbs(got.Path) {
				t.Errorf("path %q", got.Path)
			}
		})
	}
}

// FuzzCopySparse: a copy is the same bytes, wherever its zeros are.
func FuzzCopySparse(f *testing.F) {
	f.Add([]byte{1}, uint32(0), uint32(1))
	f.Add([]byte("abc"), uint32(grain-1), uint32(3*grain))
	f.Fuzz(func(t *testing.T, data []byte, at, length uint32) {
		b := make([]byte, length%(3*block))
		if int(at) < len(b) {
			copy(b[at:], data)
		}
		dst, err := os.Create(filepath.Join(t.TempDir(), "b"))
		must(t, err)
		defer dst.Close()
		must(t, eachBlock(t.Context(), bytes.NewReader(b), func(at int64, b []byte) error { _, err := dst.WriteAt(b, at); return err }))
		must(t, dst.Truncate(int64(len(b))))
		if got, err := os.ReadFile(dst.Name()); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("another content (%v)", err)
		}
	})
}
