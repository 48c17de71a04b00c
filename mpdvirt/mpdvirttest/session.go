package mpdvirttest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

// session is one command that a client runs. Steps change it to end in unusual
// ways.
type session struct {
	conn net.Conn
	ch   ssh.Channel

	mu     sync.Mutex
	mute   bool   // ends without exit status
	signal string // ends by this signal
	after  []func()
}

type sessionKey struct{}

// sessionOf is the session in which a program runs; one of nobody if no client
// of SSH started it.
func sessionOf(ctx context.Context) *session {
	if s, ok := ctx.Value(sessionKey{}).(*session); ok {
		return s
	}
	return &session{}
}

func (s *session) do(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// errSignal ends a command.
var errSignal = errors.New("killed by a signal")

// session serves one channel.
func (v *VM) session(ctx context.Context, c net.Conn, open ssh.NewChannel) {
	ch, reqs, err := open.Accept()
	if err != nil {
		return
	}
	s := &session{conn: c, ch: ch}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, sessionKey{}, s))
	defer cancel(nil)
	started := false
	var running sync.WaitGroup
	for req := range reqs {
		ok, start := false, func() {}
		switch req.Type {
		case "exec":
			var msg struct{ Command string }
			if ok = !started && ssh.Unmarshal(req.Payload, &msg) == nil; ok {
				started = true
				start = func() { running.Go(func() { v.command(ctx, s, msg.Command, cancel) }) }
			}
		case "env":
			var msg struct{ Name, Value string }
			ok = ssh.Unmarshal(req.Payload, &msg) == nil && acceptsEnv(msg.Name)
		case "signal":
			var msg struct{ Name string }
			if ok = ssh.Unmarshal(req.Payload, &msg) == nil; ok {
				s.do(func() { s.signal = msg.Name })
				cancel(errSignal)
			}
		}
		if req.WantReply {
			req.Reply(ok, nil) // an error ends the loop too
		}
		start() // after the reply, which must not come behind the command's end
	}
	// The client closed the channel. As under sshd the command goes on, and
	// ends when it next writes.
	running.Wait()
	for _, f := range s.after {
		f()
	}
}

// acceptsEnv is Debian's AcceptEnv.
func acceptsEnv(name string) bool {
	return name == "LANG" || strings.HasPrefix(name, "LC_") || name == "COLORTERM" || name == "NO_COLOR"
}

// command runs one command and tells the client how it ended.
func (v *VM) command(ctx context.Context, s *session, text string, cancel context.CancelCauseFunc) {
	v.mu.Lock()
	v.log.commands = append(v.log.commands, text)
	v.mu.Unlock()
	status := v.login(ctx, text, s.ch, &outlet{s.ch, cancel}, &outlet{s.ch.Stderr(), cancel})
	s.mu.Lock()
	defer s.mu.Unlock()
	// Errors below say that the client is gone, who then needs no answer.
	switch {
	case s.signal != "":
		msg := struct {
			Name          string
			Core          bool
			Message, Lang string
		}{Name: s.signal}
		_, _ = s.ch.SendRequest("exit-signal", false, ssh.Marshal(msg))
	case !s.mute && ctx.Err() == nil:
		_, _ = s.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
	}
	_ = s.ch.Close()
	if len(s.after) > 0 {
		// The client may keep its end open: what follows does not wait for it
		// for long.
		after := s.after
		s.after = nil
		closed := make(chan struct{})
		s.after = append(s.after, func() { close(closed) })
		v.w.wg.Go(func() {
			select {
			case <-closed:
			case <-time.After(time.Second):
			case <-v.w.done:
				return
			}
			for _, f := range after {
				f()
			}
		})
	}
}

// login runs a command in the user's login shell.
func (v *VM) login(ctx context.Context, text string, stdin io.Reader, stdout, stderr io.Writer) int {
	v.mu.Lock()
	user, shell := v.opts.User, v.opts.Shell
	v.mu.Unlock()
	home := "/home/" + user
	p := &debian.Process{
		Sys: v.sys, FS: v.sys.FS.As(userID), User: user, Home: home, Dir: home,
		Env: map[string]string{
			"HOME": home, "USER": user, "LOGNAME": user, "SHELL": shell,
			"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/games", "LANG": "en_US.UTF-8",
		},
		Stdin: stdin, Stdout: stdout, Stderr: stderr,
	}
	return p.Login(ctx, shell, text)
}

// outlet is a command's output; when nobody takes it any more, the command
// dies, as by SIGPIPE.
type outlet struct {
	w      io.Writer
	cancel context.CancelCauseFunc
}

func (o *outlet) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil {
		o.cancel(errSignal)
	}
	return n, err
}
