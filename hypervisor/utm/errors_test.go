package utm

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

const said = "Error from event: The operation couldn’t be completed. (OSStatus error %)\n"

// F68: what ends with status 0 and is none the less a refusal, in languages.
func TestRefused(t *testing.T) {
	event := func(n string) string { return strings.Replace(said, "%", n+".", 1) }
	for _, tc := range []struct {
		name   string
		tool   string
		stderr string
		status int
		number int
		is     error
		text   string
		hint   string
	}{
		{"nothing", "utmctl", "", 0, 0, nil, "", ""},
		{"blank lines", "utmctl", "\n \n", 0, 0, nil, "", ""},
		{"not permitted", "utmctl", event("-1743") + "NOTE: utmctl does not work from SSH sessions or before logging in.\n", 0, NotPermitted, fs.ErrPermission, "couldn’t be completed", "Privacy & Security, Automation"},
		{"not running", "utmctl", event("-600"), 0, NotRunning, hypervisor.ErrService, "", "not from an SSH session"},
		{"UTM's own text", "utmctl", event("-2700") + "The virtual machine is not running.\n", 0, -2700, nil, "The virtual machine is not running.", ""},
		{"Japanese", "utmctl", "Error from event: 操作を完了できませんでした。（OSStatusエラー-609）\n", 0, ConnectionCut, hypervisor.ErrService, "操作", "open -ga UTM"},
		{"no such VM", "utmctl", "Error: Virtual machine not found.\n", 1, 0, nil, "Virtual machine not found.", ""},
		{"usage", "utmctl", "Error: Unknown option '--x'\nUsage: utmctl list\n", 64, 0, nil, "Unknown option", ""},
		{"no session", "utmctl", "Trace/BPT trap: 5\n", 133, 0, hypervisor.ErrService, "", "not from an SSH session"},
		{"silent", "utmctl", "", 1, 0, nil, "", ""},
		{"words on standard error", "utmctl", "hello\n", 0, 0, nil, "hello", ""},
		{"a name in the script's error", "osascript", "36:81: execution error: UTM got an error: Can’t get virtual machine named \"x (-600)\". (-1728)\n", 1, NotFound, nil, "Can’t get", ""},
		{"a script timed out", "osascript", "-:36:81: execution error: UTM got an error: AppleEvent timed out. (-1712)\n", 1, TimedOut, hypervisor.ErrService, "", "still be at work"},
		{"a script is not permitted", "osascript", "-:1:1: execution error: Not authorized to send Apple events to UTM. (-1743)\n", 1, NotPermitted, fs.ErrPermission, "", "Automation"},
		{"controls", "osascript", "\x1b[2J\x07evil (-2700)", 1, -2700, nil, "evil", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := refused([]string{tc.tool, "list", "list"}, hypervisor.Result{Stderr: []byte(tc.stderr), Status: tc.status})
			if e == nil {
				if strings.TrimSpace(tc.stderr) != "" || tc.status != 0 {
					t.Fatal("this is no success")
				}
				return
			}
			err := advised(e)
			if e.Number != tc.number || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(e.Text, tc.text) || !strings.Contains(hint.Of(err), tc.hint) {
				t.Errorf("%+v = %v, hint %q; want number %d, %v, text %q, hint %q", e, err, hint.Of(err), tc.number, tc.is, tc.text, tc.hint)
			}
			if tc.hint == "" && hint.Of(err) != "" {
				t.Errorf("hint %q", hint.Of(err))
			}
			if errors.Is(err, hypervisor.ErrNoMachine) {
				t.Error("no refusal tells that a VM does not exist")
			}
		})
	}
}
