// Package virsh is a backend for mpd-virt that drives libvirt through its
// command virsh: the VMs are domains of a libvirt daemon with QEMU.
//
// It is an example: it is written with nothing but what package hypervisor
// exports, and passes hypervisortest over an emulator and over a real libvirtd.
// [New] makes a Backend for mpdvirt.Config.Backends:
//
//	run := mpdvirt.NewRunner(os.Environ())
//	backend := virsh.New(virsh.Config{Run: run})
//	m, err := mpdvirt.New(mpdvirt.Config{Runner: run, Backends: append(mpdvirt.DefaultBackends(run, ""), backend)})
//
// # What it needs of libvirt
//
// A network with DHCP whose addresses are a /24 (libvirt's own "default" is
// one), and a storage pool of files. The network's DHCP range should end at .99,
// because .100 to .254 are the canonical addresses of VMs.
//
// # How states are read
//
// The contract wants all VMs in one call, and a VM is its UUID, its name and its
// state. No command of virsh has all three but the table of "virsh list", and
// in a table nobody can tell where a name ends: "a   running" is a fine name.
// So one process of virsh is given several commands: UUIDs with names, UUIDs of
// saved memories, and the statistics, which have names in quotes and states as
// numbers. What was asked one after the other need not fit together; if it does
// not, all is asked again.
//
// # Out of scope
//
// Templates (there is no Cloner), networks without DHCP, and VMs that others
// made without a UUID of libvirt's.
package virsh

import (
	"context"
	"errors"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Config says which libvirt a Backend drives. Only Run is needed.
type Config struct {
	// Run starts virsh. It must run programs with LC_ALL=C, as that of
	// mpdvirt.NewRunner does: messages are read.
	Run hypervisor.Runner
	// URI is libvirt's address of the daemon; "" is qemu:///system.
	URI string
	// Network and Pool are names; "" is default.
	Network, Pool string
	// Type is how new VMs are computed: "" and "kvm" are by the processor,
	// "qemu" is by emulation, which works everywhere and is slow.
	Type string
}

// Backend is libvirt as mpd-virt sees it. Its methods may be called at the same
// time, and it holds nothing but its Config.
type Backend struct{ cfg Config }

var (
	_ hypervisor.Hypervisor = (*Backend)(nil)
	_ hypervisor.Creator    = (*Backend)(nil)
	_ hypervisor.Addresser  = (*Backend)(nil)
)

// New makes a Backend. It starts nothing.
func New(c Config) *Backend {
	for field, usual := range map[*string]string{&c.URI: "qemu:///system", &c.Network: "default", &c.Pool: "default", &c.Type: "kvm"} {
		if *field == "" {
			*field = usual
		}
	}
	return &Backend{c}
}

// Name is libvirt.
func (b *Backend) Name() string { return "libvirt" }

// Available asks the daemon for its version. It is ErrService if there is no
// daemon. systemd, or libvirt for a URI that ends in /session, may start one
// for the asking; VMs are not touched by that.
func (b *Backend) Available(ctx context.Context) error {
	out, err := b.virsh(ctx, "version")
	if err == nil && len(out) == 0 {
		err = errors.New("virsh version: no answer")
	}
	return err
}
