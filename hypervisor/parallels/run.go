package parallels

import (
	"context"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The service refuses a login now and then, and takes the next.
const (
	loginTries = 5
	loginPause = 2 * time.Second
)

// ask runs a command that only tells something and returns what it printed. One
// that failed told nothing, whatever it printed.
func (b *Backend) ask(ctx context.Context, argv []string) ([]byte, error) {
	res, err := b.command(ctx, hypervisor.Command{Argv: argv})
	return res.Stdout, err
}

// do runs a command that makes the VM to what then says. An error is not the last
// word, and neither is nil: the state is.
func (b *Backend) do(ctx context.Context, argv []string, limit time.Duration, then vm) error {
	c := hypervisor.Command{Argv: argv, Limit: limit}
	if b.draft.on() {
		b.draft.does(c, then)
		return nil
	}
	res, err := b.command(ctx, c)
	if err != nil {
		return err
	}
	return complaint(argv, res)
}

// command runs a tool, again if the service did not take the login. The error
// is what kept it from running, or a *refusal; it comes with its hint.
func (b *Backend) command(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	for try := 1; ; try++ {
		res, err := b.run(ctx, c)
		if err != nil {
			return hypervisor.Result{}, advised(err)
		}
		if res.Status == 0 {
			return res, nil
		}
		r := refused(c.Argv, res)
		if r.kind != login || try > loginTries {
			return res, advised(r)
		}
		if err := wait(ctx, loginPause); err != nil {
			return res, err
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
