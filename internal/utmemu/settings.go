package utmemu

import "time"

// Settings are habits of one Mac and its UTM. The zero value is an Apple Silicon
// Mac with UTM 4.7.5 on which nothing takes time.
type Settings struct {
	// Delay is the scale of all durations; 0 is no time.
	Delay float64 `json:",omitempty"`
	// Version is UTM's; "" is 4.7.5.
	Version string `json:",omitempty"`
	// Absent: there is no UTM at all.
	Absent bool `json:",omitempty"`
	// NoUtmctl: the app has no utmctl in its bundle. A
	NoUtmctl bool `json:",omitempty"`
	// OnPath: utmctl is also found as a bare name, as Homebrew links it. C
	OnPath bool `json:",omitempty"`
	// Denied: the terminal may not send Apple events to UTM. R
	Denied bool `json:",omitempty"`
	// NotRunning: UTM does not run and cannot be started, as over SSH. R
	NotRunning bool `json:",omitempty"`
	// Localised: macOS speaks Japanese. R
	Localised bool `json:",omitempty"`
	// StatusBroken: each status is unknown, as in 4.7.1 and 4.7.2. C
	StatusBroken bool `json:",omitempty"`
	// NewWords: a status that this package does not know is told as it is; UTM's
	// releases so far say "unknown". A
	NewWords bool `json:",omitempty"`
	// Intel: the Mac's architecture is x86_64. C: no memory is saved there.
	Intel bool `json:",omitempty"`
	// Bridge is the Mac's address on bridge100, like "192.168.65.1"; "" is that
	// there is no such interface, since no VM runs.
	Bridge string `json:",omitempty"`
	// Mask of the bridge, as ifconfig writes it; "" is 0xffffff00.
	Mask string `json:",omitempty"`
	// Recorded is the address in vmnet's preferences; "" is that there are none.
	Recorded string `json:",omitempty"`
}

func (s Settings) version() string {
	if s.Version == "" {
		return "4.7.5"
	}
	return s.Version
}

func (s Settings) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) * s.Delay) }

// How long states pass on a Mac. A, all of them
const (
	startTime   = 2 * time.Second
	resumeTime  = time.Second
	saveTime    = 4 * time.Second
	killTime    = time.Second
	requestTime = 8 * time.Second
	makeTime    = 20 * time.Second
	updateTime  = time.Second
)
