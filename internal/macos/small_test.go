package macos

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func TestVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"26.6.2\n": {26, 6, 2}, "15.0": {15, 0, 0}, "26": {26, 0, 0}, "14.7.10": {14, 7, 10}, "10.15.7": {10, 15, 7},
	} {
		m, _ := says("/usr/bin/sw_vers -productVersion", answer{out: text})
		got, err := m.Version(t.Context())
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"26.6.2.1", "26.", "v26", "0.1", "26.6 (25G1)", "99999.1", "ProductVersion: 26.6"} {
		m, _ := says("/usr/bin/sw_vers -productVersion", answer{out: text})
		if got, err := m.Version(t.Context()); !errors.Is(err, ErrUnclear) || got != (Version{}) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	ordered := []Version{{}, {10, 15, 7}, {14, 7, 0}, {14, 10, 0}, {15, 0, 0}, {26, 0, 0}, {26, 6, 2}, {26, 6, 10}}
	if !slices.IsSortedFunc(ordered, Version.Compare) {
		t.Errorf("order of %v", ordered)
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("26.6.2")
	f.Add("15.0")
	f.Add(rude)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVersion(text)
		if err != nil {
			harmless(t, err.Error())
			if v != (Version{}) {
				t.Errorf("%v beside %v", v, err)
			}
			return
		}
		if again, err := ParseVersion(v.String()); err != nil || again != v {
			t.Errorf("%q is %v, which is read as %v, %v", text, v, again, err)
		}
	})
}

func TestCopy(t *testing.T) {
	const line = "/usr/bin/env LC_ALL=en_US.UTF-8 LC_CTYPE=UTF-8 /usr/bin/pbcopy"
	m, s := says(line, answer{})
	if err := m.Copy(t.Context(), "é"); err != nil {
		t.Fatal(err)
	}
	if got := s.calls[0]; string(got.Stdin) != "é" || got.Terminal {
		t.Errorf("%v with %q", got, got.Stdin)
	}
	m, _ = says(line, answer{errs: rude, status: 1})
	err := m.Copy(t.Context(), "secret")
	var failed *CommandError
	if !errors.As(err, &failed) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	harmless(t, err.Error())
}

func TestOpen(t *testing.T) {
	headless := answer{errs: "LSOpenURLsWithRole() failed with error -10810 for the file /x.\n", status: 1}
	for _, tt := range []struct {
		name, line string
		do         func(*Mac) error
	}{
		{"open", "/usr/bin/open /a b.mobileconfig", func(m *Mac) error { return m.Open(t.Context(), "/a b.mobileconfig") }},
		{"reveal", "/usr/bin/open -R /x", func(m *Mac) error { return m.Reveal(t.Context(), "/x") }},
		{"settings", "/usr/bin/open " + PrivacyPane, func(m *Mac) error { return m.OpenSettings(t.Context(), PrivacyPane) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, s := says(tt.line, answer{})
			if err := tt.do(m); err != nil || len(s.calls) != 1 {
				t.Errorf("%v, ran %v", err, s.lines())
			}
			m, _ = says(tt.line, headless)
			var failed *CommandError
			if err := tt.do(m); !errors.As(err, &failed) || failed.Status != 1 || !strings.Contains(err.Error(), "-10810") {
				t.Error(err)
			}
			m = New((&script{}).run)
			if err := tt.do(m); !errors.Is(err, hypervisor.ErrToolMissing) {
				t.Error(err)
			}
		})
	}
	for _, path := range []string{"", "-a", "x", "https://example.org", "x-apple.systempreferences:x"} {
		m, s := says("", answer{})
		if m.Open(t.Context(), path) == nil || m.Reveal(t.Context(), path) == nil || len(s.calls) != 0 {
			t.Errorf("%q was opened", path)
		}
	}
	m, s := says("", answer{})
	if m.OpenSettings(t.Context(), "https://example.org") == nil || len(s.calls) != 0 {
		t.Error("a web page was opened as settings")
	}
}

func TestLooksLikePrivacy(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return fmt.Errorf("ssh: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)})
	}
	now, v15 := 3*time.Millisecond, Version{Major: 15}
	for _, tt := range []struct {
		name string
		err  error
		took time.Duration
		v    Version
		want bool
	}{
		{"at once on 15", dial(syscall.EHOSTUNREACH), now, v15, true},
		{"on 26", dial(syscall.EHOSTUNREACH), now, Version{26, 6, 2}, true},
		{"a busy Mac", dial(syscall.EHOSTUNREACH), 100 * time.Millisecond, v15, true},
		{"after seconds: nobody is there", dial(syscall.EHOSTUNREACH), 3 * time.Second, v15, false},
		{"before 15", dial(syscall.EHOSTUNREACH), now, Version{14, 7, 1}, false},
		{"version not known", dial(syscall.EHOSTUNREACH), now, Version{}, false},
		{"host is down", dial(syscall.EHOSTDOWN), now, v15, false},
		{"refused", dial(syscall.ECONNREFUSED), now, v15, false},
		{"no error", nil, now, v15, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := LooksLikePrivacy(tt.err, tt.took, tt.v); got != tt.want {
				t.Error(got)
			}
		})
	}
}
