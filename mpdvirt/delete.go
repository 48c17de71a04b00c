package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/hypervisor"
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
	entry, err := m.state.Load(req.Octet)
	missing := errors.Is(err, registry.ErrNotRegistered)
	switch {
	case missing && !m.unfinished(req.Octet):
		return nil, r.fail(hint.Wrap(registry.ErrNotRegistered, "mpd-virt list"))
	case err != nil && !missing:
		return nil, r.fail(err)
	}
	lock, err := m.lockOctet(ctx, req.Octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	res := &DeleteResult{Schema: DeleteSchema, Name: req.Octet.VMName(), Removed: []string{}}
	var destroy hypervisor.Lifecycle
	if !missing && !req.KeepVM {
		if destroy, err = m.destroyer(entry); err != nil {
			return nil, r.fail(err)
		}
	}
	if err := m.confirmDelete(ctx, req, destroy != nil); err != nil {
		return nil, r.fail(err)
	}
	if destroy != nil {
		if err := destroy.Delete(ctx, entry.UUID); err != nil {
			return nil, r.fail(fmt.Errorf("nothing is forgotten, because the VM could not be destroyed: %w", err))
		}
		res.Removed = append(res.Removed, "VM "+entry.Name()+" and its disk")
	} else {
		res.Left = append(res.Left, fmt.Sprintf("the VM itself: %s", leftWhy(entry, missing, req.KeepVM)))
	}
	return res, r.fail(m.forget(ctx, r, res))
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
func (m *Manager) destroyer(e registry.Entry) (hypervisor.Lifecycle, error) {
	b, err := m.backend(e.Backend)
	if err != nil {
		return nil, hint.Wrap(err, fmt.Sprintf("mpd-virt delete %s --keep-vm     (forgets the VM and leaves it where it is)", e.Octet))
	}
	l, _ := b.(hypervisor.Lifecycle)
	if l != nil && e.UUID == "" {
		return nil, hint.Wrap(fmt.Errorf("%s: no UUID is recorded, so it is not known which VM to destroy", m.state.EnvFile(e.Octet)),
			fmt.Sprintf("mpd-virt delete %s --keep-vm     (forgets the VM and leaves it where it is)", e.Octet))
	}
	return l, nil
}

func (m *Manager) confirmDelete(ctx context.Context, req DeleteRequest, destroys bool) error {
	if req.Yes {
		return nil
	}
	question := fmt.Sprintf("Forget %s and its pinned host key, and leave the VM as it is?", req.Octet.VMName())
	if destroys {
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
