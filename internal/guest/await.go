package guest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Pauses between two attempts at an address. sshd punishes addresses that come
// without logging in, for longer each time (PerSourcePenalties), and punishes
// knocking during the punishment too.
const (
	againSoon      = time.Second      // nobody was there to be annoyed
	againLater     = 6 * time.Second  // somebody was, and there was no login
	againAtLongest = 60 * time.Second // after being turned away time and again
)

// Await dials all addresses at once, again and again, until one lets us in, and
// returns that connection. o.Addr is not used. What was learnt about an address
// is given to note, when it changes, in words for people and never from two
// goroutines at once; nil drops it.
//
// The wait ends early with a *HostKeyError if the first address or all
// addresses have the wrong host key, and with an *AuthError if there is no key
// to log in with. It ends after limit with an *UnreachableError that names each
// address and its last reason, which errors.As finds too.
func Await(ctx context.Context, o Options, addrs []netip.AddrPort, limit time.Duration, note func(string)) (*Conn, error) {
	if len(addrs) == 0 {
		return nil, errors.New("no address to wait for")
	}
	o.Addr = addrs[0]
	keys, err := o.HostKeys.load()
	if err != nil {
		return nil, err
	}
	if _, err := o.offer(ctx); err != nil {
		return nil, err
	}
	w := &wait{addrs: addrs, note: note, results: make(chan attempt), last: make([]error, len(addrs))}
	return w.run(ctx, o, keys, limit)
}

// wait is one call of Await.
type wait struct {
	addrs   []netip.AddrPort
	note    func(string)
	results chan attempt
	last    []error // by address: why there is no login yet
}

// attempt is what came of one attempt at address number i, or, with over, that
// nobody tries there any more.
type attempt struct {
	i    int
	conn *Conn
	err  error
	over bool
}

func (w *wait) run(ctx context.Context, o Options, keys *keyCheck, limit time.Duration) (*Conn, error) {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for i, addr := range w.addrs {
		at := o
		at.Addr = addr
		go func() {
			w.try(limited, i, at, keys)
			w.results <- attempt{i: i, over: true}
		}()
	}
	var won *Conn
	var refused error
	for left := len(w.addrs); left > 0; {
		switch r := <-w.results; {
		case r.over:
			left--
		case r.conn != nil && won == nil:
			won = r.conn
			cancel()
		case r.conn != nil:
			r.conn.Close()
		default:
			w.learn(r)
			if refused = w.hopeless(); refused != nil {
				cancel() // the last word, unless somebody has won already
			}
		}
	}
	switch {
	case won != nil:
		return won, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("wait for SSH at %s: %w", w.addrs[0], ctx.Err())
	case refused != nil:
		return nil, refused
	}
	return nil, w.unreachable(time.Since(began))
}

// try goes on at one address until it is in or ctx ends.
func (w *wait) try(ctx context.Context, i int, o Options, keys *keyCheck) {
	var pause time.Duration
	for {
		conn, err := o.attempt(ctx, keys)
		if ctx.Err() != nil && conn == nil {
			return
		}
		w.results <- attempt{i: i, conn: conn, err: err}
		if conn != nil {
			return
		}
		pause = nextPause(err, pause)
		again := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-again.C:
		}
	}
}

func (o Options) attempt(ctx context.Context, keys *keyCheck) (*Conn, error) {
	offer, err := o.offer(ctx)
	if err != nil {
		return nil, err
	}
	return o.dial(ctx, keys, offer)
}

func nextPause(err error, last time.Duration) time.Duration {
	var u *UnreachableError
	if !errors.As(err, &u) {
		return againLater
	}
	switch u.Kind {
	case Refused, NoRoute, TimedOut, Failed:
		return againSoon
	case Closed:
		return min(max(againLater, 2*last), againAtLongest)
	}
	return againLater
}

// learn keeps the news of an address and tells it, if it is news.
func (w *wait) learn(r attempt) {
	was := w.last[r.i]
	w.last[r.i] = r.err
	if w.note != nil && (was == nil || was.Error() != r.err.Error()) {
		w.note(r.err.Error())
	}
}

// hopeless is the error for which waiting on makes no sense. That all addresses
// have the wrong key implies it of the first.
func (w *wait) hopeless() error {
	if errors.As(w.last[0], new(*HostKeyError)) {
		return w.last[0]
	}
	return nil
}

// unreachable sums up.
func (w *wait) unreachable(waited time.Duration) error {
	all := make([]*UnreachableError, len(w.addrs))
	for i, addr := range w.addrs {
		err := w.last[i]
		switch u := new(UnreachableError); {
		case err == nil:
			all[i] = &UnreachableError{Addr: addr, Kind: TimedOut}
		case errors.As(err, &u):
			all[i] = &UnreachableError{Addr: addr, Kind: u.Kind, Err: u.Err}
		case errors.As(err, new(*HostKeyError)):
			all[i] = &UnreachableError{Addr: addr, Kind: WrongKey, Err: err}
		case errors.As(err, new(*AuthError)):
			all[i] = &UnreachableError{Addr: addr, Kind: NoLogin, Err: err}
		default:
			all[i] = &UnreachableError{Addr: addr, Kind: Failed, Err: err}
		}
	}
	sum := all[0]
	sum.Others, sum.Waited = all[1:], waited.Round(time.Second)
	for _, err := range w.last {
		if next := hint.Of(err); next != "" {
			return hint.Wrap(sum, next)
		}
	}
	return sum
}
