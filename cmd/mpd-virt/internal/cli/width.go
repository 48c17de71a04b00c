package cli

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// columns is how many columns of a terminal s takes. It knows the wide blocks
// of East Asian scripts and emoji, which is as exact as cutting a line needs.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
		r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// cut shortens s to at most width columns, with dots where text is missing.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// wrap breaks s at spaces into lines of at most width columns; a longer word
// stays whole. There is always one line.
func wrap(s string, width int) []string {
	if columns(s) <= width {
		return []string{s}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case columns(line)+1+columns(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// padded is s followed by spaces up to width columns.
func padded(s string, width int) string {
	return s + strings.Repeat(" ", max(width-columns(s), 0))
}

// cell is s padded to width columns, or if it is as long, followed by a gap.
func cell(s string, width int) string {
	if columns(s) >= width {
		return s + "  "
	}
	return padded(s, width)
}

// bounded is s if it is short, else its beginning.
func bounded(s string, bytes int) string {
	if len(s) <= bytes {
		return s
	}
	for bytes > 0 && !utf8.RuneStart(s[bytes]) {
		bytes--
	}
	return s[:bytes] + "..."
}
