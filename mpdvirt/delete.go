package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// Delete destroys a VM on its hypervisor, if its backend can and KeepVM does
// not say otherwise, and then forgets it: SSH entries, pinned host key, entry,
// journal and logs. The VM's keys in conf/ stay, so that a VM made later under
// the same octet gets them again. An octet whose setup did not finish is
// forgotten likewise.
//
// If the VM cannot be destroyed, nothing is forgotten. A Delete that was
// interrupted is finished by the next. The error is ErrDeclined if the person
// says no or nobody can be asked, ErrNotRegistered if there is nothing to
// delete.
func (m *Manager) Delete(ctx context.Context, req DeleteRequest) (*DeleteResult, error) {
	r, err := m.begun("delete", req.Octet)
	if err != nil {
		return nil, err
	}
	if _, _, err := m.deletable(req.Octet); err != nil {
		return nil, r.fail(err)
	}
	lock, err := m.lockOctet(ctx, req.Octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	// Once more: the run that held the lock may have registered the VM.
	entry, missing, err := m.deletable(req.Octet)
	if err != nil {
		return nil, r.fail(err)
	}
	res := &DeleteResult{Schema: DeleteSchema, Name: req.Octet.VMName(), Removed: []string{}}
	doomed, err := m.doomed(ctx, req, entry, missing)
	if err != nil {
		return nil, r.fail(err)
	}
	if err := m.confirmDelete(ctx, req, doomed); err != nil {
		return nil, r.fail(err)
	}
	if err := lock.Check(); err != nil { // the person may have thought for long
		return nil, r.fail(err)
	}
	if doomed != nil && doomed.backend != nil {
		if err := m.destroy(ctx, doomed.backend, r.octet, doomed.uuid); err != nil {
			return nil, r.fail(fmt.Errorf("nothing is forgotten, because the VM could not be destroyed: %w", err))
		}
	}
	switch {
	case doomed != nil && !doomed.gone:
		res.Removed = append(res.Removed, "VM "+res.Name+" and its disk, "+doomed.uuid)
	case doomed != nil && doomed.uuid == "":
		res.Left = append(res.Left, "no VM: none was made yet")
	case doomed != nil:
		res.Left = append(res.Left, "no VM: there is none any more")
	default:
		res.Left = append(res.Left, fmt.Sprintf("the VM itself: %s", leftWhy(entry, missing, req.KeepVM)))
	}
	return res, r.fail(m.forget(ctx, r, res))
}

// deletable is what there is to delete: an entry, or an octet whose setup did
// not finish, which has none.
func (m *Manager) deletable(o Octet) (entry registry.Entry, unfinished bool, err error) {
	entry, err = m.state.Load(o)
	switch {
	case !errors.Is(err, registry.ErrNotRegistered):
		return entry, false, err
	case !m.unfinished(o):
		return entry, false, hint.Wrap(registry.ErrNotRegistered, "mpd-virt list")
	}
	return entry, true, nil
}

// doomed is a VM that delete destroys.
type doomed struct {
	backend managing // nil: there is nothing to be destroyed
	uuid    string
	gone    bool // the hypervisor does not list it any more
}

// doomed is the VM that goes with the entry, or with an order that did not get
// as far as an entry; nil if there is none that is ours to destroy.
func (m *Manager) doomed(ctx context.Context, req DeleteRequest, e registry.Entry, unfinished bool) (*doomed, error) {
	if req.KeepVM {
		return nil, nil
	}
	if !unfinished {
		l, err := m.destroyer(ctx, e)
		if l == nil || err != nil {
			return nil, err
		}
		_, err = m.located(ctx, e)
		gone := errors.Is(err, hypervisor.ErrNoMachine)
		if gone {
			err = nil
		}
		return &doomed{l, e.UUID, gone}, err
	}
	j, err := bootstrap.LoadJournal(m.files, m.journalFile(req.Octet), req.Octet)
	if err != nil || j.Making == nil {
		return nil, nil // nothing was ordered: the VM, if any, is somebody's own
	}
	b, err := m.backend(j.Backend)
	if err != nil {
		return nil, err
	}
	c, ok := b.(managing)
	if !ok {
		return nil, nil
	}
	machine, err := (&target{backend: c, journal: j}).ours(ctx, netip.Addr{})
	switch {
	case errors.Is(err, hypervisor.ErrDrift):
		return nil, hint.Wrap(err, strings.TrimPrefix(hint.Of(err)+"\n", "\n")+keepVM(req.Octet))
	case errors.Is(err, hypervisor.ErrNoMachine) && j.UUID == "":
		return &doomed{gone: true}, nil
	case errors.Is(err, hypervisor.ErrNoMachine):
		return &doomed{c, j.UUID, true}, nil // Delete finds out whether it is only hidden
	}
	return &doomed{c, machine.UUID, false}, err
}

// destroy destroys a VM and its disk.
func (m *Manager) destroy(ctx context.Context, l managing, o Octet, uuid string) error {
	return m.does(l, o, func() error { return l.Delete(ctx, uuid) }, "destroy %s, %s, and its disk", o.VMName(), uuid)
}

// located is the VM with the recorded UUID, whatever its name.
func (m *Manager) located(ctx context.Context, e registry.Entry) (hypervisor.Machine, error) {
	b, err := m.backend(e.Backend)
	if err != nil {
		return hypervisor.Machine{}, err
	}
	return b.Locate(ctx, hypervisor.Query{Octet: e.Octet, UUID: e.UUID})
}

// keepVM is the command for those whose VM cannot be destroyed.
func keepVM(o Octet) string {
	return fmt.Sprintf("mpd-virt delete %s --keep-vm     (forgets the VM and leaves it where it is)", o)
}

func leftWhy(e registry.Entry, unfinished, keep bool) string {
	switch {
	case unfinished:
		return "it was never registered"
	case keep:
		return "as asked"
	default:
		return "the " + e.Backend + " backend manages no VMs"
	}
}

// destroyer is the backend of a VM if it can destroy it, nil if it manages no
// VMs.
func (m *Manager) destroyer(ctx context.Context, e registry.Entry) (managing, error) {
	b, err := m.backend(e.Backend)
	if err != nil {
		return nil, hint.Wrap(err, keepVM(e.Octet))
	}
	l, _ := b.(managing)
	if l != nil && e.UUID == "" {
		return nil, hint.Wrap(m.noUUID(e), keepVM(e.Octet))
	}
	if l == nil {
		return nil, nil
	}
	return l, sameVM(ctx, b, e)
}

func (m *Manager) confirmDelete(ctx context.Context, req DeleteRequest, d *doomed) error {
	if req.Yes {
		return nil
	}
	question := fmt.Sprintf("Forget %s and its pinned host key, and leave the VM as it is?", req.Octet.VMName())
	switch {
	case d != nil && d.gone:
		question = fmt.Sprintf("Forget %s, whose VM is gone, and its pinned host key?", req.Octet.VMName())
	case d != nil:
		question = fmt.Sprintf("Delete %s and its disk?", req.Octet.VMName())
	}
	if m.cfg.Prompter == nil {
		return hint.Wrap(fmt.Errorf("%w: nobody can be asked", ErrDeclined), fmt.Sprintf("mpd-virt delete %s --yes", req.Octet))
	}
	yes, err := m.cfg.Prompter.Confirm(ctx, question)
	if err == nil && !yes {
		err = ErrDeclined
	}
	return err
}

// forget removes what the Mac knows of a VM; the entry goes last, so that a
// Delete that ends early is seen and repeated.
func (m *Manager) forget(ctx context.Context, r *run, res *DeleteResult) error {
	changed, err := m.assertAliases(ctx, r, r.octet)
	if err != nil {
		return err
	}
	if changed {
		res.Removed = append(res.Removed, "SSH entries "+r.octet.VMName()+" and "+r.octet.VMName()+"-*")
	}
	if err := m.state.Remove(r.octet); err != nil {
		return err
	}
	res.Removed = append(res.Removed, m.state.Dir(r.octet)+": entry, pinned host key, journal, logs")
	if conf := m.keys.ImportFile(r.octet); exists(conf) {
		res.Left = append(res.Left, "its keys and confs, for the next VM with this number: "+filepath.Dir(conf))
	}
	return nil
}
