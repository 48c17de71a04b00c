//go:build e2e && linux

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// rootfs is the folder of the file system of a guest that someone installed by
// hand, cloudRootfs that of a VM that waits for its seed. Guests only read them.
func rootfs(t testing.TB) string      { t.Helper(); return built(t, "rootfs") }
func cloudRootfs(t testing.TB) string { t.Helper(); return built(t, "cloud") }

// built is the folder that the recipe guest/NAME.sh makes, called with that
// folder and args. It is made on first need and kept for later runs, under a
// digest of what it is made from.
func built(t testing.TB, name string, args ...string) string {
	t.Helper()
	recipe := filepath.Join("guest", name+".sh")
	h := sha256.New()
	for _, f := range []string{recipe, "guest/debian.sh"} {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(text)
	}
	fmt.Fprintf(h, "%q", args)
	cache := cacheDir(t)
	dir := filepath.Join(cache, name+"-"+runtime.GOARCH+"-"+hex.EncodeToString(h.Sum(nil)[:6]))
	unlock := lockFile(t, filepath.Join(cache, ".lock-"+name))
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	partial := dir + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out, err := exec.Command("bash", append([]string{recipe, partial}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", recipe, err, out)
	}
	if err := os.Rename(partial, dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s took %.0fs", recipe, time.Since(start).Seconds())
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

// lockFile keeps two tests, also of two runs, from building at the same time.
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
