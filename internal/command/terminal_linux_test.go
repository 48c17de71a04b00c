package command

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that leaves the terminal raw, as a killed password prompt does,
// does not spoil it for the user. Only the fake terminal is Linux here.
func TestRunRestoresTheTerminal(t *testing.T) {
	tty := pseudoTerminal(t)
	dir := toolDir(t)
	c := exec.Command(filepath.Join(dir, fakeTool), "terminal", "raw")
	c.Env = []string{"PATH=" + dir, quickEnd}
	c.Stdin = tty
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "raw: <nil>") || !strings.Contains(string(out), "terminal kept true") {
		t.Errorf("printed %q, %v", out, err)
	}
}

func pseudoTerminal(t *testing.T) *os.File {
	t.Helper()
	ptm, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { _ = ptm.Close() })
	n, err := unix.IoctlGetInt(int(ptm.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ptm.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return tty
}
