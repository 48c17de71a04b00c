package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// run serves handle, runs a script and returns its lines.
func run(t *testing.T, w *world, handle func(*session), s Script) ([]string, error) {
	t.Helper()
	newServer(t, handle).listen(w.net, firstAddr)
	var lines []string
	if s.Name == "" {
		s.Name = "step"
	}
	s.Output = func(l string) { lines = append(lines, l) }
	return lines, w.dial(t).Run(t.Context(), s)
}

// TestEnds is F28, F31, F32 and F26: only a delivered 0 of a script that began
// is success.
func TestEnds(t *testing.T) {
	payload := func(request string, payload []byte) func(*session) {
		return func(x *session) {
			x.begin()
			x.SendRequest(request, false, payload)
			x.Close()
		}
	}
	kill := ssh.Marshal(struct {
		Name string
		Core bool
		A, B string
	}{"KILL", false, "", ""})
	tests := []struct {
		name   string
		handle func(*session)
		want   error // of that type
		text   string
	}{
		{"success", says(0, "fine\n"), nil, ""},
		{"failure", func(x *session) {
			x.begin()
			io.WriteString(x, "==> Step\n")
			io.WriteString(x.Stderr(), "Error: no \x1b[31mspace\n\n")
			x.exit(100)
		}, &ExitError{}, "step: exit status 100: Error: no space"},
		{"failure with stdout only", says(3, "one\ntwo\n\n"), &ExitError{}, "step: exit status 3: two"},
		{"status 255", says(255, ""), &ExitError{}, "step: exit status 255"},
		{"status 2^32-1", says(1<<32-1, ""), &ExitError{}, "step: exit status 4294967295"},
		{"signal", payload("exit-signal", kill), &ExitError{}, "step: ended by signal KILL"},
		{"strange signal", payload("exit-signal", ssh.Marshal(struct{ S, T string }{"\x1b[2J", ""})), &ExitError{}, "step: ended by signal ?"},
		{"no status", func(x *session) { x.begin(); x.Close() }, &LostError{}, "step: connection lost: it ended without an exit status"},
		{"short status", payload("exit-status", []byte{0, 0}), &LostError{}, "without an exit status"},
		{"long status", payload("exit-status", []byte{0, 0, 0, 0, 0}), &LostError{}, "without an exit status"},
		{"second status", func(x *session) {
			x.begin()
			x.SendRequest("exit-status", false, []byte{0, 0, 0, 7})
			x.exit(0)
		}, &ExitError{}, "status 7"},
		{".bashrc exits 3", func(x *session) { io.WriteString(x, "hello from .bashrc\n"); x.exit(3) }, &StartError{}, "before the script began, exit status 3: hello from .bashrc"},
		{"shell is /bin/true", func(x *session) { x.exit(0) }, &StartError{}, "exit status 0"},
		{"nologin", func(x *session) {
			io.WriteString(x, "This account is currently not available.\n")
			x.exit(1)
		}, &StartError{}, "not available"},
		{"connection closed", func(x *session) { x.begin(); x.conn.Close() }, &LostError{}, "the VM closed the connection"},
		{"closed right after the status", func(x *session) {
			x.begin()
			x.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
			x.conn.Close()
		}, &LostError{}, "step: connection lost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := run(t, newWorld(t), tt.handle, Script{})
				if got, want := fmt.Sprintf("%T", unhint(err)), fmt.Sprintf("%T", tt.want); got != want {
					t.Fatalf("error %v is %s, want %s", err, got, want)
				}
				if err != nil {
					contains(t, "error", err.Error(), tt.text)
				}
				if errors.As(err, new(*StartError)) {
					contains(t, "hint", hint.Of(err), "~/.bashrc")
				}
			})
		})
	}
}

func unhint(err error) error {
	if hint.Of(err) != "" {
		return errors.Unwrap(err)
	}
	return err
}

// TestReset is F26: a reset in the middle, and at the very end.
func TestReset(t *testing.T) {
	for _, name := range []string{"mid-script", "right after the status"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				_, err := run(t, w, func(x *session) {
					x.begin()
					if name != "mid-script" {
						x.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
					}
					w.net.Reset(firstAddr.Addr())
				}, Script{Name: "40-install-software"})
				if !errors.As(err, new(*LostError)) || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("error %v, want *LostError of ECONNRESET", err)
				}
				contains(t, "error", err.Error(), "40-install-software: connection lost")
			})
		})
	}
}

func TestOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines, err := run(t, newWorld(t), func(x *session) {
			io.WriteString(x, "motd without end") // by .bashrc
			x.begin()
			io.WriteString(x, "\n==> Title\n\x1b[32m    ok\x1b[0m\r\n10%\r20%\rtail")
			x.exit(0)
		}, Script{})
		want := []string{"motd without end", "", "==> Title", "    ok", "10%", "20%", "tail"}
		if err != nil || !slices.Equal(lines, want) {
			t.Errorf("lines %q, %v, want %q", lines, err, want)
		}
	})
}

// TestBothStreams is M14: no line of either is lost, and Output is never called
// twice at a time.
func TestBothStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines, err := run(t, newWorld(t), func(x *session) {
			x.begin()
			var both sync.WaitGroup
			for i, w := range []io.Writer{x, x.Stderr()} {
				both.Go(func() {
					for n := range 2000 {
						fmt.Fprintf(w, "%d-%d\n", i, n)
					}
				})
			}
			both.Wait()
			x.exit(0)
		}, Script{})
		if err != nil || len(lines) != 4000 {
			t.Errorf("%d lines, %v, want 4000", len(lines), err)
		}
	})
}

// TestAddressVanishes is M6 and F13: no read ever ends, but we notice.
func TestAddressVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		began := time.Now()
		_, err := run(t, w, func(x *session) {
			x.begin()
			<-time.After(time.Second)
			w.net.Move(firstAddr.Addr(), lastAddr.Addr())
		}, Script{})
		if !errors.As(err, new(*LostError)) {
			t.Fatalf("error %v, want *LostError", err)
		}
		contains(t, "error", err.Error(), "did not answer for 15s")
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

// TestIdleConnection: keep-alives keep one that does nothing, for a day.
func TestIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := newServer(t, says(0, "")).listen(w.net, firstAddr)
		c := w.dial(t)
		<-time.After(24 * time.Hour)
		if err := c.Run(t.Context(), Script{Name: "late"}); err != nil {
			t.Error(err)
		}
		if s.handshakes.Load() != 1 {
			t.Errorf("%d handshakes", s.handshakes.Load())
		}
	})
}

// TestQuietScript is F40.
func TestQuietScript(t *testing.T) {
	for _, tt := range []struct {
		quiet, idle, limit time.Duration
		want               string
	}{
		{time.Hour, 2 * time.Hour, 0, ""},
		{29 * time.Minute, 0, 0, ""},
		{31 * time.Minute, 0, 0, "step: no output for 30m0s"},
		{time.Hour, 2 * time.Hour, time.Minute, "step: not done after 1m0s"},
	} {
		t.Run(tt.quiet.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := run(t, newWorld(t), func(x *session) {
					x.begin()
					select {
					case <-time.After(tt.quiet):
						x.exit(0)
					case <-x.signal:
						x.exit(143)
					}
				}, Script{Idle: tt.idle, Limit: tt.limit})
				if got := fmt.Sprint(err); got != tt.want && (tt.want != "" || err != nil) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if tt.want != "" && !errors.As(err, new(*TimeoutError)) {
					t.Errorf("error is %T", err)
				}
			})
		})
	}
}

// TestCancel: a script that ends when told leaves the connection usable, one
// that does not costs it; both within a second.
func TestCancel(t *testing.T) {
	for _, reacts := range []bool{true, false} {
		t.Run(fmt.Sprint("reacts ", reacts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				signals := make(chan string, 1)
				newServer(t, func(x *session) {
					if !strings.Contains(x.line, "slow") {
						says(0, "")(x)
						return
					}
					x.begin()
					if reacts {
						s := <-x.signal
						signals <- s
						x.exit(143)
						return
					}
					<-time.After(time.Second)
					w.net.Cut(firstAddr.Addr())
				}).listen(w.net, firstAddr)
				c := w.dial(t)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Minute/6, cancel)
				began := time.Now()
				err := c.Run(ctx, Script{Name: "slow"})
				if !errors.Is(err, context.Canceled) || time.Since(began) > 11*time.Second {
					t.Errorf("after %v: %v, want canceled within a second", time.Since(began), err)
				}
				err = c.Run(t.Context(), Script{Name: "next"})
				if reacts && (err != nil || <-signals == "") {
					t.Errorf("next script: %v", err)
				}
				if !reacts && !errors.As(err, new(*LostError)) {
					t.Errorf("next script: %v, want *LostError", err)
				}
			})
		})
	}
}

// TestStallsInSession is F15's last: it takes logins and then no commands.
func TestStallsInSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		listen(t, w.net, firstAddr, func(c net.Conn) {
			s := newServer(t, nil)
			conn, channels, requests, err := ssh.NewServerConn(c, s.config)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			for ch := range channels {
				_ = ch // never answered
			}
			conn.Close()
		})
		c := w.dial(t)
		began := time.Now()
		err := c.Run(t.Context(), Script{Name: "step"})
		if !errors.As(err, new(*LostError)) || time.Since(began) > openLimit {
			t.Errorf("after %v: %v, want *LostError within %v", time.Since(began), err, openLimit)
		}
		c.Close()
	})
}

// TestPendingCallsEnd: closing ends what runs.
func TestPendingCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		newServer(t, func(x *session) { x.begin(); <-x.gone }).listen(w.net, firstAddr)
		c := w.dial(t)
		time.AfterFunc(time.Second, func() { c.Close() })
		if err := c.Run(t.Context(), Script{Name: "step"}); !errors.As(err, new(*LostError)) {
			t.Errorf("error %v, want *LostError", err)
		}
	})
}

// TestLeftBehind: somebody whom the script left holds its output open, and
// keeps still or talks on. The status counts all the same.
func TestLeftBehind(t *testing.T) {
	for talks, bound := range map[bool]time.Duration{false: lingerLimit, true: lingerMost} {
		t.Run(fmt.Sprint("talks ", talks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := run(t, newWorld(t), func(x *session) {
					x.begin()
					x.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
					for talks {
						if _, err := io.WriteString(x, "still here\n"); err != nil {
							break
						}
						<-time.After(time.Second)
					}
					<-x.gone
				}, Script{})
				if took := time.Since(began); err != nil || took > bound+time.Second {
					t.Errorf("after %v: %v, want success within %v", took, err, bound)
				}
			})
		})
	}
}

// TestHostileServer is F29: what it opens is refused, what it asks is dropped.
func TestHostileServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := newServer(t, func(x *session) {
			x.begin()
			for range 10000 {
				x.SendRequest("nonsense", false, []byte("x"))
			}
			x.exit(0)
		})
		refused := make(chan string, 3)
		s.channels = func(c *ssh.ServerConn) {
			for _, kind := range []string{"forwarded-tcpip", "x11", "auth-agent@openssh.com"} {
				if _, _, err := c.OpenChannel(kind, nil); err != nil {
					refused <- kind
				}
			}
			for range 10000 {
				c.SendRequest("hostkeys-00@openssh.com", false, make([]byte, 100))
			}
		}
		s.listen(w.net, firstAddr)
		c := w.dial(t)
		for range 3 {
			<-refused
		}
		if err := c.Run(t.Context(), Script{Name: "step"}); err != nil {
			t.Error(err)
		}
	})
}

// slow is a link on which 1 KB/s arrives. It waits in Read and not in Write,
// which is called with locks held: a bubble's clock stands while a goroutine
// waits for a lock.
type slow struct {
	net.Conn
	end chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-s.end:
		return 0, net.ErrClosed
	}
	return s.Conn.Read(p[:min(len(p), 100)])
}

// TestSlowLink is F33: what goes on is not given up, in the handshake and
// after it, in both directions.
func TestSlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, end := newWorld(t), make(chan struct{})
		defer close(end)
		big := strings.Repeat("0123456789abcdef\n", 4000) // a minute each way
		s := newServer(t, func(x *session) {
			in, _ := io.ReadAll(x)
			x.begin()
			x.Write(in)
			x.exit(0)
		})
		s.wrap = func(c net.Conn) net.Conn { return &slow{c, end} }
		s.listen(w.net, firstAddr)
		dial := w.opts.Dial
		w.opts.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			return &slow{c, end}, err
		}
		var lines int
		err := w.dial(t).Run(t.Context(), Script{Name: "step", Stdin: []byte(big), Idle: time.Minute, Output: func(string) { lines++ }})
		if err != nil || lines != 4000 {
			t.Errorf("%d lines, %v, want 4000", lines, err)
		}
	})
}

func TestQuery(t *testing.T) {
	ends := func(text string, status uint32) func(*session) {
		return func(x *session) {
			io.WriteString(x, "Last login: never\x00"+x.markers[0]+"\n"+text+x.markers[1]+"\nbye\n")
			x.exit(status)
		}
	}
	tests := []struct {
		name   string
		handle func(*session)
		want   string
		fails  string
	}{
		{"exact bytes", ends("\x00\xff\r\n a \n\n", 0), "\x00\xff\r\n a \n\n", ""},
		{"nothing", ends("", 0), "", ""},
		{"longest", ends(strings.Repeat("x", maxAnswer), 0), strings.Repeat("x", maxAnswer), ""},
		{"too long", ends(strings.Repeat("x", maxAnswer+1), 0), "", "longer than 65536 bytes"},
		{"endless noise first", func(x *session) {
			io.WriteString(x, strings.Repeat("noise ", 100000))
			ends("ok", 0)(x)
		}, "ok", ""},
		{"fails", ends("partial", 4), "", "ask: exit status 4"},
		{"no end marker", func(x *session) { io.WriteString(x, x.markers[0]+"\nhalf"); x.exit(0) }, "", "cut off"},
		{"no begin marker", func(x *session) { io.WriteString(x, "answer"); x.exit(0) }, "", "before the script began"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				newServer(t, tt.handle).listen(w.net, firstAddr)
				got, err := w.dial(t).Query(t.Context(), Script{Name: "ask"})
				if string(got) != tt.want || (err == nil) != (tt.fails == "") {
					t.Errorf("Query = %.60q, %v, want %.60q", got, err, tt.want)
				}
				if tt.fails != "" {
					contains(t, "error", fmt.Sprint(err), tt.fails)
					if got != nil {
						t.Errorf("an answer came with the error: %q", got)
					}
				}
			})
		})
	}
}

func TestBadScripts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		newServer(t, says(0, "")).listen(w.net, firstAddr)
		c := w.dial(t)
		for name, s := range map[string]Script{
			"NUL":  {Name: "x", Args: []string{"a\x00b"}},
			"long": {Name: "x", Text: strings.Repeat("x", maxLine)},
		} {
			if err := c.Run(t.Context(), s); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		for _, f := range []File{
			{Path: "relative", Mode: 0o600}, {Path: "/a/../b", Mode: 0o600}, {Path: "/", Mode: 0o600}, {Path: "/a\nb", Mode: 0o600},
			{Path: "/a", Mode: 0}, {Path: "/a", Mode: 0o4755 | 1<<31}, {Path: "/a", Mode: 0o600, Data: make([]byte, maxPush+1)},
		} {
			if err := c.Push(t.Context(), f); err == nil {
				t.Errorf("push of %q, %v: no error", f.Path, f.Mode)
			}
		}
	})
}

// TestFlippedBit is F25: damage anywhere in the stream ends in an error or, if
// it came too late to matter, in the right result; never in a wrong one.
func TestFlippedBit(t *testing.T) {
	for k := 0; k < 6000; k += 97 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := newServer(t, says(0, "the line\n"))
			s.wrap = func(c net.Conn) net.Conn { return &flip{Conn: c, at: k} }
			s.listen(w.net, firstAddr)
			began := time.Now()
			c, err := Dial(t.Context(), w.opts)
			if err == nil {
				var lines []string
				err = c.Run(t.Context(), Script{Name: "step", Output: func(l string) { lines = append(lines, l) }})
				if err == nil && !slices.Equal(lines, []string{"the line"}) {
					t.Errorf("bit at %d: success with %q", k, lines)
				}
				c.Close()
			}
			if err != nil && plaintext.Clean(strings.ReplaceAll(err.Error(), "\n", "")) != strings.ReplaceAll(err.Error(), "\n", "") {
				t.Errorf("bit at %d: error with controls: %q", k, err)
			}
			if took := time.Since(began); took > 2*time.Minute {
				t.Errorf("bit at %d: it took %v", k, took)
			}
		})
	}
}

// flip damages one bit of what is written.
type flip struct {
	net.Conn
	mu sync.Mutex
	at int
}

func (f *flip) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at >= 0 && f.at < len(p) {
		p = bytes.Clone(p)
		p[f.at] ^= 0x10
	}
	f.at -= len(p)
	return f.Conn.Write(p)
}
