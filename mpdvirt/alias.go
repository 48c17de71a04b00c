package mpdvirt

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/internal/sshconfig"
)

// aliases are the SSH entries that the registry asks for.
func (m *Manager) aliases(without ...Octet) ([]sshconfig.VM, error) {
	entries, err := m.entries(without...)
	if err != nil {
		return nil, err
	}
	var vms []sshconfig.VM
	for _, e := range entries {
		vms = append(vms, m.aliasOf(e))
	}
	return vms, nil
}

func (m *Manager) aliasOf(e registry.Entry) sshconfig.VM {
	return sshconfig.VM{
		Octet: e.Octet, Addr: e.Addr, User: e.User,
		KnownHosts:          m.state.KnownHosts(e.Octet),
		ContainerKnownHosts: filepath.Join(m.state.Dir(e.Octet), "known_hosts_containers"),
	}
}

// assertAliases makes the SSH entries as the registry asks and says whether
// they were different.
func (m *Manager) assertAliases(ctx context.Context, r *run, without ...Octet) (changed bool, err error) {
	err = m.locked(ctx, r.verb, func() error {
		// Read under the lock: another VM may be registered meanwhile.
		vms, err := m.aliases(without...)
		if err != nil {
			return err
		}
		changed, err = m.alias.Assert(vms)
		return err
	})
	return changed, err
}

// ensureAliases is assertAliases for verbs that mostly find all in order: it
// takes the lock only if something has to be written.
func (m *Manager) ensureAliases(ctx context.Context, r *run) (changed bool, err error) {
	vms, err := m.aliases()
	if err != nil {
		return false, err
	}
	if err := m.alias.Check(vms); !errors.Is(err, sshconfig.ErrDiffers) {
		return false, err
	}
	return m.assertAliases(ctx, r)
}
