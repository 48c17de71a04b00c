package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Options say where and as whom to log in.
type Options struct {
	Addr netip.AddrPort
	User hypervisor.User
	// Dial makes connections; nil means net.Dialer's DialContext.
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	HostKeys HostKeys
	// Identities are the keys to log in with; nil means none, so that no
	// login can succeed. One value serves all connections of a run, so that
	// a passphrase is asked for once.
	Identities *Identities
	// Debug gets one line for each thing done, without secrets and safe for a
	// terminal, from any goroutine; nil drops them.
	Debug func(string)
}

func (o Options) debug(format string, args ...any) {
	if o.Debug != nil {
		o.Debug(plaintext.Clean(fmt.Sprintf(format, args...)))
	}
}

// Dial logs in at o.Addr, once. It takes at most 10 s for the TCP connection
// and as long for a handshake that does not go on; questions to a person or an
// agent do not count.
//
// Errors are *UnreachableError, *HostKeyError (which is never about the
// network), *AuthError, or the context's.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	keys, err := o.HostKeys.load()
	if err != nil {
		return nil, err
	}
	offer, err := o.offer(ctx)
	if err != nil {
		return nil, err
	}
	return o.dial(ctx, keys, offer)
}

// offer is the keys to log in with; none is an *AuthError. Without a key we
// knock at no door: sshd penalises those who come and do not log in.
func (o Options) offer(ctx context.Context) (*offer, error) {
	offer := o.Identities.offer(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(offer.keys) == 0 {
		return nil, o.authError(offer, nil)
	}
	return offer, nil
}

func (o Options) dial(ctx context.Context, keys *keyCheck, offer *offer) (*Conn, error) {
	conn, err := o.connect(ctx)
	if err != nil {
		return nil, err
	}
	// Closing ends whatever the handshake waits for; nothing else does so at
	// once.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, err := o.handshake(ctx, newTap(conn), keys, offer)
	if !stop() {
		if c != nil {
			c.Close()
		}
		return nil, fmt.Errorf("log in at %s: %w", o.Addr, ctx.Err())
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (o Options) connect(ctx context.Context) (net.Conn, error) {
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	limited, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	o.debug("ssh: dial %s", o.Addr)
	conn, err := dial(limited, "tcp", o.Addr.String())
	switch {
	case ctx.Err() != nil:
		if conn != nil {
			conn.Close()
		}
		return nil, fmt.Errorf("dial %s: %w", o.Addr, ctx.Err())
	case err != nil:
		return nil, o.unreachable(dialKind(err), err)
	}
	return conn, nil
}

// dialKind reads the system's reason for a failed dial.
func dialKind(err error) Kind {
	var timeout interface{ Timeout() bool }
	for kind, reasons := range map[Kind][]error{
		Refused: {syscall.ECONNREFUSED, syscall.ECONNRESET},
		NoRoute: {syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN, syscall.EADDRNOTAVAIL},
	} {
		for _, reason := range reasons {
			if errors.Is(err, reason) {
				return kind
			}
		}
	}
	if errors.As(err, &timeout) && timeout.Timeout() {
		return TimedOut
	}
	return Failed
}

// localNetworkHint names the cause that no error of macOS names.
const localNetworkHint = "Check that the VM is running and that the address is right.\n" +
	"On macOS 15 and later this is also what a program without the Local Network permission gets:\n" +
	"System Settings > Privacy & Security > Local Network, enable your terminal, then restart it."

func (o Options) unreachable(kind Kind, cause error) error {
	if kind == TimedOut || kind == Stalled {
		// The deadline was ours. Kept as a cause it would look like the end of
		// the caller's context.
		cause = nil
	}
	err := &UnreachableError{Addr: o.Addr, Kind: kind, Err: cause}
	switch kind {
	case NoRoute:
		return hint.Wrap(err, localNetworkHint)
	case Refused:
		return hint.Wrap(err, "The machine is there, but nothing listens for SSH. In the VM: sudo systemctl status ssh")
	case TimedOut:
		return hint.Wrap(err, "Check that the VM is running and that the address is right.")
	}
	return err
}

// handshake turns a fresh connection into a logged-in one. On error the
// connection is left to be closed.
func (o Options) handshake(ctx context.Context, t *tap, keys *keyCheck, offer *offer) (*Conn, error) {
	var hostKey ssh.PublicKey
	var refusal error
	offer = offer.with(ctx, t.pause)
	config := &ssh.ClientConfig{
		User: string(o.User),
		Auth: []ssh.AuthMethod{ssh.PublicKeys(offer.signers()...)},
		HostKeyCallback: keys.callback(o.Addr, func(key ssh.PublicKey, err error) {
			hostKey, refusal = key, err
		}),
		HostKeyAlgorithms: keys.algorithms(),
	}
	peer, channels, requests, err := ssh.NewClientConn(t, o.Addr.String(), config)
	switch {
	case ctx.Err() != nil:
		if err == nil {
			peer.Close()
		}
		return nil, ctx.Err()
	case refusal != nil:
		return nil, refusal
	case err != nil && hostKey != nil && (offer.failed != nil || isAuthRefusal(err)):
		return nil, o.authError(offer, err)
	case err != nil:
		return nil, o.handshakeError(t, err)
	}
	t.settle()
	o.debug("ssh: %s is %s with host key %s, logged in as %s with %s",
		o.Addr, peer.ServerVersion(), ssh.FingerprintSHA256(hostKey), o.User, offer.used)
	return newConn(o, t, peer, hostKey, offer.used, channels, requests), nil
}

// isAuthRefusal says whether the server answered and the answer was no. The
// package has no types for it: the first text is its own, the others are how it
// prints a disconnect for too many tries or for lack of a method.
func isAuthRefusal(err error) bool {
	for _, text := range []string{
		"ssh: unable to authenticate", "ssh: disconnect, reason 2:", "ssh: disconnect, reason 14:",
		"ssh: no common public key signature algorithm",
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// handshakeError says what kind of stranger or trouble it was.
func (o Options) handshakeError(t *tap, err error) error {
	head, banner := t.greeting()
	silent := errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case banner && silent:
		return o.unreachable(Stalled, err)
	case banner:
		return o.unreachable(Broken, errors.New(plaintext.Clean(err.Error())))
	case strings.HasPrefix(head, "Not allowed at this time"), strings.HasPrefix(head, "Exceeded MaxStartups"):
		// OpenSSH's words for a penalty and for being too busy.
		return o.unreachable(Closed, errors.New(firstLine(head)))
	case head != "":
		return o.unreachable(NotSSH, fmt.Errorf("it says %q", firstLine(head)))
	case silent:
		return o.unreachable(Stalled, err)
	}
	return o.unreachable(Closed, nil)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return plaintext.Clean(strings.TrimSuffix(line[:min(len(line), 60)], "\r"))
}
