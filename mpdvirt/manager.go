package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/general"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/hypervisor/utm"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/internal/sshconfig"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// Manager does the verbs. Make one with New. It keeps no state of its own
// between calls, its methods may be called at the same time, also for
// different VMs, and two Managers may work on the same home folder: locks on
// files keep verbs that change something apart.
type Manager struct {
	cfg   Config // with all defaults filled in
	state *registry.Registry
	keys  *identity.Store
	alias sshconfig.Files
	files *statefile.Files // nil is the disk
	// rehearsal is not nil on the twin that makes a Plan.
	rehearsal *rehearsal
	// sshArgs make ssh read the configuration of cfg.Home: ssh itself looks
	// at the account's home folder and ignores $HOME.
	sshArgs []string

	observing sync.Mutex // serialises cfg.Observer
}

// DefaultBackends are the backends that this program has: general, parallels and
// utm. They start their tools through run, and find files of their hypervisors
// below root, which is a Config's SystemRoot; "" is the real one.
func DefaultBackends(run hypervisor.Runner, root string) []hypervisor.Hypervisor {
	return []hypervisor.Hypervisor{
		general.New(),
		parallels.New(parallels.Config{Run: run, LeaseFile: filepath.Join(root, parallels.DefaultLeaseFile)}),
		utm.New(utm.Config{Run: run}),
	}
}

// New makes a Manager. It reads the environment for what cfg leaves open, and
// touches no file. It fails if there is no home folder to work in.
func New(cfg Config) (*Manager, error) {
	if cfg.Home == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, hint.Wrap(fmt.Errorf("find the home folder: %w", err), "set HOME to your home folder")
		}
		cfg.Home = home
	}
	if !filepath.IsAbs(cfg.Home) {
		return nil, hint.Wrap(fmt.Errorf("home folder %q is not an absolute path", cfg.Home), "set HOME to your home folder")
	}
	if cfg.AgentSocket == "" {
		cfg.AgentSocket = os.Getenv("SSH_AUTH_SOCK")
	}
	if cfg.AgentSocket == "none" {
		cfg.AgentSocket = ""
	}
	if cfg.DialContext == nil {
		cfg.DialContext = new(net.Dialer).DialContext
	}
	if cfg.Resolve == nil {
		cfg.Resolve = net.DefaultResolver.LookupNetIP
	}
	if cfg.Runner == nil {
		cfg.Runner = NewRunner(os.Environ())
	}
	if cfg.LocalAddrs == nil {
		cfg.LocalAddrs = localAddrs
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if !cfg.DNSServer.IsValid() {
		cfg.DNSServer = netip.AddrPortFrom(identity.DNSServer(), 53)
	}
	if cfg.Repo == "" {
		cfg.Repo = DefaultRepo
	}
	if cfg.Branch == "" {
		cfg.Branch = DefaultBranch
	}
	if cfg.BootstrapURL == "" {
		cfg.BootstrapURL = DefaultBootstrapURL
	}
	root := filepath.Join(cfg.Home, ".mpd-virt")
	m := &Manager{
		cfg:   cfg,
		state: registry.Open(root),
		keys:  identity.Open(filepath.Join(root, "conf"), cfg.Now),
		alias: sshconfig.Files{
			User: filepath.Join(cfg.Home, ".ssh", "config"),
			Ours: filepath.Join(root, "ssh_config"),
		},
	}
	if cfg.Backends == nil {
		m.cfg.Backends = DefaultBackends(m.begin("", 0).runner(), cfg.SystemRoot)
	}
	if account, err := user.Current(); err != nil || account.HomeDir != cfg.Home {
		m.sshArgs = []string{"-F", m.alias.User}
	}
	return m, nil
}

func localAddrs() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out, nil
}

// backend finds a backend by its name.
func (m *Manager) backend(name string) (hypervisor.Hypervisor, error) {
	for _, b := range m.cfg.Backends {
		if b.Name() == name {
			return b, nil
		}
	}
	return nil, fmt.Errorf("this program has no backend %q, only %s", name, strings.Join(m.backendNames(), ", "))
}

func (m *Manager) backendNames() []string {
	var names []string
	for _, b := range m.cfg.Backends {
		names = append(names, b.Name())
	}
	return names
}

// chosenBackend is the backend that a request names, or else the default one.
// The hint of an error names one that fits; fits nil is any.
func (m *Manager) chosenBackend(name string, fits func(hypervisor.Hypervisor) bool) (hypervisor.Hypervisor, error) {
	if name == "" {
		var err error
		if name, err = m.state.DefaultBackend(); err != nil {
			return nil, err
		}
	}
	choose := "mpd-virt backend list"
	for _, b := range m.cfg.Backends {
		if fits == nil || fits(b) {
			choose = "mpd-virt backend set-default " + b.Name()
			break
		}
	}
	if name == "" {
		return nil, hint.Wrap(usage("no backend given, and no default is set"), choose)
	}
	b, err := m.backend(name)
	if err != nil {
		return nil, hint.Wrap(usage("%w", err), choose)
	}
	return b, nil
}

// usage is an error that is ErrUsage without saying so in its text.
func usage(format string, args ...any) error {
	return &classified{fmt.Errorf(format, args...), ErrUsage}
}

// refusal makes err ErrRefused without changing its text; nil stays nil.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	return &classified{err, ErrRefused}
}

// locked calls do under the lock of the files that all VMs share.
func (m *Manager) locked(ctx context.Context, verb string, do func() error) error {
	if err := m.files.EnsureDir(filepath.Dir(m.state.SharedLockFile())); err != nil {
		return err
	}
	lock, err := m.files.Acquire(ctx, m.state.SharedLockFile(), verb, sharedLockWait)
	if err != nil {
		return waitHint(err)
	}
	// Only who holds the lock writes here: what a killed run left is garbage.
	root := filepath.Dir(m.state.SharedLockFile())
	err = errors.Join(m.files.RemoveTemps(root), m.files.RemoveTemps(filepath.Join(root, "conf")))
	if err == nil {
		err = do()
	}
	return errors.Join(err, lock.Unlock())
}

// sharedLockWait bounds the wait for the shared lock, which is held only while
// small files are written.
const sharedLockWait = 10 * time.Second

// lockOctet keeps other runs from the VM until the lock is released. A busy
// VM fails at once, because the other run may take half an hour, unless the
// Config says to wait. What was read of the VM before may then be old.
func (m *Manager) lockOctet(ctx context.Context, o Octet, verb string) (*statefile.Lock, error) {
	lock, err := m.tryLockOctet(ctx, o, verb)
	var held *statefile.LockedError
	if m.cfg.LockWait <= 0 || !errors.As(err, &held) {
		return lock, err
	}
	m.begin(verb, o).note("%s: %v; waiting up to %v", o.VMName(), &LockedError{PID: held.PID, Verb: held.Verb}, m.cfg.LockWait)
	return m.lockOctetWithin(ctx, o, verb, m.cfg.LockWait)
}

// tryLockOctet is lockOctet for those who want to know now.
func (m *Manager) tryLockOctet(ctx context.Context, o Octet, verb string) (*statefile.Lock, error) {
	return m.lockOctetWithin(ctx, o, verb, 0)
}

func (m *Manager) lockOctetWithin(ctx context.Context, o Octet, verb string, wait time.Duration) (*statefile.Lock, error) {
	file := m.state.LockFile(o)
	if err := m.files.EnsureDir(filepath.Dir(file)); err != nil {
		return nil, err
	}
	lock, err := m.files.Acquire(ctx, file, verb, wait)
	if err != nil {
		return nil, waitHint(err)
	}
	if err := m.files.RemoveTemps(m.state.Dir(o)); err != nil {
		lock.Unlock()
		return nil, err
	}
	return lock, nil
}

// waitHint is for those who find a lock held.
func waitHint(err error) error {
	if !errors.As(err, new(*statefile.LockedError)) {
		return err
	}
	return hint.Wrap(err, "wait until the other run has ended, or end it with Ctrl-C, then run the command again")
}

// entries are the usable registry entries, without the given octets.
func (m *Manager) entries(without ...Octet) ([]registry.Entry, error) {
	items, err := m.state.List()
	if err != nil {
		return nil, err
	}
	var out []registry.Entry
	for _, it := range items {
		if it.Err == nil && !it.Unfinished && !slices.Contains(without, it.Entry.Octet) {
			out = append(out, it.Entry)
		}
	}
	return out, nil
}
