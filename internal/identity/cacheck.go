package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// onePEM reads a file that holds one PEM block of the wanted type and nothing
// else: no headers, no second block, no text around it. Line ends and blank
// space at the two ends of the file do not matter.
func onePEM(data []byte, blockType string) (*pem.Block, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("holds no complete PEM block")
	}
	if block.Type != blockType {
		return nil, fmt.Errorf("does not hold a PEM block of type %s", blockType)
	}
	// pem.Decode skips what it does not understand, also a damaged block in
	// front of a good one. What it read is the whole file only if writing it
	// gives the file again.
	block.Headers = nil
	if !bytes.Equal(plainText(data), plainText(pem.EncodeToMemory(block))) {
		return nil, errors.New("holds something besides its one PEM block")
	}
	return block, nil
}

func plainText(data []byte) []byte {
	return bytes.TrimSpace(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
}

// parseCAKey reads the CA's private key and returns it with its clean PEM.
func parseCAKey(data []byte) (*ecdsa.PrivateKey, []byte, error) {
	block, err := onePEM(data, keyBlock)
	if err != nil {
		return nil, nil, err
	}
	// ParsePKCS8PrivateKey does not look behind the key.
	if rest, err := asn1.Unmarshal(block.Bytes, new(asn1.RawValue)); err != nil || len(rest) > 0 {
		return nil, nil, errors.New("is not one PKCS#8 key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, errors.New("is not a PKCS#8 key")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, errors.New("is not an ECDSA P-256 key")
	}
	return key, pem.EncodeToMemory(block), nil
}

// parseCACert reads the CA's certificate, which must be what newCACert makes,
// and returns it with its clean PEM. It does not look at the clock.
func parseCACert(data []byte) (*x509.Certificate, []byte, error) {
	block, err := onePEM(data, certBlock)
	if err != nil {
		return nil, nil, err
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, errors.New("is not an X.509 certificate")
	}
	if err := checkCACert(c); err != nil {
		return nil, nil, err
	}
	return c, pem.EncodeToMemory(block), nil
}

// checkClock says why c is not valid at the time now.
func checkClock(c *x509.Certificate, now time.Time) error {
	if now.Before(c.NotBefore) {
		return fmt.Errorf("is not valid before %s, and the clock says %s", stamp(c.NotBefore), stamp(now))
	}
	if now.After(c.NotAfter) {
		return fmt.Errorf("expired at %s, and the clock says %s", stamp(c.NotAfter), stamp(now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkCACert says in what c is not the CA that caTemplate describes.
func checkCACert(c *x509.Certificate) error {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return errors.New("is not for an ECDSA P-256 key")
	}
	if c.Subject.String() != "CN="+caName || !bytes.Equal(c.RawSubject, c.RawIssuer) {
		return fmt.Errorf("is not the certificate of %q, issued by itself", caName)
	}
	if c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
		return errors.New("is not signed by its own key")
	}
	for _, rule := range caRules {
		if !rule.holds(c) {
			return fmt.Errorf("is not the CA of mpd-virt: %s", rule.want)
		}
	}
	return nil
}

// caRules are the limits of the CA, each with the words for its absence. A
// certificate without one of them could vouch for more than Domain.
var caRules = []struct {
	want  string
	holds func(*x509.Certificate) bool
}{
	{"its basic constraints are not those of a CA with path length 0, critical", func(c *x509.Certificate) bool {
		return c.BasicConstraintsValid && c.IsCA && c.MaxPathLen == 0 && c.MaxPathLenZero && critical(c, 19)
	}},
	{"its key usage is not exactly to sign certificates and revocation lists", func(c *x509.Certificate) bool {
		return c.KeyUsage == x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}},
	{"it is not limited to server authentication", func(c *x509.Certificate) bool {
		return slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) && len(c.UnknownExtKeyUsage) == 0
	}},
	{"its name constraints are not critical", func(c *x509.Certificate) bool {
		return c.PermittedDNSDomainsCritical && critical(c, 30)
	}},
	{"its DNS names are not limited to " + Domain, func(c *x509.Certificate) bool {
		return onlyDomain(c.PermittedDNSDomains, c.ExcludedDNSDomains)
	}},
	{"its e-mail addresses are not limited to " + Domain, func(c *x509.Certificate) bool {
		return onlyDomain(c.PermittedEmailAddresses, c.ExcludedEmailAddresses)
	}},
	{"its URIs are not limited to " + Domain, func(c *x509.Certificate) bool {
		return onlyDomain(c.PermittedURIDomains, c.ExcludedURIDomains)
	}},
	{"it does not exclude every IP address", func(c *x509.Certificate) bool {
		return len(c.PermittedIPRanges) == 0 && everyIP(c.ExcludedIPRanges)
	}},
	{"it has names of its own", func(c *x509.Certificate) bool {
		return len(c.DNSNames)+len(c.EmailAddresses)+len(c.IPAddresses)+len(c.URIs) == 0
	}},
	{"it has no subject key identifier", func(c *x509.Certificate) bool { return len(c.SubjectKeyId) > 0 }},
	{"it has critical extensions that are not understood", func(c *x509.Certificate) bool {
		return len(c.UnhandledCriticalExtensions) == 0
	}},
}

// critical says whether c has the standard extension 2.5.29.id, marked so.
func critical(c *x509.Certificate, id int) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, id}) {
			return e.Critical
		}
	}
	return false
}

func onlyDomain(permitted, excluded []string) bool {
	return len(permitted) == 1 && strings.EqualFold(permitted[0], Domain) && len(excluded) == 0
}

// everyIP says whether ranges are 0.0.0.0/0 and ::/0.
func everyIP(ranges []*net.IPNet) bool {
	var texts []string
	for _, r := range ranges {
		texts = append(texts, r.String())
	}
	slices.Sort(texts)
	return slices.Equal(texts, []string{"0.0.0.0/0", "::/0"})
}
