// Package sshconfig keeps what mpd-virt adds to the user's SSH settings: a
// file of its own with one entry for each VM and each of its containers, and
// one line in ~/.ssh/config that includes that file.
//
// [Files.Assert] makes both as the registry says, [Files.Check] only looks.
// Below them stand pure functions: [Render] writes our file, [AddInclude] and
// [RemoveInclude] edit the user's, of which every byte that is not our line
// stays as it is, so that removing the line restores the file exactly.
//
// The package does not parse SSH settings: the only question it asks of the
// user's file is which of its lines are, byte for byte, ours. What ssh makes
// of the settings is for ssh to say (`ssh -G`). Host keys are written
// elsewhere; here they are only named by their files. The forms written are
// those of OpenSSH 8.9 and later.
package sshconfig

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// VM is what the entries of one VM say. All fields but Port are needed.
type VM struct {
	Octet hypervisor.Octet // names the aliases: mpd-NNN, mpd-NNN-php, ...
	Addr  netip.Addr       // IPv4 address at which the VM's SSH server answers
	Port  uint16           // 0 is 22
	User  hypervisor.User  // account in the VM and in its containers

	// KnownHosts is the absolute path of the file that holds the VM's pinned
	// keys under the name mpd-NNN. ssh only reads it.
	KnownHosts string
	// ContainerKnownHosts is the absolute path of the file in which ssh
	// itself keeps the containers' keys. No other VM may share it: the
	// containers have the same host names in every VM.
	ContainerKnownHosts string
}

// containers are the containers of a VM that run an SSH server, by the last
// part of their alias, which is also the first label of their name.
var containers = [...]string{"php", "node", "util"}

const header = `# Written by mpd-virt from its registry; changes made here are lost.
# Other settings for these hosts can stand in ~/.ssh/config, for instance
# under "Host mpd-*".
`

// Render returns the whole text of our file: a header and the entries of all
// VMs, sorted by octet, the same bytes for the same VMs in any order. It fails
// if two VMs have one octet, if a value is not valid, or if a path cannot be
// written in SSH settings.
func Render(vms []VM) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(vms), func(a, b VM) int {
		return cmp.Compare(a.Octet, b.Octet)
	})
	var out bytes.Buffer
	out.WriteString(header)
	for i, vm := range sorted {
		if i > 0 && sorted[i-1].Octet == vm.Octet {
			return nil, fmt.Errorf("ssh entries: %s is there twice", vm.Octet.VMName())
		}
		if err := vm.render(&out); err != nil {
			return nil, fmt.Errorf("ssh entries of %s: %w", vm.Octet.VMName(), err)
		}
	}
	return out.Bytes(), nil
}

func (vm VM) render(out *bytes.Buffer) error {
	pins, keys, err := vm.check()
	if err != nil {
		return err
	}
	name := vm.Octet.VMName()
	// UpdateHostKeys: with a user's "Host *" that says yes, ssh would write
	// the keys that the VM announces into the pin file, and what the VM says
	// of itself would become what we trust.
	fmt.Fprintf(out, `
Host %[1]s
    HostName %[2]s
    Port %[3]d
    User %[4]s
    HostKeyAlias %[1]s
    UserKnownHostsFile %[5]s
    StrictHostKeyChecking yes
    UpdateHostKeys no
`, name, vm.Addr, vm.port(), vm.User, pins)
	for _, c := range containers {
		fmt.Fprintf(out, `
Host %[1]s-%[2]s
    HostName %[2]s.runtime.mpd.test
    User %[3]s
    ProxyJump %[1]s
    UserKnownHostsFile %[4]s
    StrictHostKeyChecking accept-new
`, name, c, vm.User, keys)
	}
	return nil
}

// check returns the two paths as they are written in SSH settings.
func (vm VM) check() (pins, keys string, err error) {
	if !vm.Octet.Valid() {
		return "", "", fmt.Errorf("octet %s is out of range", vm.Octet)
	}
	if !vm.Addr.Is4() {
		return "", "", fmt.Errorf("%s is not an IPv4 address", vm.Addr)
	}
	// A User made by conversion has not been through the parser, and a space
	// or newline in it would become further settings.
	if _, err := hypervisor.ParseUser(string(vm.User)); err != nil {
		return "", "", err
	}
	if pins, err = expandedPath(vm.KnownHosts); err != nil {
		return "", "", err
	}
	if keys, err = expandedPath(vm.ContainerKnownHosts); err != nil {
		return "", "", err
	}
	return pins, keys, nil
}

func (vm VM) port() uint16 {
	if vm.Port == 0 {
		return 22
	}
	return vm.Port
}
