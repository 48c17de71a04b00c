package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func TestDuration(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, ""}, {49 * time.Millisecond, ""}, {50 * time.Millisecond, "0.1s"}, {300 * time.Millisecond, "0.3s"},
		{9940 * time.Millisecond, "9.9s"}, {9960 * time.Millisecond, "10s"}, {12 * time.Second, "12s"},
		{59*time.Second + 600*time.Millisecond, "1m00s"}, {72 * time.Second, "1m12s"}, {62 * time.Minute, "1h02m"},
	}
	for _, tt := range tests {
		if got := took(tt.d); got != tt.want {
			t.Errorf("took(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0.0 MiB", 512 << 20: "512.0 MiB", 3 << 29: "1.5 GiB", 80 << 30: "80.0 GiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestTilde(t *testing.T) {
	l := look{home: "/Users/dev", utf8: true}
	for in, want := range map[string]string{
		"/Users/dev/.mpd-virt/150/env":     "~/.mpd-virt/150/env",
		"see /Users/dev/a and /Users/dev.": "see ~/a and /Users/dev.",
		"/Users/dev":                       "~",
		"'/Users/dev/x'":                   "'~/x'",
		"/Users/developer/a":               "/Users/developer/a",
		"/mnt/Users/dev/a":                 "/mnt/Users/dev/a",
		"/Users/dev: denied":               "~: denied",
		"":                                 "",
	} {
		if got := l.tilde(in); got != want {
			t.Errorf("tilde(%q) = %q, want %q", in, got, want)
		}
	}
	if got := (look{}).tilde("/a"); got != "/a" {
		t.Errorf("without a home folder: %q", got)
	}
}

func TestHome(t *testing.T) {
	for home, want := range map[string]string{"/Users/dev": "/Users/dev", "/Users/dev/": "/Users/dev", "/": "", "": "", "rel": ""} {
		if got := (Env{Environ: []string{"HOME=" + home}}).home(); got != want {
			t.Errorf("HOME=%s is shown as ~ for %q, want %q", home, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	if got := (look{}).text("a → b … c – d “é”"); got != "a -> b ... c - d ???" {
		t.Errorf("ASCII: %q", got)
	}
	if got := (look{utf8: true}).text("a → b…"); got != "a → b…" {
		t.Errorf("UTF-8: %q", got)
	}
}

func TestCommand(t *testing.T) {
	l := look{home: "/Users/dev", utf8: true}
	tests := []struct {
		argv []string
		want string
	}{
		{[]string{"mpd-virt", "setup", "150"}, "mpd-virt setup 150"},
		{[]string{"cat", "/Users/dev/.mpd-virt/conf/a.pem"}, "cat ~/.mpd-virt/conf/a.pem"},
		{[]string{"cat", "/Users/dev/with space"}, "cat '/Users/dev/with space'"},
		{[]string{"echo", "~/x", ""}, "echo '~/x' ''"},
		{[]string{"mpd-virt", "setup", "150", "--from=30-networking"}, "mpd-virt setup 150 --from=30-networking"},
		{[]string{"x", "--a=b c", "--a=", "=b", "a=b", "-a=$b"}, "x '--a=b c' '--a=' '=b' 'a=b' '-a=$b'"},
	}
	for _, tt := range tests {
		if got := l.command(tt.argv); got != tt.want {
			t.Errorf("command(%q) = %s, want %s", tt.argv, got, tt.want)
		}
	}
}

func TestStepLine(t *testing.T) {
	rich := look{rich: true, utf8: true}
	plain := look{}
	long := strings.Repeat("twelve chars ", 12)
	tests := []struct {
		name string
		l    look
		got  string
		want string
	}{
		{"rich", rich, rich.stepLine(markOf(mpdvirt.OK), "ssh", nameWidth, "pinned", "0.1s"),
			"  \x1b[32m✓\x1b[0m ssh                   pinned                                                        0.1s\n"},
		{"plain", plain, plain.stepLine(markOf(mpdvirt.OK), "ssh", nameWidth, "pinned", "0.1s"),
			"  ok   ssh                   pinned                                                        0.1s\n"},
		{"no text", plain, plain.stepLine(markOf(mpdvirt.OK), "10-passwordless-sudo", nameWidth, "", "0.6s"),
			"  ok   10-passwordless-sudo                                                                0.6s\n"},
		{"nothing but a name", plain, plain.stepLine(markOf(mpdvirt.OK), "sudo", nameWidth, "", ""), "  ok   sudo\n"},
		{"a failure", plain, plain.stepLine(markOf(mpdvirt.Fail), "push", nameWidth, "x", ""), "  FAIL push                  x\n"},
		{"an unknown status", plain, plain.stepLine(markOf("?"), "push", nameWidth, "x", ""), "  FAIL push                  x\n"},
		{"a long name", plain, plain.stepLine(markOf(mpdvirt.Warn), strings.Repeat("n", 30), nameWidth, "x", ""),
			"  warn " + strings.Repeat("n", 30) + "  x\n"},
		{"controls", plain, plain.stepLine(markOf(mpdvirt.Skipped), "a\x1b[2J", nameWidth, "b\rc", ""), ""},
	}
	for _, tt := range tests {
		if tt.name == "controls" {
			if strings.ContainsAny(tt.got, "\x1b\r") {
				t.Errorf("controls get through: %q", tt.got)
			}
			continue
		}
		if tt.got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, tt.got, tt.want)
		}
	}
	for _, line := range strings.Split(plain.stepLine(running, "40-install-software", nameWidth, long, "1m12s"), "\n") {
		if columns(line) >= 100 {
			t.Errorf("%d columns: %q", columns(line), line)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, width := range []int{-1, 0, 1, 7, 60} {
		for _, s := range []string{"", "a", "one two three four five", strings.Repeat("x", 100) + " y"} {
			lines := wrap(s, width)
			if len(lines) == 0 || strings.Join(strings.Fields(strings.Join(lines, " ")), " ") != strings.Join(strings.Fields(s), " ") {
				t.Errorf("wrap(%q, %d) = %q", s, width, lines)
			}
			for _, line := range lines {
				if columns(line) > width && strings.Contains(line, " ") {
					t.Errorf("wrap(%q, %d): %q could be broken", s, width, line)
				}
			}
		}
	}
}

func TestColumnsAndCut(t *testing.T) {
	for s, want := range map[string]int{"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "→": 1, "🙂": 2} {
		if got := columns(s); got != want {
			t.Errorf("columns(%q) = %d, want %d", s, got, want)
		}
	}
	for _, s := range []string{"", "abc", "日本語日本語", "a日b本c", strings.Repeat("x", 300)} {
		for width := 1; width < 12; width++ {
			if got := cut(s, width); columns(got) > width {
				t.Errorf("cut(%q, %d) = %q has %d columns", s, width, got, columns(got))
			}
		}
	}
}

func TestLocale(t *testing.T) {
	for _, tt := range []struct {
		env  string
		want bool
	}{
		{"", false}, {"LANG=C", false}, {"LANG=en_US.UTF-8", true}, {"LANG=C.utf8", true}, {"LC_CTYPE=UTF-8", true},
		{"LANG=en_US.UTF-8 LC_ALL=C", false}, {"LC_CTYPE=POSIX LANG=de_DE.UTF-8", false}, {"LC_ALL= LANG=C.UTF-8", true},
	} {
		if got := (Env{Environ: strings.Fields(tt.env)}).utf8(); got != tt.want {
			t.Errorf("%s: UTF-8 is %v", tt.env, got)
		}
	}
}

func FuzzStepLine(f *testing.F) {
	f.Add("name", "text", true)
	f.Add("\x1b[1m", "a\tb\x9b31m\u202e", false)
	f.Fuzz(func(t *testing.T, name, text string, utf8 bool) {
		got := (look{utf8: utf8, home: "/h"}).stepLine(running, name, nameWidth, text, "1s")
		for _, r := range strings.TrimSuffix(got, "\n") {
			if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) || !utf8 && r > '~' {
				t.Fatalf("%q, %q: %s in %q", name, text, fmt.Sprintf("%U", r), got)
			}
		}
	})
}
