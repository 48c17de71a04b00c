//go:build e2e && linux

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

var rootfsOnce sync.Mutex

// rootfs is the folder of the guest's file system, built on first need and
// kept for later runs under a digest of its recipe. Guests only read it.
func rootfs(t testing.TB) string {
	t.Helper()
	rootfsOnce.Lock()
	defer rootfsOnce.Unlock()
	const recipe = "guest/rootfs.sh"
	text, err := os.ReadFile(recipe)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	cache := cacheDir(t)
	dir := filepath.Join(cache, "rootfs-"+runtime.GOARCH+"-"+hex.EncodeToString(sum[:6]))
	unlock := lockFile(t, filepath.Join(cache, ".lock"))
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out, err := exec.Command("bash", recipe, partial).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", recipe, err, out)
	}
	if err := os.Rename(partial, dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("the guest's file system was built in %.0fs", time.Since(start).Seconds())
	return dir
}

func cacheDir(t testing.TB) string {
	dir := os.Getenv("MPD_VIRT_E2E_CACHE")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(home, ".cache", "mpd-virt-e2e")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// lockFile keeps two runs from building at the same time.
func lockFile(t testing.TB, path string) (unlock func()) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}
