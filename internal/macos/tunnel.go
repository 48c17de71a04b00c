package macos

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// ErrNoTunnel: macOS knows no tunnel or other connection of that name.
var ErrNoTunnel = errors.New("no such tunnel")

// Where the App Store puts the WireGuard app, and the name by which macOS's
// VPN list knows it.
const (
	WireGuardApp    = "/Applications/WireGuard.app"
	WireGuardBundle = "com.wireguard.macos"
)

// TunnelState is what macOS says of a tunnel. Connected is only local: it
// needs no answer from the other end.
type TunnelState string

// The states.
const (
	TunnelInvalid       TunnelState = "Invalid"
	TunnelDisconnected  TunnelState = "Disconnected"
	TunnelConnecting    TunnelState = "Connecting"
	TunnelConnected     TunnelState = "Connected"
	TunnelDisconnecting TunnelState = "Disconnecting"
)

// known says whether s is one of the states that macOS has.
func (s TunnelState) known() bool {
	switch s {
	case TunnelInvalid, TunnelDisconnected, TunnelConnecting, TunnelConnected, TunnelDisconnecting:
		return true
	}
	return false
}

// Tunnel is a tunnel of the WireGuard app.
type Tunnel struct {
	ID    string           // macOS's UUID of it
	Name  string           // that of the file it was imported from, cleaned
	State TunnelState      // as of the call
	Octet hypervisor.Octet // whose tunnel it is by its name mpd-NNN; 0 for other names
}

// Tunnels returns the WireGuard app's tunnels that macOS lists. An empty list
// says nothing: since macOS 13 tunnels may be missing from it until they are
// saved again in the app. And a tunnel's name is what somebody called it.
func (m *Mac) Tunnels(ctx context.Context) ([]Tunnel, error) {
	const what = "scutil --nc list"
	res, err := m.ask(ctx, scutilTool, "--nc", "list")
	if err != nil {
		return nil, err
	}
	if res.Status != 0 {
		return nil, strange(what, res)
	}
	list, err := parseTunnels(string(res.Stdout))
	if err != nil {
		return nil, unclear(what, "%v", err)
	}
	return list, nil
}

var (
	// tunnelRow begins a row of the app's; the name, between the first and the
	// last quotation mark, may hold some itself.
	tunnelRow  = regexp.MustCompile(`^[* ] *\(([A-Za-z]+)\) +([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}) +VPN \(com\.wireguard\.macos\) +`)
	tunnelRest = regexp.MustCompile(`^"(.*)" +\[VPN:com\.wireguard\.macos\] *$`)
	ourTunnel  = regexp.MustCompile(`^mpd-([0-9]{3})$`)
)

// parseTunnels reads the list of VPNs. Rows of other programs are passed over.
func parseTunnels(text string) ([]Tunnel, error) {
	if !strings.HasPrefix(text, "Available network connection services") {
		return nil, fmt.Errorf("begins with: %s", text)
	}
	var list []Tunnel
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		row := tunnelRow.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		rest := tunnelRest.FindStringSubmatch(line[len(row[0]):])
		state := TunnelState(row[1])
		if rest == nil || !state.known() {
			return nil, fmt.Errorf("row: %s", line)
		}
		list = append(list, Tunnel{ID: row[2], Name: plaintext.Short(rest[1]), State: state, Octet: octetOf(rest[1])})
	}
	return list, nil
}

func octetOf(name string) hypervisor.Octet {
	m := ourTunnel.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	o, err := hypervisor.ParseOctet(m[1])
	if err != nil {
		return 0
	}
	return o
}

// TunnelStatus returns the state of the tunnel with the name, or ErrNoTunnel,
// which means as little as an empty list of Tunnels. Another program's VPN may
// have the name.
func (m *Mac) TunnelStatus(ctx context.Context, name string) (TunnelState, error) {
	what := "scutil --nc status " + plaintext.Short(name)
	res, err := m.ask(ctx, scutilTool, "--nc", "status", name)
	if err != nil {
		return "", err
	}
	if res.Status != 0 {
		if has(res, "No service") {
			return "", fmt.Errorf("%s: %w", what, ErrNoTunnel)
		}
		return "", strange(what, res)
	}
	word, _, _ := strings.Cut(string(res.Stdout), "\n")
	if s := TunnelState(strings.TrimSpace(word)); s.known() {
		return s, nil
	}
	return "", strange(what, res)
}

// StartTunnelCommand turns the tunnel on. It returns at once; the state follows
// later. Only one tunnel is up at a time, another one goes down.
func StartTunnelCommand(name string) Command {
	return Command{
		Argv: []string{scutilTool, "--nc", "start", name},
		Note: "turns the tunnel on, and another one off",
	}
}

// StopTunnelCommand turns the tunnel off. It returns at once.
func StopTunnelCommand(name string) Command {
	return Command{Argv: []string{scutilTool, "--nc", "stop", name}, Note: "turns the tunnel off"}
}
