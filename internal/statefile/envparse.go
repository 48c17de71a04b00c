package statefile

import (
	"fmt"
	"strings"
)

// SyntaxError says what is wrong with a KEY=value file. Its text quotes
// nothing of the file but names of keys, escaped.
type SyntaxError struct {
	File string // as given to ParseEnv
	Line int    // from 1; 0 if the whole file is meant
	Key  string // "" if the line has none
	Msg  string
}

func (e *SyntaxError) Error() string { return Locate(e.File, e.Line, e.Key, e.Msg) }

// Locate is the form in which all messages name a place in a KEY=value file:
// "file:line: KEY: msg", without line and key where they are 0 and "".
func Locate(file string, line int, key, msg string) string {
	s := file
	if line > 0 {
		s = fmt.Sprintf("%s:%d", file, line)
	}
	if key != "" {
		s += ": " + key
	}
	return s + ": " + msg
}

const (
	byteOrderMark = "\xef\xbb\xbf"
	blanks        = " \t"
	expandMsg     = "the value has $, ` or \\, which a shell would expand"
)

// ParseEnv reads a KEY=value file of at most MaxEnv bytes; file names it in
// errors, which are *SyntaxError.
//
// It forgives what people and editors do: a byte order mark, CRLF, no last line
// end, blank lines, spaces round key, '=' and value, lines that start with '#',
// a '#' after a blank behind a value, one pair of quotes round a value. It
// refuses what would mean something else to another reader: control
// characters, a line without '=', a bad or repeated key, an open quote, text
// round a quoted value, and '$', '`' or '\' outside single quotes. Nothing is
// ever expanded.
func ParseEnv(file string, data []byte) (*Env, error) {
	if len(data) > MaxEnv {
		return nil, &SyntaxError{File: file, Msg: fmt.Sprintf("more than %d bytes", MaxEnv)}
	}
	text, found := strings.CutPrefix(string(data), byteOrderMark)
	e := new(Env)
	if found {
		e.bom = byteOrderMark
	}
	seen := make(map[string]int)
	for n := 1; text != ""; n++ {
		whole := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			whole = text[:i+1]
		}
		text = text[len(whole):]
		l, msg := parseLine(whole)
		if first, again := seen[l.key]; msg == "" && l.key != "" && again {
			msg = fmt.Sprintf("given again, first in line %d", first)
		}
		if msg != "" {
			return nil, &SyntaxError{File: file, Line: n, Key: l.key, Msg: msg}
		}
		seen[l.key] = n
		e.lines = append(e.lines, l)
	}
	return e, nil
}

// parseLine reads one line with its line end. If msg is not empty, it says
// what is wrong, and the key is set if it could be read.
func parseLine(whole string) (l envLine, msg string) {
	body := strings.TrimSuffix(strings.TrimSuffix(whole, "\n"), "\r")
	for _, c := range []byte(body) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return l, fmt.Sprintf("control character %#02x", c)
		}
	}
	if start := strings.TrimLeft(body, blanks); start == "" || start[0] == '#' {
		return envLine{head: body, tail: whole[len(body):]}, ""
	}
	name, rest, found := strings.Cut(body, "=")
	if !found {
		return l, "not KEY=value"
	}
	key := strings.Trim(name, blanks)
	if !validKey(key) {
		return l, fmt.Sprintf("%+q is not a key", shorten(key))
	}
	l.key = key
	start := len(body) - len(strings.TrimLeft(rest, blanks))
	value, size, msg := parseValue(body[start:], start > len(name)+1)
	if msg != "" {
		return l, msg
	}
	if size == 0 {
		start = len(name) + 1 // blanks before a comment belong to the comment
	}
	l.value, l.head, l.raw, l.tail = value, body[:start], body[start:start+size], whole[start+size:]
	return l, ""
}

// parseValue reads the value at the start of s and says how many bytes it
// takes. blank says that there is a blank before s.
func parseValue(s string, blank bool) (value string, size int, msg string) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		return parseQuoted(s)
	}
	value = s
	for i, c := range []byte(s) {
		if c == '#' && blank {
			value = s[:i]
			break
		}
		blank = c == ' ' || c == '\t'
	}
	value = strings.TrimRight(value, blanks)
	switch {
	case strings.ContainsAny(value, `"'`):
		return "", 0, "quote inside a value that does not start with one"
	case strings.ContainsAny(value, "$`\\"):
		return "", 0, expandMsg
	}
	return value, len(value), ""
}

func parseQuoted(s string) (value string, size int, msg string) {
	end := strings.IndexByte(s[1:], s[0])
	if end < 0 {
		return "", 0, "quote without end"
	}
	value, after := s[1:1+end], s[end+2:]
	if s[0] == '"' && strings.ContainsAny(value, "$`\\") {
		return "", 0, expandMsg
	}
	comment := strings.TrimLeft(after, blanks)
	if comment != "" && (comment[0] != '#' || len(comment) == len(after)) {
		return "", 0, "text after the closing quote"
	}
	return value, end + 2, ""
}
