package macos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// played is a Mac that is played as a whole: by another reading of the same
// facts than the scripts of the other tests.
func played(t *testing.T, s macemu.Settings) (*Mac, *macemu.Emulator, string) {
	t.Helper()
	root := t.TempDir()
	e, err := macemu.New(macemu.Options{Root: root, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if odd, err := e.NotPlayed(); err != nil || len(odd) > 0 {
			t.Errorf("commands that no Mac knows: %q, %v", odd, err)
		}
	})
	return New(e.Runner()), e, root
}

// authority writes a CA's certificate into a file.
func authority(t *testing.T) (file string, want Fingerprints, text []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mpd Root CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "rootCA.pem")
	text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file, Fingerprints{fmt.Sprintf("%X", sha256.Sum256(der)), fmt.Sprintf("%X", sha1.Sum(der)), "mpd Root CA"}, text
}

func TestPlayedTrust(t *testing.T) {
	m, e, _ := played(t, macemu.Settings{})
	ctx := t.Context()
	file, want, text := authority(t)
	expect := func(trust Trust, found []Fingerprints, records []string) {
		t.Helper()
		got, err := m.Verify(ctx, file)
		if got != trust || err != nil {
			t.Errorf("Verify: %v, %v; want %v", got, err, trust)
		}
		list, err := m.Find(ctx, "mpd Root CA")
		if !slices.Equal(list, found) || err != nil {
			t.Errorf("Find: %v, %v; want %v", list, err, found)
		}
		sha1, err := m.AdminTrusted(ctx, t.TempDir())
		if !slices.Equal(sha1, records) || err != nil {
			t.Errorf("AdminTrusted: %v, %v; want %v", sha1, err, records)
		}
	}
	sudo := func(cmds []Command, works bool) {
		t.Helper()
		if err := m.Sudo(ctx, cmds, nil); (err == nil) != works {
			t.Errorf("%v: %v", cmds, err)
		}
	}
	expect(Untrusted, nil, nil)
	sudo(TrustCommands(file), true)
	expect(Trusted, []Fingerprints{want}, []string{want.SHA1})
	sudo(UntrustCommands([]Fingerprints{want}, file), true)
	expect(Untrusted, nil, nil)

	// A record whose certificate is gone.
	if err := e.SetTrust(text, macemu.TrustRoot); err != nil {
		t.Fatal(err)
	}
	sudo(UntrustCommands(nil, file), true)
	expect(Untrusted, nil, nil)

	// A dialog that is refused leaves the certificate, untrusted.
	if err := e.Change(func(s *macemu.Settings) { s.Dialog = macemu.DialogCancelled }); err != nil {
		t.Fatal(err)
	}
	sudo(TrustCommands(file), false)
	expect(Untrusted, []Fingerprints{want}, nil)
	if err := e.SetTrust(text, macemu.TrustDeny); err != nil {
		t.Fatal(err)
	}
	expect(Denied, []Fingerprints{want}, []string{want.SHA1})
}

// F112 on the played Mac.
func TestPlayedSudo(t *testing.T) {
	for s, want := range map[macemu.Sudo]error{
		macemu.SudoWrong: ErrSudoPassword, macemu.SudoNotAllowed: ErrNotAdmin, macemu.SudoCancelled: ErrSudoPassword,
		macemu.SudoNoTerminal: ErrSudoPassword, macemu.SudoAsksNot: nil, macemu.SudoAllowed: nil,
	} {
		t.Run(string(s), func(t *testing.T) {
			m, _, root := played(t, macemu.Settings{Sudo: s})
			err := m.Sudo(t.Context(), ResolverFileCommands(), nil)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%v, want %v", err, want)
			}
			claims, err := ResolverClaims(filepath.Join(root, ResolverDir))
			if done := len(claims) == 1 && claims[0].Owner == Ours; err != nil || done != (want == nil) {
				t.Errorf("%+v, %v", claims, err)
			}
		})
	}
}

func TestPlayedResolver(t *testing.T) {
	m, _, _ := played(t, macemu.Settings{})
	claims := func() int {
		t.Helper()
		list, err := m.SystemDNS(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range ResolversFor(list, identity.VMHost) {
			if r.Domain == identity.Domain && slices.Equal(r.Nameservers, []netip.Addr{identity.DNSServer()}) && !r.Supplemental {
				n++
			}
		}
		return n
	}
	for i, cmds := range [][]Command{nil, ResolverFileCommands(), {RemoveResolverCommand()}} {
		if err := m.Sudo(t.Context(), cmds, nil); err != nil {
			t.Error(err)
		}
		if n := claims(); n != i%2 {
			t.Errorf("after %v: %d resolvers for mpd.test", cmds, n)
		}
	}
}

const clientConf = `[Interface]
PrivateKey = mBr6WfRdkfuHzyAKMmBXRVRVYIVT7h0V6RfSkV3dfmM=
Address = 10.164.0.1/30
DNS = 10.163.0.3

[Peer]
PublicKey = mBr6WfRdkfuHzyAKMmBXRVRVYIVT7h0V6RfSkV3dfmM=
AllowedIPs = 10.164.0.0/30, 10.163.0.0/24
Endpoint = 10.211.55.150:51820
`

func TestPlayedNetwork(t *testing.T) {
	m, e, _ := played(t, macemu.Settings{Bridges: []netip.Prefix{netip.MustParsePrefix("10.211.55.2/24")}})
	ctx := t.Context()
	route := func() Route {
		t.Helper()
		r, err := m.RouteTo(ctx, nameServer)
		if err != nil {
			t.Error(err)
		}
		return r
	}
	if r := route(); !r.Default || r.Tunnel() {
		t.Errorf("at first: %+v", r)
	}
	if r, err := m.RouteTo(ctx, netip.MustParseAddr("10.211.55.150")); err != nil || !r.OnLink() {
		t.Errorf("to a VM: %+v, %v", r, err)
	}
	vm := netip.MustParseAddr("10.211.55.150")
	if err := e.AddRoute(identity.ContainerNet(), vm); err != nil {
		t.Fatal(err)
	}
	if r := route(); r.Gateway != vm || r.Dest != identity.ContainerNet() {
		t.Errorf("static: %+v", r)
	}
	ours := func(r Route) bool { return r.Dest == identity.ContainerNet() && r.Gateway == vm }
	if all, err := m.Routes(ctx); err != nil || !slices.ContainsFunc(all, ours) {
		t.Errorf("%v, %v", all, err)
	}
	remove := []Command{DeleteRouteCommand(identity.ContainerNet(), vm)}
	if err := m.Sudo(ctx, remove, nil); err != nil {
		t.Error(err)
	}
	if err := m.Sudo(ctx, remove, nil); err == nil {
		t.Error("a route was removed twice")
	}
	if all, err := m.Routes(ctx); err != nil || slices.ContainsFunc(all, ours) {
		t.Errorf("%v, %v", all, err)
	}

	if err := e.AddTunnel("mpd-150", clientConf); err != nil {
		t.Fatal(err)
	}
	up := func() (TunnelState, string) {
		t.Helper()
		list, err := m.Tunnels(ctx)
		if err != nil || len(list) != 1 || list[0].Octet != 150 {
			t.Fatalf("%+v, %v", list, err)
		}
		state, err := m.TunnelStatus(ctx, "mpd-150")
		if err != nil || state != list[0].State {
			t.Errorf("%v, %v; listed %v", state, err, list[0].State)
		}
		iface, _, err := m.WithAddr(ctx, macEnd)
		if err != nil {
			t.Error(err)
		}
		return state, iface
	}
	if state, iface := up(); state != TunnelDisconnected || iface != "" {
		t.Errorf("%v on %q", state, iface)
	}
	if err := m.Sudo(ctx, []Command{StartTunnelCommand("mpd-150")}, nil); err != nil {
		t.Fatal(err)
	}
	state, iface := up()
	if r := route(); state != TunnelConnected || !r.Tunnel() || r.Interface != iface {
		t.Errorf("%v on %q, route %+v", state, iface, r)
	}
	if err := m.Sudo(ctx, []Command{StopTunnelCommand("mpd-150")}, nil); err != nil {
		t.Fatal(err)
	}
	if state, iface := up(); state != TunnelDisconnected || iface != "" {
		t.Errorf("%v on %q", state, iface)
	}
	if _, err := m.TunnelStatus(ctx, "mpd-151"); !errors.Is(err, ErrNoTunnel) {
		t.Error(err)
	}
}

func TestPlayedSmall(t *testing.T) {
	m, e, _ := played(t, macemu.Settings{})
	if v, err := m.Version(t.Context()); err != nil || v != (Version{26, 6, 2}) {
		t.Errorf("%v, %v", v, err)
	}
	if err := m.Copy(t.Context(), "žluťoučký\n"); err != nil {
		t.Error(err)
	}
	if got, err := e.Clipboard(); err != nil || got != "žluťoučký\n" {
		t.Errorf("clipboard %q, %v", got, err)
	}
	file, _, _ := authority(t)
	for _, err := range []error{m.Open(t.Context(), file), m.Reveal(t.Context(), file), m.OpenSettings(t.Context(), PrivacyPane)} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := m.Open(t.Context(), file+".absent"); err == nil {
		t.Error("a file that is not there was opened")
	}
}
