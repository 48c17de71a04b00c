package mpdvirt

import "context"

// SSHCommand returns the argument list with which the system's ssh logs in to
// a registered VM, for the caller to run or to become. It re-asserts the SSH
// entries, so that the alias in it works. It contacts nobody and takes the shared
// lock alone. The error is ErrNotRegistered or *EntryError if there is no usable
// entry.
func (m *Manager) SSHCommand(ctx context.Context, req SSHRequest) ([]string, error) {
	r, err := m.begun("ssh", req.Octet)
	if err != nil {
		return nil, err
	}
	if _, err := m.registered(req.Octet); err != nil {
		return nil, r.fail(err)
	}
	if _, err := m.ensureAliases(ctx, r); err != nil {
		return nil, r.fail(err)
	}
	argv := m.sshTo(req.Octet)
	if len(req.Args) > 0 {
		// ssh looks for options also behind the host's name.
		argv = append(append(argv, "--"), req.Args...)
	}
	return argv, nil
}

// sshTo is ssh to the VM's alias with the given options.
func (m *Manager) sshTo(o Octet, options ...string) []string {
	argv := append([]string{"ssh"}, m.sshArgs...)
	return append(append(argv, options...), o.VMName())
}
