package mpdvirttest

import (
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// A configuration is read whole or not at all, and is a pair with another only
// if each has the other's key.
func FuzzConf(f *testing.F) {
	const good = "[Interface]\nPrivateKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAddress = 10.164.0.2/30\nListenPort = 51820\n\n" +
		"[Peer]\nPublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAllowedIPs = 10.164.0.1/32, 10.163.0.0/24\n"
	f.Add(good)
	f.Add(strings.ReplaceAll(good, "\n", "\r\n"))
	f.Add(good + "PostUp = id\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseConf([]byte(s))
		if (c == nil) != (err != nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err == nil && (len(c.public) != 44 || len(c.private) != 44 || c.peer == "") {
			t.Errorf("keys %q %q %q", c.private, c.public, c.peer)
		}
		client, refused := macemu.ParseConf(s)
		if err != nil || refused != nil {
			return
		}
		for _, p := range client.Peers {
			if c.accepts(c.public, client, p) && (p.PublicKey != c.public || c.peer != c.public) {
				t.Error("a pair without the right keys")
			}
		}
	})
}
