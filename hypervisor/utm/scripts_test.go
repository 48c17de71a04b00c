package utm

import (
	"regexp"
	"strings"
	"testing"
)

func scripts() map[string]string {
	return map[string]string{"running": scriptRunning, "list": scriptList, "start": scriptStart, "suspend": scriptSuspend, "kill": scriptKill,
		"request": scriptRequest, "delete": scriptDelete, "make": scriptMake, "drives": scriptDrives, "detach": scriptDetach}
}

// There is no AppleScript here to compile them, so that what can be checked of
// their form is checked.
func TestScripts(t *testing.T) {
	opens := regexp.MustCompile(`^(on run|with timeout|repeat with|tell application id "com\.utmapp\.UTM"$|if .* then$)`)
	closes := map[string]string{"end run": "on run", "end timeout": "with timeout", "end repeat": "repeat with", "end tell": "tell ap", "end if": "if "}
	for name, text := range scripts() {
		t.Run(name, func(t *testing.T) {
			var open []string
			for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
				for _, b := range []byte(line) {
					if b >= 0x7f || b < ' ' && b != '\t' {
						t.Errorf("line %d has the byte %#x", i+1, b)
					}
				}
				line = strings.TrimLeft(line, "\t")
				if strings.Count(line, "(") != strings.Count(line, ")") || strings.Count(line, "{") != strings.Count(line, "}") || strings.Count(line, `"`)%2 != 0 {
					t.Errorf("line %d does not balance: %s", i+1, line)
				}
				if head, ok := closes[line]; ok {
					if len(open) == 0 || !strings.HasPrefix(open[len(open)-1], head) {
						t.Fatalf("line %d: %s closes %q", i+1, line, open)
					}
					open = open[:len(open)-1]
				} else if opens.MatchString(line) {
					open = append(open, line)
				}
			}
			if len(open) != 0 || !strings.HasPrefix(text, "on run argv\n") || !strings.HasSuffix(text, "end run\n") {
				t.Errorf("left open: %q", open)
			}
			if strings.Contains(text, "stop ") && !regexp.MustCompile(`stop \(.*\) by (kill|request)\n`).MatchString(text) {
				t.Error("a stop without a way is a power cut (M15)")
			}
			if strings.Contains(text, "serial ports") || strings.Contains(text, "protocol:") {
				t.Error("these keys do not compile in a record")
			}
		})
	}
}
