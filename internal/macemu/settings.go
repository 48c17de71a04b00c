package macemu

import (
	"net/netip"
	"slices"
	"time"
)

// Settings are habits of one Mac. The zero value is a Mac with macOS 26.6.2 on
// which nothing takes time, whose user is an administrator and says yes to each
// question, with WireGuard, Parallels Desktop and UTM, on one home network and
// with no VM running.
type Settings struct {
	// Version is that of macOS; "" is 26.6.2.
	Version string `json:",omitempty"`
	// Delay is the scale of all durations; 0 is no time.
	Delay float64 `json:",omitempty"`
	// Localised: macOS speaks Japanese where it does. route, netstat and the
	// verdicts of verify-cert are in English all the same. C
	Localised bool `json:",omitempty"`
	// NoTools are bare names of tools that this Mac does not have.
	NoTools []string `json:",omitempty"`
	// NoApps are names of apps that are not installed: "WireGuard",
	// "Parallels Desktop" or "UTM".
	NoApps []string `json:",omitempty"`
	// LocalNetworkDenied: the terminal may not talk to the networks of the
	// interfaces en0 and bridgeN. No tool of this package shows that: it is for
	// those who play the network.
	LocalNetworkDenied bool `json:",omitempty"`

	// Dialog is what becomes of the dialog on the screen that asks for an
	// administrator when trust settings change.
	Dialog Dialog `json:",omitempty"`
	// Sudo is what becomes of a password prompt of sudo.
	Sudo Sudo `json:",omitempty"`
	// User is the account's name; "" is "dev".
	User string `json:",omitempty"`
	// NoScreen: the session has no window server, as over SSH: open and pbcopy
	// fail. It does not change Dialog. A for pbcopy
	NoScreen bool `json:",omitempty"`
	// Locale is LC_CTYPE of the program under test, which pbcopy and pbpaste
	// have too if env says nothing else; "" is none, and spoils what is not ASCII. C
	Locale string `json:",omitempty"`
	// ProfileIgnored: a profile that was opened waits for a person who never
	// goes to System Settings. Else it is installed at once.
	ProfileIgnored bool `json:",omitempty"`

	// Offline: there is no network but the tunnels and bridges.
	Offline bool `json:",omitempty"`
	// Addr is the Mac's address on en0, with the length of the network; the
	// zero value is 192.168.1.23/24.
	Addr netip.Prefix `json:",omitzero"`
	// Router is the gateway and name server on en0; the zero value is
	// 192.168.1.1.
	Router netip.Addr `json:",omitzero"`
	// Bridges are the Mac's own addresses on bridge100, bridge101 and so on,
	// like 10.211.55.2/24; the zero Prefix is that there is no bridge of this
	// number. When one goes, the routes through it do, too.
	Bridges []netip.Prefix `json:",omitempty"`
	// Neighbours are the machines that the Mac has spoken to.
	Neighbours []Neighbour `json:",omitempty"`
	// Utuns is how many utun interfaces of others there are beside utun0 to
	// utun3, which every Mac has. C
	Utuns int `json:",omitempty"`
	// TunnelGap: scutil does not know the WireGuard tunnels, as from Ventura on
	// until they are saved again in the app. C for list, A for the other verbs
	TunnelGap bool `json:",omitempty"`
	// CachesUnknown: a name that was looked up in vain stays unknown to
	// dscacheutil until root flushes the cache.
	CachesUnknown bool `json:",omitempty"`
}

// Neighbour is a machine in a network of the Mac.
type Neighbour struct {
	Addr netip.Addr
	MAC  string // like "00:1c:42:35:af:ae"
}

// Dialog is what becomes of the dialog for an administrator's password. C that
// there is one also for root, from macOS 11 on
type Dialog string

// What can become of a dialog.
const (
	DialogAllowed   Dialog = ""
	DialogCancelled Dialog = "cancelled"
	// DialogHeadless is that there is no screen to show it on. C
	DialogHeadless Dialog = "headless"
	// DialogHang is that nobody answers, or that the tool waits for ever for a
	// screen. C
	DialogHang Dialog = "hang"
)

// Sudo is what becomes of a password prompt of sudo.
type Sudo string

// What can become of a password prompt. Each but SudoAsksNot needs a terminal.
const (
	SudoAllowed Sudo = ""
	SudoWrong   Sudo = "wrong" // three times. C
	// SudoNotAllowed: the user is no administrator.
	SudoNotAllowed Sudo = "not in sudoers"
	// SudoNoTerminal: there is no terminal, whatever the command says. C
	SudoNoTerminal Sudo = "no terminal"
	// SudoCancelled is Ctrl-C at the prompt. A
	SudoCancelled Sudo = "cancelled"
	// SudoAsksNot: sudo is set to ask this user for nothing.
	SudoAsksNot Sudo = "asks not"
)

// clone shares nothing with s that f of Change may write to: others still read
// what they got before.
func (s Settings) clone() Settings {
	s.NoTools, s.NoApps = slices.Clone(s.NoTools), slices.Clone(s.NoApps)
	s.Bridges, s.Neighbours = slices.Clone(s.Bridges), slices.Clone(s.Neighbours)
	return s
}

func (s *Settings) version() string { return or(s.Version, "26.6.2") }
func (s *Settings) user() string    { return or(s.User, "dev") }

func (s *Settings) addr() netip.Prefix {
	if !s.Addr.IsValid() {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 1, 23}), 24)
	}
	return s.Addr
}

func (s *Settings) router() netip.Addr {
	if !s.Router.IsValid() {
		return netip.AddrFrom4([4]byte{192, 168, 1, 1})
	}
	return s.Router
}

func (s *Settings) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) * s.Delay) }

func or(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// How long states pass on a Mac.
const (
	tunnelTime = time.Second     // A
	ticketTime = 5 * time.Minute // C, not scaled
)
