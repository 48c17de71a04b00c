package mpdvirttest

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// MacSettings are habits of a world's Mac: its version, what becomes of dialogs
// and of sudo's prompt, which apps are there, and what networks. The zero value
// is macOS 26.6.2 on which nothing takes time, whose user is an administrator and
// says yes to each question. Addr and Bridges are the world's own to begin with:
// vmnet's bridge100, which comes and goes with the VMs where UTM is played, and
// bridge101 of Parallels. With Delay, Options.Clock must go on, or no tunnel is ever
// Connected.
type MacSettings = macemu.Settings

// MacFault is something that goes wrong with a command of the Mac, like
// {Kind: "hang", Tool: "security", Verb: "verify-cert"}: once, or Times, or
// always if that is negative. A Verb without a Tool is an error of Inject.
//
// Kinds in the place of the work are hang, garbage, empty, refuse (with Text and
// Status) and no effect. Kinds beside the work are slow (by After) and after (with
// Text and Status).
type MacFault = macemu.Fault

// MacTunnel is a VPN service of the Mac, with its State in the words of scutil:
// "Connected", "Disconnected" and those between them. Its Conf holds a secret.
type MacTunnel = macemu.Tunnel

// MacOpening is something that open showed to the person at the Mac: a "file", the
// "folder of" one, an "app" or a "url".
type MacOpening = macemu.Opening

// MacTrust is what a trust setting says of a certificate: "root", "deny", or
// nothing.
type MacTrust = macemu.Trust

// Mac is the Mac of a world: the tools that tell and change trust, routes, names
// and tunnels, and the person who sits before it. Its methods may be called at the
// same time. The errors of those that only look, of Change and of Reboot
// are nil.
//
// Of a world with Options.NoMac the tools alone are missing; the rest works, as
// on another system with a WireGuard of its own.
type Mac struct {
	w   *World
	emu *macemu.Emulator

	mu       sync.Mutex
	shown    strings.Builder
	terminal io.Writer
}

// newMac makes the world's Mac, whose root exists.
func newMac(w *World) (*Mac, error) {
	m := &Mac{w: w}
	home := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 1, 23}), 24)
	var err error
	m.emu, err = macemu.New(macemu.Options{
		Root: w.root, Now: w.now, Settings: MacSettings{Addr: home, Bridges: slices.Clone(macAddrs)},
		Hooks: macemu.Hooks{Terminal: m.show, Lookup: w.lookup},
	})
	if err != nil {
		return nil, fmt.Errorf("make the Mac: %w", err)
	}
	return m, nil
}

// Mac is the world's Mac.
func (w *World) Mac() *Mac { return w.mac }

// plays says whether a program is one of the Mac's, which World.Run answers.
func (m *Mac) plays(program string) bool {
	return !m.w.opts.NoMac && macemu.Plays(path.Base(program))
}

// show takes what a program shows on the terminal.
func (m *Mac) show(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shown.WriteString(text)
	if m.terminal != nil {
		_, _ = io.WriteString(m.terminal, text) // as on a real terminal, nobody hears of an error
	}
}

// Terminal is all that programs have shown on the terminal so far, as sudo its
// prompt, and not in their results. Only a Command with Terminal set has one.
func (m *Mac) Terminal() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shown.String()
}

// SetTerminal makes what programs show on the terminal from now on also go to a
// writer, which is used by one program at a time; nil ends that. Errors of the
// writer are ignored, and it must not call Terminal or SetTerminal.
func (m *Mac) SetTerminal(to io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.terminal = to
}

// Emulator is what plays the tools, for what has no method here. Its package is
// this module's own.
func (m *Mac) Emulator() *macemu.Emulator { return m.emu }

// Settings are the Mac's habits as they are now.
func (m *Mac) Settings() (MacSettings, error) { return m.emu.Settings() }

// Change changes the Mac's habits. f must not use the world.
func (m *Mac) Change(f func(s *MacSettings)) error { return m.emu.Change(f) }

// Inject makes commands go wrong. The first that fits a command is taken, one
// with a verb before one without. Emulator().ClearFaults forgets those that are
// left.
func (m *Mac) Inject(faults ...MacFault) error { return m.emu.Inject(faults...) }

// Calls are the words of all commands so far that the Mac's tools were called
// with, in order, without those of ping, ssh, tar and the hypervisors.
func (m *Mac) Calls() ([][]string, error) { return m.emu.Calls() }

// NotPlayed are the commands so far whose use of a tool is not played: it ended
// with the status 64. A test should find none.
func (m *Mac) NotPlayed() ([][]string, error) { return m.emu.NotPlayed() }

// Tunnels are the Mac's VPN services, in the order in which they came.
func (m *Mac) Tunnels() ([]MacTunnel, error) {
	m.w.settleTunnel()
	return m.emu.Tunnels()
}

// ImportTunnel imports a configuration under a name, as a person does in
// WireGuard.app, and leaves it off. It is refused if the app does not take it or is
// not installed, and is fs.ErrExist if there is a tunnel of that name.
func (m *Mac) ImportTunnel(name, conf string) error { return m.emu.AddTunnel(name, conf) }

// RemoveTunnel deletes a tunnel, as a person does in WireGuard.app. It is
// fs.ErrNotExist if there is none of that name or UUID.
func (m *Mac) RemoveTunnel(name string) error { return m.emu.RemoveTunnel(name) }

// Activate starts a tunnel and stops the one that is up, as a person does in
// WireGuard.app. It is fs.ErrNotExist if there is none of that name or UUID.
func (m *Mac) Activate(name string) error { return m.emu.Activate(name) }

// Deactivate stops a tunnel, which need not be up. It is fs.ErrNotExist if there
// is none of that name or UUID.
func (m *Mac) Deactivate(name string) error { return m.emu.Deactivate(name) }

// AddRoute adds a static route through a gateway, as root did some time before.
// It is an error if the gateway is in no network of the Mac, and fs.ErrExist if there
// is a route to dst.
func (m *Mac) AddRoute(dst netip.Prefix, gateway netip.Addr) error {
	return m.emu.AddRoute(dst, gateway)
}

// StaticRoutes are the networks of the static routes.
func (m *Mac) StaticRoutes() ([]netip.Prefix, error) { return m.emu.StaticRoutes() }

// Certificates are those of the System keychain, in the order in which they came.
func (m *Mac) Certificates() ([]*x509.Certificate, error) { return m.emu.Certificates() }

// AddCertificate puts the certificate of a PEM text into the System keychain and
// trusts it in nothing. One that is there is fine. An error is one of the text.
func (m *Mac) AddCertificate(text []byte) error { return m.emu.AddCertificate(text) }

// SetTrust sets what the administrators' trust settings say of the certificate of
// a PEM text, which need not be in a keychain; "" takes the setting away. An error is
// one of the text.
func (m *Mac) SetTrust(text []byte, t MacTrust) error { return m.emu.SetTrust(text, t) }

// TrustSettings are those of the administrators, by the SHA-1 fingerprint in
// upper case, also of certificates that are in no keychain.
func (m *Mac) TrustSettings() (map[string]MacTrust, error) { return m.emu.TrustSettings() }

// Clipboard is the text that was copied last; "" if none was.
func (m *Mac) Clipboard() (string, error) { return m.emu.Clipboard() }

// Opened is all that open showed, in order. A profile for WireGuard is installed
// when it is opened, unless MacSettings.ProfileIgnored is set, and brings its
// tunnel, which is not up yet.
func (m *Mac) Opened() ([]MacOpening, error) { return m.emu.Opened() }

// Reboot starts the Mac anew: static routes, the ticket of sudo and the clipboard
// are gone, and no tunnel is up.
func (m *Mac) Reboot() error { return m.emu.Reboot() }

// onLink says whether an address belongs to a machine in a network of one of the
// Mac's broadcast interfaces, other than the Mac itself and its router.
func (w *World) onLink(a netip.Addr) bool {
	way, err := w.mac.emu.WayTo(a)
	if err != nil || !way.OnLink || strings.HasPrefix(way.Iface, "lo") {
		return false
	}
	router, err := w.mac.emu.WayTo(netip.IPv4Unspecified())
	return err == nil && a != router.Gateway
}

// denied says whether macOS keeps this program from an address, since it may not
// talk to machines in the local network.
func (w *World) denied(a netip.Addr) bool {
	if w.opts.NoMac {
		return false
	}
	set, err := w.mac.emu.Settings()
	return err == nil && set.LocalNetworkDenied && w.onLink(a)
}

// setBridge changes the address of the Mac on bridge100, vmnet's; the zero Prefix
// is that the bridge is not there.
func (m *Mac) setBridge(p netip.Prefix) error {
	return m.emu.Change(func(s *MacSettings) {
		if len(s.Bridges) == 0 {
			s.Bridges = []netip.Prefix{{}}
		}
		s.Bridges[0] = p
	})
}
