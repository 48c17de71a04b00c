package statefile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// On a full disk the old file stays. The child has a mount name space of its
// own, so that the tiny file system is seen by nobody else and ends with it.
func TestWriteFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	cmd := child("full disk", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 77 {
		t.Skipf("cannot mount here: %v %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func writeToFullDisk(dir string) int {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		fmt.Println(err)
		return 77
	}
	path := filepath.Join(dir, "f")
	if err := Write(path, []byte("old"), 0o600); err != nil {
		fmt.Println(err)
		return 1
	}
	err := Write(path, make([]byte, 64<<10), 0o600)
	data, _ := os.ReadFile(path)
	entries, _ := os.ReadDir(dir)
	if !errors.Is(err, syscall.ENOSPC) || string(data) != "old" || len(entries) != 1 {
		fmt.Printf("Write = %v, file %q, folder %v\n", err, data, entries)
		return 1
	}
	return 0
}
