// Package shell quotes text for the shells that a login account may have.
//
// [Quote] makes one word and [Join] a command line of several. The result
// means the same to sh, dash, bash, zsh and fish, which is why a backslash
// never stands inside the single quotes: fish reads it there as an escape, the
// others do not. csh and its kin, which end a quoted text at a newline, are
// out of scope.
package shell

import "strings"

// plain is what needs no quotes anywhere. Not in it, though harmless to sh:
// '=' and '~' (zsh and tilde expansion), '%' (fish), '^' (old shells' pipe).
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./:@,"

// Quote makes s one word of a shell's command line. All bytes are kept but
// NUL, which no argument can hold and which is left out.
func Quote(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	if s == "" {
		return "''"
	}
	var b strings.Builder
	for s != "" {
		n := strings.IndexAny(s, `'\`)
		switch {
		case n < 0:
			b.WriteString("'" + s + "'")
			return b.String()
		case n > 0:
			b.WriteString("'" + s[:n] + "'")
		}
		b.WriteString(`\` + s[n:n+1])
		s = s[n+1:]
	}
	return b.String()
}

// Join quotes each word and puts blanks between them. The first word should be
// a program's name: a shell's keyword (if, function) is not protected by
// staying unquoted.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}
