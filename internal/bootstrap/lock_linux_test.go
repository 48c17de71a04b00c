package bootstrap

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestLockTextSeesTheKernel holds a lock as dpkg holds it.
func TestLockTextSeesTheKernel(t *testing.T) {
	v := newVM(t)
	path := v.file("var/lib/dpkg/lock-frontend", "")
	text := strings.ReplaceAll(lockText, "/var/lib/", v.root+"/var/lib/")
	seen := func() string { return v.bash(text, false, nil).stdout }
	if got := seen(); got != "" {
		t.Fatalf("nobody holds the lock, but: %q", got)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}); err != nil {
		t.Skip(err)
	}
	if locks, err := os.ReadFile("/proc/locks"); err != nil || !strings.Contains(string(locks), ":"+inode(t, path)+" ") {
		t.Skipf("the kernel here does not list locks: %v", err)
	}
	if got := seen(); got != "held\n" {
		t.Errorf("a held lock gives %q", got)
	}
}
