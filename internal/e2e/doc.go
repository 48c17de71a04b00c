// Package e2e proves the built mpd-virt on real parts: a real Debian Trixie
// guest with systemd, sshd, sudo, apt, systemd-networkd and WireGuard in
// network namespaces of this machine, reached through the real ssh, ping and
// wg-quick. Its tests carry the build tag e2e:
//
//	make e2e     or     go test -tags e2e -count=1 -v ./internal/e2e/
//
// The one test that boots Debian in a VM has the tag e2evm besides (make e2e-vm):
// it takes minutes, and both processors.
//
// They need root, /dev/net/tun and the programs that .ci/run installs; without
// them they are skipped and say why, or fail where CI=true. Nothing outside
// their own namespaces is contacted, except Debian's package server once, when
// the guests' file systems are built; they are kept under MPD_VIRT_E2E_CACHE, by
// default ~/.cache/mpd-virt-e2e. MPD_VIRT_BIN names the program under test, by
// default ../../bin/mpd-virt. MPD_VIRT_E2E_KEEP=1 keeps a failed laboratory's
// folder of logs.
//
// The example of a backend for libvirt is checked with a libvirtd that the test
// starts, in namespaces of its own, over VMs whose whole software is a few bytes.
//
// For clones, the test binary is also prlctl and prlsrvctl: package prlemu as
// real processes, with a guest as the body of the VM that is cloned.
//
// The folder guest holds what runs inside: how the file systems are built, and
// stand-ins of mpd's own bootstrap scripts, which need an internet that is not
// there.
//
// Out of scope: real hypervisors, WireGuard.app, the keychain, macOS's ping and
// resolver, and the size and duration of the real steps.
package e2e
