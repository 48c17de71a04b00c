//go:build e2e && linux

package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"

	"golang.org/x/crypto/ssh"
)

// Stranger puts a machine that is none of ours on the network: it answers
// ping, and ssh lets nobody in.
func (l *Lab) Stranger(addr string) {
	l.t.Helper()
	ns := "mpdvirt-stranger-" + l.id
	l.addNamespace(ns)
	l.cable("stranger", ns, "eth0", "02:6c:61:62:00:99")
	l.run("ip", "-n", ns, "addr", "add", addr+"/24", "dev", "eth0")
	l.run("ip", "-n", ns, "link", "set", "eth0", "up")
	_, private, err := ed25519.GenerateKey(rand.Reader)
	l.must(err)
	signer, err := ssh.NewSignerFromKey(private)
	l.must(err)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			return nil, errors.New("nobody")
		},
	}
	config.AddHostKey(signer)
	ln, err := listen(ns, netip.AddrPortFrom(netip.MustParseAddr(addr), 22))
	l.must(err)
	l.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func(conn net.Conn) {
				ssh.NewServerConn(conn, config)
				conn.Close()
			}(conn)
		}
	}()
}
