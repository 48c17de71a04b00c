package virsh

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// copyLimit is for what copies a disk of many gigabytes.
const copyLimit = 30 * time.Minute

// ToolError is a virsh that ran and failed. It is hypervisor.ErrService if there
// was no daemon to talk to.
type ToolError struct {
	Command string // the command of virsh, without its options
	Status  int    // exit status; 0 if the reason alone told that it failed
	Reason  string // the last thing that virsh said, safe to show
}

func (e *ToolError) Error() string {
	return fmt.Sprintf("virsh %s: exit status %d: %s", e.Command, e.Status, e.Reason)
}

// Is says that e is ErrService if it tells of no daemon.
func (e *ToolError) Is(target error) bool {
	return target == hypervisor.ErrService && strings.HasPrefix(e.Reason, noDaemon)
}

// noDaemon is how virsh begins if it could not connect.
const noDaemon = "failed to connect to the hypervisor"

// virsh runs one command; see send.
func (b *Backend) virsh(ctx context.Context, args ...string) ([]byte, error) {
	return b.send(ctx, nil, 0, args...)
}

// send runs virsh and returns what it prints. Arguments are handed over as they
// are, with one exception, which is virsh's: a single one is a line of commands
// with semicolons between, in which nothing from elsewhere may stand but UUIDs.
// Of such a line the exit status is that of the last command, so that errors
// are also looked for in the text.
func (b *Backend) send(ctx context.Context, stdin []byte, limit time.Duration, args ...string) ([]byte, error) {
	res, err := b.cfg.Run(ctx, hypervisor.Command{
		Argv:  append([]string{"virsh", "--quiet", "--connect", b.cfg.URI}, args...),
		Stdin: stdin, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	word, _, _ := strings.Cut(args[0], " ")
	reason := reasonOf(string(res.Stderr))
	if res.Status != 0 || reason != "" {
		return nil, &ToolError{Command: word, Status: res.Status, Reason: reason}
	}
	return res.Stdout, nil
}

// reasonOf is what virsh says after "error:", for people and in one line: the
// first line is what it wanted to do, the others are why it could not.
func reasonOf(stderr string) string {
	var parts []string
	for line := range strings.Lines(stderr) {
		if text, ok := strings.CutPrefix(line, "error:"); ok {
			parts = append(parts, shown(strings.TrimSpace(text)))
		}
	}
	if len(parts) > 3 {
		parts = parts[:3]
	}
	return strings.Join(parts, ": ")
}

// shown is a text that came from elsewhere, short and without what controls a
// terminal.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "..."
	}
	return text
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// eventually asks again and again, at most for a time and at least once. The
// last answer is no error.
func eventually[T any](ctx context.Context, limit time.Duration, ask func() (T, error), enough func(T) bool) (T, error) {
	const first, last = 50 * time.Millisecond, 2 * time.Second
	for begin, pause := time.Now(), first; ; pause = min(last, 2*pause) {
		answer, err := ask()
		left := limit - time.Since(begin)
		if err != nil || left <= 0 || enough(answer) {
			return answer, err
		}
		if err := wait(ctx, min(left, pause)); err != nil {
			return answer, err
		}
	}
}
