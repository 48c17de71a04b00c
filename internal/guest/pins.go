package guest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// HostKeys says which host keys a VM may have.
type HostKeys struct {
	File string // the VM's known_hosts; a missing one is first contact
	Name string // the name in it, the HostKeyAlias mpd-NNN
	// In is where File is; nil is the disk.
	In *statefile.Files
	// Pinned says that a pin is known to exist, as the registry or the journal
	// records it. A missing file is then a refusal: whoever can remove a file
	// must not get a new key trusted by that.
	Pinned bool
	// Accept is the one fingerprint "SHA256:…" that is accepted instead of
	// what the file says; "" for none.
	Accept string
}

// hostKeyTypes are the kinds of host key that a pin can hold, in the order in
// which they are wished for at first contact.
var hostKeyTypes = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSA,
}

const maxPins = 64 << 10

// ReadPins returns the keys that file has for name. The file must be what
// WritePins writes, to the byte, apart from comment lines, blank lines and
// comments behind a key: anything else in it, an empty one too, is an error
// that names the file and line. A missing file is fs.ErrNotExist.
func ReadPins(in *statefile.Files, file, name string) ([]ssh.PublicKey, error) {
	info, err := in.Lstat(file)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s: others than its owner may write to it", file)
	}
	data, err := in.Read(file, maxPins)
	if err != nil {
		return nil, err
	}
	keys, err := parsePins(data, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

func parsePins(data []byte, name string) ([]ssh.PublicKey, error) {
	var keys []ssh.PublicKey
	for i, line := range bytes.Split(data, []byte("\n")) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		key, err := parsePin(fields, name)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no host key")
	}
	return keys, nil
}

func parsePin(fields []string, name string) (ssh.PublicKey, error) {
	if len(fields) < 3 || fields[0] != name {
		return nil, fmt.Errorf("not a host key of %s", name)
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(fields[2])
	if err != nil {
		return nil, errors.New("damaged host key")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil || key.Type() != fields[1] || !bytes.Equal(key.Marshal(), blob) {
		return nil, errors.New("damaged host key")
	}
	if !slices.Contains(hostKeyTypes, key.Type()) {
		return nil, fmt.Errorf("host keys of type %s are not used", key.Type())
	}
	return key, nil
}

// WritePins makes keys the only host keys of name, in a file of mode 0600 that
// OpenSSH reads as a known_hosts file. No keys is an error: to forget a VM
// remove the file.
func WritePins(in *statefile.Files, file, name string, keys []ssh.PublicKey) error {
	if len(keys) == 0 {
		return fmt.Errorf("pin %s: no host key", name)
	}
	var b bytes.Buffer
	for _, key := range keys {
		fmt.Fprintln(&b, knownhosts.Line([]string{name}, key))
	}
	if read, err := parsePins(b.Bytes(), name); err != nil || len(read) != len(keys) {
		return fmt.Errorf("pin %s: not a usable host key: %v", name, err)
	}
	if err := in.Write(file, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("pin host key of %s: %w", name, err)
	}
	return nil
}

// keyCheck is HostKeys, loaded.
type keyCheck struct {
	HostKeys
	pins  []ssh.PublicKey     // nil: first contact
	known ssh.HostKeyCallback // judges by the same file; nil without pins
}

func (h HostKeys) load() (*keyCheck, error) {
	if h.Accept != "" {
		return &keyCheck{HostKeys: h}, nil
	}
	// ReadPins is stricter about what such a file may hold than OpenSSH and
	// knownhosts are; whether a key is in it is then knownhosts' word.
	pins, err := ReadPins(h.In, h.File, h.Name)
	var known ssh.HostKeyCallback
	if err == nil {
		known, err = knownhosts.New(h.File)
	}
	switch {
	case err == nil:
		return &keyCheck{h, pins, known}, nil
	case errors.Is(err, fs.ErrNotExist) && !h.Pinned:
		return &keyCheck{HostKeys: h}, nil
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("the VM's pinned host key is missing")
	}
	reason := strings.TrimPrefix(err.Error(), h.File+": ")
	reason = strings.ReplaceAll(reason, h.File, "it") // named once is enough
	return nil, hint.Wrap(&HostKeyError{File: h.File, Reason: reason}, consoleHint+h.accept("SHA256:…"))
}

// algorithms asks for keys of the pinned kinds first, so that a host which has
// others too shows the one that is pinned, and then for the rest, so that a
// host without it can be told what it shows.
func (k *keyCheck) algorithms() []string {
	var types []string
	for _, pin := range k.pins {
		types = append(types, pin.Type())
	}
	types = append(types, hostKeyTypes...)
	var algos []string
	for i, t := range types {
		switch {
		case slices.Contains(types[:i], t):
		case t == ssh.KeyAlgoRSA:
			algos = append(algos, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			algos = append(algos, t)
		}
	}
	return algos
}

// check is nil or a *HostKeyError.
func (k *keyCheck) check(addr netip.AddrPort, key ssh.PublicKey) error {
	got := ssh.FingerprintSHA256(key)
	var want []string
	if k.Accept != "" {
		want = []string{k.Accept}
	}
	for _, pin := range k.pins {
		want = append(want, ssh.FingerprintSHA256(pin))
	}
	switch {
	case want == nil && slices.Contains(hostKeyTypes, key.Type()), k.Accept == got:
		return nil
	case k.known != nil && k.known(net.JoinHostPort(k.Name, "22"), net.TCPAddrFromAddrPort(addr), key) == nil:
		return nil
	}
	return hint.Wrap(&HostKeyError{
		Addr: addr, File: k.File, Want: want, Got: got, Reason: "not the host key that is pinned for " + k.Name,
	}, "This is normal only if the VM was made anew or got new host keys on purpose.\n"+consoleHint+k.accept(got))
}

const consoleHint = "Look at the fingerprint on the VM's own console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n"

// accept is the line that trusts a fingerprint.
func (h HostKeys) accept(fingerprint string) string {
	return "If it is the VM's: mpd-virt setup " + strings.TrimPrefix(h.Name, "mpd-") + " --accept-host-key=" + fingerprint
}

// callback is check in the form that x/crypto wants.
func (k *keyCheck) callback(addr netip.AddrPort, found func(ssh.PublicKey, error)) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, key ssh.PublicKey) error {
		err := k.check(addr, key)
		found(key, err)
		return err
	}
}
