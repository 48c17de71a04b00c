package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/probe"
)

const goos = runtime.GOOS

func (m *Manager) journalFile(o Octet) string { return filepath.Join(m.state.Dir(o), "journal.json") }

// login opens the connections of one run to one VM: same identities, same
// host key.
type login struct {
	m        *Manager
	r        *run
	t        *target
	hostKeys guest.HostKeys
	who      *guest.Identities
	connect  time.Duration // bounds a TCP connection; 0 leaves it to guest
}

func (m *Manager) login(ctx context.Context, r *run, t *target) *login {
	return &login{
		m: m, r: r, t: t,
		hostKeys: guest.HostKeys{
			File: m.state.KnownHosts(r.octet),
			Name: r.octet.VMName(), In: m.files,
			// An entry or a journal with a key means that there was a first
			// contact: lost pins are then no reason to trust anew.
			Pinned: t.known != nil || t.journal.HostKey != "",
		},
		who: m.identities(ctx, r),
	}
}

// identities are the keys to log in with.
func (m *Manager) identities(ctx context.Context, r *run) *guest.Identities {
	files, agent, err := guest.ReadSSHConfig(ctx, r.runner(), m.sshArgs, r.octet.VMName())
	if err != nil {
		r.debug("ssh -G: " + err.Error() + "; using the usual key files")
	}
	if agent == "" {
		agent = m.cfg.AgentSocket
	}
	identities := guest.IdentityConfig{Home: m.cfg.Home, Files: files, AgentSocket: agent}
	if p, rehearses := m.cfg.Prompter.(planPrompter); m.cfg.Prompter != nil && !(rehearses && p.to == nil) {
		identities.Passphrase = m.cfg.Prompter.Passphrase
	}
	return guest.NewIdentities(identities)
}

func (l *login) options(addr netip.Addr) guest.Options {
	return guest.Options{
		Addr: netip.AddrPortFrom(addr, 22), User: l.t.journal.User, Dial: l.dialContext,
		HostKeys: l.hostKeys, Identities: l.who, Debug: l.r.debug,
	}
}

func (l *login) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if l.connect > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.connect)
		defer cancel()
	}
	return l.m.cfg.DialContext(ctx, network, address)
}

// dial logs in at the first of addrs that answers; see bootstrap.Config.Dial.
func (l *login) dial(ctx context.Context, addrs []netip.Addr, limit time.Duration) (*guest.Conn, error) {
	return l.connected(ctx, addrs[0], func() (*guest.Conn, error) {
		if limit == 0 && len(addrs) == 1 {
			if err := l.ready(ctx); err != nil {
				return nil, err
			}
			return guest.Dial(ctx, l.options(addrs[0]))
		}
		return l.await(ctx, addrs, limit, l.r.debug)
	})
}

// await is dial with the news of a wait told to note.
func (l *login) await(ctx context.Context, addrs []netip.Addr, limit time.Duration, note func(string)) (*guest.Conn, error) {
	if err := l.ready(ctx); err != nil {
		return nil, err
	}
	ports := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		ports[i] = netip.AddrPortFrom(a, 22)
	}
	return guest.Await(ctx, l.options(addrs[0]), ports, limit, note)
}

func (l *login) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err // rather than what is wrong with the pins
	}
	return l.samePin()
}

// samePin wants the pin file to hold the key that the journal knows, so that
// swapping the file does not swap the VM.
func (l *login) samePin() error {
	want := l.t.journal.HostKey
	if want == "" || l.hostKeys.Accept != "" || l.t.journal.Rotate { // while keys are replaced, the pins lead
		return nil
	}
	keys, err := guest.ReadPins(l.m.files, l.hostKeys.File, l.hostKeys.Name)
	if err != nil || slices.ContainsFunc(keys, func(k ssh.PublicKey) bool { return ssh.FingerprintSHA256(k) == want }) {
		return nil // what is wrong with the file itself, the login says
	}
	return hint.Wrap(&guest.HostKeyError{File: l.hostKeys.File, Want: []string{want}, Reason: "it does not hold the key " + want + " that was pinned"},
		fmt.Sprintf("If a setup with --accept-host-key was interrupted: run that command again.\n"+
			"Else somebody changed the file. If the VM is the same as before: mpd-virt setup %s --accept-host-key=%s", l.r.octet, want))
}

// pin records the key of a first contact, or of one accepted on purpose.
func (l *login) pin(c *guest.Conn) error {
	keys, err := guest.ReadPins(l.m.files, l.hostKeys.File, l.hostKeys.Name)
	known := err == nil && slices.ContainsFunc(keys, func(k ssh.PublicKey) bool { return string(k.Marshal()) == string(c.HostKey().Marshal()) })
	if known && l.hostKeys.Accept == "" {
		return nil
	}
	files := l.m.files
	if c.Absent() {
		files = files.Opaque()
	}
	if err := guest.WritePins(files, l.hostKeys.File, l.hostKeys.Name, []ssh.PublicKey{c.HostKey()}); err != nil {
		return fmt.Errorf("pin the host key: %w", err)
	}
	l.hostKeys.Pinned, l.hostKeys.Accept = true, ""
	return nil
}

// repin makes keys the VM's only host keys.
func (l *login) repin(keys []ssh.PublicKey) error {
	if err := guest.WritePins(l.m.files.Opaque(), l.hostKeys.File, l.hostKeys.Name, keys); err != nil {
		return fmt.Errorf("pin the host keys: %w", err)
	}
	return nil
}

// takenLimit bounds the look for somebody at the canonical address.
const takenLimit = 2 * time.Second

// free returns an error if another machine than the one with the given host
// key answers at addr.
func (l *login) free(ctx context.Context, addr netip.Addr, own ssh.PublicKey) error {
	return l.taken(ctx, addr, ssh.FingerprintSHA256(own))
}

// unanswered returns an error if anybody answers at addr.
func (l *login) unanswered(ctx context.Context, addr netip.Addr) error {
	return refusal(l.taken(ctx, addr, ""))
}

// taken asks by ping and by SSH: a machine that blocks ping may still have an
// sshd. We look at the host key and go, which sshd minds less than a connection
// that is dropped without a word. own is the fingerprint that does not count.
func (l *login) taken(ctx context.Context, addr netip.Addr, own string) error {
	ctx, cancel := context.WithTimeout(ctx, takenLimit)
	defer cancel()
	pinged := make(chan error, 1)
	go func() {
		_, err := probe.Ping(ctx, l.r.runner(), goos, addr)
		pinged <- err
	}()
	o := l.options(addr)
	o.HostKeys = guest.HostKeys{Name: o.HostKeys.Name, Accept: "SHA256:" + strings.Repeat("-", 43)} // no key has this fingerprint
	var met atomic.Bool
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := l.dialContext(ctx, network, address)
		met.Store(err == nil)
		return c, err
	}
	_, err := guest.Dial(ctx, o)
	pingErr := <-pinged
	var key *guest.HostKeyError
	var lost *guest.UnreachableError
	var who string
	switch {
	case errors.As(err, &key) && key.Got == own:
		return nil // the VM itself has the address already
	case errors.As(err, &key):
		who = "SSH host key " + key.Got
	case errors.As(err, &lost) && answered(lost.Kind):
		who = string(lost.Kind)
	case pingErr == nil:
		who = "answers ping"
	case met.Load(): // and then says nothing for longer than we wait
		who = "accepts SSH connections"
	default:
		return nil
	}
	return hint.Wrap(fmt.Errorf("%s is taken by another machine (%s)", addr, who),
		fmt.Sprintf("turn that machine off or give it another address, or set the VM up under another number than %s", l.r.octet))
}

// answered says whether a failed attempt still proves that somebody is there.
func answered(k guest.Kind) bool {
	switch k {
	case guest.Refused, guest.Closed, guest.NotSSH, guest.Stalled, guest.Broken:
		return true
	}
	return false
}
