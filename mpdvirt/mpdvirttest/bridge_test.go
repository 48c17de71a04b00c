package mpdvirttest_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const socketVariable = "MPDVIRTTEST_CHILD_SOCKET"

// TestMain also is the program that TestKill kills.
func TestMain(m *testing.M) {
	if socket := os.Getenv(socketVariable); socket != "" {
		child(socket)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child runs step 20 in a world of its parent's.
func child(socket string) {
	cfg, err := mpdvirttest.Remote(socket)
	if err != nil {
		panic(err)
	}
	c, err := remoteLogin(cfg, "10.211.55.37:22")
	if err != nil {
		panic(err)
	}
	s, err := c.NewSession()
	if err != nil {
		panic(err)
	}
	panic(s.Run(download("20-git-clone.sh")))
}

func remoteLogin(cfg mpdvirt.Config, addr string) (*ssh.Client, error) {
	data, err := os.ReadFile(filepath.Join(cfg.Home, ".ssh", "id_ed25519"))
	if err != nil {
		return nil, err
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil, err
	}
	c, err := cfg.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn, chans, reqs, err := ssh.NewClientConn(c, addr, &ssh.ClientConfig{
		User: "dev", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(conn, chans, reqs), nil
}

// serve opens a bridge to w.
func serve(t *testing.T, w *mpdvirttest.World) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "mpd") // t.TempDir's names are too long for a socket on macOS
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Serve(l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
		os.RemoveAll(dir)
	})
	return socket
}

func TestRemote(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	v := addVM(t, w, mpdvirttest.VMOptions{})
	cfg, err := mpdvirttest.Remote(serve(t, w))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Home != w.Home() || cfg.SystemRoot != w.Root() || !cfg.Now().Equal(mpdvirttest.Epoch) {
		t.Errorf("home %s, time %v", cfg.Home, cfg.Now())
	}
	c, err := remoteLogin(cfg, "10.211.55.37:22")
	if err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("0123456789abcdef\n", 1<<16)
	if out := mustRun(t, c, big, "cat"); out != big {
		t.Errorf("%d bytes came back of %d", len(out), len(big))
	}
	c.Close()
	if _, err := cfg.DialContext(t.Context(), "tcp", "10.211.55.150:22"); !errors.Is(err, syscall.EHOSTDOWN) {
		t.Errorf("nobody's address: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := cfg.DialContext(short, "tcp", "10.163.0.3:53"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("through no tunnel: %v", err)
	}
	r, err := cfg.Runner(t.Context(), hypervisor.Command{Argv: []string{"ping", "-c", "1", "-W", "2", "10.211.55.37"}})
	if err != nil || r.Status != 0 || !strings.Contains(string(r.Stdout), "64 bytes") {
		t.Errorf("ping: %v, %+v", err, r)
	}
	if _, err := cfg.Runner(t.Context(), hypervisor.Command{Argv: []string{"prlctl"}}); !errors.Is(err, hypervisor.ErrToolMissing) {
		t.Errorf("prlctl: %v", err)
	}
	addrs, err := cfg.LocalAddrs()
	if err != nil || !slices.Contains(addrs, netip.MustParseAddr("10.211.55.2")) {
		t.Errorf("addresses %v, %v", addrs, err)
	}
	var notFound *net.DNSError
	if _, err := cfg.Resolve(t.Context(), "ip4", "vm.service.mpd.test"); !errors.As(err, &notFound) || !notFound.IsNotFound {
		t.Errorf("resolve: %v", err)
	}
	bootstrap(t, w, v)
	w.Tunnel(v)
	for _, network := range []string{"udp", "tcp"} {
		conn, err := cfg.DialContext(t.Context(), network, "10.163.0.3:53")
		if err != nil {
			t.Fatal(err)
		}
		q := new(dns.Msg)
		q.SetQuestion("vm.service.mpd.test.", dns.TypeA)
		reply, _, err := (&dns.Client{Net: network}).ExchangeWithConn(q, &dns.Conn{Conn: conn})
		if err != nil || len(reply.Answer) != 1 {
			t.Errorf("by %s: %v, %v", network, reply, err)
		}
		conn.Close()
	}
}

// The process that works in a world may be killed at any moment; the VM lives
// on, and another process finds it as it is.
func TestKill(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	v := addVM(t, w, mpdvirttest.VMOptions{})
	socket := serve(t, w)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, phase := range []string{"begin", "end"} {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), socketVariable+"="+socket)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		started, killed := make(chan *os.Process, 1), make(chan struct{})
		v.OnStep(func(_, now string) {
			if now == phase {
				(<-started).Kill()
				close(killed)
			}
		})
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started <- cmd.Process
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			said.WriteString(lines.Text() + "\n")
		}
		select {
		case <-killed:
		case <-time.After(10 * time.Second):
			t.Fatalf("the child was not killed; it said\n%s", &said)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the child ended well")
		}
	}
	v.OnStep(nil)
	if out := mustRun(t, login(t, w, v.Addr()), "", "ls /opt/mpd/bootstrap | wc -l"); out != "7\n" {
		t.Errorf("%q scripts", out)
	}
}
