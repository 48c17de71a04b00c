package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/macemu"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// terminalDir has golden scripts of what a person sees and answers at a terminal.
const terminalDir = "../../../../testdata/terminal"

// TestGoldenTerminal runs the scripts of what is asked at a terminal. Besides the
// commands of TestGolden they have those of terminalCommands.
func TestGoldenTerminal(t *testing.T) {
	openPTY(t) // or skip: there is none
	runGolden(t, terminalDir, (*golden).terminalCommands)
}

// terminalCommands are for a person at the Mac:
//
//	types ANSWER,ANSWER... ARGS...  mpd-virt ARGS on a terminal, with an answer to each question: its
//	                                keys, "enter", or "end" for the end of input
//	mac dialog|sudo [WHAT]          what becomes of an administrator's dialog, of sudo's prompt
//	mac activate NAME               turns a tunnel on in WireGuard
//	mac forget NAME                 removes it there
//	mac resolver TEXT...            somebody writes /etc/resolver/mpd.test
//	mac state                       tunnels, trusted certificates, what was opened, and the clipboard
func (g *golden) terminalCommands() map[string]func([]string) (string, error) {
	return map[string]func([]string) (string, error){"types": g.types, "mac": g.mac}
}

// questions end in one of these.
var questions = []string{"[y/N] ", "/q] "}

func (g *golden) types(args []string) (string, error) {
	p := openPTY(g.t)
	env := g.env(args[1:], p.file)
	env.Stdin, env.Stderr = p.file, p.file
	env.Environ = append(env.Environ, "TERM=dumb")
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, env) }()
	for _, answer := range strings.Split(args[0], ",") {
		keys := map[string]string{"enter": "\n", "end": "\x04", "none": ""}[answer]
		if keys == "" && answer != "none" {
			keys = answer + "\n"
		}
		if keys != "" && !p.answersNext(keys) {
			return "", fmt.Errorf("nobody asks a question for the answer %s:\n%s", answer, p.until(""))
		}
	}
	code := <-ended
	const end = "(the end)"
	fmt.Fprint(p.file, end)
	seen := strings.TrimSuffix(strings.ReplaceAll(p.until(end), "\r\n", "\n"), end)
	return string(g.hide(bytes.TrimLeft([]byte(seen), "\n"))), exitOfScript(code)
}

// answersNext types keys at the next question; false if none comes.
func (p *pty) answersNext(keys string) bool {
	enough := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		seen := p.seen.String()[p.replied:]
		p.mu.Unlock()
		for _, q := range questions {
			if strings.HasSuffix(seen, q) {
				p.replied += len(seen)
				_, err := p.master.WriteString(keys)
				return err == nil
			}
		}
		select {
		case <-p.more:
		case <-enough:
			return false
		}
	}
}

func (g *golden) mac(args []string) (string, error) {
	mac, words := g.world.Mac(), strings.Join(args[1:], " ")
	switch args[0] {
	case "dialog":
		return "", mac.Change(func(s *mpdvirttest.MacSettings) { s.Dialog = macemu.Dialog(words) })
	case "sudo":
		return "", mac.Change(func(s *mpdvirttest.MacSettings) { s.Sudo = macemu.Sudo(words) })
	case "activate":
		return "", mac.Activate(words)
	case "forget":
		return "", mac.RemoveTunnel(words)
	case "resolver":
		return "", g.resolver(words + "\n")
	case "state":
		return g.macState()
	}
	return "", fmt.Errorf("unknown %s", args[0])
}

func (g *golden) resolver(text string) error {
	dir := filepath.Join(g.world.Root(), "etc", "resolver")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "mpd.test"), []byte(text), 0o644)
}

func (g *golden) macState() (string, error) {
	mac := g.world.Mac()
	tunnels, err1 := mac.Tunnels()
	trusted, err2 := mac.TrustSettings()
	opened, err3 := mac.Opened()
	clipboard, err4 := mac.Clipboard()
	var b strings.Builder
	for _, t := range tunnels {
		fmt.Fprintf(&b, "tunnel %s %s\n", t.Name, t.State)
	}
	fmt.Fprintf(&b, "trusted certificates: %d\n", len(trusted))
	for _, o := range opened {
		fmt.Fprintf(&b, "opened %s\n", o.Target)
	}
	if clipboard != "" {
		fmt.Fprintf(&b, "clipboard: %d lines\n", strings.Count(clipboard, "\n"))
	}
	return b.String(), errors.Join(err1, err2, err3, err4)
}
