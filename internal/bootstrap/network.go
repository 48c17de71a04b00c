package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Bounds of step 30. A VM needs 3 to 15 s to come back; the first form of the
// program waited up to three minutes.
const (
	networkLimit = 10 * time.Minute // the script itself: it may install packages
	comeBack     = 3 * time.Minute  // until the canonical address answers
)

// free wants the canonical address to be nobody else's: step 30 takes it
// without looking, and what follows would then run on a stranger.
func free(ctx context.Context, r *run) (string, error) {
	want := r.Journal.Canonical
	if r.conn.Addr().Addr() == want {
		return want.String() + " is this VM's", nil
	}
	if r.conn.Absent() { // and so cannot be told from others
		return "", nil
	}
	err := r.Free(ctx, want, r.conn.HostKey())
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err() // it was not asked to the end
	case err != nil:
		return "", refused{err}
	}
	return want.String() + " is free", nil
}

// network changes the VM's address. The script's end is no news of the
// change: it may have happened with status 0, with no status at all, or with a
// connection that just falls silent. Only a status that says failure is one.
func network(ctx context.Context, r *run) (string, error) {
	was, want := r.conn.Addr().Addr(), r.Journal.Canonical
	r.Journal.Moving = true
	if err := r.Journal.Save(); err != nil {
		return "", err
	}
	s := cloneScript(StepNetwork, r.output(StepNetwork), r.Octet.String())
	s.Limit = networkLimit
	if r.Rehearse != nil && was != want {
		return fmt.Sprintf("%s → %s", was, want), r.conn.Run(ctx, s)
	}
	if was == want {
		err := r.conn.Run(ctx, s)
		if err == nil {
			return want.String() + ", as before", nil
		}
		return want.String() + ", after a lost connection", r.rejoin(ctx, err, was, want, nil)
	}
	arrived, err := r.move(ctx, s, want)
	if err := r.rejoin(ctx, err, was, want, arrived); err != nil {
		return "", err
	}
	r.moved = true
	return fmt.Sprintf("%s → %s, same host key", was, want), nil
}

// settle is how long a script may still need after the VM has its new
// address. In its older form it changes the address in the foreground, and the
// connection that it reports to falls silent.
const settle = 5 * time.Second

// arrival is how long the knocking goes on after the script has ended; who
// takes longer is waited for anew.
const arrival = 10 * time.Second

// move runs the script and knocks at the new address at the same time, so that
// a connection that falls silent costs no more than settle. It returns the
// connection to the new address if it got one, and how the script ended.
func (r *run) move(ctx context.Context, s guest.Script, want netip.Addr) (*guest.Conn, error) {
	knocking, stop := context.WithCancel(ctx)
	defer stop()
	ended, there := make(chan error, 1), make(chan *guest.Conn, 1)
	go func() { ended <- r.conn.Run(ctx, s) }()
	go func() {
		c, _ := r.Dial(knocking, []netip.Addr{want}, networkLimit) // why not, rejoin finds out
		there <- c
	}()
	select {
	case err := <-ended:
		if exitStatus(err) < 0 {
			// It is on its way: let a login that has begun come through.
			limit := time.AfterFunc(arrival, stop)
			defer limit.Stop()
		} else {
			stop()
		}
		return <-there, err
	case c := <-there:
		if c != nil {
			limit := time.AfterFunc(settle, func() { r.conn.Close() })
			defer limit.Stop()
		}
		return c, <-ended
	}
}

// rejoin judges how the script ended, and replaces the connection by one to
// the address where the VM is now.
func (r *run) rejoin(ctx context.Context, ended error, was, want netip.Addr, arrived *guest.Conn) error {
	if ctx.Err() != nil || exitStatus(ended) >= 0 || errors.As(ended, new(*guest.StartError)) {
		if arrived != nil {
			arrived.Close()
		}
		return ended
	}
	r.conn.Close()
	if arrived == nil {
		var err error
		if arrived, err = r.Dial(ctx, []netip.Addr{want}, comeBack); err != nil {
			return r.lost(ctx, was, want, err)
		}
	}
	r.conn = arrived
	return nil
}

// lost says what is known of a VM that did not come up where it should.
func (r *run) lost(ctx context.Context, was, want netip.Addr, err error) error {
	if ctx.Err() != nil || !errors.As(err, new(*guest.UnreachableError)) {
		return err
	}
	if was != want {
		if c, old := r.Dial(ctx, []netip.Addr{was}, 0); old == nil {
			c.Close()
			return fmt.Errorf("it ended, but the VM is still at %s and not at %s", was, want)
		}
	}
	return hint.Wrap(fmt.Errorf("the VM answers neither at %s nor at %s: %w", want, was, err),
		"look at the VM's console: `ip address` shows where it is, `journalctl -u systemd-networkd` why")
}

func networkHolds(r *run) string {
	if name := r.Octet.VMName(); r.facts.Host != name {
		return fmt.Sprintf("the host name is %s, not %s", r.facts.Host, name)
	}
	if at := r.conn.Addr().Addr(); at != r.Journal.Canonical {
		return fmt.Sprintf("the VM is at %s, not at %s", at, r.Journal.Canonical)
	}
	if err := CheckPlatform(r.facts.Platform, r.Octet, r.Journal.Canonical); err != nil {
		return err.Error()
	}
	return ""
}

func hasAddress(r *run) string { return r.Journal.Canonical.String() + ", as before" }

// register has the VM registered, and looks for it again if that may have
// restarted it.
func register(ctx context.Context, r *run) (string, error) {
	r.Journal.Moving = false
	if err := r.Journal.Save(); err != nil {
		return "", err
	}
	summary, restarted, err := r.Register(ctx)
	if err != nil || !restarted || r.Rehearse != nil {
		return summary, err
	}
	if err := r.look(ctx, StepRegister); !errors.As(err, new(*guest.LostError)) {
		return summary, err
	}
	r.conn.Close()
	if r.conn, err = r.Dial(ctx, []netip.Addr{r.Journal.Canonical}, comeBack); err != nil {
		return "", fmt.Errorf("log in again after the VM was restarted: %w", err)
	}
	return summary, nil
}

// aptFailed is apt-get's status for all its failures, a held lock among them.
const aptFailed = 100

// lockWait bounds how long another package manager may hold dpkg's lock.
const lockWait = 10 * time.Minute

// lockText says whether a process holds dpkg's lock: the kernel lists POSIX
// locks by inode, readable by everybody.
const lockText = `
inode=$(stat -c %i /var/lib/dpkg/lock-frontend 2>/dev/null) || exit 0
while read -r _ kind _ _ _ where _; do
  if [ "$kind" = POSIX ] && [ "${where##*:}" = "$inode" ]; then echo held; exit 0; fi
done </proc/locks
`

// packages runs step 40. apt-get does not wait for dpkg's lock, which a
// desktop's update service may hold, and right after step 30 the removal of
// the old network manager; so we wait before, and once more if apt failed
// while somebody held it.
func packages(ctx context.Context, r *run) (string, error) {
	if r.Rehearse != nil {
		return script(StepPackages)(ctx, r)
	}
	for try := 1; ; try++ {
		if err := r.waitForLock(ctx); err != nil {
			return "", err
		}
		_, err := script(StepPackages)(ctx, r)
		if exitStatus(err) != aptFailed || try == 3 {
			return "", err
		}
		held, lockErr := r.dpkgHeld(ctx)
		if lockErr != nil || !held && !(r.moved && try == 1) {
			return "", err
		}
		r.Observer.note("%s: apt-get failed while packages were changing, trying again", StepPackages)
	}
}

func (r *run) dpkgHeld(ctx context.Context) (bool, error) {
	out, err := r.conn.Query(ctx, guest.Script{Name: "dpkg lock", Text: lockText, Limit: time.Minute})
	return len(out) > 0, err
}

func (r *run) waitForLock(ctx context.Context) error {
	for start := time.Now(); ; {
		held, err := r.dpkgHeld(ctx)
		if err != nil || !held {
			return err
		}
		if time.Since(start) >= lockWait {
			return hint.Wrap(fmt.Errorf("another program on the VM has held dpkg's lock for %s", lockWait),
				"see which: ssh to the VM and run `sudo fuser -v /var/lib/dpkg/lock-frontend`")
		}
		r.output(StepPackages)("waiting for another package manager on the VM to finish")
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
