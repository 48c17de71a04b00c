package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// progress shows the events of a verb on stderr. Where lines can be drawn
// again, what runs is one line in place; elsewhere a step is told when it ends
// and every 30 seconds while it runs. Steps that run within another, such as
// the checks at the end of a setup, are told only while they run.
type progress struct {
	w       io.Writer
	look    look
	live    *liveTerminal
	verbose bool // show what steps print
	debug   bool // show outside commands
	quiet   bool // the result tells how steps ended: show only what runs

	mu      sync.Mutex
	running []*step // in the order in which they began; the first holds the others
	drawn   bool    // the last line on the terminal is the live one
	paused  bool    // a question is being asked
	timer   *time.Timer
	done    chan struct{} // closed to end the timer's goroutine
	ended   chan struct{} // closed when it ended; nil before the first step
}

// step is a step that runs.
type step struct {
	name        string
	began       time.Time
	last        string // the last line that it printed
	done, total int64  // bytes
	// moving is when the first bytes were told, and before how many that were.
	moving time.Time
	before int64
}

func newProgress(w io.Writer, l look, live *liveTerminal) *progress {
	return &progress{w: w, look: l, live: live, done: make(chan struct{})}
}

// observe is the Observer of the verb's Manager.
func (p *progress) observe(e mpdvirt.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case mpdvirt.VerbStarted:
		if !p.quiet {
			p.print(p.look.text(e.Text) + "\n")
		}
	case mpdvirt.StepStarted:
		p.start(e.Step)
	case mpdvirt.StepOutput:
		p.output(e)
	case mpdvirt.StepProgress:
		if s := p.find(e.Step); s != nil {
			s.moved(e.Done, e.Total)
		}
	case mpdvirt.StepEnded:
		p.end(e)
	case mpdvirt.Note:
		p.printWrapped("  ", e.Text)
	case mpdvirt.Debug:
		if p.debug {
			p.print("    debug: " + p.look.text(e.Text) + "\n")
		}
	}
}

func (p *progress) start(name string) {
	p.running = append(p.running, &step{name: name, began: time.Now()})
	if p.ended == nil {
		p.timer = time.NewTimer(p.period())
		p.ended = make(chan struct{})
		go p.watch()
	} else if len(p.running) == 1 {
		p.timer.Reset(p.period())
	}
	p.draw()
}

func (p *progress) output(e mpdvirt.Event) {
	if s := p.find(e.Step); s != nil && strings.TrimSpace(e.Text) != "" {
		s.last = e.Text
	}
	if line := strings.TrimRight(p.look.text(e.Text), " "); p.verbose && line != "" {
		p.print("    " + p.look.text(e.Step) + ": " + line + "\n")
	}
}

func (p *progress) end(e mpdvirt.Event) {
	inner := false
	for i, s := range p.running {
		if s.name == e.Step {
			inner = i > 0
			p.running = append(p.running[:i], p.running[i+1:]...)
			break
		}
	}
	if !p.quiet && !inner {
		text := e.Text
		if e.Status == mpdvirt.Fail {
			text = cut(p.look.text(text), textWidth) // the error that follows says it whole
		}
		p.print(p.look.stepLine(markOf(e.Status), e.Step, nameWidth, text, took(e.Elapsed)))
	} else {
		p.draw()
	}
}

func (p *progress) find(name string) *step {
	for _, s := range p.running {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (p *progress) period() time.Duration {
	if p.look.rich {
		return tick
	}
	return patience
}

// watch draws or prints again what runs, until close.
func (p *progress) watch() {
	defer close(p.ended)
	for {
		select {
		case <-p.done:
			return
		case <-p.timer.C:
			p.again()
		}
	}
}

func (p *progress) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.running) == 0 {
		return // the next step starts the timer again
	}
	p.timer.Reset(p.period())
	if p.look.rich {
		p.draw()
		return
	}
	if p.paused {
		return // the terminal belongs to a question
	}
	name, text, took := p.current()
	p.print(p.look.stepLine(running, name, nameWidth, cut(text, textWidth), took))
}

// moved takes in how many bytes are through. Those of the first time may be what an
// earlier run got, and are no measure of the speed.
func (s *step) moved(done, total int64) {
	if s.moving.IsZero() {
		s.before, s.moving = done, time.Now()
	}
	s.done, s.total = done, total
}

// now is what can be said of a running step.
func (s *step) now(l look) string {
	if s.done == 0 {
		return l.text(s.last)
	}
	parts := []string{size(s.done)}
	if s.total > 0 {
		parts[0] += " of " + size(s.total)
	}
	if d := time.Since(s.moving); d >= time.Second && s.done > s.before {
		rate := float64(s.done-s.before) / d.Seconds()
		parts = append(parts, size(int64(rate))+"/s")
		if s.total > s.done {
			left := float64(s.total-s.done) / rate
			parts = append(parts, duration(time.Duration(left)*time.Second)+" left")
		}
	}
	return strings.Join(parts, ", ")
}

// print writes whole lines above the live one.
func (p *progress) print(lines string) {
	p.erase()
	io.WriteString(p.w, lines)
	p.draw()
}

// printWrapped prints a note. Several lines were broken by who wrote them, and one
// that is a command must stay whole.
func (p *progress) printWrapped(indent, text string) {
	if lines := p.look.lines(text); len(lines) > 1 {
		p.print(indent + strings.Join(lines, "\n"+indent) + "\n")
		return
	}
	for _, line := range wrap(p.look.text(text), lineWidth-len(indent)) {
		p.print(indent + line + "\n")
	}
}

// draw draws the live line.
func (p *progress) draw() {
	if !p.look.rich || p.paused {
		return
	}
	if len(p.running) == 0 {
		p.erase()
		return
	}
	name, text, took := p.current()
	sign, _ := p.look.mark(running)
	room := p.look.width() - 1 - 4 // a full last column would wrap on some terminals
	line, end := cell(p.look.text(name), nameWidth)+padded(text, textWidth), "  "+took
	if columns(line)+columns(end) > room {
		line = cut(strings.TrimRight(line, " "), max(room-columns(end), 0))
	}
	if columns(line)+columns(end) > room {
		line, end = cut(line, max(room, 0)), ""
	}
	p.live.drawn(p.w)
	p.drawn = true
	fmt.Fprintf(p.w, "\r  %s %s%s\x1b[K", sign, line, end)
}

// current is what runs: a step and what it does, or in a quiet verb, whose
// checks run side by side, the names of all that do.
func (p *progress) current() (name, text, took string) {
	first, inner := p.running[0], p.running[1:]
	name, text = first.name, first.now(p.look)
	if p.quiet {
		name, inner = "checking", p.running
	}
	if len(inner) > 0 {
		var names []string
		for _, s := range inner {
			names = append(names, p.look.text(s.name))
		}
		text = strings.Join(names, ", ")
	}
	return name, text, duration(time.Since(first.began))
}

func (p *progress) erase() {
	if p.drawn {
		io.WriteString(p.w, eraseLine)
		p.drawn = false
		p.live.erased()
	}
}

const eraseLine = "\r\x1b[K"

// pause takes the live line away while a person is asked, and returns what
// brings it back.
func (p *progress) pause() func() {
	p.set(true)
	return func() { p.set(false) }
}

func (p *progress) set(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.paused = paused
	p.draw()
}

// close erases the live line and ends what runs behind it.
func (p *progress) close() {
	p.mu.Lock()
	p.running = nil
	p.erase()
	ended := p.ended
	p.mu.Unlock()
	close(p.done)
	if ended != nil {
		<-ended
	}
}
