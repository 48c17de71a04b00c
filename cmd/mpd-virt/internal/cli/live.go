package cli

import (
	"io"
	"sync"
)

// liveTerminal knows what of the terminal is not as it was: a live line, or
// the echo that is off while a passphrase is typed. A second signal, which
// ends the process at once, undoes it from outside of what it interrupts.
type liveTerminal struct {
	mu      sync.Mutex
	line    io.Writer // where a live line stands, or nil
	restore func()    // turns echo on again, or nil
}

func (l *liveTerminal) drawn(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.line = w
}

func (l *liveTerminal) erased() { l.drawn(nil) }

// changed records what undoes a change of the terminal's settings; nil is
// nothing any more.
func (l *liveTerminal) changed(restore func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.restore = restore
}

// undo brings the terminal back. Nothing may use the terminal afterwards.
func (l *liveTerminal) undo() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.restore != nil {
		l.restore()
	}
	if l.line != nil {
		io.WriteString(l.line, eraseLine)
	}
	l.restore, l.line = nil, nil
}
