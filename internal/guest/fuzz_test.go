package guest

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// script is what a server does in FuzzPeer, read from bytes, and what a client
// may make of it.
type script struct {
	steps []byte
	began bool // the begin marker was written, and nothing on its line before it
	ended bool // the end marker followed
	zero  bool // the first whole status was 0
	told  bool // there was a status
}

func (p *script) play(x *session) {
	for _, b := range p.steps {
		switch b % 12 {
		case 0:
			x.begin()
			p.began = true
		case 1:
			io.WriteString(x, "line\r\n\x1b[2J\u009b")
		case 2:
			io.WriteString(x.Stderr(), "\n\xfferror")
		case 3, 4:
			if !p.told {
				p.told, p.zero = true, b%12 == 3
			}
			x.SendRequest("exit-status", false, []byte{0, 0, 0, b%12 - 3})
		case 5:
			x.SendRequest("exit-status", false, []byte{0, 0, 0})
		case 6:
			p.told = true
			x.SendRequest("exit-signal", false, ssh.Marshal(struct{ S, T string }{"KILL", ""}))
		case 7:
			x.CloseWrite()
		case 8:
			x.Close()
			return
		case 9:
			x.conn.Close()
			return
		case 10:
			io.WriteString(x, x.markers[len(x.markers)-1]+"\n")
			p.ended = p.began
			p.began = p.began || len(x.markers) == 1 // Run has no other
		case 11:
			x.conn.SendRequest("hostkeys-00@openssh.com", b > 127, nil)
			x.SendRequest("keepalive@openssh.com", b > 127, nil)
		}
	}
	<-x.gone // it neither says more nor goes
}

// FuzzPeer: whatever a server sends in whatever order, a call ends within its
// bound, leaves no goroutine (the bubble would say so), and succeeds only after
// the markers and a status of 0.
func FuzzPeer(f *testing.F) {
	for _, seed := range []string{"\x00\x01\x03\x08", "\x00\x01\x0a\x03\x08", "\x03\x08", "\x00\x02\x04\x08", "\x00\x06\x08", "\x00\x09", "\x05\x08", "\x00\x03\x07", "\x00\x03\x09", "\xff\x0b\x00\x03\x08", "\x00\x03'", ""} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, steps []byte, query bool) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			p := &script{steps: steps[:min(len(steps), 64)]}
			done := make(chan struct{})
			newServer(t, func(x *session) { defer close(done); p.play(x) }).listen(w.net, firstAddr)
			c := w.dial(t)
			began := time.Now()
			s := Script{Name: "step", Limit: time.Minute}
			var err error
			if query {
				_, err = c.Query(t.Context(), s)
			} else {
				err = c.Run(t.Context(), s)
			}
			if took := time.Since(began); took > time.Minute+time.Second {
				t.Errorf("it took %v", took)
			}
			c.Close()
			<-done
			if err == nil && (!p.began || !p.zero || query && !p.ended) {
				t.Errorf("success with %+v", p)
			}
		})
	})
}
