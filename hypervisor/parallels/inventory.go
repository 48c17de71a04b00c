package parallels

import (
	"context"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// list is all VMs with their states, without their addresses.
func (b *Backend) list(ctx context.Context) ([]vm, error) { return b.inventory(ctx, false) }

// inventory is all VMs, without the templates.
func (b *Backend) inventory(ctx context.Context, addresses bool) ([]vm, error) {
	argv := argvList()
	if addresses {
		argv = argvAddresses()
	}
	out, err := b.ask(ctx, argv)
	if err != nil {
		return nil, err
	}
	vms, err := decodeList(out)
	if err != nil {
		return nil, err
	}
	return b.draft.over(vms), nil
}

// templates is all templates, which no list of VMs shows.
func (b *Backend) templates(ctx context.Context) ([]vm, error) {
	out, err := b.ask(ctx, argvTemplates())
	if err != nil {
		return nil, err
	}
	return decodeTemplates(out)
}

// String names a VM for people so that two of one name can be told apart.
func (v vm) String() string { return fmt.Sprintf("%q (UUID %s)", plaintext.Short(v.name), v.uuid) }

func which(vms []vm, fits func(vm) bool) (out []vm) {
	for _, v := range vms {
		if fits(v) {
			out = append(out, v)
		}
	}
	return out
}

func each(vms []vm) string {
	texts := make([]string, len(vms))
	for i, v := range vms {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}

// read looks at the VM uuid; hypervisor.Missing if it is not there.
func (b *Backend) read(ctx context.Context, uuid string) (v vm, others []vm, err error) {
	vms, err := b.list(ctx)
	if err != nil {
		return vm{}, nil, err
	}
	v = vm{uuid: uuid, state: hypervisor.Missing}
	for _, w := range vms {
		if sameUUID(w.uuid, uuid) {
			v = w
		} else {
			others = append(others, w)
		}
	}
	return v, others, nil
}

// drift is ErrDrift if one of the others may be the VM that is meant. Only the
// UUID is known here, not the octet, so that a VM of any other name is in doubt
// as soon as there is a VM mpd-NNN. To turn it on or off, the UUID is enough: it
// may have kept its name when it was adopted.
func drift(v vm, others []vm, careful bool) error {
	if canonical(v.name) {
		if twins := which(others, func(w vm) bool { return strings.EqualFold(w.name, v.name) }); len(twins) > 0 {
			return fmt.Errorf("%w: %s is recorded, and there is %s", hypervisor.ErrDrift, v, each(twins))
		}
		return nil
	}
	if !careful {
		return nil
	}
	if ours := which(others, func(w vm) bool { return canonical(w.name) }); len(ours) > 0 {
		return hint.Wrap(fmt.Errorf("%w: %s is recorded, but has no name like mpd-NNN, which is that of %s", hypervisor.ErrDrift, v, each(ours)),
			"if it is the right one, give it its name while it is stopped:\nprlctl set "+v.uuid+" --name mpd-NNN")
	}
	return nil
}

// renamed is ErrDrift if a VM is no longer called as it was a moment ago.
func renamed(v vm, name string) error {
	if v.name == name {
		return nil
	}
	return fmt.Errorf("%w: %s was called %q a moment ago", hypervisor.ErrDrift, v, plaintext.Short(name))
}

// canonical says whether name is an mpd-NNN, in any letters.
func canonical(name string) bool {
	digits, ok := strings.CutPrefix(strings.ToLower(name), "mpd-")
	_, err := hypervisor.ParseOctet(digits)
	return ok && err == nil
}
