package mpdvirt

import (
	"net/netip"
)

// VM is a registry entry as verbs show it. What is not known is zero.
type VM struct {
	Octet   Octet      `json:"octet"`
	Name    string     `json:"name"` // mpd-NNN
	Backend string     `json:"backend,omitempty"`
	Addr    netip.Addr `json:"ip,omitzero"` // where it answers, or should
	User    User       `json:"user,omitempty"`
	// State is the hypervisor's word, "" if its backend has none, or
	// "broken" or "unfinished" for an entry that cannot be used yet.
	State State  `json:"state"`
	UUID  string `json:"uuid,omitempty"` // as the hypervisor writes it
	Disk  Size   `json:"disk,omitempty"` // bytes
	RAM   Size   `json:"ram,omitempty"`  // bytes
	// Error says why a broken entry is broken (file:line: key: why) or why the
	// state could not be asked.
	Error string `json:"error,omitempty"`
	// Next is the command that an unfinished or broken entry needs.
	Next string `json:"next,omitempty"`
}

// States of entries that no hypervisor knows; see VM.State.
const (
	Broken     State = "broken"
	Unfinished State = "unfinished"
)
