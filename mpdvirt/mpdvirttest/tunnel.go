package mpdvirttest

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// Tunnel turns the WireGuard tunnel of a VM on, and with it any other off, as a
// person does in WireGuard.app; nil turns all off.
//
// The tunnel is the client.conf that the Mac's home folder has for the VM, by its
// Endpoint or else by the VM's host name mpd-NNN, under the name mpd-NNN: it is
// imported when it is first there, in the place of one of that name that differs,
// and then only another call imports it again. Until then, a tunnel with the VM's
// host name is on, whose keys fit each VM.
//
// A tunnel carries packets only if the configurations of both ends are a pair, the
// endpoint is the VM's address and the VM's end is up; otherwise it is on, and
// everything that goes through it vanishes.
func (w *World) Tunnel(v *VM) {
	w.tunneling.Lock()
	defer w.tunneling.Unlock()
	w.dropKeyless()
	w.mac.allOff()
	if v != nil && !w.importFor(v) {
		w.keyless.vm = v
		w.startKeyless()
	}
}

// keyless is a tunnel to a VM for which the Mac has no configuration yet.
type keyless struct {
	vm   *VM    // nil if nobody asked for one
	uuid string // of the tunnel; "" if WireGuard.app did not take it
	name string
}

// allOff stops all tunnels. The errors are of tunnels that somebody else took
// away.
func (m *Mac) allOff() {
	tunnels, _ := m.emu.Tunnels()
	for _, t := range tunnels {
		_ = m.emu.Deactivate(t.UUID)
	}
}

// settleTunnel imports the configuration that Tunnel was called for if it has
// come.
func (w *World) settleTunnel() {
	w.tunneling.Lock()
	defer w.tunneling.Unlock()
	k := w.keyless
	if k.vm == nil {
		return
	}
	t, _, up, _ := w.mac.emu.Active()
	switch {
	case k.uuid != "" && (!up || t.UUID != k.uuid): // a person did something else
		w.dropKeyless()
	case w.importFor(k.vm):
		w.dropKeyless()
	}
}

// importFor imports the Mac's configuration for a VM and turns it on; false if
// there is none. w.tunneling is held.
func (w *World) importFor(v *VM) bool {
	octet, conf, ok := w.clientConf(v)
	if !ok {
		return false
	}
	name, id := "mpd-"+octet, ""
	tunnels, _ := w.mac.emu.Tunnels()
	for _, t := range tunnels {
		switch {
		case t.Name != name:
		case t.Conf == conf:
			id = t.UUID
		default:
			_ = w.mac.emu.RemoveTunnel(t.UUID)
		}
	}
	if id == "" {
		if w.mac.emu.AddTunnel(name, conf) != nil {
			return false // the app does not take it
		}
		id = name
	}
	return w.mac.emu.Activate(id) == nil
}

// clientConf is the configuration that the Mac has for a VM, and the number that
// it is kept under.
func (w *World) clientConf(v *VM) (octet, conf string, ok bool) {
	dir := filepath.Join(w.home, ".mpd-virt", "conf", "wireguard")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", "", false
	}
	own := strings.TrimPrefix(v.Hostname(), "mpd-")
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name(), "client.conf"))
		if err != nil {
			continue
		}
		c, err := macemu.ParseConf(string(data))
		switch {
		case err == nil && leadsTo(c, v.Addr()):
			return e.Name(), string(data), true
		case err == nil && e.Name() == own: // of a VM that has moved
			octet, conf, ok = e.Name(), string(data), true
		}
	}
	return octet, conf, ok
}

// leadsTo says whether a configuration's other end is at an address.
func leadsTo(c macemu.Conf, addr netip.Addr) bool {
	for _, p := range c.Peers {
		if end, err := netip.ParseAddrPort(p.Endpoint); err == nil && end.Addr() == addr {
			return true
		}
	}
	return false
}

// startKeyless makes a tunnel for the VM that has no configuration on the Mac. Its
// keys are well-formed and nobody's. w.tunneling is held.
func (w *World) startKeyless() {
	k := &w.keyless
	k.name = k.vm.Hostname()
	key := func(what string) string {
		return base64.StdEncoding.EncodeToString(w.seed(what + " of tunnel " + k.vm.id))
	}
	conf := fmt.Sprintf("[Interface]\nPrivateKey = %s\nAddress = %v/30\nDNS = %v\n\n[Peer]\nPublicKey = %s\nAllowedIPs = %v, %v\n",
		key("private key"), macEnd, nameServerAddr.Addr(), key("public key"), tunnelNets[1], tunnelNets[0])
	// The errors are that there is no WireGuard.app, or a tunnel of that name, which
	// is then the one that is meant.
	added := w.mac.emu.AddTunnel(k.name, conf)
	if w.mac.emu.Activate(k.name) != nil || added != nil {
		return
	}
	tunnels, _ := w.mac.emu.Tunnels()
	k.uuid = tunnels[len(tunnels)-1].UUID
}

// dropKeyless takes that tunnel away. w.tunneling is held.
func (w *World) dropKeyless() {
	if w.keyless.uuid != "" {
		_ = w.mac.emu.RemoveTunnel(w.keyless.name) // it may be gone
	}
	w.keyless = keyless{}
}

// linked is the VM at the other end of a tunnel that works; nil if there is
// none.
func (w *World) linked() *VM {
	w.settleTunnel()
	t, conf, up, _ := w.mac.emu.Active()
	if !up {
		return nil
	}
	w.tunneling.Lock()
	k := w.keyless
	w.tunneling.Unlock()
	v := k.vm
	if v == nil || t.UUID != k.uuid {
		v = w.peerOf(conf)
	}
	if v == nil || !v.running() || !v.unitActive(tunnelUnit) {
		return nil
	}
	return v
}

// peerOf is the VM at the endpoint of a configuration, if its own is the other
// half of the pair.
func (w *World) peerOf(conf macemu.Conf) *VM {
	public, err := publicOf(conf.PrivateKey)
	if err != nil {
		return nil
	}
	for _, p := range conf.Peers {
		end, err := netip.ParseAddrPort(p.Endpoint)
		if err != nil {
			continue
		}
		v := w.vmAt(end.Addr())
		if v == nil {
			continue
		}
		server, err := v.serverConf()
		if err == nil && server.port == end.Port() && server.accepts(public, conf, p) {
			return v
		}
	}
	return nil
}

// serverConf is the VM's end of the tunnel, as it is on its disk.
func (v *VM) serverConf() (*wgConf, error) {
	data, err := v.root.ReadFile(tunnelConf)
	if err != nil {
		return nil, err
	}
	return parseConf(data)
}

// accepts says whether two ends take each other's handshakes and packets.
func (c *wgConf) accepts(public string, client macemu.Conf, peer macemu.Peer) bool {
	if peer.PublicKey != c.public || c.peer != public || peer.PresharedKey != c.psk || !contains(peer.AllowedIPs, c.address.Addr()) {
		return false
	}
	for _, a := range client.Address {
		if contains(c.allowed, a.Addr()) {
			return true
		}
	}
	return false
}

// behind is the VM that packets from the Mac to an address of the networks behind
// a tunnel reach: through the tunnel that is up, or by a static route through the
// VM itself, which forwards them. nil if they vanish.
func (w *World) behind(a netip.Addr) *VM {
	w.settleTunnel()
	way, err := w.mac.emu.WayTo(a)
	switch {
	case err != nil:
		return nil
	case way.Tunnel:
		return w.linked()
	case way.Gateway.IsValid():
		if v := w.vmAt(way.Gateway); v != nil && v.hasContainers() {
			return v
		}
	}
	return nil
}

// hasContainers says whether mpd --setup has started them.
func (v *VM) hasContainers() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.dns.running
}

func (v *VM) running() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.on && !v.asleep
}
