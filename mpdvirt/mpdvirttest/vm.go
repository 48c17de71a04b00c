package mpdvirttest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/memnet"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// VMOptions say what a VM is like. The zero value is a fresh copy of a Debian
// Trixie template at 10.211.55.37, with the Mac's key authorised, wget, and no curl.
type VMOptions struct {
	Addr     netip.Addr // zero: 10.211.55.37, and with a hypervisor an address of its DHCP server
	User     string     // "": dev
	Hostname string     // "": mpd-template-trixie
	Shell    string     // the login shell's path; "": /bin/bash
	// Unauthorized leaves the Mac's key out of authorized_keys.
	Unauthorized bool
	// Curl gives the VM curl, and NoWget leaves wget out.
	Curl, NoWget bool
	// VMSetup builds an mpd that knows --vm-setup in the place of --setup, as
	// later versions do.
	VMSetup bool
	// Off leaves the VM without power.
	Off bool
}

// userID is the number of the VM's ordinary user.
const userID = 1000

// VM is a virtual machine, which World.AddVM, a hypervisor of the world, or its
// played tools make. Its methods may be called at the same time. Names of files are
// absolute paths, and errors about files wrap a *fs.PathError.
type VM struct {
	w    *World
	net  *memnet.Network
	opts VMOptions // user and shell are guarded by mu
	sys  *debian.System
	root memfs.User
	id   string // distinguishes the VMs of a world

	mu       sync.Mutex
	addr     netip.Addr // invalid if it has none
	limbo    netip.Addr // where the network keeps it then
	on       bool
	asleep   bool
	off      func() // ends all that runs in the VM
	listener net.Listener
	// listenAgain starts sshd anew; v.mu is held.
	listenAgain func() error
	conns       map[net.Conn]bool
	keys        []ssh.Signer
	rotation    int
	made        int // counts what the VM made up
	server      Server
	sudo        Sudo
	mac         string      // of the network card; "" if nothing asks for it
	cloud       *cloudState // nil: there is no cloud-init

	kernel   kernel
	skew     time.Duration
	packages map[string]bool
	units    map[string]bool // active ones
	dns      nameServer
	portal   portal
	faults   []*Fault
	hook     func(step, phase string)
	log      vmLog
}

// vmLog is what happened to a VM.
type vmLog struct {
	steps, commands                 []string
	connections, handshakes, logins int
}

// AddVM makes a VM and turns it on, unless o.Off is set. It is an error if the sshd
// of another VM listens at its address then, or if the world is closed.
func (w *World) AddVM(o VMOptions) (*VM, error) {
	if !o.Addr.IsValid() {
		o.Addr = netip.MustParseAddr("10.211.55.37")
	}
	v, err := w.plant(o, func(v *VM) error {
		if err := v.install(); err != nil || o.Off {
			return err
		}
		return v.boot()
	})
	if err != nil {
		return nil, fmt.Errorf("mpdvirttest: add a VM at %v: %w", o.Addr, err)
	}
	return v, nil
}

// plant puts a VM in the world, after fill gave it a disk.
func (w *World) plant(o VMOptions, fill func(v *VM) error) (*VM, error) {
	for field, value := range map[*string]string{&o.User: "dev", &o.Hostname: "mpd-template-trixie", &o.Shell: "/bin/bash"} {
		if *field == "" {
			*field = value
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.New("the world is closed")
	}
	n := len(w.vms) + 1
	v := &VM{
		w: w, net: w.net, opts: o, id: fmt.Sprintf("vm%d", n), addr: o.Addr, limbo: netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}),
		conns: map[net.Conn]bool{}, packages: map[string]bool{}, units: map[string]bool{},
	}
	if err := fill(v); err != nil {
		return nil, err
	}
	w.vms = append(w.vms, v)
	return v, nil
}

// Addr is the VM's address now, which one that is off has as well; invalid if it has
// none.
func (v *VM) Addr() netip.Addr {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.addr
}

// Steps are the bootstrap steps that began to run in the VM, in order and each as
// often as it did, by the names of the scripts without ".sh", and "mpd --setup".
func (v *VM) Steps() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.log.steps)
}

// Commands are the texts of all commands that were sent to the VM by SSH, in the
// order in which they began. Those of the ssh that World.Run plays are not there.
func (v *VM) Commands() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.log.commands)
}

// Connections counts the connections that port 22 of the VM accepted. What
// [World.Run] plays is counted neither here nor in Handshakes and Logins.
func (v *VM) Connections() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.connections
}

// Handshakes counts the SSH connections to the VM that exchanged keys.
func (v *VM) Handshakes() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.handshakes
}

// Logins counts the SSH connections to the VM that logged in.
func (v *VM) Logins() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.logins
}

// File reads a file of the VM as root does; links are followed.
func (v *VM) File(name string) (data []byte, perm fs.FileMode, err error) {
	info, err := v.root.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	data, err = v.root.ReadFile(name)
	return data, info.Mode().Perm(), err
}

// WriteFile writes a file of the VM and gives it the permissions. A new one belongs
// to the VM's user if the folder does, else to root. Missing folders are made.
func (v *VM) WriteFile(name string, data []byte, perm fs.FileMode) error {
	owner, err := v.root.Stat(name)
	if err := v.root.WriteFile(name, data, perm); err != nil {
		return err
	}
	if err != nil {
		if owner, err = v.root.Stat(path.Dir(name)); err != nil {
			return err
		}
	}
	return v.root.Chown(name, owner.UID)
}

// Remove removes a file or folder of the VM with all below it; one that is not
// there is fine.
func (v *VM) Remove(name string) error { return v.root.RemoveAll(name) }

// Symlink makes a symbolic link in the VM.
func (v *VM) Symlink(target, name string) error { return v.root.Symlink(target, name) }

// Chown gives a file of the VM to root or to the VM's user.
func (v *VM) Chown(name string, toRoot bool) error {
	if toRoot {
		return v.root.Chown(name, memfs.Root)
	}
	return v.root.Chown(name, userID)
}

// Chmod sets the permissions of a file of the VM.
func (v *VM) Chmod(name string, perm fs.FileMode) error { return v.root.Chmod(name, perm) }

// SetDiskFull says whether the VM's disk is full: then what is written or made in
// the VM, by a test too, fails with ENOSPC.
func (v *VM) SetDiskFull(full bool) { v.sys.FS.SetFull(full) }

// Tree is the state of the VM's files outside of /proc, /tmp, /dev and /usr: for
// each path its type, permissions, owner and content, for comparing two moments.
func (v *VM) Tree() map[string]string {
	tree := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		list, err := v.root.ReadDir(dir)
		if err != nil {
			return // removed meanwhile
		}
		for _, e := range list {
			name := strings.TrimSuffix(dir, "/") + "/" + e.Name()
			if name == "/proc" || name == "/tmp" || name == "/dev" || name == "/usr" {
				continue
			}
			info, err := v.root.Lstat(name)
			if err != nil {
				continue
			}
			content, _ := v.root.Readlink(name) // not a link: ""
			if info.Mode().IsRegular() {
				data, _ := v.root.ReadFile(name) // removed meanwhile: as if empty
				content = string(data)
			}
			tree[name] = fmt.Sprintf("%v %d %q", info.Mode(), info.UID, content)
			if info.IsDir() {
				walk(name)
			}
		}
	}
	walk("/")
	return tree
}

// SetClockSkew makes the VM's clock go wrong by d; negative is late, zero right.
func (v *VM) SetClockSkew(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.skew = d
}

// now is the VM's clock.
func (v *VM) now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.w.now().Add(v.skew)
}

// Packages are the Debian packages installed in the VM, sorted.
func (v *VM) Packages() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.packages))
}
