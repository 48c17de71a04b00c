package mpdvirttest

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/curve25519"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// tunnel is the WireGuard tunnel that is turned on on the Mac.
type tunnel struct {
	vm   *VM
	conf *wgConf // nil until it was imported
}

// Tunnel turns the WireGuard tunnel of a VM on, and that of any other VM off,
// as WireGuard.app does; nil turns all off.
//
// The tunnel's client.conf is imported from the Mac's home folder when it is
// first needed, and only another call imports it again. The tunnel carries
// packets only if the two conf files are a pair, the endpoint is the VM's
// address and the VM's end is up; otherwise it is on, and everything that goes
// through it vanishes.
func (w *World) Tunnel(v *VM) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tunnel = nil
	if v != nil {
		w.tunnel = &tunnel{vm: v}
	}
}

// linked is the VM at the other end of a tunnel that works; nil if there is
// none.
func (w *World) linked() *VM {
	w.mu.Lock()
	t := w.tunnel
	if t == nil {
		w.mu.Unlock()
		return nil
	}
	if t.conf == nil {
		name := filepath.Join(w.home, ".mpd-virt", "conf", "wireguard", strings.TrimPrefix(t.vm.Hostname(), "mpd-"), "client.conf")
		if data, err := os.ReadFile(name); err == nil {
			t.conf, _ = parseConf(data) // a bad one imports nothing
		}
	}
	client, v := t.conf, t.vm
	w.mu.Unlock()
	if client == nil || !v.running() || !v.unitActive(tunnelUnit) {
		return nil
	}
	data, err := v.root.ReadFile(tunnelConf)
	if err != nil {
		return nil
	}
	server, err := parseConf(data)
	if err != nil || !pair(client, server) || client.endpoint != netip.AddrPortFrom(v.Addr(), server.port) {
		return nil
	}
	return v
}

func (v *VM) running() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.on && !v.asleep
}

// wgConf is a WireGuard configuration with one peer.
type wgConf struct {
	private, public, peer string // keys in base64; public belongs to private
	psk                   string
	address               netip.Prefix
	port                  uint16
	endpoint              netip.AddrPort
	allowed               []netip.Prefix
}

// pair says whether two ends accept each other's handshakes and packets.
func pair(client, server *wgConf) bool {
	return client.peer == server.public && server.peer == client.public && client.psk == server.psk &&
		contains(server.allowed, client.address.Addr()) &&
		contains(client.allowed, server.address.Addr()) && contains(client.allowed, nameServerAddr.Addr())
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
	raw, err := base64.StdEncoding.Strict().DecodeString(c.private)
	if err != nil || len(raw) != 32 || c.peer == "" {
		return nil, errConf
	}
	public, err := curve25519.X25519(raw, curve25519.Basepoint)
	if err != nil {
		return nil, errConf
	}
	c.public = base64.StdEncoding.EncodeToString(public)
	return c, nil
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
		c.endpoint, err = netip.ParseAddrPort(value)
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
	data, err := v.root.ReadFile(tunnelConf)
	if err != nil || !v.unitActive(tunnelUnit) {
		return p.Errorf("Unable to access interface mpd0: No such device")
	}
	c, err := parseConf(data)
	if err != nil {
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
