package mpdvirttest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/memnet"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// Epoch is the time in a world whose Options set no clock.
var Epoch = time.Date(2026, 11, 21, 19, 4, 11, 0, time.UTC)

// Options say what a world is like. The zero value is a good one.
type Options struct {
	// Home is the Mac's home folder, an absolute path; "" makes a temporary
	// one that Close removes. Another one is left as it is then.
	Home string
	// Clock is the time on the Mac and in the VMs; nil stands still at Epoch.
	// It must not use the world, which is locked when it asks for the time.
	Clock func() time.Time
	// Seed makes the keys of this world differ from those of worlds with
	// another seed. The same seed gives the same keys.
	Seed string
	// Delay is how long each step of the bootstrap takes; zero is no time.
	Delay time.Duration
	// NoMac makes the world no Mac: World.Run misses the tools that only macOS
	// has, as on Linux. See World.Mac for what remains.
	NoMac bool
	// NoKey leaves the Mac without a key in ~/.ssh; see World.Key.
	NoKey bool
	// SilentHosts makes dials to addresses that nobody has wait for ever, as
	// behind a packet filter, instead of failing at once with "host is down", or
	// "no route to host" on Linux, as in a local network.
	SilentHosts bool
}

// World is a Mac and its VMs, which [New] makes. Its methods may be called at the
// same time.
type World struct {
	opts Options
	home string
	root string
	now  func() time.Time
	net  *memnet.Network
	wg   sync.WaitGroup
	done chan struct{} // closed by Close, with ending held
	mac  *Mac

	mu       sync.Mutex
	closed   bool
	vms      []*VM
	others   map[netip.Addr]bool   // machines that are no VMs
	hosts    map[string]netip.Addr // what a cache claims
	tools    map[string]hypervisor.Runner
	commands []hypervisor.Command
	web      []*WebFault
	branches map[string]string // commit by branch
	utm      *UTM              // nil until it is installed
	images   imageServer

	// tunneling makes one import of a tunnel end before another one begins. It is
	// taken before mu.
	tunneling sync.Mutex
	keyless   keyless
	// ending keeps later from beginning anything once Close waits. It is taken
	// last.
	ending sync.Mutex
}

// New makes a world without VMs. The caller closes it. An error is one of the real
// folders that it needs.
func New(o Options) (*World, error) {
	w := &World{
		opts: o, home: o.Home, now: o.Clock, net: memnet.New(), done: make(chan struct{}), others: map[netip.Addr]bool{},
		hosts: map[string]netip.Addr{}, tools: map[string]hypervisor.Runner{},
		branches: map[string]string{mpdvirt.DefaultBranch: "3f2c9e1d5a7b40886c1f2e93d4a5b6c7d8e9f001"},
	}
	if w.now == nil {
		w.now = func() time.Time { return Epoch }
	}
	var err error
	if w.root, err = os.MkdirTemp("", "mpdvirttest-"); err != nil {
		return nil, fmt.Errorf("mpdvirttest: make a folder for the Mac: %w", err)
	}
	if w.home == "" {
		w.home = filepath.Join(w.root, "Users", "dev")
		err = os.MkdirAll(w.home, 0o700)
	}
	if err == nil {
		w.mac, err = newMac(w)
	}
	if err == nil {
		err = w.startServers()
	}
	if err == nil && !o.NoKey {
		err = w.makeKey()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mpdvirttest: %w", err), w.Close())
	}
	return w, nil
}

// Close ends the world and waits until nothing of it runs any more, but for calls
// of Run and Serve, which their callers end. A second Close does nothing and does
// not wait.
func (w *World) Close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	vms := slices.Clone(w.vms)
	w.mu.Unlock()
	if again {
		return nil
	}
	w.ending.Lock()
	close(w.done)
	w.ending.Unlock()
	for _, v := range vms {
		v.halt(false)
	}
	w.wg.Wait()
	return os.RemoveAll(w.root)
}

// Root is the Mac's file system outside of the home folder, a real folder: what
// the Mac has as /etc/x is etc/x in it. Close removes it.
func (w *World) Root() string { return w.root }

// Home is the Mac's home folder, a real one.
func (w *World) Home() string { return w.home }

// Config is the world as a Manager needs it, a new value each time. The caller may
// add an Observer, a Prompter and Backends; without Backends, the program's own
// work with the hypervisors that the world has. Host is that of the moment: if UTM
// is to be on a Mac with an Intel processor, it is installed before.
func (w *World) Config() mpdvirt.Config {
	url, sum := w.Image()
	return mpdvirt.Config{
		Home:        w.home,
		SystemRoot:  w.root,
		DialContext: w.DialContext,
		Resolve:     w.Resolve,
		Runner:      w.Run,
		LocalAddrs:  w.LocalAddrs,
		Now:         w.now,
		AgentSocket: "none",
		Transport:   w.Transport(),
		Image:       mpdvirt.ImageSource{URL: url, SHA512: sum},
		Host:        w.host(),
	}
}

// host is a Mac with 16 GiB and eight cores, of the kind that UTM's settings say.
func (w *World) host() mpdvirt.Host {
	h := mpdvirt.Host{Arch: "arm64", Memory: 16 * hypervisor.GiB, Cores: 8}
	w.mu.Lock()
	u := w.utm
	w.mu.Unlock()
	if u != nil && u.intel() {
		h.Arch = "amd64"
	}
	return h
}

// The Mac's networks: UTM's and Parallels' shared ones, in which the VMs are, with
// the Mac's addresses, and the two that only a tunnel reaches.
var (
	macAddrs   = []netip.Prefix{netip.MustParsePrefix("192.168.64.1/24"), netip.MustParsePrefix("10.211.55.2/24")}
	tunnelNets = []netip.Prefix{netip.MustParsePrefix("10.163.0.0/24"), netip.MustParsePrefix("10.164.0.0/30")}
	macEnd     = netip.MustParseAddr("10.164.0.1")
	vmEnd      = netip.MustParseAddr("10.164.0.2")
)

// LocalAddrs are the Mac's own addresses: loopback, its networks, and those of the
// tunnel that is up. The error is nil.
func (w *World) LocalAddrs() ([]netip.Addr, error) {
	w.settleTunnel()
	_, conf, up, err := w.mac.emu.Active()
	addrs := w.ownAddrs()
	if up {
		for _, a := range conf.Address {
			addrs = append(addrs, a.Addr())
		}
	}
	return addrs, err
}

// ownAddrs are the Mac's addresses besides that of a tunnel.
func (w *World) ownAddrs() []netip.Addr {
	addrs := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	set, err := w.mac.emu.Settings()
	if err == nil && !set.Offline && set.Addr.IsValid() {
		addrs = append(addrs, set.Addr.Addr())
	}
	for _, p := range set.Bridges {
		if p.IsValid() {
			addrs = append(addrs, p.Addr())
		}
	}
	return addrs
}

// DialContext connects from the Mac to an address "IP:port" by "tcp" or "udp". The
// error is a *net.OpError. By tcp it wraps ECONNREFUSED if the port is closed, and at
// once EHOSTDOWN, with Options.NoMac EHOSTUNREACH, if no machine is there. With
// Options.SilentHosts, and where no tunnel leads to a VM, such a dial waits until
// ctx ends or the world is closed. By udp what is sent there is lost. With MacSettings.LocalNetworkDenied, machines in the Mac's own networks
// are at once EHOSTUNREACH, and those behind a tunnel are as ever.
func (w *World) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err == nil && w.denied(to.Addr()) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: endOf(network, to), Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
	}
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return w.net.DialContext(ctx, network, address)
	}
	silent := w.opts.SilentHosts
	var far *VM
	if throughTunnel(to.Addr()) {
		far = w.behind(to.Addr())
		silent = far == nil
	}
	switch {
	case to == nameServerAddr && far.closesDNS(), to == portalAddr() && far != nil && !far.portalUp():
		err = os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case w.exists(to.Addr()):
		return w.net.DialContext(ctx, network, address)
	case silent:
		err = w.nothing(ctx)
	case w.opts.NoMac:
		err = os.NewSyscallError("connect", syscall.EHOSTUNREACH)
	default:
		// What macOS says of a machine that is not there; Linux says
		// EHOSTUNREACH, which on a Mac would be a ban.
		err = os.NewSyscallError("connect", syscall.EHOSTDOWN)
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// endOf is an address as errors of the network have it.
func endOf(network string, to netip.AddrPort) net.Addr {
	if strings.HasPrefix(network, "udp") {
		return net.UDPAddrFromAddrPort(to)
	}
	return net.TCPAddrFromAddrPort(to)
}

// nothing happens until ctx ends or the world does.
func (w *World) nothing(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
		return net.ErrClosed
	}
}

func throughTunnel(a netip.Addr) bool {
	return slices.ContainsFunc(tunnelNets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// AddHost puts a machine on the network that is none of the world's VMs: it
// answers pings and refuses connections. Nothing takes it away again.
func (w *World) AddHost(addr netip.Addr) {
	w.net.SetUp(addr, true)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.others[addr] = true
}

// exists says whether a machine with this address can be reached from the Mac:
// whether it would answer a ping.
func (w *World) exists(a netip.Addr) bool {
	if throughTunnel(a) {
		return w.behind(a) != nil && (a == nameServerAddr.Addr() || a == portalAddr().Addr() || a == vmEnd)
	}
	if slices.Contains(w.ownAddrs(), a) {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.others[a] {
		return true
	}
	return slices.ContainsFunc(w.vms, func(v *VM) bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.on && !v.asleep && v.addr == a
	})
}

// Claim makes the Mac's own resolver, as by a stale cache, answer a name with an
// address, whatever the tunnel says. The name is in lower case, without a dot at
// its end. An invalid address ends that.
func (w *World) Claim(name string, addr netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.hosts, name)
	if addr.IsValid() {
		w.hosts[name] = addr
	}
}

// SetBranch makes a branch of the mpd project exist, with the commit that it
// stands at (hexadecimal, 40 digits), or moves it there. The branch main
// exists from the start.
func (w *World) SetBranch(branch, commit string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.branches[branch] = commit
}

func (w *World) commit(branch string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.branches[branch]
	return c, ok
}

// seed derives a key seed from the world's and a name.
func (w *World) seed(name string) []byte {
	sum := sha256.Sum256([]byte("mpdvirttest\x00" + w.opts.Seed + "\x00" + name))
	return sum[:]
}

// Key is the key that the world's VMs know as the Mac's. New writes it to
// ~/.ssh/id_ed25519 in the home folder, unless there is such a file already or
// Options.NoKey is set.
func (w *World) Key() ssh.PublicKey {
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(w.seed("mac")).Public())
	if err != nil {
		panic(err) // not for an ed25519 key
	}
	return key
}

func (w *World) makeKey() error {
	dir := filepath.Join(w.home, ".ssh")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "id_ed25519")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	block, err := ssh.MarshalPrivateKey(ed25519.NewKeyFromSeed(w.seed("mac")), "dev@mac")
	if err != nil {
		return err
	}
	public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(w.Key()))) + " dev@mac\n"
	return errors.Join(
		os.WriteFile(path, pem.EncodeToMemory(block), 0o600),
		os.WriteFile(path+".pub", []byte(public), 0o644),
	)
}

// Reachable says whether a machine with this address answers the Mac's pings. It
// does not heed MacSettings.LocalNetworkDenied.
func (w *World) Reachable(addr netip.Addr) bool { return w.exists(addr) }
