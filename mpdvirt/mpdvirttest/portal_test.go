package mpdvirttest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// handshake asks the portal for its page, as a browser with these roots does.
func (d *desk) handshake(roots *x509.CertPool, name string) (*x509.Certificate, error) {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), 2*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", "10.163.0.4:443")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name, Time: d.Config().Now})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/", nil)
	d.must(err)
	transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	d.must(err)
	defer resp.Body.Close()
	if page, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(page), "<title>mpd</title>") {
		d.Errorf("the page: %s %q, %v", resp.Status, page, err)
	}
	return c.ConnectionState().PeerCertificates[0], nil
}

func (d *desk) roots() *x509.CertPool {
	d.Helper()
	id, err := d.store.Load(150)
	d.must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(id.CACert)
	return pool
}

func TestPortal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.Tunnel(d.vm)
		roots := d.roots()
		authority, hostname, invalid := new(x509.UnknownAuthorityError), new(x509.HostnameError), new(x509.CertificateInvalidError)
		for _, tt := range []struct {
			name string
			kind mpdvirttest.Portal
			host string
			want func(err error) bool
		}{
			{"normal", mpdvirttest.PortalNormal, "mpd.test", func(err error) bool { return err == nil }},
			{"a page of the platform's", mpdvirttest.PortalNormal, "shop.mpd.test", func(err error) bool { return err == nil }},
			{"another name", mpdvirttest.PortalNormal, "example.org", func(err error) bool { return errors.As(err, hostname) }},
			{"down", mpdvirttest.PortalDown, "mpd.test", func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
			{"silent", mpdvirttest.PortalSilent, "mpd.test", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
			{"another CA", mpdvirttest.PortalOtherCA, "mpd.test", func(err error) bool { return errors.As(err, authority) }},
			{"expired", mpdvirttest.PortalExpired, "mpd.test", func(err error) bool { return errors.As(err, invalid) && invalid.Reason == x509.Expired }},
			{"wrong name", mpdvirttest.PortalWrongName, "mpd.test", func(err error) bool { return errors.As(err, hostname) || errors.As(err, invalid) }},
			{"well again", mpdvirttest.PortalNormal, "mpd.test", func(err error) bool { return err == nil }},
		} {
			d.vm.SetPortal(tt.kind)
			if _, err := d.handshake(roots, tt.host); !tt.want(err) {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		d.Tunnel(nil)
		if _, err := d.handshake(roots, "mpd.test"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a tunnel: %v", err)
		}
	})
}

// The portal's certificate is of the CA that was there at the last mpd --setup, and
// the same until then.
func TestPortalAfterRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.Tunnel(d.vm)
		old := d.roots()
		first, err := d.handshake(old, "mpd.test")
		d.must(err)
		cert, key, roots := newCA(t, d.Config().Now())
		c := login(t, d.World, at150)
		pushCA(t, c, cert, key)
		if again, err := d.handshake(old, "mpd.test"); err != nil || !again.Equal(first) {
			t.Errorf("before mpd --setup: %v, or another certificate", err)
		}
		mustRun(t, c, "", "mpd --setup")
		if _, err := d.handshake(old, "mpd.test"); !errors.As(err, new(x509.UnknownAuthorityError)) {
			t.Errorf("the old CA: %v", err)
		}
		if _, err := d.handshake(roots, "mpd.test"); err != nil {
			t.Errorf("the new CA: %v", err)
		}
		_, otherKey, _ := newCA(t, d.Config().Now())
		pushCA(t, c, cert, otherKey)
		if out, status := run(t, c, "", "mpd --setup"); status != 1 || !strings.Contains(out, "the key is not the certificate's") || strings.Contains(out, "PRIVATE KEY") {
			t.Errorf("a key of another CA: status %d\n%s", status, out)
		}
	})
}
