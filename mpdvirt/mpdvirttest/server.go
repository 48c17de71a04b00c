package mpdvirttest

import (
	"context"
	"io"
	"net"
)

// Server is how a VM's port 22 behaves.
type Server string

// The behaviours of port 22.
const (
	ServerNormal        Server = ""               // is Debian's sshd
	ServerClosed        Server = "closed"         // nobody listens there
	ServerSilent        Server = "silent"         // accepts and says nothing
	ServerHangsUp       Server = "hangs up"       // closes before its banner, as sshd's penalties do
	ServerHTTP          Server = "http"           // is no SSH server
	ServerEndlessBanner Server = "endless banner" // talks without end before its version
	ServerStallsKex     Server = "stalls kex"     // falls silent after its KEXINIT
	ServerStallsAuth    Server = "stalls auth"    // falls silent at the first login attempt
	ServerStallsSession Server = "stalls session" // never answers the opening of a session
)

// SetServer changes how port 22 behaves for connections from now on. Those that
// exist end only if the port is closed or opened by it. An error is one of opening:
// another VM listens at the address, or the world is closed.
func (v *VM) SetServer(s Server) error {
	v.mu.Lock()
	on, closed := v.on, v.server == ServerClosed
	v.server = s
	v.mu.Unlock()
	if !on || closed == (s == ServerClosed) {
		return nil
	}
	v.halt(true) // connections end, as when sshd's service is stopped
	return v.boot()
}

// late says whether the real protocol is spoken first.
func (s Server) late() bool {
	return s == ServerStallsKex || s == ServerStallsAuth || s == ServerStallsSession
}

// answer plays a server that does not get as far as SSH.
func (s Server) answer(ctx context.Context, c net.Conn) {
	switch s {
	case ServerHangsUp:
		// Only after the client's version, so that what it sees is the end of
		// the stream and not a broken pipe.
		c.Read(make([]byte, 256))
	case ServerHTTP:
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	case ServerEndlessBanner:
		for ctx.Err() == nil {
			if _, err := io.WriteString(c, "Welcome to the machine\r\n"); err != nil {
				return
			}
		}
	default:
		io.Copy(io.Discard, c) // until the client or the VM ends it
	}
}

// spoil makes what the server says after its KEXINIT get lost, for
// ServerStallsKex.
func (s Server) spoil(c net.Conn) net.Conn {
	if s != ServerStallsKex {
		return c
	}
	return &mute{Conn: c, words: 2}
}

// mute is a connection that says only its first words.
type mute struct {
	net.Conn
	words int // used by the one goroutine that writes during the key exchange
}

func (m *mute) Write(b []byte) (int, error) {
	if m.words == 0 {
		return len(b), nil
	}
	m.words--
	return m.Conn.Write(b)
}
