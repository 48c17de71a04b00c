// Package rehearsal keeps what a backend assumes of VMs while it rehearses: see
// [hypervisor.Rehearser]. A backend that rehearses asks its tool as always, lays
// [VMs.Over] over each answer, and hands each command that would change something
// to [VMs.Tell] instead of starting it, with what the VM is then like. So its own
// loops, which believe only what they read afterwards, run as they do otherwise.
package rehearsal

import (
	"slices"
	"strings"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// VMs is one rehearsal of one backend. Its methods may be called at the same
// time.
type VMs struct {
	tell func(hypervisor.Command)

	mu      sync.Mutex
	assumed []hypervisor.Machine // with State Missing: gone
}

// New begins a rehearsal whose commands go to tell, one at a time.
func New(tell func(hypervisor.Command)) *VMs { return &VMs{tell: tell} }

// Tell hands on a command and assumes that the VM with m's UUID is then as m
// says; its address is not known any more.
func (r *VMs) Tell(c hypervisor.Command, m hypervisor.Machine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell(c)
	m.Addr = hypervisor.Machine{}.Addr
	if i := r.find(m.UUID); i >= 0 {
		r.assumed[i] = m
	} else {
		r.assumed = append(r.assumed, m)
	}
}

func (r *VMs) find(uuid string) int {
	return slices.IndexFunc(r.assumed, func(m hypervisor.Machine) bool { return strings.EqualFold(m.UUID, uuid) })
}

// Assumed is what the VM is assumed to be like; false if what the tool says of it
// is true.
func (r *VMs) Assumed(uuid string) (hypervisor.Machine, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.find(uuid); i >= 0 {
		return r.assumed[i], true
	}
	return hypervisor.Machine{}, false
}

// Over is the list of VMs that the tool would give if all that was told had been
// done.
func (r *VMs) Over(list []hypervisor.Machine) []hypervisor.Machine {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.DeleteFunc(slices.Clone(list), func(m hypervisor.Machine) bool { return r.find(m.UUID) >= 0 })
	for _, m := range r.assumed {
		if m.State != hypervisor.Missing {
			out = append(out, m)
		}
	}
	return out
}
