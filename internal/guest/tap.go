package guest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// Bounds of a handshake. After the banner it may go on, on a slow link, as long
// as it goes on, but not for ever.
const (
	dialLimit      = 10 * time.Second
	handshakeLimit = 10 * time.Second
	slowestLimit   = 60 * time.Second
	lastWordsLimit = time.Second
)

// headSize is how much of what comes before a banner is kept.
const headSize = 1 << 10

// tap is a connection that remembers when and what it heard, and that has the
// deadline of a handshake until settled.
type tap struct {
	net.Conn

	mu      sync.Mutex
	heard   time.Time // when bytes came last
	broken  bool      // a read failed: the stream is over
	head    []byte    // the first bytes, up to the banner
	banner  bool      // a line that begins with SSH- came
	settled bool      // the handshake is over
	asking  bool      // a person or an agent is being asked: the clock stands
	latest  time.Time // when a handshake that goes on must be over
}

func newTap(c net.Conn) *tap {
	t := &tap{Conn: c, heard: time.Now(), latest: time.Now().Add(slowestLimit)}
	t.Conn.SetDeadline(t.heard.Add(handshakeLimit))
	return t
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.note(p[:n], err)
	return n, err
}

// Write is the first to fail where a server says why it turns us away and
// hangs up: what it said is then read here, for nobody will.
func (t *tap) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	if head, banner := t.greeting(); err != nil && !banner && head == "" {
		t.Conn.SetReadDeadline(time.Now().Add(lastWordsLimit))
		io.CopyN(io.Discard, t, headSize)
	}
	return n, err
}

func (t *tap) note(p []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = t.broken || err != nil
	if len(p) == 0 {
		return
	}
	t.heard = time.Now()
	if t.settled {
		return
	}
	if !t.banner {
		t.head = append(t.head, p[:min(len(p), headSize-len(t.head))]...)
		t.banner = bytes.HasPrefix(t.head, []byte("SSH-")) || bytes.Contains(t.head, []byte("\nSSH-"))
	}
	if t.banner && !t.asking {
		t.extend()
	}
}

// extend gives the handshake another while. t.mu is held.
func (t *tap) extend() {
	next := time.Now().Add(handshakeLimit)
	if next.After(t.latest) {
		next = t.latest
	}
	t.Conn.SetDeadline(next)
}

// pause stops the clock until resume is called.
func (t *tap) pause() (resume func()) {
	began := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking = true
	t.Conn.SetDeadline(time.Time{})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.asking = false
		t.latest = t.latest.Add(time.Since(began))
		t.extend()
	}
}

// settle ends the time of deadlines.
func (t *tap) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.settled = true
	t.Conn.SetDeadline(time.Time{})
}

// silence is how long nothing was heard.
func (t *tap) silence() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.heard)
}

// broke says whether the stream is over.
func (t *tap) broke() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.broken
}

// greeting is what came instead of a banner, and whether a banner came.
func (t *tap) greeting() (head string, banner bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.head), t.banner
}
