//go:build e2e && linux

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestLab proves the laboratory without the program under test: plain ssh walks
// the bootstrap as a person would.
func TestLab(t *testing.T) {
	t.Parallel()
	l := NewLab(t)
	g := l.Guest(GuestOptions{})
	l.step(firstIP, fetched("10-passwordless-sudo"))
	l.step(firstIP, fetched("20-git-clone"))

	server, client := l.testConfs("10.211.55.150")
	caCert, caKey := testAuthority(t)
	for name, text := range map[string]string{"wireguard/mpd0.conf": server, "caroot/rootCA.pem": caCert, "caroot/rootCA-key.pem": caKey} {
		command := fmt.Sprintf("umask 077; mkdir -p /var/lib/mpd/conf/%s && cat > /var/lib/mpd/conf/%s", filepath.Dir(name), name)
		if r := l.ssh(firstIP, text, command); r.Code != 0 {
			t.Fatalf("push %s: %v", name, r)
		}
	}
	l.step(firstIP, cloned("30-networking", "150"))
	const vm = "10.211.55.150"
	l.arrived(g, vm)
	l.step(vm, cloned("40-install-software"))
	l.step(vm, cloned("50-build"))
	l.step(vm, cloned("60-wireguard"))
	l.step(vm, "mpd --setup")
	wantSteps(t, g, allSteps)

	l.TunnelUp(client)
	checkDNS(t, l)
	checkPortal(t, l, caCert)
	// A tunnel that stays up finds the rebooted guest after some 15 seconds,
	// by WireGuard's own timers; a new one does at once.
	l.TunnelDown()
	g.Reboot()
	l.TunnelUp(client)
	checkDNS(t, l)
	checkPortal(t, l, caCert)
	l.TunnelDown()
	if _, err := askDNS(l, "vm.service.mpd.test", dns.TypeA); err == nil {
		t.Error("the name server answers without a tunnel")
	}
	g.Kill()
	if r := l.Mac(t.Context(), "ping", "-n", "-c", "1", "-W", "1", vm); r.Code != 1 {
		t.Errorf("ping of a guest that is off: %v", r)
	}
}

// TestTroubles proves that the laboratory's troubles are ones: a test of the
// program against a trouble that does not happen would prove nothing.
func TestTroubles(t *testing.T) {
	t.Parallel()
	l := NewLab(t)
	g := l.Guest(GuestOptions{})
	const vm = "10.211.55.150"
	l.web.fail("10-passwordless-sudo", webCut)
	if r := l.ssh(firstIP, "", "wget --tries=1 -qO /dev/null "+bootstrapURL+"/main/bootstrap/10-passwordless-sudo.sh"); r.Code != 4 {
		t.Errorf("cut download: want wget's 4: %v", r)
	}
	l.step(firstIP, fetched("20-git-clone"))

	l.Stranger(vm)
	if r := l.Mac(t.Context(), "ping", "-n", "-c", "1", "-W", "1", vm); r.Code != 0 {
		t.Errorf("ping of the stranger: %v", r)
	}
	if r := l.ssh(vm, "", "true"); r.Code != 255 || !strings.Contains(r.Stderr, "CHANGED") {
		t.Errorf("ssh to the stranger: %v", r)
	}
	l.run("ip", "-n", "mpdvirt-stranger-"+l.id, "link", "set", "eth0", "down")
	l.run("ip", "-n", l.mac, "neigh", "flush", "all") // or its hardware address is remembered for seconds

	g.SetSwitch("foreground", "")
	g.SetSwitch("dpkg-lock", "600")
	g.SetSwitch("fail-once-50", "7")
	if r := l.ssh(firstIP, "", cloned("30-networking", "150")); r.Code != 255 {
		t.Errorf("step 30 in the foreground: want no status of its own: %v", r)
	}
	l.arrived(g, vm)
	if r := l.ssh(vm, "", cloned("40-install-software")); r.Code != 100 || !strings.Contains(r.Stderr, "lock") {
		t.Errorf("step 40 without the lock: %v", r)
	}
	if r := l.ssh(vm, "", cloned("50-build")); r.Code != 7 {
		t.Errorf("step 50 that fails once: %v", r)
	}
	l.step(vm, cloned("50-build"))

	before := g.Run("cat /etc/ssh/ssh_host_ed25519_key.pub")
	g.NewHostKeys()
	if r := l.ssh(vm, "", "true"); g.Run("cat /etc/ssh/ssh_host_ed25519_key.pub") == before || !strings.Contains(r.Stderr, "CHANGED") {
		t.Errorf("new host keys: %v", r)
	}
}

// ssh runs a command as dev at addr, with the system's ssh and no
// configuration.
func (l *Lab) ssh(addr, stdin, command string) Result {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	r := l.MacInput(ctx, stdin, "ssh", "-F", "none", "-i", l.Home+"/.ssh/id_ed25519", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=accept-new", "-o", "HostKeyAlias=vm", "-o", "UserKnownHostsFile="+l.Home+"/known_hosts",
		"-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2", "-o", "ConnectTimeout=5", "dev@"+addr, command)
	l.t.Logf("%.1fs exit %d: %s", r.Elapsed.Seconds(), r.Code, command)
	return r
}

// step is ssh with a command that must succeed.
func (l *Lab) step(addr, command string) {
	l.t.Helper()
	r := l.ssh(addr, "", command)
	if r.Code != 0 {
		l.t.Fatalf("%s: %v", command, r)
	}
}

func fetched(script string) string {
	return fmt.Sprintf("f=$(mktemp) && wget -qO $f %s/main/bootstrap/%s.sh && MPD_REPO=%s bash $f", bootstrapURL, script, repoURL)
}

func cloned(script string, args ...string) string {
	return strings.Join(append([]string{"bash /opt/mpd/bootstrap/" + script + ".sh"}, args...), " ")
}

// arrived waits until the guest has the address.
func (l *Lab) arrived(g *Guest, addr string) {
	l.t.Helper()
	l.eventually("address "+addr, 15*time.Second, func() error {
		_, err := g.try("ip -4 -o addr show enp0s5 | grep -wF " + addr)
		return err
	})
}

func askDNS(l *Lab, name string, kind uint16) (*dns.Msg, error) {
	conn, err := l.dialMac("udp4", "10.163.0.3:53")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	query := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	answer, _, err := (&dns.Client{Timeout: 2 * time.Second}).ExchangeWithConn(query, &dns.Conn{Conn: conn})
	return answer, err
}

// checkDNS checks the contract of mpd's name server through the tunnel.
func checkDNS(t *testing.T, l *Lab) {
	t.Helper()
	tests := []struct {
		name  string
		kind  uint16
		rcode int
		addr  string
	}{
		{"vm.service.mpd.test", dns.TypeA, dns.RcodeSuccess, "10.211.55.150"},
		{"mpd.test", dns.TypeA, dns.RcodeSuccess, "10.163.0.4"},
		{"vm.service.mpd.test", dns.TypeAAAA, dns.RcodeSuccess, ""},
		{"no-such-name.mpd.test", dns.TypeA, dns.RcodeNameError, ""},
	}
	for _, test := range tests {
		l.eventually("name server", 10*time.Second, func() error {
			m, err := askDNS(l, test.name, test.kind)
			if err != nil {
				return err
			}
			got := ""
			for _, rr := range m.Answer {
				if a, ok := rr.(*dns.A); ok {
					got += a.A.String()
				}
			}
			if m.Rcode != test.rcode || got != test.addr || test.addr != "" && !m.Authoritative {
				return fmt.Errorf("%s %s: %v", test.name, dns.TypeToString[test.kind], m)
			}
			return nil
		})
	}
}

// checkPortal checks that the portal's certificate is of the pushed CA.
func checkPortal(t *testing.T, l *Lab, caCert string) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(caCert))
	l.eventually("portal", 10*time.Second, func() error {
		conn, err := l.dialMac("tcp4", "10.163.0.4:443")
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		secure := tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "mpd.test"})
		if err := secure.Handshake(); err != nil {
			return err
		}
		fmt.Fprint(secure, "GET / HTTP/1.0\r\n\r\n")
		line := make([]byte, 64)
		n, err := secure.Read(line)
		if !strings.Contains(string(line[:n]), "200") {
			return fmt.Errorf("answer %q: %v", line[:n], err)
		}
		return nil
	})
}

// testConfs makes a pair of WireGuard configurations with the real wg: the
// server's text and the path of the client's file.
func (l *Lab) testConfs(vm string) (server, client string) {
	l.t.Helper()
	key := func() (private, public string) {
		private = strings.TrimSpace(l.run("wg", "genkey"))
		r := l.MacInput(context.Background(), private, "wg", "pubkey")
		return private, strings.TrimSpace(r.Stdout)
	}
	vmKey, vmPublic := key()
	macKey, macPublic := key()
	server = fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.164.0.2/30\nListenPort = 51820\n\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.164.0.1/32\n",
		vmKey, macPublic)
	client = l.write("client.conf", fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = 10.164.0.1/30\nDNS = 10.163.0.3\n\n[Peer]\nPublicKey = %s\nEndpoint = %s:51820\nAllowedIPs = 10.164.0.0/30, 10.163.0.0/24\nPersistentKeepalive = 25\n",
		macKey, vmPublic, vm), 0o600)
	return server, client
}

// testAuthority makes a CA that may sign for mpd.test, as PEM.
func testAuthority(t *testing.T) (cert, key string) {
	t.Helper()
	der, private := newCertificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{"mpd.test"},
	}, nil)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
