package statefile

import (
	"fmt"
	"strings"
)

// MaxEnv is the largest KEY=value file that is read or made, in bytes.
const MaxEnv = 64 << 10

// errEnvFull: a value was not set because the file could not be read back.
var errEnvFull = fmt.Errorf("the file would have more than %d bytes", MaxEnv)

// Env is a KEY=value file that can be changed without touching the rest of it:
// comments, blank lines, order, line ends and keys that nobody here knows stay
// as they are. The zero value is an empty file. It is not safe for concurrent
// use.
type Env struct {
	bom   string // "" or the byte order mark
	lines []envLine
}

// envLine is one line of the file: head+raw+tail is its text.
type envLine struct {
	key   string // "" for a comment or blank line
	value string // what raw means
	head  string // up to the value; all of the line if key is ""
	raw   string // the value as written, with its quotes
	tail  string // spaces and comment after the value, and the line end
}

// Get returns the value of key, and the number of its line, from 1.
func (e *Env) Get(key string) (value string, line int, ok bool) {
	if i := e.find(key); i >= 0 {
		return e.lines[i].value, i + 1, true
	}
	return "", 0, false
}

// Keys lists the keys in the order of their lines.
func (e *Env) Keys() []string {
	var keys []string
	for _, l := range e.lines {
		if l.key != "" {
			keys = append(keys, l.key)
		}
	}
	return keys
}

// Set gives key a value: in its line if it has one, whose comment stays, else
// in a new last line. The value must be printable ASCII without quotes, '$',
// '`' and '\', so that it means the same to a shell and can never become a
// second key; it is written in double quotes where a shell would need them.
// On error nothing is changed.
func (e *Env) Set(key, value string) error {
	if !validKey(key) {
		return fmt.Errorf("%+q is not a key", shorten(key))
	}
	if !plainValue(value) {
		return fmt.Errorf("%s: the value has a character that a KEY=value file cannot hold", key)
	}
	raw := quote(value)
	i := e.find(key)
	if i >= 0 && e.lines[i].value == value {
		return nil // also if it is quoted in another way
	}
	if len(e.Bytes())+len(key)+len(raw)+len("\r\n=\r\n") > MaxEnv {
		return fmt.Errorf("%s: %w", key, errEnvFull)
	}
	if i < 0 {
		e.append(key, value, raw)
	} else {
		e.lines[i].value, e.lines[i].raw = value, raw
	}
	return nil
}

// append adds a line at the end, with the line end that the file has.
func (e *Env) append(key, value, raw string) {
	end := "\n"
	if len(e.lines) > 0 && strings.HasSuffix(e.lines[0].text(), "\r\n") {
		end = "\r\n"
	}
	if n := len(e.lines); n > 0 && !strings.HasSuffix(e.lines[n-1].text(), "\n") {
		last := &e.lines[n-1]
		last.tail = strings.TrimSuffix(last.tail, "\r") + end
	}
	e.lines = append(e.lines, envLine{key: key, value: value, head: key + "=", raw: raw, tail: end})
}

// Delete removes the line of key, if there is one, with its comment.
func (e *Env) Delete(key string) {
	if i := e.find(key); i >= 0 {
		e.lines = append(e.lines[:i:i], e.lines[i+1:]...)
	}
}

// Bytes is the text of the file: what was parsed if nothing was changed.
func (e *Env) Bytes() []byte {
	out := []byte(e.bom)
	for _, l := range e.lines {
		out = append(out, l.text()...)
	}
	return out
}

func (e *Env) find(key string) int {
	for i, l := range e.lines {
		if l.key == key && key != "" {
			return i
		}
	}
	return -1
}

func (l *envLine) text() string { return l.head + l.raw + l.tail }

// validKey accepts the names that a shell accepts for variables.
func validKey(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func plainValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || strings.IndexByte("\"'$`\\", c) >= 0 {
			return false
		}
	}
	return true
}

// quote puts a plain value in double quotes unless it is made of characters
// that need none in a file that a shell may read.
func quote(s string) string {
	for _, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte("_./:@%+=,{}-", c) < 0 {
			return `"` + s + `"`
		}
	}
	return s
}

// shorten bounds foreign text in a message.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
