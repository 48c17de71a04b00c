// Package plaintext makes text that a stranger wrote safe to show on a
// terminal.
//
// [Clean] takes one line or message, [Short] one that may be long, [Lines] a stream
// of output that it cuts into cleaned lines. What is taken away: everything by
// which a text can move the cursor, colour, name windows, answer questions of a
// terminal, hide, or change the order in which it is read. No colour survives; that
// is for the program itself to add.
package plaintext

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns s without terminal control sequences (7 and 8 bit), control
// characters, and invisible format characters such as those that turn the
// direction of writing. Tabs and line ends become blanks, bytes that are not
// UTF-8 become U+FFFD. A control sequence whose end is missing loses its
// introducer only, so that nothing a person should see gets lost behind it.
// The result is one line of valid UTF-8 and has at most as many characters as
// s has characters and stray bytes.
func Clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == esc:
			s = s[escape(s):]
			continue
		case r >= 0x80 && r <= 0x9f: // one character for ESC and the letter 0x40 below
			s = s[size+sequence(byte(r-0x40), s[size:]):]
			continue
		case r >= '\t' && r <= '\r':
			b.WriteByte(' ')
		case r == unicode.ReplacementChar || visible(r):
			b.WriteRune(r)
		}
		s = s[size:]
	}
	return b.String()
}

const (
	esc = '\x1b'
	bel = '\a'
)

// visible says whether a terminal shows r and does nothing else.
func visible(r rune) bool {
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// escape is the length of what the ESC at the start of s begins.
func escape(s string) int {
	i := 1
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x2f {
		i++
	}
	if i == len(s) || s[i] < 0x30 || s[i] > 0x7e {
		return 1
	}
	if i == 1 {
		return 2 + sequence(s[1], s[2:])
	}
	return i + 1
}

// sequence is the length of what follows an introducer and belongs to it.
func sequence(introducer byte, s string) int {
	switch introducer {
	case '[': // CSI: parameters, then one final byte
		for i := 0; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			if s[i] < 0x20 || s[i] > 0x3f {
				return i
			}
		}
		return len(s)
	case ']', 'P', 'X', '^', '_': // OSC, DCS, SOS, PM, APC: up to a terminator
		for i := range len(s) {
			switch {
			case s[i] == bel:
				return i + 1
			case strings.HasPrefix(s[i:], "\x1b\\"), strings.HasPrefix(s[i:], "\u009c"):
				return i + 2
			}
		}
	}
	return 0
}

// maxShort is how many characters of a text Short keeps.
const maxShort = 300

// Short is what a tool or a file says, for a message: one line, cleaned by
// [Clean], without blanks around it, and cut after 300 characters.
func Short(s string) string {
	r := []rune(strings.TrimSpace(Clean(s)))
	if len(r) > maxShort {
		r = append(r[:maxShort], '…')
	}
	return string(r)
}
