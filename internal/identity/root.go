package identity

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"
)

// CA is a certificate of the CA, the current one or one that it replaced. It
// holds no secret. Nobody changes it after it was made, so it may be shared.
type CA struct {
	Cert        []byte            // PEM
	X509        *x509.Certificate // the same, parsed
	Fingerprint string            // SHA-256 of the DER, lower-case hexadecimal
	NotAfter    time.Time         // end of its validity
	File        string            // path of Cert, for tools that take a file
}

// SHA1 is the SHA-1 of the DER in the form that macOS's security prints and
// takes: upper-case hexadecimal. Trust settings are kept under it.
func (c *CA) SHA1() string { return fmt.Sprintf("%X", sha1.Sum(c.X509.Raw)) }

// SHA256 is the SHA-256 of the DER in the form that macOS's security prints and
// takes: upper-case hexadecimal.
func (c *CA) SHA256() string { return fmt.Sprintf("%X", sha256.Sum256(c.X509.Raw)) }

// String names c for people, by what tells two CAs of one name apart.
func (c *CA) String() string {
	return fmt.Sprintf("%s %s…, valid until %s", caName, c.Fingerprint[:8], c.NotAfter.UTC().Format(time.DateOnly))
}

func newCA(file string, cert *x509.Certificate, certPEM []byte) *CA {
	return &CA{Cert: certPEM, X509: cert, Fingerprint: fingerprint(cert), NotAfter: cert.NotAfter, File: file}
}

// CA reads and checks the current CA without changing anything. The error is
// that of Load. A CA that is expired is an error; Roots shows it all the same.
func (s *Store) CA() (*CA, error) {
	a, err := s.loadAuthority()
	if err != nil {
		return nil, err
	}
	return newCA(s.CACertFile(), a.cert, a.certPEM), nil
}
