package mpdvirt

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Where the bootstrap scripts come from unless a Config or a request says
// otherwise. Source: the mpd project's own bootstrap documentation.
const (
	DefaultRepo         = "https://github.com/mutms/mpd.git"
	DefaultBranch       = "main"
	DefaultBootstrapURL = "https://raw.githubusercontent.com/mutms/mpd"
)

// Config says which world a Manager works in. The zero value is the real one:
// the user's home folder, the real network, the real tools. Every contact with
// the outside is a field, so that a test or another program can replace it;
// mpdvirttest makes a whole Config.
type Config struct {
	// Home is the home folder, an absolute path; "" is the user's own. All
	// state lives in .mpd-virt and .ssh below it.
	Home string
	// SystemRoot is the folder below which the files of macOS and of the
	// hypervisors are, such as etc/resolver; "" is the real one. Nothing is
	// written there but by a program that the person lets run as root.
	SystemRoot string
	// Backends are the hypervisors that VMs can be on; nil is DefaultBackends.
	Backends []hypervisor.Hypervisor
	// DialContext opens all connections, "tcp" and "udp"; nil is the network. It
	// is called from many goroutines, and so are Resolve, Runner, LocalAddrs, Now
	// and Transport.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve is the system's resolver ("ip4" is asked); nil is Go's, which on
	// macOS asks the system.
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// Runner starts outside programs; nil is NewRunner(os.Environ()).
	Runner hypervisor.Runner
	// LocalAddrs are the addresses of this machine; nil asks the system.
	LocalAddrs func() ([]netip.Addr, error)
	// Now is the clock of certificates, logs and events; nil is time.Now.
	// Waits use real timers.
	Now func() time.Time
	// AgentSocket is the SSH agent's socket; "" is $SSH_AUTH_SOCK as New finds
	// it, "none" uses no agent.
	AgentSocket string
	// DNSServer answers *.mpd.test; the zero value is the VM's own through the
	// tunnel, 10.163.0.3:53.
	DNSServer netip.AddrPort
	// BootstrapURL, Repo and Branch say where the bootstrap scripts come from;
	// "" are the Default constants. A VM keeps the values it was set up with.
	BootstrapURL, Repo, Branch string
	// Transport makes the https requests for disk images; nil is the network,
	// through DialContext and without a proxy.
	Transport http.RoundTripper
	// Image is the disk of VMs that Create makes if the request names no other;
	// the zero value is Debian's, whose digests are pinned in this program.
	Image ImageSource
	// Host is this machine; the zero value asks the system.
	Host Host
	// LockWait bounds how long a verb that changes a VM waits for another run
	// that works on the same one, and says so with a Note; zero does not wait.
	// Then the error is a *LockedError.
	LockWait time.Duration
	// Checks are further questions of Diag, asked beside its own and shown behind
	// them.
	Checks []CheckFunc
	// Observer gets the events of all verbs, one at a time, on the goroutine
	// that causes them: it should return soon. nil drops them.
	Observer func(Event)
	// Prompter asks the person; nil means that nobody can be asked.
	Prompter Prompter
}

// ImageSource is an archive of a disk with Debian trixie and cloud-init.
type ImageSource struct {
	URL    string // https, ends in NAME.tar.xz; the archive holds the one file disk.raw
	SHA512 string // of the archive, 128 lower-case hex digits
}

// Host is what a machine has for VMs.
type Host struct {
	Arch   string // of the processor, as runtime.GOARCH: arm64 or amd64
	Memory Size   // installed
	Cores  int
}
