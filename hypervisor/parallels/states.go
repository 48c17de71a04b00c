package parallels

import (
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// maxWord bounds a state that is shown as the tool wrote it.
const maxWord = 40

// parseState maps prlctl's word for a state, always as a whole: "stopping"
// holds "stop", and a VM may be called "exist stopped". A word that
// package hypervisor does not know stays as it is, without what could disturb a
// terminal.
func parseState(word string) hypervisor.State {
	word = strings.TrimSpace(plaintext.Clean(word))
	switch s := hypervisor.State(strings.ToLower(word)); s {
	case hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused,
		hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming:
		return s
	case "restoring", "continuing":
		return hypervisor.Resuming
	case "missing":
		// Only mpd-virt says that, of a VM that is not in the list at all.
		return "listed as missing"
	}
	if r := []rune(word); len(r) > maxWord {
		word = string(r[:maxWord-1]) + "…" // never a whole word that is known
	}
	if word == "" {
		return "unknown"
	}
	return hypervisor.State(word)
}

// passing says whether a VM leaves the state s by itself. Parallels refuses
// most verbs until it has.
func passing(s hypervisor.State) bool {
	switch s {
	case hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming,
		"pausing", "resetting", "compacting", "snapshoting", "migrating", "del_snapshot", "syncing", "reconnecting":
		return true
	}
	return false
}
