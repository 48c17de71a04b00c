package utm

import (
	"context"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Locate costs one process. UTM does not know its guests' addresses, so that no VM
// is found by one, and Machine.Addr is not valid.
//
// If the VM with the UUID is gone and another one has the name mpd-NNN, the error
// is both ErrNoMachine and ErrDrift, and names that one.
func (b *Backend) Locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	vms, err := b.list(ctx)
	if err == nil {
		var m hypervisor.Machine
		if m, err = choose(vms, q); err == nil {
			return m, nil
		}
	}
	return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), err)
}

// choose is the VM that the query means.
func choose(vms []hypervisor.Machine, q hypervisor.Query) (hypervisor.Machine, error) {
	name := q.Octet.VMName()
	named := which(vms, func(m hypervisor.Machine) bool { return m.Name == name })
	if q.UUID != "" {
		found := which(vms, func(m hypervisor.Machine) bool { return sameUUID(m.UUID, q.UUID) })
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(named) > 0:
			return hypervisor.Machine{}, fmt.Errorf("%w with UUID %s; its name is now that of %s: %w",
				hypervisor.ErrNoMachine, plaintext.Short(q.UUID), title(named[0]), hypervisor.ErrDrift)
		}
		return hypervisor.Machine{}, fmt.Errorf("%w with UUID %s", hypervisor.ErrNoMachine, plaintext.Short(q.UUID))
	}
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		text := "none is called " + name
		if near := which(vms, func(m hypervisor.Machine) bool { return strings.EqualFold(m.Name, name) }); len(near) > 0 {
			text += fmt.Sprintf("; %s has the name in other letters", title(near[0]))
		}
		return hypervisor.Machine{}, fmt.Errorf("%w: %s", hypervisor.ErrNoMachine, text)
	}
	return hypervisor.Machine{}, fmt.Errorf("%w: %s", hypervisor.ErrAmbiguous, each(named))
}

// list is all VMs.
func (b *Backend) list(ctx context.Context) ([]hypervisor.Machine, error) {
	vms, err := ask(ctx, func() ([]hypervisor.Machine, error) {
		out, scripted, err := b.utmctl(ctx, []string{"list"}, scriptList, argvScript("list"), askLimit)
		switch {
		case err != nil:
			return nil, err
		case scripted:
			return decodeVMs(out)
		}
		return decodeTable(out)
	})
	if err != nil {
		return nil, err
	}
	return b.draft.over(vms), nil
}

// read looks at the VM uuid; hypervisor.Missing if it is not there. ErrDrift if
// another VM may be the one that is meant: only the UUID is known here, not the
// octet, so that a VM of any other name is in doubt as soon as there is a VM
// mpd-NNN.
func (b *Backend) read(ctx context.Context, uuid string) (hypervisor.Machine, error) {
	vms, err := b.list(ctx)
	if err != nil {
		return hypervisor.Machine{}, err
	}
	found := which(vms, func(m hypervisor.Machine) bool { return sameUUID(m.UUID, uuid) })
	if len(found) == 0 {
		return hypervisor.Machine{UUID: uuid, State: hypervisor.Missing}, nil
	}
	m := found[0]
	if doubt := which(vms, func(o hypervisor.Machine) bool {
		return o.UUID != m.UUID && canonical(o.Name) && (strings.EqualFold(o.Name, m.Name) || !canonical(m.Name))
	}); len(doubt) > 0 {
		return m, fmt.Errorf("%w: %s is recorded, and there is %s", hypervisor.ErrDrift, title(m), each(doubt))
	}
	return m, nil
}

// canonical says whether name is an mpd-NNN, in any letters.
func canonical(name string) bool {
	digits, ok := strings.CutPrefix(strings.ToLower(name), "mpd-")
	_, err := hypervisor.ParseOctet(digits)
	return ok && err == nil
}

// title names a VM for people so that two of one name can be told apart.
func title(m hypervisor.Machine) string {
	return fmt.Sprintf("%q (UUID %s)", plaintext.Short(m.Name), m.UUID)
}

func which(vms []hypervisor.Machine, fits func(hypervisor.Machine) bool) (out []hypervisor.Machine) {
	for _, m := range vms {
		if fits(m) {
			out = append(out, m)
		}
	}
	return out
}

func each(vms []hypervisor.Machine) string {
	texts := make([]string, len(vms))
	for i, m := range vms {
		texts[i] = title(m)
	}
	return strings.Join(texts, ", ")
}
