package guest

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

var both = []netip.AddrPort{lastAddr, firstAddr}

// TestAwait: where and when a login succeeds, and what ends the wait.
func TestAwait(t *testing.T) {
	good := func(t *testing.T, w *world, addr netip.AddrPort) { newServer(t, nil).listen(w.net, addr) }
	stranger := func(t *testing.T, w *world, addr netip.AddrPort) {
		newServer(t, nil, testKey(9)).listen(w.net, addr)
	}
	tests := []struct {
		name  string
		world func(*testing.T, *world)
		want  netip.AddrPort // invalid: an error
		text  string
		min   time.Duration
		max   time.Duration
	}{
		{"there", func(t *testing.T, w *world) { good(t, w, lastAddr) }, lastAddr, "", 0, 0},
		{"only the second", func(t *testing.T, w *world) { good(t, w, firstAddr) }, firstAddr, "", 0, 0},
		{"comes up", func(t *testing.T, w *world) {
			w.net.SetUp(lastAddr.Addr(), true)
			time.AfterFunc(90*time.Second, func() { good(t, w, lastAddr) })
		}, lastAddr, "", 90 * time.Second, 92 * time.Second},
		{"moves", func(t *testing.T, w *world) {
			w.net.SetRoute(lastAddr.Addr(), false)
			time.AfterFunc(5*time.Second, func() {
				w.net.SetRoute(lastAddr.Addr(), true)
				good(t, w, lastAddr)
			})
		}, lastAddr, "", 5 * time.Second, 7 * time.Second},
		{"stranger at the first address", func(t *testing.T, w *world) { stranger(t, w, lastAddr) },
			netip.AddrPort{}, "10.211.55.150:22: not the host key", 0, 0},
		{"stranger at the second", func(t *testing.T, w *world) {
			stranger(t, w, firstAddr)
			time.AfterFunc(20*time.Second, func() { good(t, w, lastAddr) })
		}, lastAddr, "", 20 * time.Second, 22 * time.Second},
		{"strangers at both", func(t *testing.T, w *world) {
			stranger(t, w, firstAddr)
			stranger(t, w, lastAddr)
		}, netip.AddrPort{}, "not the host key", 0, 0},
		{"never", func(_ *testing.T, w *world) { w.net.SetUp(lastAddr.Addr(), true) },
			netip.AddrPort{}, "no SSH login within 3m0s: 10.211.55.150:22: connection refused; 10.211.55.37:22: no answer", 180 * time.Second, 180 * time.Second},
		{"never authorized", func(t *testing.T, w *world) {
			s := newServer(t, nil)
			s.config.PublicKeyCallback = authorized()
			s.listen(w.net, lastAddr)
		}, netip.AddrPort{}, "accepts none of our SSH keys", 180 * time.Second, 180 * time.Second},
		{"no key", func(t *testing.T, w *world) { w.opts.Identities = nil },
			netip.AddrPort{}, "no SSH key", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := pinnedWorld(t, testKey(hostSeed))
				tt.world(t, w)
				began := time.Now()
				var notes []string
				c, err := Await(t.Context(), w.opts, both, 3*time.Minute, func(s string) { notes = append(notes, s) })
				if took := time.Since(began); took < tt.min || took > tt.max {
					t.Errorf("it took %v, want %v to %v", took, tt.min, tt.max)
				}
				if tt.want.IsValid() {
					if err != nil {
						t.Fatal(err)
					}
					if c.Addr() != tt.want {
						t.Errorf("logged in at %v, want %v", c.Addr(), tt.want)
					}
					c.Close()
					return
				}
				if err == nil {
					t.Fatal("logged in")
				}
				contains(t, "error", err.Error(), tt.text)
				if hint.Of(err) == "" {
					t.Error("the error has no hint")
				}
				for i, n := range notes {
					if i > 0 && n == notes[i-1] {
						t.Errorf("note %q comes twice", n)
					}
				}
			})
		})
	}
}

// TestAwaitManners: who does not let us in is not pestered. What counts are
// connections, by sshd's account.
func TestAwaitManners(t *testing.T) {
	tests := []struct {
		name     string
		serve    func(net.Conn)
		min, max int // connections in 3 minutes
	}{
		{"closes at once", func(c net.Conn) { c.Close() }, 4, 6}, // 0 6 18 42 90 150
		{"another protocol", func(c net.Conn) { c.Write([]byte("220 mail\r\n")); c.Close() }, 10, 31},
		{"refuses the key", func(c net.Conn) {
			s := newServer(t, nil)
			s.config.PublicKeyCallback = authorized()
			ssh.NewServerConn(c, s.config)
			c.Close()
		}, 10, 31},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var last time.Time
				var mu sync.Mutex
				n := 0
				listen(t, w.net, firstAddr, func(c net.Conn) {
					mu.Lock()
					defer mu.Unlock()
					if n++; n > 1 && time.Since(last) < 6*time.Second {
						t.Errorf("connection %d came after %v", n, time.Since(last))
					}
					last = time.Now()
					tt.serve(c)
				})
				_, err := Await(t.Context(), w.opts, []netip.AddrPort{firstAddr}, 3*time.Minute, nil)
				if !errors.As(err, new(*UnreachableError)) {
					t.Errorf("error %v, want *UnreachableError", err)
				}
				mu.Lock()
				defer mu.Unlock()
				if n < tt.min || n > tt.max {
					t.Errorf("%d connections, want %d to %d", n, tt.min, tt.max)
				}
				if tt.name == "refuses the key" && !errors.As(err, new(*AuthError)) {
					t.Errorf("the *AuthError is not in the chain of %v", err)
				}
			})
		})
	}
}

// TestAwaitOneHandshake: one address, one handshake; losers are closed.
func TestAwaitOneHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := newServer(t, nil).listen(w.net, firstAddr)
		b := newServer(t, nil).listen(w.net, lastAddr)
		c, err := Await(t.Context(), w.opts, both, time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.handshakes.Load() > 1 || b.handshakes.Load() > 1 {
			t.Errorf("%d and %d handshakes", a.handshakes.Load(), b.handshakes.Load())
		}
		c.Close()
	})
}

func TestAwaitCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		listen(t, w.net, firstAddr, hold)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(42*time.Second, cancel)
		began := time.Now()
		_, err := Await(ctx, w.opts, both, time.Hour, nil)
		if !errors.Is(err, context.Canceled) || time.Since(began) != 42*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestAwaitNowhere(t *testing.T) {
	if _, err := Await(t.Context(), newWorld(t).opts, nil, time.Second, nil); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("error %v", err)
	}
}
