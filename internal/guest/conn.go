package guest

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Keep-alives: how often, and how long an answer may be missing.
const (
	keepAliveEvery = 5 * time.Second
	keepAliveLimit = 3 * keepAliveEvery
)

// Conn is a logged-in connection. Its methods may be called at the same time,
// but scripts are best run one after another: sshd allows few at once.
type Conn struct {
	opts     Options
	hostKey  ssh.PublicKey
	identity string
	tap      *tap
	peer     ssh.Conn
	teller   Teller // nil: it is for real

	ended      chan struct{} // closed when the transport is gone
	background sync.WaitGroup

	mu    sync.Mutex
	cause error // why the transport is gone, the first reason found
}

var errClosed = errors.New("connection closed")

func newConn(o Options, t *tap, peer ssh.Conn, key ssh.PublicKey, identity string, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) *Conn {
	c := &Conn{opts: o, hostKey: key, identity: identity, tap: t, peer: peer, ended: make(chan struct{})}
	for _, f := range []func(){
		func() { ssh.DiscardRequests(requests) },
		func() { rejectAll(channels) },
		c.keepAlive,
		c.watch,
		func() {
			err := peer.Wait()
			if err == nil || errors.Is(err, io.EOF) {
				err = errors.New("the VM closed the connection")
			}
			c.fail(err)
			close(c.ended)
		},
	} {
		c.background.Go(f)
	}
	return c
}

// rejectAll refuses what the VM wants to open here: forwarded ports, displays,
// the agent.
func rejectAll(channels <-chan ssh.NewChannel) {
	for ch := range channels {
		ch.Reject(ssh.Prohibited, "not offered")
	}
}

// keepAlive makes the VM say something every few seconds. Any answer will do,
// also "what is that?".
func (c *Conn) keepAlive() {
	tick := time.NewTicker(keepAliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-tick.C:
		}
		// Waits for the answer; if none comes, watch ends the connection.
		if _, _, err := c.peer.SendRequest("keepalive@openssh.com", true, nil); err != nil {
			return
		}
	}
}

// watch ends a connection on which nothing came for too long. It looks at the
// bytes and not at the answers: behind much other data on a slow link an
// answer can be late for good reasons.
func (c *Conn) watch() {
	for {
		left := keepAliveEvery + keepAliveLimit - c.tap.silence()
		if left <= 0 {
			c.fail(fmt.Errorf("the VM did not answer for %v", keepAliveLimit))
			return
		}
		again := time.NewTimer(left)
		select {
		case <-c.ended:
			again.Stop()
			return
		case <-again.C:
		}
	}
}

// fail ends the connection and keeps the first reason given.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = err
	}
	c.mu.Unlock()
	c.tap.Close()
}

// lost is why the connection ended, nil while it lives.
func (c *Conn) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Addr is the address at which the login was.
func (c *Conn) Addr() netip.AddrPort { return c.opts.Addr }

// HostKey is the key that the host proved to have. It is one of the pinned
// ones, or the accepted one; at first contact it is any, and the caller should
// pin it before sending anything that matters.
func (c *Conn) HostKey() ssh.PublicKey { return c.hostKey }

// Identity names the key that was logged in with, for people.
func (c *Conn) Identity() string { return c.identity }

// Close ends the connection and what runs over it, with a *LostError, and
// waits until no goroutine of it is left. It returns nil, also when repeated.
func (c *Conn) Close() error {
	if c.Absent() {
		return nil
	}
	c.fail(errClosed)
	c.background.Wait()
	return nil
}
