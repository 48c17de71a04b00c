package mpdvirttest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

const dpkgLock = "/var/lib/dpkg/lock-frontend"

// bashrc begins as Debian's does.
const bashrc = `# ~/.bashrc: executed by bash(1) for non-login shells.
case $- in
    *i*) ;;
      *) return;;
esac
`

// install fills the VM's disk as a person does who installs Debian.
func (v *VM) install() error {
	return errors.Join(v.installSystem(nil), v.writeFiles(), v.writeHostKey())
}

// installSystem fills the VM's disk with what comes before accounts, host keys
// and a machine-id, and with some packages more.
func (v *VM) installSystem(more []string) error {
	fsys := memfs.New(v.now)
	v.root = fsys.As(memfs.Root)
	sys, err := debian.New(fsys, v.now)
	if err != nil {
		return err
	}
	v.sys = sys
	for _, name := range append([]string{"bash", "ca-certificates", "coreutils", "openssh-server", "openssl", "sudo", "systemd"}, more...) {
		v.packages[name] = true
	}
	for _, unit := range []string{"ssh", "systemd-networkd", "systemd-resolved"} {
		v.units[unit] = true
	}
	programs := v.programs()
	for name, there := range map[string]bool{"wget": !v.opts.NoWget, "curl": v.opts.Curl} {
		if there {
			v.packages[name] = true
		} else {
			delete(programs, name)
		}
	}
	for _, later := range []string{"git", "wg", "mpd"} {
		delete(programs, later)
	}
	if !v.packages[cloudInitPackage] {
		delete(programs, "cloud-init")
	}
	for name, program := range programs {
		if err := sys.Install(name, program); err != nil {
			return err
		}
	}
	system := map[string]string{
		"/etc/hostname":       v.opts.Hostname + "\n",
		"/etc/hosts":          "127.0.0.1\tlocalhost\n127.0.1.1\t" + v.opts.Hostname + "\n",
		"/etc/debian_version": "13.2\n",
		"/etc/passwd":         rootLine,
		dpkgLock:              "",
	}
	for name, text := range system {
		if err := v.root.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return errors.Join(v.SetOS("debian", "trixie"), v.root.Chmod(dpkgLock, 0o640), v.generate(fsys))
}

// rootLine begins /etc/passwd.
const rootLine = "root:x:0:0:root:/root:/bin/bash\n"

// programs are those that work on this VM, by name. Not all are there from the
// start.
func (v *VM) programs() map[string]debian.Program {
	return map[string]debian.Program{
		"sudo": v.sudoProgram, "su": v.su, "hostname": v.hostnameProgram, "hostnamectl": v.hostnamectl,
		"systemctl": v.systemctl, "dpkg-query": v.dpkgQuery, "dpkg": v.dpkg, "dig": v.dig, "getent": v.getent,
		"ssh-keygen": v.sshKeygen, "systemd-machine-id-setup": v.machineIDSetup,
		"cloud-init":       v.cloudInit,
		"mpdvirttest-step": v.stepProgram, "wget": v.wget, "curl": v.curl, "git": v.git, "wg": v.wg, "mpd": v.mpd,
	}
}

// writeFiles adds what an installation asks for.
func (v *VM) writeFiles() error {
	authorized := ""
	if !v.opts.Unauthorized {
		authorized = string(ssh.MarshalAuthorizedKey(v.w.Key()))
	}
	return errors.Join(v.writeAccount(v.opts.User, v.opts.Shell, authorized), v.SetMachineID(v.w.seed("machine "+v.id)))
}

// writeAccount makes the VM's one account and its home folder.
func (v *VM) writeAccount(user, shell, authorized string) error {
	home := "/home/" + user
	files := map[string]string{
		"/etc/passwd":                  rootLine + fmt.Sprintf("%s:x:%d:%[2]d::%s:%s\n", user, userID, home, shell),
		home + "/.bashrc":              bashrc,
		home + "/.ssh/authorized_keys": authorized,
	}
	for name, text := range files {
		if err := v.root.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	var own []error
	for _, name := range []string{home, home + "/.bashrc", home + "/.ssh", home + "/.ssh/authorized_keys"} {
		own = append(own, v.root.Chown(name, userID))
	}
	own = append(own, v.root.Chmod(home+"/.ssh", 0o700), v.root.Chmod(home+"/.ssh/authorized_keys", 0o600))
	return errors.Join(own...)
}

// generate adds what the kernel makes up.
func (v *VM) generate(fsys *memfs.FS) error {
	lock, err := v.root.Stat(dpkgLock)
	if err != nil {
		return err
	}
	v.kernel.locks.Store(&[]string{})
	v.kernel.lockInode = lock.Ino
	v.kernel.hostname.Store(&v.opts.Hostname)
	v.SetArch("aarch64")
	line := func(p *atomic.Pointer[string]) func() []byte {
		return func() []byte { return []byte(*p.Load() + "\n") }
	}
	return errors.Join(
		fsys.Generate("/proc/sys/kernel/hostname", 0o644, line(&v.kernel.hostname)),
		fsys.Generate("/proc/sys/kernel/arch", 0o444, line(&v.kernel.arch)),
		fsys.Generate("/proc/locks", 0o444, func() []byte { return []byte(strings.Join(*v.kernel.locks.Load(), "")) }),
	)
}

// kernel is what files below /proc show. It has no lock because it is read with
// the file system locked.
type kernel struct {
	hostname, arch atomic.Pointer[string]
	locks          atomic.Pointer[[]string]
	lockInode      uint64
}

// SetHostname renames the VM, as the kernel, /etc/hostname and /etc/hosts tell it.
func (v *VM) SetHostname(name string) error {
	v.kernel.hostname.Store(&name)
	return errors.Join(
		v.root.WriteFile("/etc/hostname", []byte(name+"\n"), 0o644),
		v.root.WriteFile("/etc/hosts", []byte("127.0.0.1\tlocalhost\n127.0.1.1\t"+name+"\n"), 0o644),
	)
}

// Hostname is the VM's host name now.
func (v *VM) Hostname() string { return *v.kernel.hostname.Load() }

// SetArch changes what uname -m says; it is aarch64 from the start, and all others are
// amd64 to dpkg.
func (v *VM) SetArch(machine string) { v.kernel.arch.Store(&machine) }

// SetOS changes ID and VERSION_CODENAME of the VM's /etc/os-release; they are debian
// and trixie from the start.
func (v *VM) SetOS(id, codename string) error {
	text := fmt.Sprintf("PRETTY_NAME=\"%s (%s)\"\nNAME=\"%[1]s\"\nVERSION_CODENAME=%[2]s\nID=%[1]s\n", id, codename)
	return v.root.WriteFile("/etc/os-release", []byte(text), 0o644)
}

// SetMachineID changes the VM's /etc/machine-id to one that is made of seed.
func (v *VM) SetMachineID(seed []byte) error {
	sum := sha256.Sum256(seed)
	return v.root.WriteFile("/etc/machine-id", fmt.Appendf(nil, "%x\n", sum[:16]), 0o444)
}

// LockDpkg makes another process of the VM hold dpkg's lock until UnlockDpkg:
// /proc/locks shows it, and step 40 fails as apt-get does if it has packages to
// install.
func (v *VM) LockDpkg() {
	v.kernel.locks.Store(&[]string{fmt.Sprintf("1: POSIX  ADVISORY  WRITE 873 fe:01:%d 0 EOF\n", v.kernel.lockInode)})
}

// UnlockDpkg frees dpkg's lock.
func (v *VM) UnlockDpkg() { v.kernel.locks.Store(&[]string{}) }

func (v *VM) dpkgLocked() bool { return len(*v.kernel.locks.Load()) > 0 }

// addPackages marks packages as installed and adds their programs.
func (v *VM) addPackages(names []string, programs map[string]debian.Program) error {
	v.mu.Lock()
	for _, name := range names {
		v.packages[name] = true
	}
	v.mu.Unlock()
	for name, program := range maps.All(programs) {
		if err := v.sys.Install(name, program); err != nil {
			return err
		}
	}
	return nil
}

// RemovePackage marks a package as not installed; its programs stay.
func (v *VM) RemovePackage(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.packages, name)
}
