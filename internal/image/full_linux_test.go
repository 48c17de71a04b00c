package image

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// onSmallDisk runs f with a folder that is a file system of the given size.
// It is mounted in a name space of one thread, which ends with it: nobody else
// sees it, and nothing needs to be cleaned up.
func onSmallDisk(t *testing.T, size string, f func(dir string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	dir := t.TempDir()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		err := syscall.Unshare(syscall.CLONE_NEWNS)
		if err == nil {
			err = syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		}
		if err == nil {
			err = syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
		}
		if err == nil {
			f(dir)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skipf("cannot mount here: %v", err)
	}
}

// F82: each step on a full disk, and again when there is space.
func TestFullDiskDownload(t *testing.T) {
	data := content(3 << 20)
	onSmallDisk(t, "2m", func(dir string) {
		s := &server{answers: []answer{whole(data, `"a"`, 0)}}
		o := options(dir, s, data)
		_, err := Fetch(t.Context(), o)
		var full *SpaceError
		if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) || full.Need < 1<<20 || full.Need > 3<<20 || hint.Of(err) == "" {
			t.Errorf("Fetch = %v (hint %q)", err, hint.Of(err))
		}
		checkCache(t, dir, data, false)
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=9m"); err != nil {
			t.Error(err)
		}
		if _, err := Fetch(t.Context(), o); err != nil || s.asked[1].Get("Range") == "" {
			t.Errorf("with space again: %v, range %q", err, s.asked[1].Get("Range"))
		}
		checkCache(t, dir, data, true)
	})
}

func TestFullDiskExtract(t *testing.T) {
	needTools(t)
	big := append(disk(), content(8<<20)...)
	archive := xz(t, pack(t, part{member, 0, "", big}))
	onSmallDisk(t, "2m", func(dir string) {
		keep := filepath.Join(dir, "entry")
		if err := os.WriteFile(keep, []byte("mine"), 0o600); err != nil {
			t.Error(err)
		}
		path, err := Raw(t.Context(), RawOptions{Dir: dir, Archive: archive, Run: runTool(nil)})
		var full *SpaceError
		if !errors.As(err, &full) || full.Need != int64(DebianSize) || path != "" || hint.Of(err) == "" {
			t.Errorf("Raw = %q, %v", path, err)
		}
		if got, err := os.ReadFile(keep); err != nil || string(got) != "mine" {
			t.Errorf("another file of the cache: %q, %v", got, err)
		}
		if names, err := filepath.Glob(filepath.Join(dir, "*.raw*")); err != nil || names != nil {
			t.Errorf("left: %v, %v", names, err)
		}
		if names, err := filepath.Glob(filepath.Join(dir, ".extract-*")); err != nil || names != nil {
			t.Errorf("left: %v, %v", names, err)
		}
	})
}

func TestFullDiskPlace(t *testing.T) {
	src := filepath.Join(t.TempDir(), "x.raw")
	big := append(disk(), content(8<<20)...)
	must(t, os.WriteFile(src, big, 0o600))
	onSmallDisk(t, "2m", func(dir string) {
		dst := filepath.Join(dir, "disk.img")
		err := Place(t.Context(), src, dst, 0)
		var full *SpaceError
		if !errors.As(err, &full) || full.Need < 1<<20 || !strings.Contains(err.Error(), "bytes more") {
			t.Errorf("Place = %v", err)
		}
		if _, err := os.Stat(dst); err == nil {
			t.Error("half a disk was left")
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 0 {
			t.Errorf("left: %v, %v", entries, err)
		}
	})
	if got, err := os.ReadFile(src); err != nil || !bytes.Equal(got, big) {
		t.Errorf("the source was changed (%v)", err)
	}
}
