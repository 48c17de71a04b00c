package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// planText is how a plan with this one action is shown.
func planText(t *testing.T, head string, action mpdvirt.PlanAction) string {
	t.Helper()
	var out bytes.Buffer
	env := emptyMac(t)
	env.Stdout = &out
	a := newApp(env)
	defer a.progress.close()
	a.writePlan(&mpdvirt.Plan{Verb: "setup", Text: head, Steps: []mpdvirt.PlanStep{{ID: "setup", Actions: []mpdvirt.PlanAction{action}}}})
	if err := a.out.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What a difference leaves out is told, and a file without one is one line.
func TestPlanDiff(t *testing.T) {
	before := "@@ first\n" + strings.Repeat("same\n", 9) + "-- last\n"
	after := strings.ReplaceAll(strings.ReplaceAll(before, "first", "1st"), "last", "end")
	for _, c := range []struct{ name, diff, want string }{
		{"two places", udiff.Unified("f", "f", before, after),
			"        -@@ first\n        +@@ 1st\n         same\n         same\n         same\n        …\n         same\n         same\n         same\n        --- last\n        +-- end\n"},
		{"no lines", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := planText(t, "", mpdvirt.PlanAction{Kind: mpdvirt.PlanFile,
				File: &mpdvirt.FileChange{Path: "/f", Change: mpdvirt.FileWrite, Mode: "0600", Diff: c.diff}})
			if _, got, _ = strings.Cut(got, "change /f, mode 0600\n"); got != c.want {
				t.Errorf("got\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

// Sentences are broken between their words; commands and scripts are not.
func TestPlanWidth(t *testing.T) {
	long := strings.Repeat("words of a sentence ", 12)
	script := "echo " + strings.Repeat("'a b c' ", 20) + "end"
	text := planText(t, "mpd-150 on utm, from a disk image: 8G memory, 4 cores, 80G disk, and so on", mpdvirt.PlanAction{Kind: mpdvirt.PlanQuestion, Text: long}) +
		planText(t, "", mpdvirt.PlanAction{Kind: mpdvirt.PlanScript, Script: script})
	for line := range strings.Lines(text) {
		if columns(line) > lineWidth+1 && !strings.Contains(line, script) {
			t.Errorf("%d columns: %s", columns(line), line)
		}
	}
	if !strings.Contains(text, "\n        "+script+"\n") {
		t.Errorf("the script is broken:\n%s", text)
	}
}

// A difference is shown as the file has it: its paths have no tilde there.
func TestPlanShowsFiles(t *testing.T) {
	a := &app{out: &output{look: look{utf8: true, home: "/home/dev"}}}
	a.writePlanAction(mpdvirt.PlanAction{Kind: mpdvirt.PlanFile, File: &mpdvirt.FileChange{
		Path: "/home/dev/file", Change: mpdvirt.FileWrite, Mode: "0600", Diff: udiff.Unified("/home/dev/file", "/home/dev/file", "++ old\n", "\tPath /home/dev/x\x1b[2J\n"),
	}})
	want := "      change ~/file, mode 0600\n        -++ old\n        +    Path /home/dev/x\n"
	if got := string(a.out.buf); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
