package plaintext

import (
	"bytes"
	"unicode/utf8"
)

// MaxLine is how many bytes of a line Lines keeps.
const MaxLine = 4096

// CutMark ends a line of which more than MaxLine bytes came.
const CutMark = " [...]"

// Lines is an io.Writer that hands each line of what is written to a function,
// cleaned by [Clean] and without its end. LF, CR and CRLF end a line; a CR that
// ends an empty one does not count, since programs that draw progress begin
// with it. How the text is split over writes makes no difference. A line longer
// than MaxLine is cut and marked, so memory stays small whatever comes.
//
// It is for one goroutine at a time. The zero value is not usable.
type Lines struct {
	emit  func(line string)
	line  []byte
	more  bool // the line was longer than is kept
	begun bool // a line is open, be it empty so far
	cr    bool // the last byte was a CR that ended a line
}

// NewLines returns a Lines that calls emit from within Write and Flush.
func NewLines(emit func(line string)) *Lines { return &Lines{emit: emit} }

// Write never fails.
func (l *Lines) Write(p []byte) (int, error) {
	size := len(p)
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			l.add(p)
			break
		}
		l.add(p[:i])
		l.end(p[i])
		p = p[i+1:]
	}
	return size, nil
}

func (l *Lines) add(p []byte) {
	if len(p) == 0 {
		return
	}
	l.begun, l.cr = true, false
	room := MaxLine - len(l.line)
	if len(p) > room {
		l.more = true
		p = p[:room]
	}
	l.line = append(l.line, p...)
}

func (l *Lines) end(by byte) {
	ends := l.begun || by == '\n' && !l.cr
	if ends {
		l.flush()
	}
	l.cr = by == '\r' && ends
}

// Flush hands over a last line that has no end.
func (l *Lines) Flush() {
	if l.begun {
		l.flush()
	}
}

func (l *Lines) flush() {
	line, mark := l.line, ""
	if l.more {
		line, mark = whole(line), CutMark
	}
	text := Clean(string(line)) + mark
	l.line, l.more, l.begun = l.line[:0], false, false
	l.emit(text)
}

// whole takes away the beginning of a character at the end of a cut line.
func whole(line []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(line); i++ {
		if tail := line[len(line)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return line[:len(line)-i]
			}
			break
		}
	}
	return line
}
