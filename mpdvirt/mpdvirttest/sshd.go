package mpdvirttest

import (
	"context"
	"errors"
	"net"
	"time"

	"golang.org/x/crypto/ssh"
)

// serverVersion is what Debian Trixie's sshd says first.
const serverVersion = "SSH-2.0-OpenSSH_10.0p2 Debian-7"

// loginGrace is how long sshd waits for a login, maxAuthTries how many keys it
// looks at.
const (
	loginGrace   = 2 * time.Minute
	maxAuthTries = 6
)

// accept is sshd's main loop.
func (v *VM) accept(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		v.mu.Lock()
		on := v.on && ctx.Err() == nil
		if on {
			v.conns[c] = true
			v.log.connections++
		}
		server := v.server
		v.mu.Unlock()
		if !on {
			c.Close()
			return
		}
		v.w.wg.Go(func() {
			defer v.drop(c)
			if server == ServerNormal || server.late() {
				v.serve(ctx, server.spoil(c), server)
			} else {
				server.answer(ctx, c)
			}
		})
	}
}

func (v *VM) drop(c net.Conn) {
	c.Close() // it may be closed already
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.conns, c)
}

// serve is one connection of a client.
func (v *VM) serve(ctx context.Context, c net.Conn, server Server) {
	grace := time.AfterFunc(loginGrace, func() { c.Close() })
	defer grace.Stop()
	conn, chans, reqs, err := ssh.NewServerConn(c, v.serverConfig(ctx, server))
	if err != nil {
		return
	}
	grace.Stop()
	v.mu.Lock()
	v.log.logins++
	v.mu.Unlock()
	defer conn.Close()
	v.w.wg.Go(func() { ssh.DiscardRequests(reqs) })
	for ch := range chans {
		switch {
		case ch.ChannelType() != "session":
			// A refusal that the client no longer reads is none of our concern.
			_ = ch.Reject(ssh.UnknownChannelType, "unknown channel type")
		case server != ServerStallsSession:
			v.w.wg.Go(func() { v.session(ctx, c, ch) })
		}
	}
}

func (v *VM) serverConfig(ctx context.Context, server Server) *ssh.ServerConfig {
	v.mu.Lock()
	defer v.mu.Unlock()
	counted := false
	cfg := &ssh.ServerConfig{
		MaxAuthTries:  maxAuthTries,
		ServerVersion: serverVersion,
		PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if !v.authorized(meta.User(), key) {
				return nil, errors.New("key not authorized")
			}
			return nil, nil
		},
		PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
			return nil, errors.New("wrong password")
		},
		AuthLogCallback: func(ssh.ConnMetadata, string, error) {
			if !counted { // the first attempt follows the key exchange
				counted = true
				v.mu.Lock()
				v.log.handshakes++
				v.mu.Unlock()
			}
			if server == ServerStallsAuth {
				<-ctx.Done()
			}
		},
	}
	for _, key := range v.keys {
		cfg.AddHostKey(key)
	}
	return cfg
}
