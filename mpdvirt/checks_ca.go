package mpdvirt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// expirySoon is how long before its end a CA is worth a warning.
const expirySoon = 60 * 24 * time.Hour

// portalLimit bounds the look at the portal: a handshake through a tunnel.
const portalLimit = 3 * time.Second

func askTrust(ctx context.Context, x *examination) Check {
	return onMac(x, func() Check { return x.m.trustOf(ctx, x.mac) })
}

// trustOf says whether macOS trusts the CA. The verdict is about the very
// certificate; others of its name are only mentioned.
func (m *Manager) trustOf(ctx context.Context, mac *macos.Mac) Check {
	ca, err := m.keys.CA()
	if err != nil {
		return found(err)
	}
	c := Check{Status: OK, Facts: map[string]string{"sha256": ca.SHA256(), "sha1": ca.SHA1()}}
	name := fmt.Sprintf("%s (SHA-256 %s)", ca.X509.Subject.CommonName, short(ca.SHA256()))
	trust, err := mac.Verify(ctx, ca.File)
	if err != nil {
		c.Status, c.Summary = Warn, err.Error()
		return c
	}
	c.Facts["trust"] = string(trust)
	c.Summary = name + " is " + string(trust)
	if trust != macos.Trusted {
		c.Status, c.Fixes = Warn, fixesOf(macos.TrustCommands(ca.File)...)
	}
	switch trust {
	case macos.Denied:
		c.Summary = "somebody told macOS never to trust " + name
		c.Fixes = []Fix{{Text: "in Keychain Access, set the certificate to be trusted, or remove it and run mpd-virt trust"}}
	case macos.Expired:
		c.Fixes = []Fix{mpdVirt("ca", "rotate")}
	}
	kept, _ := m.keys.Previous()
	others, _ := mac.Find(ctx, ca.X509.Subject.CommonName)
	others = slices.DeleteFunc(others, func(f macos.Fingerprints) bool {
		return strings.EqualFold(f.SHA1, ca.SHA1()) || slices.ContainsFunc(kept, func(p *identity.CA) bool { return strings.EqualFold(f.SHA1, p.SHA1()) })
	})
	if len(others) > 0 {
		c.Summary += fmt.Sprintf("; the keychain has %d other of that name (SHA-1 %s)", len(others), short(others[0].SHA1))
	}
	return c
}

func askExpiry(_ context.Context, x *examination) Check { return x.m.expiryOf() }

// expiryOf says how long the CA is good.
func (m *Manager) expiryOf() Check {
	roots, err := m.keys.Roots()
	if err == nil && len(roots) == 0 {
		_, err = m.keys.CA()
	}
	if err != nil {
		return found(err)
	}
	end := roots[0].NotAfter
	c := Check{Status: OK, Summary: "the CA is valid until " + end.Format(time.DateOnly), Facts: map[string]string{"not_after": end.UTC().Format(time.RFC3339)}}
	left := end.Sub(m.cfg.Now())
	switch {
	case left <= 0:
		c.Status, c.Summary = Fail, "the CA has expired on "+end.Format(time.DateOnly)
	case left < expirySoon:
		c.Status, c.Summary = Warn, fmt.Sprintf("the CA expires in %d days, on %s", int(left.Hours()/24), end.Format(time.DateOnly))
	default:
		return c
	}
	c.Fixes = []Fix{mpdVirt("ca", "rotate")}
	return c
}

// askPortal does what a browser does: TLS to the VM's page of entry. Only the
// current CA counts, so that the system's trust, and its absence, do not.
func askPortal(ctx context.Context, x *examination) Check {
	ca, err := x.m.keys.CA()
	if err != nil {
		return found(err)
	}
	ctx, cancel := context.WithTimeout(ctx, portalLimit)
	defer cancel()
	at := netip.AddrPortFrom(identity.Portal(), 443)
	again := mpdVirt("setup", x.entry.Octet.String(), "--from="+bootstrap.StepMPD)
	conn, err := x.m.cfg.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return Check{Status: Fail, Summary: fmt.Sprintf("nothing answers at %s, where the portal should: %v", at, err), Fixes: []Fix{again}}
	}
	defer conn.Close()
	roots := x509.NewCertPool()
	roots.AddCert(ca.X509)
	client := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: identity.Domain, Time: x.m.cfg.Now, MinVersion: tls.VersionTLS12})
	err = client.HandshakeContext(ctx)
	if err == nil {
		leaf := client.ConnectionState().PeerCertificates[0]
		return Check{Status: OK, Summary: fmt.Sprintf("https://%s answers with a certificate of our CA, valid until %s", identity.Domain, leaf.NotAfter.Format(time.DateOnly))}
	}
	c := Check{Status: Fail, Summary: fmt.Sprintf("TLS to %s failed: %s", at, plaintext.Clean(err.Error())), Fixes: []Fix{again}}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		c.Summary = fmt.Sprintf("the portal's certificate is not of our CA (SHA-256 %s)", short(ca.SHA256()))
		if unknown.Cert != nil && x.m.signedBefore(unknown.Cert) {
			c.Summary = "the portal's certificate is of the CA before the last rotation"
			c.Fixes = []Fix{mpdVirt("ca", "rotate")}
		}
	}
	return c
}

// signedBefore says whether a certificate is of a CA that was replaced.
func (m *Manager) signedBefore(leaf *x509.Certificate) bool {
	previous, _ := m.keys.Previous()
	return slices.ContainsFunc(previous, func(ca *identity.CA) bool { return leaf.CheckSignatureFrom(ca.X509) == nil })
}
