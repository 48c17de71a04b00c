package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// prompter asks on the terminal: questions on stderr, answers from stdin.
type prompter struct {
	in       *os.File
	out      io.Writer
	look     look
	live     *liveTerminal
	progress *progress
}

var _ mpdvirt.Prompter = (*prompter)(nil)

// prompter is nil unless a person can see the question and answer it.
func (a *app) prompter() *prompter {
	if _, ok := terminalOf(a.env.Stdin); !ok {
		return nil
	}
	if _, ok := terminalOf(a.stderr); !ok {
		return nil
	}
	return &prompter{in: a.env.Stdin.(*os.File), out: a.stderr, look: a.look, live: a.env.live, progress: a.progress}
}

// Confirm takes y and yes for a yes and everything else for a no.
func (p *prompter) Confirm(ctx context.Context, question string) (bool, error) {
	answer, err := p.ask(ctx, p.look.text(question)+" [y/N] ")
	if err != nil {
		return false, err
	}
	word := strings.ToLower(strings.TrimSpace(string(answer)))
	return word == "y" || word == "yes", nil
}

// Pause waits for Enter.
func (p *prompter) Pause(ctx context.Context, text, command string) error {
	lines := p.look.lines(text)
	if command != "" {
		lines = append(lines, "In another window run")
		for _, line := range p.look.lines(command) {
			lines = append(lines, "  "+line)
		}
	}
	_, err := p.ask(ctx, strings.Join(append(lines, "then press Enter here. "), "\n"))
	return err
}

// Choose shows what can be done, a line each, and takes the first letter of an
// action; Enter alone is the first.
func (p *prompter) Choose(ctx context.Context, q mpdvirt.Question) (string, error) {
	lines := []string{""}
	for _, line := range p.look.lines(q.Text) {
		lines = append(lines, wrap(line, lineWidth)...)
	}
	for _, command := range q.Commands {
		lines = append(lines, "  "+p.look.text(command))
	}
	keys := []string{"Enter"}
	for i, a := range q.Actions {
		if i > 0 {
			keys = append(keys, letter(a))
		}
		lines = append(lines, fmt.Sprintf("  %-6s %s", keys[i], p.look.text(a.Text)))
	}
	prompt := "Which? [" + strings.Join(keys, "/") + "] "
	for question := strings.Join(append(lines, prompt), "\n"); ; question = prompt {
		answer, err := p.ask(ctx, question)
		if err != nil {
			return "", err
		}
		word := strings.ToLower(strings.TrimSpace(string(answer)))
		for i, a := range q.Actions {
			if word == a.ID || i == 0 && word == "" || i > 0 && word == letter(a) {
				return a.ID, nil
			}
		}
	}
}

// letter stands for an action.
func letter(a mpdvirt.Action) string { return a.ID[:1] }

// Passphrase reads without showing what is typed.
func (p *prompter) Passphrase(ctx context.Context, keyFile string) ([]byte, error) {
	fd := int(p.in.Fd())
	restore, err := savedTerminal(fd)
	if err != nil {
		return nil, fmt.Errorf("ask for a passphrase: %w", err)
	}
	// In this order a sudden end finds what to undo at every moment, and the
	// echo is off before anybody is asked to type.
	p.live.changed(restore)
	defer func() {
		p.live.changed(nil)
		restore()
	}()
	if err := echoOff(fd); err != nil {
		return nil, fmt.Errorf("ask for a passphrase: %w", err)
	}
	answer, err := p.ask(ctx, "Passphrase of "+p.look.text(keyFile)+": ")
	if err == nil {
		fmt.Fprintln(p.out) // the Enter was not shown either
	}
	return answer, err
}

// ask asks and reads one line without its end. It returns soon after ctx ends.
func (p *prompter) ask(ctx context.Context, question string) ([]byte, error) {
	defer p.progress.pause()()
	fmt.Fprint(p.out, question)
	answer, whole, err := readLine(ctx, p.in)
	if err == nil && whole {
		return answer, nil
	}
	clear(answer)
	fmt.Fprintln(p.out) // nobody's Enter has ended the line on the screen
	if err == nil {
		err = mpdvirt.ErrDeclined
	}
	return nil, err
}
