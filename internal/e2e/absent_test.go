//go:build e2e && linux

package e2e

import (
	"testing"
	"time"
)

// This file's name comes before all others, so that its test starts first: it
// waits as long as the program does, three minutes, and the others fit beside
// it.

// TestNeverReturns: the VM is gone after step 30; the wait has an end, and
// both addresses are named.
func TestNeverReturns(t *testing.T) {
	l := newToolLab(t)
	g := l.Guest(GuestOptions{})
	g.SetSwitch("never-returns", "")
	r := l.Want(exitFailed, adoption("150", firstIP)...)
	within(t, r, 4*time.Minute)
	wantText(t, "stderr", r.Stderr, firstIP, "10.211.55.150")
	wantSteps(t, g, "10 20 30")
}
