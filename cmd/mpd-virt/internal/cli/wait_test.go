package cli

import (
	"bytes"
	"io"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// A process waits for the one that works on its VM, says so, and goes on.
func TestWait(t *testing.T) {
	t.Parallel()
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	first, release := s.heldAt(t, mpdvirttest.StepBuild)
	second := s.command(t, "delete", "150", "--yes", "--wait=10m")
	stderr, err := second.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	until(stderr, "  mpd-150: locked by another run: setup, pid ")
	release()
	var rest bytes.Buffer
	if _, err := io.Copy(&rest, stderr); err != nil {
		t.Error(err)
	}
	for name, code := range map[string]int{"setup": exitOf(t, first.Wait()), "delete": exitOf(t, second.Wait())} {
		if code != 0 {
			t.Errorf("%s: exit %d\n%s", name, code, rest.String())
		}
	}
	if got := s.mustRun(t, "list", "--json"); got.stdout != "[]\n" {
		t.Errorf("left is %s", got.stdout)
	}
}

func TestWaitFlag(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a number without a unit": {[]string{"delete", "150", "--wait=10"}, 2, `--wait: "10" is no duration: a number and a unit, like 90s, 10m or 1h`},
		"negative":                {[]string{"setup", "150", "--wait=-1s"}, 2, `--wait: "-1s" is no duration`},
		"empty":                   {[]string{"setup", "150", "--wait="}, 2, `--wait: "" is no duration`},
		"too long":                {[]string{"setup", "150", "--wait=9999999h"}, 2, `is no duration`},
		"where nothing is locked": {[]string{"list", "--wait=1s"}, 2, `there is no flag "--wait=1s"`},
		"nothing in the way":      {[]string{"delete", "150", "--wait=1h30m", "--yes"}, 1, "not registered"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runArgs(t, tt.args...)
			if got.code != tt.code {
				t.Errorf("exit %d, want %d", got.code, tt.code)
			}
			contains(t, "stderr", got.stderr, tt.says)
		})
	}
	for _, v := range verbs() {
		f, _ := v.flagsOf(&app{})
		want := map[string]bool{"create": true, "clone": true, "setup": true, "start": true, "stop": true, "update": true, "delete": true, "uninstall": true,
			"ca rotate": true}[v.name]
		if got := f.set.Lookup("wait") != nil; got != want {
			t.Errorf("%s has --wait: %v, want %v", v.name, got, want)
		}
	}
}
