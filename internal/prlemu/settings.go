package prlemu

import "time"

// Settings are what a Mac with Parallels Desktop is like. The zero value is a
// good one: release 26.4.1, edition Pro, licence valid, the Shared network with
// the range 1-99, and no time spent.
type Settings struct {
	// Delay is the scale of all durations; 0 is no time, 1 is as on a Mac.
	Delay float64 `json:",omitempty"`
	// Version is the release; "" is 26.4.1 (57516).
	Version string `json:",omitempty"`
	// Absent makes the tools missing. Only Runner knows that.
	Absent bool `json:",omitempty"`
	// ServiceDown: nothing but --version works, all else is exit 253. C
	ServiceDown bool `json:",omitempty"`
	// Edition is the word of the licence; "" is "pro". On "standard" only list
	// and register work. C (which verbs, A: the text)
	Edition string `json:",omitempty"`
	// License is "" (valid), "expired" or "none".
	License string `json:",omitempty"`
	// EditionNotice is printed by "prlsrvctl info" before its JSON. C
	EditionNotice bool `json:",omitempty"`

	// StartsSuspended lets "start" resume a suspended VM, as some releases do
	// and others do not. C (conflict)
	StartsSuspended bool `json:",omitempty"`
	// KeepsSuspended refuses to delete a suspended VM. C (conflict)
	KeepsSuspended bool `json:",omitempty"`
	// StopIsIdempotent: stop on a stopped VM complains and ends with 0. S
	StopIsIdempotent bool `json:",omitempty"`
	// KillLag is how long, before scaling, a VM still reads as running after
	// "stop --kill"; 0 is 3 s. C
	KillLag time.Duration `json:",omitempty"`
	// HalfBundle makes a clone that was cut short leave a folder that blocks
	// its name; else it leaves nothing. A
	HalfBundle bool `json:",omitempty"`
	// RenameMovesBundle: the folder follows a new name. A
	RenameMovesBundle bool `json:",omitempty"`
	// HostnameSync gives every running VM with Tools the name of its guest. A
	HostnameSync bool `json:",omitempty"`

	// Noise puts control characters around all JSON. C (old releases)
	Noise bool `json:",omitempty"`
	// UpperUUIDs writes UUIDs in capitals, as some releases do. C
	UpperUUIDs bool `json:",omitempty"`
	// AllAddrs lists every address in ip_configured, not only the first. C
	AllAddrs bool `json:",omitempty"`
	// StaleAddrs keeps the last addresses of a VM that does not run in the
	// detailed list, as release 20 does. C
	StaleAddrs bool `json:",omitempty"`
	// MaskSuffix writes addresses with "/255.255.255.0" behind. C
	MaskSuffix bool `json:",omitempty"`
	// NoNetworkBlock leaves Network out of the detailed list, as release 16.5
	// does. C
	NoNetworkBlock bool `json:",omitempty"`
	// EmptyHomes leaves Home empty where many VMs are listed in detail. C
	EmptyHomes bool `json:",omitempty"`
	// QuotedStatus quotes the name in status. A
	QuotedStatus bool `json:",omitempty"`
	// SilentSnapshots prints nothing, in the place of {}, for no snapshots. C
	SilentSnapshots bool `json:",omitempty"`

	// AdapterOff: "Connect Mac to this network" is off, so that the network
	// has no adapter. C
	AdapterOff bool `json:",omitempty"`
	// NoDHCP leaves the DHCP server out. C
	NoDHCP bool `json:",omitempty"`
	// Subnet is the first three bytes of the Shared network; "" is
	// "10.211.55".
	Subnet string `json:",omitempty"`
	// ScopeStart and ScopeEnd are the DHCP range; "" is .1 and .99, as the
	// users of mpd-virt have it. Parallels' own default is .1 to .254. C
	ScopeStart, ScopeEnd string `json:",omitempty"`
	// LeaseFile is where the DHCP server's leases are written, at each call
	// after they changed; "" is nowhere.
	LeaseFile string `json:",omitempty"`
}

// The durations of a Mac, before scaling. Where no measurement is known they
// are guesses of the right size (A).
const (
	listTime      = 40 * time.Millisecond  // A
	infoTime      = 200 * time.Millisecond // C: about five times a plain list
	startTime     = 1500 * time.Millisecond
	startingTime  = 2500 * time.Millisecond // C: "running" 2.5 s after start returned
	resumeTime    = 2 * time.Second
	suspendTime   = 5 * time.Second
	stopTime      = 8 * time.Second
	wedgedTime    = 120 * time.Second // C: a guest that does not stop
	killTime      = 500 * time.Millisecond
	killLag       = 3 * time.Second // C: still "running" after --kill
	linkedTime    = 2 * time.Second // C
	copyTime      = 90 * time.Second
	removeTime    = time.Second
	configureTime = 300 * time.Millisecond
)

func (s *Settings) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.Delay)
}

func or(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

func (s *Settings) subnet() string { return or(s.Subnet, "10.211.55") }

func (s *Settings) scope() (first, last string) {
	return or(s.ScopeStart, s.subnet()+".1"), or(s.ScopeEnd, s.subnet()+".99")
}

func (s *Settings) killLag() time.Duration {
	if s.KillLag > 0 {
		return s.scaled(s.KillLag)
	}
	return s.scaled(killLag)
}
