package parallels

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Locate costs one process, and a second one for the address of a VM that runs.
// Releases of Parallels that tell addresses only in their short lists (up to 16
// at least) need a third.
//
// The address comes from Parallels Tools; if they say nothing, from the lease
// of the DHCP server. Only a plain IPv4 address of the Shared network counts,
// the canonical one before others.
//
// If the VM with the UUID is gone and another one has the name mpd-NNN, the
// error is both ErrNoMachine and ErrDrift, and names that one.
func (b *Backend) Locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	name := q.Octet.VMName()
	byAddr := q.UUID == "" && q.Addr.IsValid()
	vms, err := b.inventory(ctx, byAddr)
	if err != nil {
		return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", name, err)
	}
	v, err := choose(vms, q)
	if err != nil {
		return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", name, err)
	}
	m := v.machine()
	if m.Addr, err = b.address(ctx, v, q); err != nil {
		return hypervisor.Machine{}, fmt.Errorf("locate %s: ask for the address of %s: %w", name, v, err)
	}
	return m, nil
}

// At costs one process, which may wait for each guest that runs.
func (b *Backend) At(ctx context.Context, addr netip.Addr) ([]hypervisor.Machine, error) {
	vms, err := b.inventory(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("ask who has %v: %w", addr, err)
	}
	var out []hypervisor.Machine
	for _, v := range which(vms, func(v vm) bool { return slices.Contains(v.addrs, addr) }) {
		m := v.machine()
		m.Addr = addr
		out = append(out, m)
	}
	return out, nil
}

// choose is the VM that the query means.
func choose(vms []vm, q hypervisor.Query) (vm, error) {
	name := q.Octet.VMName()
	named := which(vms, func(v vm) bool { return v.name == name })
	if q.UUID != "" {
		found := which(vms, func(v vm) bool { return sameUUID(v.uuid, q.UUID) })
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(named) > 0:
			return vm{}, fmt.Errorf("%w with UUID %s; its name is now that of %s: %w",
				hypervisor.ErrNoMachine, plainUUID(q.UUID), named[0], hypervisor.ErrDrift)
		}
		return vm{}, fmt.Errorf("%w with UUID %s", hypervisor.ErrNoMachine, plainUUID(q.UUID))
	}
	if len(named) == 0 && q.Addr.IsValid() {
		named = which(vms, func(v vm) bool { return slices.Contains(v.addrs, q.Addr) })
	}
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		return vm{}, notThere(vms, q)
	}
	return vm{}, fmt.Errorf("%w: %s", hypervisor.ErrAmbiguous, each(named))
}

// notThere says what was looked for in vain.
func notThere(vms []vm, q hypervisor.Query) error {
	name := q.Octet.VMName()
	text := "none is called " + name
	if q.Addr.IsValid() {
		text += fmt.Sprintf(", and none that runs tells the address %v", q.Addr)
	}
	if near := which(vms, func(v vm) bool { return strings.EqualFold(v.name, name) }); len(near) > 0 {
		text += fmt.Sprintf("; %s has the name in other letters", near[0])
	}
	return fmt.Errorf("%w: %s", hypervisor.ErrNoMachine, text)
}

// address is the address of a VM in the Shared network, invalid if it is not
// known or the VM does not run.
func (b *Backend) address(ctx context.Context, v vm, q hypervisor.Query) (netip.Addr, error) {
	if b.draft.assumes(v.uuid) || v.state != hypervisor.Running {
		return netip.Addr{}, nil
	}
	var macs []string
	if len(v.addrs) == 0 {
		var err error
		if v.addrs, macs, err = b.guest(ctx, v.uuid); err != nil {
			return netip.Addr{}, err
		}
	}
	switch {
	case len(v.addrs) == 0:
		return b.leased(macs), nil
	case slices.Contains(v.addrs, q.Addr):
		return q.Addr, nil
	case slices.Contains(v.addrs, q.Octet.In(v.addrs[0])):
		return q.Octet.In(v.addrs[0]), nil
	}
	return v.addrs[0], nil
}

// guest is what the guest tells of its addresses, and its network cards.
func (b *Backend) guest(ctx context.Context, uuid string) ([]netip.Addr, []string, error) {
	out, err := b.ask(ctx, argvDetail(uuid))
	if err != nil {
		return nil, nil, err
	}
	d, err := decodeDetail(out, uuid)
	if err == nil && d.state != hypervisor.Running { // since a moment ago
		return nil, nil, nil
	}
	if err != nil || !d.silent {
		return d.addrs, d.macs, err
	}
	if out, err = b.ask(ctx, argvAddressesOf(uuid)); err != nil {
		return nil, nil, err
	}
	short, err := decodeDetail(out, uuid)
	return short.addrs, d.macs, err
}

// asRefusal says whether the tool itself refused.
func asRefusal(err error) bool { return errors.As(err, new(*refusal)) }
