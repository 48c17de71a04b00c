package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// pty is a pseudo terminal: the program has file, the person the rest.
type pty struct {
	file   *os.File
	master *os.File
	mu     sync.Mutex
	seen   bytes.Buffer
	// replied is how much of seen reply has looked at.
	replied int
	more    chan struct{}
}

func openPTY(t *testing.T) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		t.Skip(err)
	}
	file, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	p := &pty{file: file, master: master, more: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read()
	}()
	t.Cleanup(func() {
		file.Close() // the reader gets EIO once nobody has the terminal
		<-read
		master.Close()
	})
	return p
}

func (p *pty) read() {
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.seen.Write(buf[:n])
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
	}
}

// until waits until the person has seen text, and returns all that is seen. A
// person does not wait for ever.
func (p *pty) until(text string) string {
	enough := time.After(time.Minute)
	for {
		p.mu.Lock()
		seen := p.seen.String()
		p.mu.Unlock()
		if strings.Contains(seen, text) {
			return seen
		}
		select {
		case <-p.more:
		case <-enough:
			return seen
		}
	}
}

// reply waits for a question behind the last one that was replied to, and types
// keys.
func (p *pty) reply(t *testing.T, question, keys string) {
	t.Helper()
	enough := time.After(time.Minute)
	for {
		p.mu.Lock()
		seen := p.seen.String()
		p.mu.Unlock()
		if i := strings.Index(seen[p.replied:], question); i >= 0 {
			p.replied += i + len(question)
			p.typed(t, keys)
			return
		}
		select {
		case <-p.more:
		case <-enough:
			t.Fatalf("nobody asks %q:\n%s", question, seen)
		}
	}
}

// answer types keys once the person has seen question.
func (p *pty) answer(t *testing.T, question, keys string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.until(question)
		p.typed(t, keys)
	}()
	t.Cleanup(func() { <-done })
}

func (p *pty) typed(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(p.master, keys); err != nil {
		t.Error(err)
	}
}

func (p *pty) settings(t *testing.T) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(p.file.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

func (p *pty) prompter(t *testing.T) *prompter {
	t.Helper()
	a := newApp(Env{Stdin: p.file, Stdout: p.file, Stderr: p.file, Environ: []string{"LANG=C.UTF-8", "TERM=xterm"}})
	t.Cleanup(a.progress.close)
	asks := a.prompter()
	if asks == nil {
		t.Fatal("no prompter on a terminal")
	}
	return asks
}

func TestConfirm(t *testing.T) {
	for keys, want := range map[string]bool{"y\n": true, "yes\n": true, " Y \n": true, "n\n": false, "\n": false, "yep\n": false, "yy\x7f\n": true} {
		p := openPTY(t)
		asks := p.prompter(t)
		p.answer(t, "Delete mpd-150 and its disk? [y/N] ", keys)
		got, err := asks.Confirm(t.Context(), "Delete mpd-150 and its disk?")
		if got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", keys, got, err, want)
		}
	}
}

func TestPause(t *testing.T) {
	p := openPTY(t)
	asks := p.prompter(t)
	p.answer(t, "No key is accepted.\r\nIn another window run\r\n  ssh-copy-id dev@10.0.0.9\r\nthen press Enter here. ", "\n")
	if err := asks.Pause(t.Context(), "No key is accepted.", "ssh-copy-id dev@10.0.0.9"); err != nil {
		t.Fatal(err)
	}
}

// Enter is the first action, a letter or the whole word any; what is none is asked
// once more.
func TestChoose(t *testing.T) {
	q := mpdvirt.Question{Text: "tunnel: off", Commands: []string{"scutil --nc start mpd-150"}, Actions: []mpdvirt.Action{
		{ID: mpdvirt.ActionAgain, Text: "it is mended"}, {ID: mpdvirt.ActionRun, Text: "run this"}, {ID: mpdvirt.ActionQuit, Text: "leave"}}}
	for keys, want := range map[string]string{"\n": "again", "r\n": "run", " R \n": "run", "run\n": "run", "a\nzzz\nq\n": "quit", "again\n": "again"} {
		p := openPTY(t)
		asks := p.prompter(t)
		p.answer(t, "tunnel: off\r\n  scutil --nc start mpd-150\r\n  Enter  it is mended\r\n  r      run this\r\n  q      leave\r\nWhich? [Enter/r/q] ", keys)
		if got, err := asks.Choose(t.Context(), q); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", keys, got, err, want)
		}
	}
}

func TestEndOfInputDeclines(t *testing.T) {
	p := openPTY(t)
	asks := p.prompter(t)
	p.answer(t, "first? [y/N]", "\x04")
	if _, err := asks.Confirm(t.Context(), "first?"); !errors.Is(err, mpdvirt.ErrDeclined) {
		t.Errorf("Confirm: %v", err)
	}
	p.answer(t, "Which?", "\x04")
	if _, err := asks.Choose(t.Context(), mpdvirt.Question{Actions: []mpdvirt.Action{{ID: "again"}}}); !errors.Is(err, mpdvirt.ErrDeclined) {
		t.Errorf("Choose: %v", err)
	}
	p.answer(t, "Passphrase of id:", "\x04")
	if _, err := asks.Passphrase(t.Context(), "id"); !errors.Is(err, mpdvirt.ErrDeclined) {
		t.Errorf("Passphrase: %v", err)
	}
}

func TestPassphraseIsNotShown(t *testing.T) {
	p := openPTY(t)
	asks := p.prompter(t)
	before := p.settings(t)
	p.answer(t, "Passphrase of /h/.ssh/id_ed25519: ", "open sesame\n")
	if got, err := asks.Passphrase(t.Context(), "/h/.ssh/id_ed25519"); string(got) != "open sesame" || err != nil {
		t.Errorf("answer %q, %v", got, err)
	}
	fmt.Fprintln(p.file, "end")
	if seen := p.until("end"); strings.Contains(seen, "sesame") {
		t.Errorf("the passphrase was shown: %q", seen)
	}
	if p.settings(t) != before {
		t.Error("the terminal is not as it was")
	}
}

// F118: an interrupt ends each question at once, with the terminal as it was.
func TestF118InterruptAtEachPrompt(t *testing.T) {
	prompts := map[string]func(context.Context, *prompter) error{
		"confirm": func(ctx context.Context, p *prompter) error { _, err := p.Confirm(ctx, "question"); return err },
		"choose": func(ctx context.Context, p *prompter) error {
			_, err := p.Choose(ctx, mpdvirt.Question{Text: "question", Actions: []mpdvirt.Action{{ID: "again"}}})
			return err
		},
		"pause":      func(ctx context.Context, p *prompter) error { return p.Pause(ctx, "question", "cmd") },
		"passphrase": func(ctx context.Context, p *prompter) error { _, err := p.Passphrase(ctx, "question"); return err },
	}
	for name, ask := range prompts {
		t.Run(name, func(t *testing.T) {
			p := openPTY(t)
			asks := p.prompter(t)
			before := p.settings(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			got := make(chan error, 1)
			go func() { got <- ask(ctx, asks) }()
			p.until("question")
			p.typed(t, "half an ans")
			cancel(signalError{syscall.SIGINT})
			err := <-got
			if !errors.Is(err, context.Canceled) || exitCode(ctx, err) != 130 {
				t.Errorf("error is %v, exit %d", err, exitCode(ctx, err))
			}
			if p.settings(t) != before {
				t.Error("the terminal is not as it was")
			}
		})
	}
}

// F5: a second interrupt in a passphrase question turns echo on again.
func TestUndoRestoresEcho(t *testing.T) {
	p := openPTY(t)
	asks := p.prompter(t)
	before := p.settings(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		asks.Passphrase(ctx, "id")
	}()
	p.until("Passphrase of id: ")
	if p.settings(t) == before {
		t.Error("the question stands and the echo is on")
	}
	asks.live.undo()
	if p.settings(t) != before {
		t.Error("the terminal is not as it was")
	}
	cancel()
	<-done
}

// F117: what a terminal gets depends on the environment alone.
func TestF117PlainTerminals(t *testing.T) {
	tests := []struct {
		name    string
		environ string
		cols    uint16
		rich    bool
	}{
		{"a good one", "TERM=xterm LANG=C.UTF-8", 80, true},
		{"NO_COLOR", "TERM=xterm LANG=C.UTF-8 NO_COLOR=1", 80, false},
		{"empty NO_COLOR counts as unset", "TERM=xterm LANG=C.UTF-8 NO_COLOR=", 80, true},
		{"TERM=dumb", "TERM=dumb LANG=C.UTF-8", 80, false},
		{"no TERM", "LANG=C.UTF-8", 80, false},
		{"LANG=C", "TERM=xterm LANG=C", 80, false},
		{"width 0", "TERM=xterm LANG=C.UTF-8", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := openPTY(t)
			if err := unix.IoctlSetWinsize(int(p.file.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: tt.cols}); err != nil {
				t.Fatal(err)
			}
			a := newApp(Env{Stderr: p.file, Environ: strings.Fields(tt.environ)})
			someSetup(a.progress)
			seen := p.until("exit status 100")
			if rich := strings.ContainsAny(seen, "\x1b✓✗"); rich != tt.rich || strings.Contains(seen, "FAIL") == tt.rich {
				t.Errorf("got %q", seen)
			}
			if !strings.Contains(tt.environ, "UTF-8") && strings.ContainsFunc(seen, func(r rune) bool { return r > '~' }) {
				t.Errorf("not ASCII: %q", seen)
			}
		})
	}
}
