package identity

import (
	"errors"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// KeyVerdict says how the WireGuard key that a VM uses stands to the one that
// the Mac's configuration expects.
type KeyVerdict int

const (
	// KeyUnknown is the zero value: nothing was compared.
	KeyUnknown KeyVerdict = iota
	// KeySame: a handshake can succeed.
	KeySame
	// KeyDiffers: the VM has another key, and no handshake will succeed.
	KeyDiffers
	// KeyAbsent: the VM's interface has no private key at all.
	KeyAbsent
)

// String is the verdict in a word, for facts of a report.
func (v KeyVerdict) String() string {
	switch v {
	case KeySame:
		return "same"
	case KeyDiffers:
		return "differs"
	case KeyAbsent:
		return "absent"
	}
	return "unknown"
}

// KeyMatch is the result of [Store.CompareServerKey]. The keys in it are public.
type KeyMatch struct {
	Verdict KeyVerdict
	Conf    string // the VM's public key in client.conf, base64
	VM      string // the one that the VM uses; "" if Verdict is KeyAbsent
}

// noKey is what wg prints for a key that is not set.
const noKey = "(none)"

// CompareServerKey compares the public key of the VM o in its client.conf with
// shown, the output of "wg show mpd0 public-key" in the VM. Only the file
// client.conf is read, so that the answer does not depend on the rest of the
// identity being whole.
//
// A missing client.conf is an error that wraps fs.ErrNotExist, one without
// exactly one peer's key a *FileError; both have a hint. Output that is no key
// is an error too, which does not repeat it: it comes from the VM. Beside an
// error the result is zero.
func (s *Store) CompareServerKey(o hypervisor.Octet, shown string) (KeyMatch, error) {
	if err := checkOctet(o); err != nil {
		return KeyMatch{}, err
	}
	path := s.in(o, "client.conf")
	conf, err := s.read(path)
	if err != nil {
		return KeyMatch{}, err
	}
	if conf == nil {
		return KeyMatch{}, missing(path)
	}
	want, ok := peerKey(conf)
	if !ok {
		return KeyMatch{}, staleConf(path, o)
	}
	return compareKey(want, shown)
}

func compareKey(want wgKey, shown string) (KeyMatch, error) {
	m := KeyMatch{Conf: want.text()}
	text := keyLine([]byte(shown))
	if text == noKey {
		m.Verdict = KeyAbsent
		return m, nil
	}
	got, err := parseKey(text)
	if err != nil {
		return KeyMatch{}, errors.New("what the VM shows as its WireGuard key " + err.Error())
	}
	m.VM, m.Verdict = got.text(), KeyDiffers
	if got == want {
		m.Verdict = KeySame
	}
	return m, nil
}

// peerKey is the peer's public key in a configuration. It reads as wg and
// WireGuard.app do, because a person may have edited the file: names in any
// case, blanks anywhere, "#" to the end of a line. ok is false unless there is
// exactly one peer, with exactly one key.
func peerKey(conf []byte) (key wgKey, ok bool) {
	var peers, keys int
	inPeer := false
	for line := range strings.Lines(string(conf)) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if inPeer = strings.EqualFold(line, "[Peer]"); inPeer {
				peers++
			}
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		if !inPeer || !strings.EqualFold(strings.TrimSpace(name), "PublicKey") {
			continue
		}
		k, err := parseKey(strings.TrimSpace(value))
		if err != nil {
			return wgKey{}, false
		}
		key, keys = k, keys+1
	}
	if peers != 1 || keys != 1 {
		return wgKey{}, false
	}
	return key, true
}
