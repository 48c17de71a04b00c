package guest

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/memnet"
)

var (
	firstAddr = netip.MustParseAddrPort("10.211.55.37:22")
	lastAddr  = netip.MustParseAddrPort("10.211.55.150:22")
)

// testKey is a key that is the same in every run.
func testKey(n byte) ssh.Signer {
	s, err := ssh.NewSignerFromKey(rawKey(n))
	if err != nil {
		panic(err)
	}
	return s
}

func rawKey(n byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return ed25519.NewKeyFromSeed(seed)
}

const (
	hostSeed = 1
	userSeed = 2
)

// server is a VM's sshd in memory.
type server struct {
	t          testing.TB
	config     *ssh.ServerConfig
	handle     func(*session)
	channels   func(*ssh.ServerConn) // what it opens by itself
	wrap       func(net.Conn) net.Conn
	handshakes atomic.Int32
	logins     atomic.Int32

	mu      sync.Mutex
	conns   []net.Conn
	running sync.WaitGroup
}

// newServer lets the user's test key in and runs handle for each command.
func newServer(t testing.TB, handle func(*session), hostKeys ...ssh.Signer) *server {
	s := &server{t: t, handle: handle}
	s.config = &ssh.ServerConfig{PublicKeyCallback: authorized(testKey(userSeed))}
	if len(hostKeys) == 0 {
		hostKeys = []ssh.Signer{testKey(hostSeed)}
	}
	for _, k := range hostKeys {
		s.config.AddHostKey(k)
	}
	return s
}

func authorized(keys ...ssh.Signer) func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
	return func(_ ssh.ConnMetadata, got ssh.PublicKey) (*ssh.Permissions, error) {
		for _, k := range keys {
			if string(k.PublicKey().Marshal()) == string(got.Marshal()) {
				return nil, nil
			}
		}
		return nil, fmt.Errorf("not authorized")
	}
}

// listen serves at addr until the test ends.
func (s *server) listen(n *memnet.Network, addr netip.AddrPort) *server {
	s.t.Cleanup(s.running.Wait) // the last of the three to run
	listen(s.t, n, addr, s.serve)
	s.t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.conns {
			c.Close()
		}
	})
	return s
}

// listen calls serve for each connection to addr, until the test ends.
func listen(t testing.TB, n *memnet.Network, addr netip.AddrPort, serve func(net.Conn)) {
	l, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
}

func (s *server) serve(c net.Conn) {
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	if s.wrap != nil {
		c = s.wrap(c)
	}
	s.handshakes.Add(1)
	defer c.Close()
	conn, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	s.logins.Add(1)
	s.running.Add(1)
	go func() { defer s.running.Done(); ssh.DiscardRequests(requests) }()
	if s.channels != nil {
		s.running.Add(1)
		go func() { defer s.running.Done(); s.channels(conn) }()
	}
	for ch := range channels {
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		s.running.Add(1)
		go func() { defer s.running.Done(); s.session(conn, channel, requests) }()
	}
}

// session is one command as the VM sees it.
type session struct {
	ssh.Channel
	conn    *ssh.ServerConn
	line    string
	signal  chan string   // requests of that name
	gone    chan struct{} // the client closed the channel
	markers []string
}

var markers = regexp.MustCompile(`mpd-virt-[A-Z2-7]{26}`)

func (s *server) session(conn *ssh.ServerConn, ch ssh.Channel, requests <-chan *ssh.Request) {
	x := &session{Channel: ch, conn: conn, signal: make(chan string, 10), gone: make(chan struct{})}
	defer close(x.gone)
	for r := range requests {
		if r.WantReply {
			r.Reply(r.Type == "exec", nil)
		}
		switch r.Type {
		case "exec":
			x.line = string(r.Payload[4:])
			x.markers = markers.FindAllString(x.line, -1)
			s.running.Add(1)
			go func() { defer s.running.Done(); s.handle(x) }()
		case "signal":
			x.signal <- string(r.Payload[4:])
		}
	}
}

// begin prints what our wrapper would.
func (x *session) begin() { fmt.Fprintf(x, "\n%s\n", x.markers[0]) }

func (x *session) exit(status uint32) {
	x.SendRequest("exit-status", false, ssh.Marshal(struct{ S uint32 }{status}))
	x.Close()
}

// says is a command that prints lines and exits.
func says(status uint32, text string) func(*session) {
	return func(x *session) {
		x.begin()
		io.WriteString(x, text)
		x.exit(status)
	}
}

// world is a network and options that let the user in.
type world struct {
	net  *memnet.Network
	home string
	opts Options
}

func newWorld(t testing.TB) *world {
	w := &world{net: memnet.New(), home: t.TempDir()}
	writeKey(t, filepath.Join(w.home, ".ssh", "id_ed25519"), userSeed)
	w.opts = Options{
		Addr:       firstAddr,
		User:       "dev",
		Dial:       w.net.DialContext,
		HostKeys:   HostKeys{File: filepath.Join(w.home, "known_hosts"), Name: "mpd-150"},
		Identities: NewIdentities(IdentityConfig{Home: w.home}),
	}
	return w
}

// writeKey writes a private key and its .pub.
func writeKey(t testing.TB, path string, n byte) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(rawKey(n), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(pem.EncodeToMemory(block)))
	writeFile(t, path+".pub", string(testPub(n)))
}

// lockKey writes the user's key with the passphrase "secret". It was made once
// with ssh-keygen -a 1: what x/crypto makes takes seconds to open when tests
// run with -race.
func lockKey(t testing.TB, path string) {
	t.Helper()
	locked, err := os.ReadFile("testdata/encrypted_ed25519")
	if err != nil {
		t.Fatal(err)
	}
	writeKey(t, path, userSeed)
	writeFile(t, path, string(locked))
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dial logs in and closes the connection at the end of the test.
func (w *world) dial(t testing.TB) *Conn {
	t.Helper()
	c, err := Dial(context.Background(), w.opts)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func contains(t testing.TB, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q in it", what, got, want)
		}
	}
}
