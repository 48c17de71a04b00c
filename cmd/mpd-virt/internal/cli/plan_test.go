package cli

import (
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// A difference is shown as the file has it, whatever its lines begin with.
func TestPlanShowsFiles(t *testing.T) {
	lines := strings.Repeat("Host *\n", 9)
	before := "-- old\n" + lines + "++ old\n"
	after := "-- new\n" + lines + "\tPath /home/dev/x\x1b[2J\n"
	a := &app{out: &output{look: look{utf8: true, home: "/home/dev"}}}
	a.writePlanAction(mpdvirt.PlanAction{Kind: mpdvirt.PlanFile, File: &mpdvirt.FileChange{
		Path: "/home/dev/file", Change: mpdvirt.FileWrite, Mode: "0600", Diff: udiff.Unified("/home/dev/file", "/home/dev/file", before, after),
	}})
	const host = "         Host *\n"
	want := "      change ~/file, mode 0600\n" +
		"        --- old\n        +-- new\n" + strings.Repeat(host, 3) + "         ...\n" + strings.Repeat(host, 3) +
		"        -++ old\n        +    Path /home/dev/x\n"
	if got := string(a.out.buf); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
