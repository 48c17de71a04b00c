package plaintext

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "    ok: Debian Trixie", "    ok: Debian Trixie"},
		{"unicode", "✓ žluťoučký → —", "✓ žluťoučký → —"},
		{"colour", "\x1b[1;32m✓ done\x1b[0m", "✓ done"},
		{"cursor", "a\x1b[2J\x1b[H\x1b[?25lb", "ab"},
		{"window title, BEL", "\x1b]0;title\aok", "ok"},
		{"window title, ST", "\x1b]0;title\x1b\\ok", "ok"},
		{"window title, 8 bit ST", "\x1b]0;title\u009cok", "ok"},
		{"link", "\x1b]8;;https://evil\x1b\\text\x1b]8;;\x1b\\", "text"},
		{"DCS", "\x1bP$q\"p\x1b\\ok", "ok"},
		{"8 bit CSI", "\u009b31mred", "red"},
		{"8 bit OSC", "\u009d0;t\aok", "ok"},
		{"raw 0x9b", "\x9b31mred", "\ufffd31mred"},
		{"unterminated OSC keeps its text", "\x1b]error: disk full", "error: disk full"},
		{"unterminated CSI", "a\x1b[31", "a"},
		{"CSI cut off by a control", "\x1b[3\x07x", "x"},
		{"charset", "\x1b(0lqk\x1b(B", "lqk"},
		{"reset", "\x1bcx", "x"},
		{"lone ESC", "a\x1b", "a"},
		{"ESC ESC", "\x1b\x1b[31mx", "x"},
		{"backspaces", "root\b\b\b\bfake", "rootfake"},
		{"bell and NUL", "a\a\x00b\x7f", "ab"},
		{"tab and line ends", "a\tb\r\nc", "a b  c"},
		{"bidi override", "abc\u202efed\u2066x\u2069", "abcfedx"},
		{"invisible", "a\u200eb\u200fc\u061cd\ufeffe\u200bf\u00adg", "abcdefg"},
		{"line separators", "a\u2028b\u2029c", "abc"},
		{"bad UTF-8", "a\xffb\xc3", "a\ufffdb\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Clean(tt.in); got != tt.want {
				t.Errorf("Clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func collect(chunks ...string) (lines []string) {
	l := NewLines(func(s string) { lines = append(lines, s) })
	for _, c := range chunks {
		l.Write([]byte(c))
	}
	l.Flush()
	return lines
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	tests := []struct {
		name string
		in   []string
		want []string
	}{
		{"nothing", nil, nil},
		{"LF", []string{"a\nb\n"}, []string{"a", "b"}},
		{"no end", []string{"a\nb"}, []string{"a", "b"}},
		{"empty lines", []string{"\n\na\n\n"}, []string{"", "", "a", ""}},
		{"CRLF", []string{"a\r\nb\r\n\r\n"}, []string{"a", "b", ""}},
		{"CRLF over two writes", []string{"a\r", "\nb"}, []string{"a", "b"}},
		{"progress", []string{"\r10%\r20%\r", "\r30%\n"}, []string{"10%", "20%", "30%"}},
		{"escape over writes", []string{"\x1b", "[3", "1mred\n"}, []string{"red"}},
		{"rune over writes", []string{"\xe2", "\x9c", "\x93\n"}, []string{"✓"}},
		{"CR hides nothing", []string{"rm -rf /\rls\n"}, []string{"rm -rf /", "ls"}},
		{"just fits", []string{long + "\n"}, []string{long}},
		{"too long", []string{long, "yyy", "\nb"}, []string{long + CutMark, "b"}},
		{"cut inside a rune", []string{long[1:] + "é\n"}, []string{long[1:] + CutMark}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := collect(tt.in...); !slices.Equal(got, tt.want) {
				t.Errorf("lines of %.80q = %.80q, want %.80q", tt.in, got, tt.want)
			}
		})
	}
}

// harmless is the property of all output: valid, and nothing but what shows.
func harmless(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a", "\x1b[31mx\x1b[0m", "\u009b1m", "\x9b", "\x1b]0;t\a", "\x1bP\x1b\\", "\u202e", "\r\n", "\x1b(B", "\xff", "\x1b]\u009c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		if !harmless(got) {
			t.Errorf("Clean(%q) = %q", s, got)
		}
		if utf8.RuneCountInString(got) > utf8.RuneCountInString(s) {
			t.Errorf("Clean(%q) is longer: %q", s, got)
		}
		if Clean(got) != got {
			t.Errorf("Clean(%q) = %q is not clean", s, got)
		}
		if harmless(s) && got != s {
			t.Errorf("Clean changed the harmless %q to %q", s, got)
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add("a\r\nb\x1b[31mc\n\n\u009bm", uint(2))
	f.Add(strings.Repeat("é", 2100)+"\r", uint(5))
	f.Fuzz(func(t *testing.T, s string, cut uint) {
		whole := collect(s)
		cut %= uint(len(s)) + 1
		if got := collect(s[:cut], s[cut:]); !slices.Equal(got, whole) {
			t.Errorf("split at %d: %q, want %q", cut, got, whole)
		}
		if got := collect(strings.Split(s, "")...); utf8.ValidString(s) && !slices.Equal(got, whole) {
			t.Errorf("in single runes: %q, want %q", got, whole)
		}
		for _, line := range whole {
			if !harmless(line) || len(line) > 3*MaxLine+len(CutMark) {
				t.Errorf("line %q of %q", line, s)
			}
		}
	})
}

func TestShort(t *testing.T) {
	long := strings.Repeat("ä", maxShort)
	for text, want := range map[string]string{
		"":                             "",
		" \t a\r\nb\x1b[31m c \n":      "a  b c",
		long:                           long,
		long + "b":                     long + "…",
		"\u202e" + long + "\x00\u200b": long,
	} {
		if got := Short(text); got != want {
			t.Errorf("Short(%.40q) = %.40q, want %.40q", text, got, want)
		}
	}
}
