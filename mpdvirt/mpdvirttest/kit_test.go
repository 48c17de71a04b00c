package mpdvirttest_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const rawURL = "https://raw.githubusercontent.com/mutms/mpd/main/bootstrap/"

var at150 = netip.MustParseAddr("10.211.55.150")

func newWorld(t *testing.T, o mpdvirttest.Options) *mpdvirttest.World {
	t.Helper()
	o.Home = t.TempDir()
	w, err := mpdvirttest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

func addVM(t *testing.T, w *mpdvirttest.World, o mpdvirttest.VMOptions) *mpdvirttest.VM {
	t.Helper()
	v, err := w.AddVM(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// login connects as the Mac's user does and closes with the test.
func login(t *testing.T, w *mpdvirttest.World, addr netip.Addr) *ssh.Client {
	t.Helper()
	c, err := tryLogin(t, w, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func tryLogin(t *testing.T, w *mpdvirttest.World, addr netip.Addr) (*ssh.Client, error) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.Home(), ".ssh", "id_ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	target := netip.AddrPortFrom(addr, 22).String()
	c, err := w.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	conn, chans, reqs, err := ssh.NewClientConn(c, target, &ssh.ClientConfig{
		User: "dev", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	c.SetDeadline(time.Time{})
	return ssh.NewClient(conn, chans, reqs), nil
}

// pass lets time pass; in a bubble it takes none.
func pass(d time.Duration) { <-time.After(d) }

// run runs a command; the status is -1 if none came.
func run(t *testing.T, c *ssh.Client, stdin, command string) (out string, status int) {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	defer s.Close()
	s.Stdin = strings.NewReader(stdin)
	b, err := s.CombinedOutput(command)
	var exit *ssh.ExitError
	switch {
	case err == nil:
		return string(b), 0
	case errors.As(err, &exit):
		return string(b), exit.ExitStatus()
	}
	return string(b) + err.Error(), -1
}

func mustRun(t *testing.T, c *ssh.Client, stdin, command string) string {
	t.Helper()
	out, status := run(t, c, stdin, command)
	if status != 0 {
		t.Fatalf("%s: status %d\n%s", command, status, out)
	}
	return out
}

func download(name string) string {
	return "f=$(mktemp) && wget -nv -O \"$f\" " + rawURL + name + " && bash \"$f\""
}

func push(path, mode string) string {
	return fmt.Sprintf(`bash -c 'set -e; d=$(dirname "$1"); mkdir -p "$d"; t=$(mktemp "$d/.t.XXXXXX"); cat > "$t"; chmod %s "$t"; mv -fT "$t" "$1"' push %s`, mode, path)
}

// keys makes a WireGuard key pair.
func keys(t *testing.T, first byte) (private, public string) {
	t.Helper()
	raw := bytes.Repeat([]byte{first}, 32)
	pub, err := curve25519.X25519(raw, curve25519.Basepoint)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw), base64.StdEncoding.EncodeToString(pub)
}

// confs makes a pair of configurations and puts the client's where the Mac
// keeps it.
func confs(t *testing.T, w *mpdvirttest.World, octet string, first byte) (server string) {
	t.Helper()
	macPrivate, macPublic := keys(t, 8)
	vmPrivate, vmPublic := keys(t, first)
	dir := filepath.Join(w.Home(), ".mpd-virt", "conf", "wireguard", octet)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	client := "[Interface]\nPrivateKey = " + macPrivate + "\nAddress = 10.164.0.1/30\nDNS = 10.163.0.3\n\n[Peer]\nPublicKey = " + vmPublic +
		"\nAllowedIPs = 10.164.0.0/30, 10.163.0.0/24\nEndpoint = 10.211.55." + octet + ":51820\nPersistentKeepalive = 25\n"
	if err := os.WriteFile(filepath.Join(dir, "client.conf"), []byte(client), 0o600); err != nil {
		t.Fatal(err)
	}
	return "[Interface]\nPrivateKey = " + vmPrivate + "\nAddress = 10.164.0.2/30\nListenPort = 51820\n\n[Peer]\nPublicKey = " + macPublic + "\nAllowedIPs = 10.164.0.1/32\n"
}

// newCA makes a CA as the Mac does.
func newCA(t *testing.T, now time.Time) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	id, err := identity.Open(t.TempDir(), func() time.Time { return now }).Ensure(150, at150)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM(id.CACert) {
		t.Fatal("no certificate")
	}
	return string(id.CACert), string(id.CAKey), roots
}

// pushCA puts a CA where the program pushes it.
func pushCA(t *testing.T, c *ssh.Client, cert, key string) {
	t.Helper()
	mustRun(t, c, cert, push("/var/lib/mpd/conf/caroot/rootCA.pem", "644"))
	mustRun(t, c, key, push("/var/lib/mpd/conf/caroot/rootCA-key.pem", "600"))
}

// bootstrap takes a fresh VM through all steps by plain SSH.
func bootstrap(t *testing.T, w *mpdvirttest.World, v *mpdvirttest.VM) *ssh.Client {
	t.Helper()
	cert, key, _ := newCA(t, w.Config().Now())
	return bootstrapWith(t, w, v, confs(t, w, "150", 16), cert, key)
}

// bootstrapWith is bootstrap with the files that are pushed.
func bootstrapWith(t *testing.T, w *mpdvirttest.World, v *mpdvirttest.VM, server, cert, key string) *ssh.Client {
	t.Helper()
	old := login(t, w, v.Addr())
	mustRun(t, old, "", "sudo -n true")
	mustRun(t, old, "", download("10-passwordless-sudo.sh"))
	mustRun(t, old, "", download("20-git-clone.sh"))
	mustRun(t, old, server, push("/var/lib/mpd/conf/wireguard/mpd0.conf", "600"))
	pushCA(t, old, cert, key)
	mustRun(t, old, "", "bash /opt/mpd/bootstrap/30-networking.sh 150")
	old.Close()
	for !w.Reachable(at150) {
		pass(time.Millisecond)
	}
	c := login(t, w, at150)
	for _, name := range []string{"40-install-software", "50-build", "60-wireguard"} {
		mustRun(t, c, "", "bash /opt/mpd/bootstrap/"+name+".sh")
	}
	if out := mustRun(t, c, "", "mpd --setup"); !strings.HasSuffix(out, "\n\x1b[32m✓ mpd --setup complete.\x1b[0m\n") {
		t.Errorf("mpd --setup ended with %q", out)
	}
	return c
}

var allSteps = []string{
	"10-passwordless-sudo", "20-git-clone", "30-networking", "40-install-software", "50-build", "60-wireguard", "mpd --setup",
}

// checkDNS asks the platform's name server through the tunnel.
func checkDNS(t *testing.T, w *mpdvirttest.World, want string) {
	t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		if got := query(t, w, network); got != want {
			t.Errorf("by %s: %s, want %s", network, got, want)
		}
	}
}

func query(t *testing.T, w *mpdvirttest.World, network string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	c, err := w.DialContext(ctx, network, "10.163.0.3:53")
	if err != nil {
		return "no connection"
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	q := new(dns.Msg)
	q.SetQuestion("vm.service.mpd.test.", dns.TypeA)
	conn := &dns.Conn{Conn: c}
	if err := conn.WriteMsg(q); err != nil {
		return err.Error()
	}
	r, err := conn.ReadMsg()
	if err != nil {
		return "no answer"
	}
	if len(r.Answer) == 0 {
		return dns.RcodeToString[r.Rcode]
	}
	return r.Answer[0].(*dns.A).A.String()
}
