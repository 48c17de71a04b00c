package macos

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// answer is what a played tool does.
type answer struct {
	out, errs string
	status    int
	err       error
	hang      bool // until the command's limit or the end of ctx
}

// script plays tools: for each command line, the answers one after the other,
// the last one again and again.
type script struct {
	mu      sync.Mutex
	answers map[string][]answer
	calls   []hypervisor.Command
}

func (s *script) run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c)
	if err := ctx.Err(); err != nil {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], err)
	}
	list, known := s.answers[c.String()]
	if !known {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], hypervisor.ErrToolMissing)
	}
	a := list[0]
	if len(list) > 1 {
		s.answers[c.String()] = list[1:]
	}
	if a.hang {
		ctx, stop := context.WithTimeout(ctx, c.Limit)
		defer stop()
		<-ctx.Done()
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], ctx.Err())
	}
	if a.err != nil {
		return hypervisor.Result{}, a.err
	}
	res := hypervisor.Result{Status: a.status}
	if !c.Terminal {
		res.Stdout, res.Stderr = []byte(a.out), []byte(a.errs)
	}
	return res, nil
}

// lines are the commands that ran.
func (s *script) lines() (out []string) {
	for _, c := range s.calls {
		line := c.String()
		if c.Terminal {
			line += " (terminal)"
		}
		out = append(out, line)
	}
	return out
}

// says is a Mac on which line, and nothing else, is answered with a.
func says(line string, a answer) (*Mac, *script) {
	s := &script{answers: map[string][]answer{line: {a}}}
	return New(s.run), s
}

// harmless fails if text could do anything to a terminal.
func harmless(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r == 0x202e {
			t.Errorf("%q reaches a person", text)
			return
		}
	}
}

const rude = "\x1b]0;owned\a\x1b[2Jwhat \u202eever\u009b31m\n"

func join(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
