package cli

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNearest(t *testing.T) {
	words := []string{"setup", "show", "ssh", "start", "stop", "list", "delete", "diag"}
	tests := []struct{ in, want string }{
		{"stup", "setup"}, {"setpu", "setup"}, {"lsit", "list"}, {"delet", "delete"}, {"diga", "diag"},
		{"remove", ""}, {"", ""}, {"xxxxxxxx", ""}, {strings.Repeat("s", 100), ""},
	}
	for _, tt := range tests {
		if got := nearest(tt.in, words); got != tt.want {
			t.Errorf("nearest(%.20q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"setup", "stop", 2}}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d: it must be symmetric", tt.b, tt.a, got, tt.want)
		}
	}
}

func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "a", "\xff", strings.Repeat("é", 100), "a\nb\x1b[31m", "\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := quoted(s)
		if len(q) > 500 || !utf8.ValidString(q) || strings.ContainsFunc(q, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("quoted(%q) = %q", s, q)
		}
	})
}
