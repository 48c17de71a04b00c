package identity

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/crypto/curve25519"
)

// keyLen is the length of a key in base64, padding included.
const keyLen = 44

// A wgKey is a WireGuard key, private or public. The zero value is no key.
type wgKey [32]byte

// keyEncoding refuses spare bits in the last character, as wg and
// WireGuard.app do.
var keyEncoding = base64.StdEncoding.Strict()

// text is the key as files and configurations hold it.
func (k wgKey) text() string { return keyEncoding.EncodeToString(k[:]) }

// String hides the key: a private one must not reach a log by accident.
func (wgKey) String() string { return "(WireGuard key)" }

// GoString hides the key from %#v.
func (k wgKey) GoString() string { return k.String() }

// clamped says whether k is a private key in the form that wg genkey makes. An
// unclamped one works too, but Linux shows the clamped value back, so that no
// comparison would hold.
func (k wgKey) clamped() bool { return k == k.clamp() }

func (k wgKey) clamp() wgKey {
	k[0] &= 248
	k[31] = k[31]&127 | 64
	return k
}

// public is the public half of the private key k.
func (k wgKey) public() (wgKey, error) {
	b, err := curve25519.X25519(k[:], curve25519.Basepoint)
	if err != nil {
		return wgKey{}, err
	}
	return wgKey(b), nil
}

// newPrivate makes a private key.
func newPrivate() wgKey {
	var k wgKey
	rand.Read(k[:]) // never fails, by its documentation
	return k.clamp()
}

// parseKey reads a key as wg prints it: 44 characters of base64. The error
// never holds any of the text.
func parseKey(s string) (wgKey, error) {
	if len(s) != keyLen {
		return wgKey{}, errors.New("is not a WireGuard key: 44 characters of base64 are wanted")
	}
	b, err := keyEncoding.DecodeString(s)
	if err != nil {
		return wgKey{}, errors.New("is not a WireGuard key: not base64")
	}
	if len(b) != len(wgKey{}) {
		return wgKey{}, errors.New("is not a WireGuard key: 32 bytes are wanted")
	}
	return wgKey(b), nil
}

// parsePrivate reads a private key, which must be clamped.
func parsePrivate(s string) (wgKey, error) {
	k, err := parseKey(s)
	if err != nil {
		return wgKey{}, err
	}
	if !k.clamped() {
		return wgKey{}, errors.New("is not a private WireGuard key: not clamped")
	}
	return k, nil
}

// keyLine is the content of a key file without its line end. One line end is
// what wg genkey writes and what an editor may have turned into CRLF.
func keyLine(data []byte) string {
	s, cut := strings.CutSuffix(string(data), "\n")
	if cut {
		s = strings.TrimSuffix(s, "\r")
	}
	return s
}
