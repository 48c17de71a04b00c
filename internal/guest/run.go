package guest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
	"github.com/mutms/mpd-virt-macos/internal/shell"
)

// Script is a bash script to be run on the VM, whatever the account's login
// shell is.
type Script struct {
	// Name stands for the script in messages and is its $0.
	Name string
	// Text is the script. It and Args are visible in the VM's process list, so
	// secrets go through Stdin. Together they may have 96 KiB.
	Text string
	Args []string // $1, $2, …; any text but NUL
	// Stdin is what the script reads; nil is an empty input.
	Stdin []byte
	// Output gets each line of stdout and stderr, cleaned of what controls a
	// terminal, from one goroutine at a time, none after the call returned. nil
	// drops them. Query gives it stderr only.
	Output func(line string)
	// Idle bounds the time in which nothing is printed or read; zero means
	// 30 min.
	Idle time.Duration
	// Limit bounds the whole; zero means no bound.
	Limit time.Duration
	// Changes says of a script for Query that it changes the VM, which those for
	// Run always do, and Standin is what a rehearsal takes for its answer.
	Changes bool
	Standin string
}

// maxLine is how long a command line may be: Linux gives one argument 128 KiB.
const maxLine = 96 << 10

// maxAnswer is how much Query returns.
const maxAnswer = 64 << 10

// Run runs a script to its end. Errors: *ExitError if it failed, *StartError
// if it never began, *LostError if its end is not known, *TimeoutError if Idle
// or Limit passed, or the context's. When ctx ends the script gets SIGTERM and
// the call returns within a second, if need be by closing the connection.
func (c *Conn) Run(ctx context.Context, s Script) error {
	if told, err := c.told(ctx, s, true); told || err != nil {
		return err
	}
	begin := marker()
	text := "printf '\\n%s\\n' " + begin + "; " + s.Text
	out := newOutput(s.Output)
	head := &header{marker: begin, next: out.line}
	stdout := plaintext.NewLines(head.line)
	stderr := plaintext.NewLines(out.errorLine)
	e, err := c.bash(ctx, s, text, stdout, stderr)
	stdout.Flush()
	stderr.Flush()
	if err != nil {
		return err
	}
	return out.verdict(s.Name, e, head.begun)
}

// Query runs a script and returns what it prints on stdout, byte for byte and at
// most 64 KiB. What the account's start-up files print is not part of it, and an
// answer that was cut is an error. Other errors are those of Run.
func (c *Conn) Query(ctx context.Context, s Script) ([]byte, error) {
	if told, err := c.told(ctx, s, s.Changes); told || err != nil {
		return []byte(s.Standin), err
	}
	begin, end := marker(), marker()
	// A subshell, so that an exit in the text does not skip the end.
	text := "printf '%s\\n' " + begin + "\n(" + s.Text + "\n); s=$?; printf '%s\\n' " + end + "; exit $s"
	out := newOutput(s.Output)
	stdout := &answer{begin: []byte(begin + "\n"), end: []byte(end + "\n")}
	stderr := plaintext.NewLines(out.errorLine)
	e, err := c.bash(ctx, s, text, stdout, stderr)
	stderr.Flush()
	if err != nil {
		return nil, err
	}
	if err := out.verdict(s.Name, e, stdout.begun); err != nil {
		return nil, err
	}
	data, err := stdout.bytes()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return data, nil
}

// bash runs text under the script's name.
func (c *Conn) bash(ctx context.Context, s Script, text string, stdout, stderr io.Writer) (exit, error) {
	words := append([]string{"bash", "-c", text, s.Name}, s.Args...)
	line := shell.Join(words...)
	switch {
	case strings.ContainsRune(strings.Join(words, ""), 0):
		return exit{}, fmt.Errorf("%q: no argument can hold a NUL", s.Name)
	case len(line) > maxLine:
		return exit{}, fmt.Errorf("%s: script of %d bytes is too long", s.Name, len(line))
	}
	return c.exec(ctx, s, line, stdout, stderr)
}

// marker is a word that nothing on the VM can have printed before.
func marker() string { return "mpd-virt-" + rand.Text() }

// output is where the lines of a script go.
type output struct {
	mu   sync.Mutex
	emit func(string)
	last string // last line with text on stdout
	errs string // last line with text on stderr
}

func newOutput(emit func(string)) *output {
	if emit == nil {
		emit = func(string) {}
	}
	return &output{emit: emit}
}

func (o *output) line(line string)      { o.take(line, &o.last) }
func (o *output) errorLine(line string) { o.take(line, &o.errs) }

func (o *output) take(line string, last *string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if text := strings.TrimSpace(line); text != "" {
		*last = text
	}
	o.emit(line)
}

const shellHint = "Look at the login shell and its start-up files on the VM (getent passwd, ~/.bashrc, ~/.bash_profile):\n" +
	"they must not print, ask or exit when there is no terminal, and bash must be installed."

// verdict judges a script that ended.
func (o *output) verdict(name string, e exit, begun bool) error {
	last := o.errs
	if last == "" {
		last = o.last
	}
	switch {
	case !begun:
		return hint.Wrap(&StartError{Name: name, Status: e.status, Last: last}, shellHint)
	case e.status != 0:
		return &ExitError{Name: name, Status: e.status, Signal: e.signal, Last: last}
	}
	return nil
}

// header takes the begin marker, and the empty line that makes sure it stands
// on a line of its own, out of a script's lines.
type header struct {
	marker string
	next   func(string)
	begun  bool
	blank  bool // an empty line waits for what comes after it
}

func (h *header) line(line string) {
	if h.begun {
		h.next(line)
		return
	}
	if line == h.marker {
		h.begun = true
		return
	}
	if h.blank {
		h.next("")
	}
	if h.blank = line == ""; !h.blank {
		h.next(line)
	}
}

// answer keeps what stands between two markers.
type answer struct {
	begin, end []byte
	begun      bool
	data       []byte // from the begin marker on; before it, enough to recognise it
	lost       bool   // there was more than is kept
}

func (a *answer) Write(p []byte) (int, error) {
	a.data = append(a.data, p...)
	if !a.begun {
		i := bytes.Index(a.data, a.begin)
		if a.begun = i >= 0; a.begun {
			a.data = a.data[i+len(a.begin):]
		} else if keep := len(a.begin) - 1; len(a.data) > keep {
			a.data = append([]byte(nil), a.data[len(a.data)-keep:]...)
		}
	}
	if most := maxAnswer + len(a.end); len(a.data) > most {
		// Read on and drop, or the VM would wait for us for ever.
		a.data, a.lost = a.data[:most], true
	}
	return len(p), nil
}

func (a *answer) bytes() ([]byte, error) {
	i := bytes.Index(a.data, a.end)
	switch {
	case i >= 0:
		return a.data[:i], nil
	case a.lost:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return nil, errors.New("the answer was cut off")
}
