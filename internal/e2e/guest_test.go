//go:build e2e && linux

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// GuestOptions says what is special about a guest; the zero value is a fresh
// template as the scripts expect it, at firstIP.
type GuestOptions struct {
	Addr         string // firstIP if empty; else one that DHCP knows
	NoKey        bool   // does not know the Mac's key
	SudoPassword bool   // sudo asks for a password
	Hostname     string // mpd-template-trixie if empty
	Off          bool   // not booted
}

// Guest is a real Debian system: its own file system, init, network and host
// keys. It survives Shutdown and Boot as a machine does.
type Guest struct {
	lab  *Lab
	addr string
	name string // unique in the laboratory: vm37
	ns   string // network namespace, one for each boot's life
	root string // file system: a layer over the shared one

	mu     sync.Mutex
	leader int           // the guest's process 1, as this machine numbers it
	ended  chan struct{} // closed when the running container is gone
}

// Guest makes a guest and boots it, unless it shall be off; it returns when
// sshd listens at the guest's address.
func (l *Lab) Guest(o GuestOptions) *Guest {
	l.t.Helper()
	if o.Addr == "" {
		o.Addr = firstIP
	}
	g := l.newGuest(o.Addr, rootfs(l.t))
	g.NewHostKeys()
	id := make([]byte, 16)
	rand.Read(id)
	g.put("etc/machine-id", hex.EncodeToString(id)+"\n", 0o444)
	g.put("usr/local/share/ca-certificates/lab.crt", l.ca.pem, 0o644)
	bundle, err := os.ReadFile(g.path("etc/ssl/certs/ca-certificates.crt"))
	l.must(err)
	g.put("etc/ssl/certs/ca-certificates.crt", string(bundle)+l.ca.pem, 0o644)
	if o.Hostname != "" {
		g.put("etc/hostname", o.Hostname+"\n", 0o644)
		g.put("etc/hosts", "127.0.0.1\tlocalhost\n127.0.1.1\t"+o.Hostname+"\n", 0o644)
	}
	if !o.SudoPassword {
		g.put("etc/sudoers.d/dev", "dev ALL=(ALL) NOPASSWD: ALL\n", 0o440)
	}
	l.must(os.MkdirAll(g.path("etc/mpd-lab"), 0o755))
	g.own("etc/mpd-lab")
	if !o.NoKey {
		g.Authorize()
	}
	if !o.Off {
		g.Boot()
	}
	return g
}

// newGuest is a guest that is off, over the file system in the folder base.
func (l *Lab) newGuest(addr, base string) *Guest {
	l.t.Helper()
	name := "vm" + addr[strings.LastIndexByte(addr, '.')+1:]
	g := &Guest{lab: l, addr: addr, name: name, ns: "mpdvirt-" + name + "-" + l.id, root: filepath.Join(l.dir, name, "root")}
	g.mountRoot(base)
	return g
}

// mountRoot lays an empty layer over the shared file system, or copies it
// where the kernel has no overlays here.
func (g *Guest) mountRoot(base string) {
	g.lab.t.Helper()
	dir := filepath.Dir(g.root)
	for _, d := range []string{"root", "upper", "work"} {
		g.lab.must(os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", base, dir, dir)
	if exec.Command("mount", "-t", "overlay", "overlay", "-o", options, g.root).Run() != nil {
		g.lab.run("cp", "-a", "--reflink=auto", base+"/.", g.root)
	}
}

func (g *Guest) path(name string) string { return filepath.Join(g.root, name) }

// put writes a file of the guest, also while it runs.
func (g *Guest) put(name, text string, mode os.FileMode) {
	g.lab.t.Helper()
	g.lab.must(os.MkdirAll(filepath.Dir(g.path(name)), 0o755))
	g.lab.must(os.WriteFile(g.path(name), []byte(text), mode))
	g.lab.must(os.Chmod(g.path(name), mode))
}

// own gives a file to the guest's user, which is the first ordinary one.
func (g *Guest) own(name string) {
	g.lab.t.Helper()
	g.lab.must(os.Chown(g.path(name), 1000, 1000))
}

// Authorize lets the Mac's key in.
func (g *Guest) Authorize() {
	g.lab.t.Helper()
	key, err := os.ReadFile(filepath.Join(g.lab.Home, ".ssh/id_ed25519.pub"))
	g.lab.must(err)
	g.put("home/dev/.ssh/authorized_keys", string(key), 0o600)
	g.own("home/dev/.ssh/authorized_keys")
}

// NewHostKeys gives the guest other host keys, as a VM made anew has. A running
// sshd uses them from the next connection on.
func (g *Guest) NewHostKeys() {
	g.lab.t.Helper()
	old, _ := filepath.Glob(g.path("etc/ssh/ssh_host_*"))
	for _, f := range old {
		g.lab.must(os.Remove(f))
	}
	g.lab.run("ssh-keygen", "-A", "-f", g.root)
	if g.Running() {
		g.Run("sudo systemctl restart ssh")
	}
}

// SetSwitch lets the stand-ins misbehave: name as in guest/bootstrap, value as
// the switch wants it, "" where it wants none.
func (g *Guest) SetSwitch(name, value string) {
	g.lab.t.Helper()
	g.put("etc/mpd-lab/"+name, value, 0o644)
	g.own("etc/mpd-lab/" + name)
}

// ClearSwitch undoes SetSwitch.
func (g *Guest) ClearSwitch(name string) {
	g.lab.t.Helper()
	g.lab.must(os.Remove(g.path("etc/mpd-lab/" + name)))
}

// Steps are the stand-ins that have run so far, in order: "10" to "70", and
// "setup" for mpd --setup.
func (g *Guest) Steps() []string {
	text, err := os.ReadFile(g.path("etc/mpd-lab/log"))
	if !errors.Is(err, os.ErrNotExist) {
		g.lab.must(err)
	}
	return strings.Fields(string(text))
}

// Boot starts the guest and waits until it has an address and sshd runs.
func (g *Guest) Boot() {
	g.lab.t.Helper()
	start := time.Now()
	g.start()
	g.lab.eventually(g.name+": boot", time.Minute, func() error {
		out, err := g.try("systemctl -q is-active ssh.service ssh.socket && ip -4 -o addr show enp0s5 scope global | grep -w inet")
		if err != nil {
			return fmt.Errorf("%w %s", err, out)
		}
		return nil
	})
	g.lab.t.Logf("%s: up in %.1fs", g.name, time.Since(start).Seconds())
}

func (g *Guest) start() {
	g.lab.t.Helper()
	g.lab.addNamespace(g.ns)
	g.lab.cable(g.name, g.ns, "enp0s5", hardwareAddr(g.addr))
	// systemd inside wants a cgroup of its own; the shell that becomes
	// systemd-nspawn moves itself there first.
	script := "exec \"$@\""
	for _, root := range cgroupRoots() {
		group := filepath.Join(root, "mpdvirt-"+g.lab.id+"-"+g.name)
		if err := os.Mkdir(group, 0o755); err == nil || errors.Is(err, os.ErrExist) {
			script = fmt.Sprintf("echo $$ > %s/cgroup.procs; ", group) + script
		}
	}
	cmd := exec.Command("sh", "-c", script, "sh", "systemd-nspawn", "--quiet", "--directory="+g.root,
		"--machine=mpdvirt-"+g.name+"-"+g.lab.id, "--register=no", "--keep-unit",
		"--network-namespace-path=/run/netns/"+g.ns, "--capability=CAP_NET_ADMIN", "--bind=/dev/net/tun",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--boot")
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network")
	console, err := os.OpenFile(filepath.Join(g.lab.dir, "console-"+g.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	g.lab.must(err)
	defer console.Close()
	cmd.Stdout, cmd.Stderr = console, console
	g.lab.must(cmd.Start())
	ended := make(chan struct{})
	g.mu.Lock()
	g.leader, g.ended = 0, ended
	g.mu.Unlock()
	go func() {
		cmd.Wait()
		close(ended)
	}()
}

// Running says whether the guest is switched on.
func (g *Guest) Running() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended == nil {
		return false
	}
	select {
	case <-g.ended:
		return false
	default:
		return true
	}
}

// Shutdown switches the guest off in good order.
func (g *Guest) Shutdown() { g.lab.t.Helper(); g.stop(syscall.Signal(34 + 4)) } // SIGRTMIN+4: systemd powers off

// Kill cuts the guest's power.
func (g *Guest) Kill() { g.lab.t.Helper(); g.stop(syscall.SIGKILL) }

func (g *Guest) stop(s syscall.Signal) {
	g.lab.t.Helper()
	leader, err := g.findLeader()
	g.lab.must(err)
	g.lab.must(syscall.Kill(leader, s))
	select {
	case <-g.ended:
	case <-time.After(30 * time.Second):
		g.lab.t.Fatalf("%s: still running 30s after signal %d", g.name, s)
	}
	// Bridges and addresses would outlive the system in its namespace. The
	// bridge's end is deleted by hand: a dying namespace takes its time.
	g.lab.run("ip", "-n", g.lab.net, "link", "delete", g.name)
	removeNamespace(g.ns)
}

// Reboot restarts the guest.
func (g *Guest) Reboot() { g.lab.t.Helper(); g.Shutdown(); g.Boot() }

// findLeader finds the guest's process 1: the one in its network namespace
// that calls itself 1.
func (g *Guest) findLeader() (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leader != 0 {
		return g.leader, nil
	}
	list, err := exec.Command("ip", "netns", "pids", g.ns).Output()
	if err != nil {
		return 0, err
	}
	for _, f := range strings.Fields(string(list)) {
		status, _ := os.ReadFile("/proc/" + f + "/status")
		for line := range strings.Lines(string(status)) {
			ids := strings.Fields(line)
			if len(ids) == 3 && ids[0] == "NSpid:" && ids[2] == "1" {
				g.leader, err = strconv.Atoi(f)
				return g.leader, err
			}
		}
	}
	return 0, errors.New("no process 1 yet")
}

// Run runs a bash command inside the guest as dev, past ssh, and returns its
// output; a failure ends the test.
func (g *Guest) Run(command string) string {
	g.lab.t.Helper()
	out, err := g.try(command)
	if err != nil {
		g.lab.t.Fatalf("%s: %s: %v\n%s", g.name, command, err, out)
	}
	return out
}

func (g *Guest) try(command string) (string, error) {
	leader, err := g.findLeader()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(leader), "--mount", "--uts", "--ipc", "--net", "--pid",
		"--", "runuser", "-u", "dev", "--", "bash", "-c", command)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/dev", "USER=dev", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
