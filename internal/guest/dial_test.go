package guest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// hold keeps a connection open and silent until the other side leaves.
func hold(c net.Conn) { io.Copy(io.Discard, c); c.Close() }

// TestUnreachable is F14 and F15: what is no VM says which, within a bound.
func TestUnreachable(t *testing.T) {
	serve := func(f func(net.Conn)) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { listen(t, w.net, firstAddr, f) }
	}
	// stall serves SSH until n bytes have come and then falls silent.
	stall := func(n int64) func(*testing.T, *world) {
		return func(t *testing.T, w *world) {
			s := newServer(t, nil)
			s.wrap = func(c net.Conn) net.Conn { return newDeaf(c, n) }
			s.listen(w.net, firstAddr)
		}
	}
	tests := []struct {
		name  string
		world func(*testing.T, *world)
		want  Kind
		bound time.Duration
		text  string
		hint  string
	}{
		{"port closed", func(_ *testing.T, w *world) { w.net.SetUp(firstAddr.Addr(), true) }, Refused, 0, "10.211.55.37:22: connection refused", "systemctl status ssh"},
		{"filtered", func(*testing.T, *world) {}, TimedOut, 10 * time.Second, "10.211.55.37:22: no answer", "running"},
		{"no route", func(_ *testing.T, w *world) { w.net.SetRoute(firstAddr.Addr(), false) }, NoRoute, 0, "no route to host", "Local Network"},
		{"silent", serve(hold), Stalled, 10 * time.Second, "SSH handshake stalled", ""},
		{"web server", serve(func(c net.Conn) {
			io.ReadFull(c, make([]byte, 4))
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: \x1b[31mtext\r\n\r\n")
			c.Close()
		}), NotSSH, 0, `it says "HTTP/1.1 400 Bad Request"`, ""},
		{"endless greeting", serve(func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "hello there\r\n"); err != nil {
					return
				}
			}
		}), NotSSH, 10 * time.Second, "not an SSH server", ""},
		{"endless line, slowly", serve(func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}), NotSSH, 10 * time.Second, "not an SSH server", ""},
		{"closed at once", serve(func(c net.Conn) { c.Close() }), Closed, 0, "closed before the banner", ""},
		{"penalty", serve(func(c net.Conn) { io.WriteString(c, "Not allowed at this time\r\n"); c.Close() }), Closed, 0, "Not allowed at this time", ""},
		{"banner only", serve(func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n"); hold(c) }), Stalled, 10 * time.Second, "stalled", ""},
		{"banner drips for ever", serve(func(c net.Conn) {
			io.WriteString(c, "SSH-2.0-x\r\n")
			go io.Copy(io.Discard, c)
			for {
				if _, err := io.WriteString(c, "\x00"); err != nil {
					return
				}
				<-time.After(5 * time.Second)
			}
		}), "", 60 * time.Second, "SSH handshake", ""},
		{"stalls after KEXINIT", stall(100), Stalled, 10 * time.Second, "stalled", ""},
		{"stalls in auth", func(t *testing.T, w *world) {
			s, end := newServer(t, nil), make(chan struct{})
			s.config.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
				<-end
				return nil, errors.New("too late")
			}
			s.listen(w.net, firstAddr)
			t.Cleanup(func() { close(end) })
		}, Stalled, 10 * time.Second, "stalled", ""},
		{"garbage after the banner", serve(func(c net.Conn) {
			io.WriteString(c, "SSH-2.0-x\r\n"+strings.Repeat("\xff\x00\x1b[2J", 100))
			hold(c)
		}), Broken, 10 * time.Second, "handshake failed", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tt.world(t, w)
				began := time.Now()
				c, err := Dial(t.Context(), w.opts)
				if c != nil {
					t.Fatal("logged in")
				}
				var u *UnreachableError
				if !errors.As(err, &u) {
					t.Fatalf("error %v (%T), want *UnreachableError", err, err)
				}
				if tt.want != "" && u.Kind != tt.want {
					t.Errorf("kind %q, want %q: %v", u.Kind, tt.want, err)
				}
				if took := time.Since(began); took > tt.bound {
					t.Errorf("it took %v, want at most %v", took, tt.bound)
				}
				contains(t, "error", err.Error(), tt.text)
				contains(t, "hint", hint.Of(err), tt.hint)
				if strings.Contains(err.Error(), "\x1b") {
					t.Errorf("error has controls: %q", err)
				}
			})
		})
	}
}

// deaf stops answering once some bytes were read.
type deaf struct {
	net.Conn
	left atomic.Int64
}

func newDeaf(c net.Conn, n int64) *deaf {
	d := &deaf{Conn: c}
	d.left.Store(n)
	return d
}

func (d *deaf) Read(p []byte) (int, error) {
	if d.left.Load() <= 0 {
		io.Copy(io.Discard, d.Conn)
		return 0, io.EOF
	}
	n, err := d.Conn.Read(p)
	d.left.Add(-int64(n))
	return n, err
}

func (d *deaf) Write(p []byte) (int, error) {
	if d.left.Load() <= 0 {
		return len(p), nil
	}
	return d.Conn.Write(p)
}

func TestDialCancelled(t *testing.T) {
	for name, world := range map[string]func(*testing.T, *world){
		"in TCP":       func(*testing.T, *world) {},
		"in handshake": func(t *testing.T, w *world) { listen(t, w.net, firstAddr, hold) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				world(t, w)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				began := time.Now()
				_, err := Dial(ctx, w.opts)
				if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
					t.Errorf("after %v: %v, want canceled at once", time.Since(began), err)
				}
			})
		})
	}
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var lines []string
		w.opts.Debug = func(s string) { lines = append(lines, s) }
		s := newServer(t, nil).listen(w.net, firstAddr)
		c := w.dial(t)
		if c.Addr() != firstAddr || c.Identity() != "id_ed25519" {
			t.Errorf("logged in at %v with %q", c.Addr(), c.Identity())
		}
		if got := ssh.FingerprintSHA256(c.HostKey()); got != ssh.FingerprintSHA256(testKey(hostSeed).PublicKey()) {
			t.Errorf("host key %s", got)
		}
		if s.handshakes.Load() != 1 {
			t.Errorf("%d handshakes, want 1", s.handshakes.Load())
		}
		contains(t, "debug", strings.Join(lines, "\n"), "dial 10.211.55.37:22", "logged in as dev with id_ed25519")
		c.Close()
		c.Close()
	})
}

func pinnedWorld(t *testing.T, key ssh.Signer) *world {
	w := newWorld(t)
	w.opts.HostKeys.Pinned = true
	if err := WritePins(nil, w.opts.HostKeys.File, "mpd-150", []ssh.PublicKey{key.PublicKey()}); err != nil {
		t.Fatal(err)
	}
	return w
}

func ecdsaKey(t *testing.T) ssh.Signer {
	raw, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestHostKey is F19, F22 and M7.
func TestHostKey(t *testing.T) {
	pinned, other := testKey(hostSeed), testKey(9)
	tests := []struct {
		name   string
		server func(*testing.T) []ssh.Signer
		accept string
		ok     bool
	}{
		{"same", func(*testing.T) []ssh.Signer { return []ssh.Signer{pinned} }, "", true},
		{"gained another kind", func(t *testing.T) []ssh.Signer { return []ssh.Signer{ecdsaKey(t), pinned} }, "", true},
		{"changed", func(*testing.T) []ssh.Signer { return []ssh.Signer{other} }, "", false},
		{"only another kind", func(t *testing.T) []ssh.Signer { return []ssh.Signer{ecdsaKey(t)} }, "", false},
		{"changed and accepted", func(*testing.T) []ssh.Signer { return []ssh.Signer{other} }, ssh.FingerprintSHA256(other.PublicKey()), true},
		{"another accepted", func(*testing.T) []ssh.Signer { return []ssh.Signer{pinned} }, ssh.FingerprintSHA256(other.PublicKey()), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := pinnedWorld(t, pinned)
				w.opts.HostKeys.Accept = tt.accept
				before, _ := os.ReadFile(w.opts.HostKeys.File)
				s := newServer(t, nil, tt.server(t)...).listen(w.net, firstAddr)
				c, err := Dial(t.Context(), w.opts)
				if tt.ok {
					if err != nil {
						t.Fatal(err)
					}
					c.Close()
					return
				}
				var e *HostKeyError
				if !errors.As(err, &e) {
					t.Fatalf("error %v (%T), want *HostKeyError", err, err)
				}
				contains(t, "error", err.Error(), e.Got, e.Want[0], "10.211.55.37:22", w.opts.HostKeys.File)
				contains(t, "hint", hint.Of(err), "mpd-virt setup 150 --accept-host-key="+e.Got)
				if s.logins.Load() != 0 {
					t.Error("we logged in all the same")
				}
				if after, _ := os.ReadFile(w.opts.HostKeys.File); string(after) != string(before) {
					t.Error("the pin changed")
				}
			})
		})
	}
}

// TestRefusedIsReachable: the system's own error stays in the chain.
func TestRefusedIsReachable(t *testing.T) {
	w := newWorld(t)
	w.net.SetUp(firstAddr.Addr(), true)
	if _, err := Dial(t.Context(), w.opts); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v does not wrap ECONNREFUSED", err)
	}
}
