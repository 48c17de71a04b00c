package macos

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const vpnHead = "Available network connection services in the current set (*=enabled):\n"

const vpns = vpnHead +
	`* (Disconnected)   33A1D44F-0C1E-4E0B-9B0B-2D3F7D0A1C11 VPN (com.wireguard.macos) "mpd-150"                        [VPN:com.wireguard.macos]
* (Connected)      25A7922F-5A1B-4B59-8F0C-0F6C6B8A7D22 VPN (com.wireguard.macos) "mpd-151"                        [VPN:com.wireguard.macos]
  (Invalid)        25A7922F-5A1B-4B59-8F0C-0F6C6B8A7D23 VPN (com.wireguard.macos) "mpd-099"                        [VPN:com.wireguard.macos]
* (Connecting)     F866AE22-4EC1-4524-8769-86A290A0C582 VPN (com.wireguard.macos) "my "home" net"                  [VPN:com.wireguard.macos]
* (Disconnected)   F866AE22-4EC1-4524-8769-86A290A0C583 PPP --> L2TP              "mpd-152"                        [PPP:L2TP]
* (Connected)      F866AE22-4EC1-4524-8769-86A290A0C584 VPN (com.example.vpn)     "mpd-153"                        [VPN:com.example.vpn]
`

func TestTunnels(t *testing.T) {
	m, _ := says("/usr/sbin/scutil --nc list", answer{out: vpns})
	got, err := m.Tunnels(t.Context())
	want := []Tunnel{
		{"33A1D44F-0C1E-4E0B-9B0B-2D3F7D0A1C11", "mpd-150", TunnelDisconnected, 150},
		{"25A7922F-5A1B-4B59-8F0C-0F6C6B8A7D22", "mpd-151", TunnelConnected, 151},
		{"25A7922F-5A1B-4B59-8F0C-0F6C6B8A7D23", "mpd-099", TunnelInvalid, 0},
		{"F866AE22-4EC1-4524-8769-86A290A0C582", `my "home" net`, TunnelConnecting, 0},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestTunnelsEdges(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		n          int
		err        error
	}{
		{"none, or none that is listed", vpnHead, 0, nil},
		{"an unknown state", strings.Replace(vpns, "(Connected) ", "(Verbunden) ", 1), 0, ErrUnclear},
		{"no name", vpnHead + `* (Connected) 25A7922F-5A1B-4B59-8F0C-0F6C6B8A7D22 VPN (com.wireguard.macos) mpd-150 [VPN:com.wireguard.macos]`, 0, ErrUnclear},
		{"a name with controls", strings.Replace(vpns, "my ", "\x1b[2J\u202emy ", 1), 4, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := says("/usr/sbin/scutil --nc list", answer{out: tt.text})
			got, err := m.Tunnels(t.Context())
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) || len(got) != tt.n {
				t.Errorf("%+v, %v", got, err)
			}
			for _, tunnel := range got {
				harmless(t, tunnel.Name)
			}
		})
	}
}

func TestTunnelStatus(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    answer
		want TunnelState
		err  error
	}{
		{"connected", answer{out: "Connected\nExtended Status <dictionary> {\n  Status : 2\n}\n"}, TunnelConnected, nil},
		{"disconnected", answer{out: "Disconnected\n"}, TunnelDisconnected, nil},
		{"unknown name", answer{errs: "No service\n", status: 1}, "", ErrNoTunnel},
		{"unknown word", answer{out: "Asleep\n"}, "", ErrUnclear},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := says("/usr/sbin/scutil --nc status mpd-150", tt.a)
			got, err := m.TunnelStatus(t.Context(), "mpd-150")
			if got != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestTunnelCommands(t *testing.T) {
	for want, c := range map[string]Command{
		"/usr/sbin/scutil --nc start mpd-150": StartTunnelCommand("mpd-150"),
		"/usr/sbin/scutil --nc stop mpd-150":  StopTunnelCommand("mpd-150"),
	} {
		if got := c.String(); got != want || c.Root || c.Note == "" {
			t.Errorf("%s (root %t), want %s", got, c.Root, want)
		}
	}
}

func FuzzTunnels(f *testing.F) {
	f.Add(vpns)
	f.Add(vpnHead)
	f.Add(rude)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseTunnels(text)
		if err != nil && list != nil {
			t.Errorf("%v beside %v", list, err)
		}
		for _, tunnel := range list {
			harmless(t, tunnel.ID+tunnel.Name)
			if !tunnel.State.known() {
				t.Errorf("state %q", tunnel.State)
			}
			if o := tunnel.Octet; o != 0 && (!o.Valid() || o.VMName() != tunnel.Name) {
				t.Errorf("%q is called that of %v", tunnel.Name, hypervisor.Octet(o))
			}
		}
	})
}
