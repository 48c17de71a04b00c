package guest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
	"github.com/mutms/mpd-virt-macos/internal/shell"
)

// authError explains why there was no login with what was offered, and what to
// do. cause is what the server or a key said, nil if nothing was offered.
func (o Options) authError(offer *offer, cause error) error {
	e := &AuthError{User: o.User, Addr: o.Addr}
	for _, k := range offer.keys {
		e.Tried = append(e.Tried, k.label)
	}
	switch {
	case offer.failed != nil:
		e.Reason = plaintext.Clean(offer.failed.Error())
		return hint.Wrap(e, "ssh-add "+o.Identities.keyPath(offer))
	case cause == nil:
		lacking := o.Identities.lacking(offer)
		e.Reason = lacking.Error()
		return hint.Wrap(e, hint.Of(lacking))
	case strings.Contains(cause.Error(), "attempted methods [none]"):
		e.Tried = nil
		e.Reason = "the VM takes no SSH keys, only other ways to log in"
		return hint.Wrap(e, "In the VM set PubkeyAuthentication yes in /etc/ssh/sshd_config, then: sudo systemctl restart ssh")
	}
	e.Reason = strings.Join(append([]string{"the VM accepts none of our SSH keys"}, offer.notes...), "; ")
	return hint.Wrap(e, o.copyID(offer))
}

// lacking says why there is no key to log in with.
func (i *Identities) lacking(offer *offer) error {
	if offer.locked != "" {
		return hint.Wrap(fmt.Errorf("no SSH key can be used without being asked for: %s", strings.Join(offer.notes, "; ")), "ssh-add "+i.keyPath(offer))
	}
	return hint.Wrap(errors.New(strings.Join(append([]string{"there is no SSH key to log in with"}, offer.notes...), "; ")), "ssh-keygen -t ed25519")
}

// PublicKey is the key that a login would offer first: a VM that is about to be
// made should accept it. label names it for people. It is no error that the key
// needs a passphrase, if somebody can be asked for it later.
func (i *Identities) PublicKey(ctx context.Context) (key ssh.PublicKey, label string, err error) {
	o := i.offer(ctx)
	for _, k := range o.keys {
		// A certificate is of use only to those who know its CA.
		if _, certified := k.public.(*ssh.Certificate); !certified {
			return k.public, k.label, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	return nil, "", i.lacking(o)
}

// copyID is the line that makes the VM accept the first of our keys.
func (o Options) copyID(offer *offer) string {
	line := "ssh-copy-id"
	for _, k := range offer.keys {
		if k.file != "" {
			line += " -i " + o.Identities.quote(strings.TrimSuffix(k.file, ".pub")+".pub")
			break
		}
	}
	if o.Addr.Port() != 22 {
		line += fmt.Sprintf(" -p %d", o.Addr.Port())
	}
	return line + " " + shell.Quote(fmt.Sprintf("%s@%s", o.User, o.Addr.Addr()))
}

// keyPath is the file that ssh-add should get: the one that was left out, or
// else the first that was offered.
func (i *Identities) keyPath(offer *offer) string {
	if offer.locked != "" {
		return i.quote(offer.locked)
	}
	for _, k := range offer.keys {
		if k.file != "" {
			return i.quote(k.file)
		}
	}
	return ""
}

// quote is a path for a command that a person will copy.
func (i *Identities) quote(path string) string {
	if rest, ok := strings.CutPrefix(i.show(path), "~/"); ok {
		return "~/" + shell.Quote(rest)
	}
	return shell.Quote(path)
}
