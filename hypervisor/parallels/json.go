package parallels

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Some releases of the tool print control characters or lines for people
// around their JSON. What stands around it is taken away, but only where it is
// certain what the answer is: an answer cut at the wrong place could read as
// "no VMs".

var (
	errNoJSON  = errors.New("holds no JSON of the expected form")
	errTooMuch = errors.New("holds more JSON than one answer")
)

// decodeArray decodes the one array of objects in out.
func decodeArray(out []byte, v any) error {
	return decodeOne(out, '[', func(rest []byte) bool {
		rest = bytes.TrimLeftFunc(rest[1:], func(r rune) bool { return r <= ' ' })
		return len(rest) > 0 && (rest[0] == '{' || rest[0] == ']')
	}, v)
}

// decodeObject decodes the one object in out.
func decodeObject(out []byte, v any) error {
	return decodeOne(out, '{', func([]byte) bool { return true }, v)
}

// decodeOne decodes the first value that begins with open and fits.
func decodeOne(out []byte, open byte, fits func([]byte) bool, v any) error {
	start := 0
	for {
		i := bytes.IndexByte(out[start:], open)
		if i < 0 {
			return errNoJSON
		}
		if start += i; fits(out[start:]) {
			break
		}
		start++
	}
	text := tame(out[start:])
	d := json.NewDecoder(bytes.NewReader(text))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	// A brace outside means that what was found is only a part: of an answer
	// whose start is lost, for instance, the empty list of some VM's addresses.
	if bytes.ContainsAny(out[:start], "{}") || bytes.ContainsAny(text[d.InputOffset():], "{}") {
		return errTooMuch
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	return nil
}

// tame replaces control characters, which JSON does not allow: by blanks, and
// inside of a string by a mark. To drop them there could turn one VM's name into
// another's.
func tame(text []byte) []byte {
	const mark = "\ufffd"
	out := make([]byte, 0, len(text))
	quoted, escaped := false, false
	for _, c := range text {
		switch {
		case c >= ' ':
			out = append(out, c)
		case quoted:
			out = append(out, mark...)
		default:
			out = append(out, ' ')
		}
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		}
	}
	return out
}
