package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// The disk under the home folder is full from the start, then a little later
// and so on, until a setup fits: it fails and names the file that it could not
// write, and when there is room again the same command finishes. Root alone
// can mount the small disk that this needs.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	want, _ := undisturbed(t)
	for kib := 0; ; kib += 8 {
		fits := false
		t.Run(fmt.Sprintf("%d KiB free", kib), func(t *testing.T) {
			home := smallDisk(t)
			s := newSharedWorldIn(t, mpdvirttest.Options{Home: home}, mpdvirttest.VMOptions{})
			filler := filepath.Join(home, "filler")
			fill(t, filler, kib)
			switch got := s.run(t, setupLine...); got.code {
			case 0:
				fits = true
			case 1:
				if !noSpace.MatchString(got.stderr) || strings.Contains(got.stderr, "goroutine") {
					t.Errorf("it does not say which file: %s", got.stderr)
				}
			default:
				t.Errorf("exit %d\n%s", got.code, got.stderr)
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			s.mustRun(t, setupLine...)
			if diff := cmp.Diff(want, s.shape(t)); diff != "" {
				t.Errorf("not what an undisturbed setup makes (-want +got):\n%s", diff)
			}
		})
		if fits || t.Failed() || t.Skipped() {
			return
		}
	}
}

var noSpace = regexp.MustCompile(`(?m)^mpd-virt: setup mpd-150: .*~/\S+: .*no space left on device$`)

// smallDisk mounts a disk of a megabyte.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"); err != nil {
		t.Skipf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err, unix.Unmount(dir, unix.MNT_DETACH))
		}
	})
	return dir
}

// fill leaves so much of the disk free.
func fill(t *testing.T, name string, kib int) {
	t.Helper()
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(name), &disk); err != nil {
		t.Fatal(err)
	}
	free := int(disk.Bavail)*int(disk.Bsize) - kib<<10
	if err := os.WriteFile(name, make([]byte, free), 0o600); err != nil {
		t.Fatal(err)
	}
}
