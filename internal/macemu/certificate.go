package macemu

import (
	"bytes"
	"crypto/sha1" // macOS names certificates so
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Where the keychains are.
const (
	systemKeychain = "/Library/Keychains/System.keychain"
	loginKeychain  = "/login.keychain-db" // below the user's ~/Library/Keychains
)

// Trust is what a trust setting says of a certificate.
type Trust string

// What a trust setting can say.
const (
	TrustNone Trust = "" // there is no setting
	TrustRoot Trust = "root"
	TrustDeny Trust = "deny"
)

// record is a trust setting, which is kept apart from the certificate.
type record struct {
	SHA1  string // in upper case
	DER   []byte
	Trust Trust
	Made  time.Time
}

// readPEM is the certificate in a file of PEM or DER, of many the first.
func readPEM(data []byte) (*x509.Certificate, error) {
	if block, _ := pem.Decode(data); block != nil {
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("macemu: no certificate in the PEM text")
		}
		data = block.Bytes
	}
	cert, err := x509.ParseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("macemu: %w", err)
	}
	return cert, nil
}

func sha1Of(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return upper(hex.EncodeToString(sum[:]))
}

func sha256Of(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return upper(hex.EncodeToString(sum[:]))
}

// AddCertificate puts the certificate of a PEM text into the System keychain, as
// a person does with Keychain Access, and trusts it in nothing. One that is there
// is fine.
func (e *Emulator) AddCertificate(text []byte) error {
	cert, err := readPEM(text)
	if err != nil {
		return err
	}
	return e.tx(func(st *state, _ time.Time) error {
		st.add(systemKeychain, cert)
		return nil
	})
}

// SetTrust sets what the administrators' trust settings say of the certificate of
// a PEM text, which need not be in a keychain. TrustNone takes the setting away.
func (e *Emulator) SetTrust(text []byte, t Trust) error {
	cert, err := readPEM(text)
	if err != nil {
		return err
	}
	return e.tx(func(st *state, now time.Time) error {
		st.distrust(&st.Admin, cert)
		if t != TrustNone {
			st.trust(&st.Admin, cert, t, now)
		}
		return nil
	})
}

// Certificates are those of the System keychain, in the order in which they came.
func (e *Emulator) Certificates() (out []*x509.Certificate, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		out = certificates(st.System)
		return nil
	})
	return out, err
}

// TrustSettings are those of the administrators, by the SHA-1 fingerprint in
// upper case, also of certificates that are in no keychain.
func (e *Emulator) TrustSettings() (out map[string]Trust, err error) {
	out = map[string]Trust{}
	err = e.tx(func(st *state, _ time.Time) error {
		for _, r := range st.Admin {
			out[r.SHA1] = r.Trust
		}
		return nil
	})
	return out, err
}

// certificates parses what was parsed before.
func certificates(ders [][]byte) (out []*x509.Certificate) {
	for _, der := range ders {
		if c, err := x509.ParseCertificate(der); err == nil {
			out = append(out, c)
		}
	}
	return out
}

// keychain is the content of a keychain by its path; nil is none that is played.
func (st *state) keychain(path string) *[][]byte {
	switch {
	case path == systemKeychain:
		return &st.System
	case path == "" || strings.HasSuffix(path, loginKeychain):
		return &st.Login
	}
	return nil
}

func (st *state) add(path string, cert *x509.Certificate) {
	k := st.keychain(path)
	if !slices.ContainsFunc(*k, func(der []byte) bool { return bytes.Equal(der, cert.Raw) }) {
		*k = append(*k, cert.Raw)
	}
}

func (st *state) trust(domain *[]record, cert *x509.Certificate, t Trust, now time.Time) {
	st.distrust(domain, cert)
	*domain = append(*domain, record{SHA1: sha1Of(cert), DER: cert.Raw, Trust: t, Made: now})
}

// distrust takes a setting away; false if there was none.
func (st *state) distrust(domain *[]record, cert *x509.Certificate) bool {
	before := len(*domain)
	*domain = slices.DeleteFunc(*domain, func(r record) bool { return r.SHA1 == sha1Of(cert) })
	return len(*domain) < before
}

// trusted is what the settings of both domains say; a refusal is stronger.
func (st *state) trusted(cert *x509.Certificate) (t Trust) {
	for _, r := range slices.Concat(st.User, st.Admin) {
		if r.SHA1 == sha1Of(cert) && t != TrustDeny {
			t = r.Trust
		}
	}
	return t
}
