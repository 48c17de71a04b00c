package guest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/crypto/ssh"
)

// Teller is told what a rehearsing connection would do to the VM, in order and
// one thing at a time.
type Teller interface {
	Script(s Script) // it would run
	File(f File)     // it would be put in place
}

// ErrAbsent: in a rehearsal, a question to a VM that is not there yet.
var ErrAbsent = errors.New("the VM is not there yet")

// Rehearse makes c tell what would change the VM instead of doing it: each Push,
// each Run, and each Query of a script that Changes. Questions go to the VM as
// ever. It is called before anything else of c.
func (c *Conn) Rehearse(to Teller) { c.teller = to }

// Absent is a connection, in a rehearsal, to a VM that is not there yet. Each
// question is ErrAbsent. Its host key is nobody's.
func Absent(addr netip.AddrPort, to Teller) (*Conn, error) {
	key, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return nil, err
	}
	return &Conn{opts: Options{Addr: addr}, hostKey: key, teller: to}, nil
}

// Absent says whether c is a connection to a VM that is not there yet.
func (c *Conn) Absent() bool { return c.peer == nil && c.teller != nil }

// told says whether the script was told instead of being run. The error is that
// of a question to nobody.
func (c *Conn) told(ctx context.Context, s Script, changes bool) (bool, error) {
	switch {
	case c.teller == nil:
		return false, nil
	case ctx.Err() != nil:
		return false, fmt.Errorf("%s: %w", s.Name, ctx.Err())
	case changes:
		c.teller.Script(s)
		return true, nil
	case c.Absent():
		return false, fmt.Errorf("%s: %w", s.Name, ErrAbsent)
	}
	return false, nil
}
