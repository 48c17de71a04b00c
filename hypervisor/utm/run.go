package utm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	// askLimit is for what only asks; the first time it includes that UTM starts.
	askLimit = 60 * time.Second
	// cutTries is how often a question is repeated that UTM cut off, which it
	// does for about a second after a change.
	cutTries = 3
	cutPause = 2 * time.Second
)

// utmctl runs utmctl where it is, and else the script. The program's own place
// comes first: on PATH there may be a link from which it does not find its app.
func (b *Backend) utmctl(ctx context.Context, words []string, script string, values []string, limit time.Duration) (out []byte, scripted bool, err error) {
	for _, argv := range b.ctls(words) {
		out, err = b.tool(ctx, hypervisor.Command{Argv: argv, Limit: limit})
		if !errors.Is(err, hypervisor.ErrToolMissing) {
			b.draft.uses(argv[0])
			return out, false, err
		}
	}
	b.draft.uses(osascript)
	out, err = b.script(ctx, values, script, limit)
	return out, true, err
}

// ctls are the ways to call utmctl, in the order in which they are tried.
func (b *Backend) ctls(words []string) [][]string {
	return [][]string{argvCtl(b.app, words...), append([]string{ctl}, words...)}
}

// script runs a script with osascript.
func (b *Backend) script(ctx context.Context, argv []string, text string, limit time.Duration) ([]byte, error) {
	out, err := b.tool(ctx, hypervisor.Command{Argv: argv, Stdin: []byte(text), Limit: limit})
	switch numberOf(err) {
	case scriptBroken, noApplication:
		return nil, advised(fmt.Errorf("%w: %w", hypervisor.ErrToolMissing, err))
	case NotFound:
		if len(argv) == 3 { // it names no VM, so that it is UTM that was not found
			return nil, advised(fmt.Errorf("%w: %w", hypervisor.ErrToolMissing, err))
		}
	}
	return out, err
}

// tool runs a program. The error is what kept it from running, or a *ToolError;
// it comes with its hint, and then there is no output.
func (b *Backend) tool(ctx context.Context, c hypervisor.Command) ([]byte, error) {
	res, err := b.run(ctx, c)
	if err != nil {
		return nil, advised(err)
	}
	if e := refused(c.Argv, res); e != nil {
		return nil, advised(e)
	}
	return res.Stdout, nil
}

// ask repeats a question that UTM cut off.
func ask[T any](ctx context.Context, question func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		answer, err := question()
		if numberOf(err) != ConnectionCut || try == cutTries {
			return answer, err
		}
		if err := wait(ctx, cutPause); err != nil {
			var none T
			return none, err
		}
	}
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
