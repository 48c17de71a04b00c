package mpdvirttest

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// portalAddr is where the platform's web pages are, the same in every VM.
func portalAddr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 163, 0, 4}), 443)
}

// Portal is how a VM's portal answers HTTPS.
type Portal string

// The behaviours of a portal.
const (
	PortalNormal    Portal = ""           // has a good certificate and shows a page
	PortalDown      Portal = "down"       // the port is closed
	PortalSilent    Portal = "silent"     // accepts connections and says nothing
	PortalOtherCA   Portal = "another ca" // has a certificate of a CA that nobody knows
	PortalExpired   Portal = "expired"    // has a certificate that ended a day ago
	PortalWrongName Portal = "wrong name" // has a certificate for portal.example
)

// portal is the container behind portalAddr. It is guarded by the VM's mutex.
type portal struct {
	kind Portal
	ca   *authority // of the last mpd --setup; nil before that
	made time.Time  // when that was
}

// SetPortal changes how the VM's portal answers once mpd --setup started it; before
// that its port is closed. It has a certificate for mpd.test and *.mpd.test that the
// CA has signed which was in the VM at that time.
func (v *VM) SetPortal(kind Portal) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.portal.kind = kind
}

// portalNow is the VM's portal; up is false if nothing listens there.
func (v *VM) portalNow() (p portal, up bool) {
	if v == nil {
		return portal{}, false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.portal, v.portal.ca != nil && v.portal.kind != PortalDown
}

func (v *VM) portalUp() bool {
	_, up := v.portalNow()
	return up
}

// authority is a CA that can sign.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// parseAuthority reads a CA as OpenSSL does, and checks that the key is its own.
func parseAuthority(cert, key []byte) (*authority, error) {
	block, _ := pem.Decode(cert)
	if block == nil {
		return nil, errors.New("the certificate is not PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if block, _ = pem.Decode(key); block == nil {
		return nil, errors.New("the key is not PEM")
	}
	var private any
	switch block.Type {
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errors.New("the key cannot be read") // nothing of it is told
	}
	signer, ok := private.(crypto.Signer)
	public, comparable := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !comparable || !public.Equal(signer.Public()) {
		return nil, errors.New("the key is not the certificate's")
	}
	return &authority{c, signer}, nil
}

// leafDays is how long the platform's certificates are good, within what macOS
// takes of a CA that a person trusts.
const leafDays = 397

// leaf makes a certificate that a CA has signed. The same key, names and time give
// the same certificate.
func (a *authority) leaf(key *ecdsa.PrivateKey, made time.Time, names ...string) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(max(1, made.Unix())), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: made.Add(-time.Hour), NotAfter: made.AddDate(0, 0, leafDays),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}, nil
}

// certificate is what a portal shows.
func (p portal) certificate(v *VM) (*tls.Certificate, error) {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), v.w.seed("portal "+v.id))
	if err != nil {
		return nil, err
	}
	switch p.kind {
	case PortalOtherCA:
		cert, private, err := ownCA(p.made)
		if err != nil {
			return nil, err
		}
		other, err := parseAuthority(cert, private)
		if err != nil {
			return nil, err
		}
		p.ca = other
	case PortalExpired:
		return p.ca.leaf(key, v.now().AddDate(0, 0, -leafDays-1), "mpd.test", "*.mpd.test")
	case PortalWrongName:
		return p.ca.leaf(key, p.made, "portal.example")
	}
	return p.ca.leaf(key, p.made, "mpd.test", "*.mpd.test")
}

// servePortal is one connection to the portal of the VM that is reached now.
func (w *World) servePortal(c net.Conn) {
	v := w.behind(portalAddr().Addr())
	p, up := v.portalNow()
	switch {
	case !up: // it went away just now
		return
	case p.kind == PortalSilent:
		_, _ = io.Copy(io.Discard, c) // until the client ends it
		return
	}
	cert, err := p.certificate(v)
	if err != nil {
		return // a CA that cannot sign any more: the connection ends
	}
	// What goes wrong from here on is the client's to see.
	far := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*cert}, Time: v.now, NextProtos: []string{"http/1.1"}})
	req, err := http.ReadRequest(bufio.NewReader(far))
	if err != nil {
		return
	}
	_ = req.Body.Close()
	const page = "<!DOCTYPE html>\n<title>mpd</title>\n"
	fmt.Fprintf(far, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(page), page)
	_ = far.Close()
}
