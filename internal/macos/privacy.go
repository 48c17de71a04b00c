package macos

import (
	"errors"
	"syscall"
	"time"
)

// PrivacyPane is where people allow programs into the local network. That the
// pane has this name is an assumption.
const PrivacyPane = "x-apple.systempreferences:com.apple.preference.security?Privacy_LocalNetwork"

// PrivacyText explains what LooksLikePrivacy has recognised, and PrivacyFix
// what to do about it.
const (
	PrivacyText = `macOS seems to keep this program out of the local network, so a VM that runs can look dead. ` +
		`The permission belongs to the terminal app in which the program was started, not to the program; ` +
		`what runs as root, or in Apple's Terminal, needs none.`
	PrivacyFix = `In System Settings > Privacy & Security > Local Network, turn the terminal app on, then quit and reopen it ` +
		`(in tmux, end its server too).`
)

// privacyWithin is how soon macOS refuses what it does not allow: within 50 ms,
// and some more for a busy Mac. For a machine that is really absent it first
// looks for seconds.
const privacyWithin = 200 * time.Millisecond

// LooksLikePrivacy says whether an attempt to reach a machine in one of the
// Mac's own networks, a VM's address, failed as it does when macOS's Local
// Network privacy forbids it: "no route to host" at once, from macOS 15 on. took
// is how long the attempt lasted. macOS has no way to ask, so this is a
// suspicion, and none if the version is not known; the caller has seen that the
// address is on-link (Route.OnLink), for privacy concerns nothing else.
func LooksLikePrivacy(err error, took time.Duration, v Version) bool {
	return errors.Is(err, syscall.EHOSTUNREACH) && took < privacyWithin && v.Compare(Version{Major: 15}) >= 0
}
