package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Properties of the CA. Chrome and Apple's verifier want serverAuth and
// understand name constraints of a locally trusted root.
const (
	caName     = "mpd Root CA"
	caYears    = 10
	caBackdate = time.Hour // a VM's clock may be behind the Mac's

	certBlock = "CERTIFICATE"
	keyBlock  = "PRIVATE KEY" // PKCS#8
)

// newCAKey makes the CA's private key and its PEM.
func newCAKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the CA's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make the CA's key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der}), nil
}

// newCACert makes the CA's certificate for key.
func newCACert(key *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, []byte, error) {
	t, err := caTemplate(now)
	if err != nil {
		return nil, nil, fmt.Errorf("make the CA's certificate: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make the CA's certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("make the CA's certificate: %w", err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der}), nil
}

// caTemplate is the CA. A constraint on DNS names alone would leave it free to
// vouch for any IP address, mailbox and URI: a name constraint speaks only of
// the kinds of names that it lists. So every kind is listed.
func caTemplate(now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial.SetBit(serial, 126, 1), // positive, never short
		Subject:      pkix.Name{CommonName: caName},
		NotBefore:    now.Add(-caBackdate).UTC(),
		NotAfter:     now.AddDate(caYears, 0, 0).UTC(),

		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},

		PermittedDNSDomainsCritical: true, // the whole extension, by its documentation
		PermittedDNSDomains:         []string{Domain},
		PermittedEmailAddresses:     []string{Domain},
		PermittedURIDomains:         []string{Domain},
		ExcludedIPRanges: []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
			{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		},
	}, nil
}

// fingerprint is the SHA-256 of a certificate in lower-case hexadecimal.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
