package macemu_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

const keychain = "/Library/Keychains/System.keychain"

// mac is an emulator under test, with a folder for its files.
type mac struct {
	*testing.T
	*macemu.Emulator
	root, shown string
	now         time.Time
}

func newMac(t *testing.T, set macemu.Settings, hooks ...func(h *macemu.Hooks)) *mac {
	t.Helper()
	m := &mac{T: t, root: t.TempDir(), now: time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)}
	o := macemu.Options{Root: m.root, Settings: set, Now: func() time.Time { return m.now }}
	o.Hooks.Terminal = func(text string) { m.shown += text }
	for _, h := range hooks {
		h(&o.Hooks)
	}
	var err error
	if m.Emulator, err = macemu.New(o); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *mac) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *mac) command(c hypervisor.Command) hypervisor.Result {
	m.Helper()
	r, err := m.Runner()(m.Context(), c)
	m.must(err)
	return r
}

// run runs a command whose words have no blanks.
func (m *mac) run(line string) hypervisor.Result {
	m.Helper()
	return m.command(hypervisor.Command{Argv: strings.Fields(line)})
}

// admit gets a ticket for sudo.
func (m *mac) admit() {
	m.Helper()
	if r := m.command(hypervisor.Command{Argv: []string{"sudo", "-v"}, Terminal: true}); r.Status != 0 {
		m.Fatalf("sudo -v: status %d", r.Status)
	}
}

// says runs a command and compares all of its answer.
func (m *mac) says(line string, status int, stdout, stderr string) {
	m.Helper()
	r := m.run(line)
	if r.Status != status || string(r.Stdout) != stdout || string(r.Stderr) != stderr {
		m.Errorf("%s\nstatus %d, want %d\nstdout %q\n  want %q\nstderr %q\n  want %q", line, r.Status, status, r.Stdout, stdout, r.Stderr, stderr)
	}
}

func (m *mac) file(name, text string) string {
	m.Helper()
	file := filepath.Join(m.TempDir(), name)
	m.must(os.WriteFile(file, []byte(text), 0o600))
	return file
}

// resolver writes a file of /etc/resolver by hand.
func (m *mac) resolver(name, text string) {
	m.Helper()
	dir := filepath.Join(m.root, "etc", "resolver")
	m.must(os.MkdirAll(dir, 0o755))
	m.must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

// authority is a certificate of a test and its key.
type authority struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Raw}))
}

// issue makes a certificate that parent signs, or itself if that is nil.
func issue(t *testing.T, template *x509.Certificate, parent *authority) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(1)
	}
	by := authority{template, key}
	if parent != nil {
		by = *parent
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

// root is a certificate authority, valid from one time to another.
func root(t *testing.T, name, from, to string) authority {
	return issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: day(t, from), NotAfter: day(t, to), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomains: []string{"mpd.test"}, PermittedDNSDomainsCritical: true,
	}, nil)
}

func leaf(t *testing.T, ca authority, host, from, to string, usage ...x509.ExtKeyUsage) authority {
	return issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: day(t, from), NotAfter: day(t, to), ExtKeyUsage: usage, SerialNumber: big.NewInt(2),
	}, &ca)
}

func day(t *testing.T, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func short(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Minute)
}

// A change in place does not reach those who looked before.
func TestSettingsStay(t *testing.T) {
	m := newMac(t, macemu.Settings{
		NoTools: []string{"arp"}, NoApps: []string{"UTM"},
		Bridges: []netip.Prefix{netip.MustParsePrefix("192.168.64.1/24")}, Neighbours: []macemu.Neighbour{{MAC: "00:1c:42:35:af:ae"}},
	})
	before, err := m.Settings()
	m.must(err)
	want := fmt.Sprint(before)
	m.must(m.Change(func(s *macemu.Settings) {
		s.NoTools[0], s.NoApps[0], s.Bridges[0], s.Neighbours[0].MAC = "id", "WireGuard", netip.Prefix{}, ""
	}))
	if got := fmt.Sprint(before); got != want {
		t.Errorf("what was %s is %s now", want, got)
	}
	if now, err := m.Settings(); err != nil || fmt.Sprint(now) == want {
		t.Errorf("nothing changed: %v, %v", now, err)
	}
}
