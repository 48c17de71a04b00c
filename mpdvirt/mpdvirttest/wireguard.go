package mpdvirttest

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/curve25519"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// wgConf is a WireGuard configuration with one peer.
type wgConf struct {
	private, public, peer string // keys in base64; public belongs to private
	psk                   string
	address               netip.Prefix
	port                  uint16
	allowed               []netip.Prefix
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

var errConf = errors.New("configuration parsing error")

// parseConf reads what wg-quick would accept of the keys that matter here.
func parseConf(data []byte) (*wgConf, error) {
	c := &wgConf{}
	section := ""
	for _, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "["):
			section = strings.ToLower(line)
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found || !c.set(section, strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)) {
			return nil, errConf
		}
	}
	public, err := publicOf(c.private)
	if err != nil || c.peer == "" {
		return nil, errConf
	}
	c.public = public
	return c, nil
}

// publicOf is the public key of a private one, both in base64.
func publicOf(private string) (string, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(private)
	if err != nil || len(raw) != 32 {
		return "", errConf
	}
	public, err := curve25519.X25519(raw, curve25519.Basepoint)
	if err != nil {
		return "", errConf
	}
	return base64.StdEncoding.EncodeToString(public), nil
}

func (c *wgConf) set(section, key, value string) bool {
	var err error
	switch section + key {
	case "[interface]privatekey":
		c.private = value
	case "[interface]address":
		c.address, err = netip.ParsePrefix(value)
	case "[interface]listenport":
		var p netip.AddrPort
		p, err = netip.ParseAddrPort("0.0.0.0:" + value)
		c.port = p.Port()
	case "[peer]publickey":
		c.peer = value
	case "[peer]presharedkey":
		c.psk = value
	case "[peer]endpoint":
		_, err = netip.ParseAddrPort(value)
	case "[peer]allowedips":
		for _, s := range strings.Split(value, ",") {
			var p netip.Prefix
			if p, err = netip.ParsePrefix(strings.TrimSpace(s)); err != nil {
				return false
			}
			c.allowed = append(c.allowed, p)
		}
	case "[interface]dns", "[interface]mtu", "[peer]persistentkeepalive":
	default:
		return false
	}
	return err == nil
}

// wg is the program of that name, as far as one asks it about mpd0.
func (v *VM) wg(_ context.Context, p *debian.Process, args []string) int {
	if p.FS.UID() != memfs.Root {
		return p.Errorf("Unable to access interface mpd0: Operation not permitted")
	}
	c, err := v.serverConf()
	if err != nil || !v.unitActive(tunnelUnit) {
		return p.Errorf("Unable to access interface mpd0: No such device")
	}
	switch strings.Join(args[1:], " ") {
	case "show mpd0 public-key":
		p.Printf("%s\n", c.public)
	case "show mpd0 peers":
		p.Printf("%s\n", c.peer)
	case "show mpd0 listen-port":
		p.Printf("%d\n", c.port)
	case "show mpd0 latest-handshakes":
		last := int64(0)
		if v.w.linked() == v {
			last = v.now().Unix()
		}
		p.Printf("%s\t%d\n", c.peer, last)
	case "show mpd0", "show":
		p.Printf("interface: mpd0\n  public key: %s\n  private key: (hidden)\n  listening port: %d\n\npeer: %s\n", c.public, c.port, c.peer)
	default:
		return p.Errorf("wg: not played by mpdvirttest: %s", strings.Join(args[1:], " "))
	}
	return 0
}
