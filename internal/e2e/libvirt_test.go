//go:build e2e && e2elibvirt && linux

package e2e

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/examples/libvirt/virsh"
	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
	"github.com/mutms/mpd-virt-macos/internal/command"
)

// libvirtStart runs in namespaces of its own as their process 1, and stays it:
// somebody has to take in the processes that libvirt leaves, or it waits 40 s for
// the end of each. $1 is the folder of the test: all that
// libvirt keeps is below it. The user libvirt-qemu need not exist on this
// machine, but libvirt wants to look it up.
const libvirtStart = `set -e
mount --make-rprivate /
for d in etc/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt; do
	mkdir -p "/$d" "$1/$d"
	mount --bind "$1/$d" "/$d"
done
mount -t tmpfs none /run
mount -t sysfs none /sys
for f in passwd group; do
	grep -v '^libvirt' "/etc/$f" > "$1/$f"
done
echo 'libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin' >> "$1/passwd"
echo 'libvirt-qemu:x:64055:' >> "$1/group"
for f in passwd group; do
	mount --bind "$1/$f" "/etc/$f"
done
cp "$1/qemu.conf" /etc/libvirt/qemu.conf
ip link set lo up
libvirtd --config "$1/libvirtd.conf" --pid-file "$1/pid"
exit
`

// libvirtFiles are its settings. Guests belong to root, since no other user can
// look into the test's folder.
func libvirtFiles(dir string) map[string]string {
	return map[string]string{
		"libvirtd.conf": fmt.Sprintf("unix_sock_dir = %q\nauth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\nlog_outputs = \"3:file:%s/libvirtd.log\"\n", dir, dir),
		"qemu.conf": "user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\nsecurity_driver = \"none\"\n" +
			"cgroup_controllers = []\nnamespaces = []\nseccomp_sandbox = 0\nstdio_handler = \"file\"\n",
		// In the mode "open" libvirt needs no firewall.
		"network.xml": `<network><name>default</name><forward mode='open'/><bridge name='virbr0'/><ip address='192.168.122.1' netmask='255.255.255.0'>` +
			`<dhcp><range start='192.168.122.2' end='192.168.122.99'/></dhcp></ip></network>`,
	}
}

// TestLibvirt: the example of a backend keeps the contract with a real libvirtd
// and real virsh, over VMs that QEMU computes and in which nothing boots.
func TestLibvirt(t *testing.T) {
	requireMachine(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the VMs of this test are amd64 ones")
	}
	requirePrograms(t, "libvirtd", "virsh", "qemu-system-x86_64", "dnsmasq")
	t.Parallel()
	d := startLibvirt(t)
	t.Run("names", d.checkNames)
	hypervisortest.Run(t, hypervisortest.Harness{
		UniqueNames: true, DeafGuests: true, RealTime: true,
		States: []hypervisor.State{hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused},
		New:    func(t *testing.T) hypervisortest.World { return d.world(t) },
	})
}

// libvirt is a libvirtd of the test's own.
type libvirt struct{ dir, uri string }

func startLibvirt(t *testing.T) *libvirt {
	t.Helper()
	dir := t.TempDir()
	d := &libvirt{dir, "qemu:///system?socket=" + dir + "/libvirt-sock"}
	for name, text := range libvirtFiles(dir) {
		d.write(t, name, text)
	}
	log, err := os.Create(filepath.Join(dir, "out.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", libvirtStart, "libvirt", dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// unshare lets no other signal end it, and with it all of the namespace.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			for _, name := range []string{"out.log", "libvirtd.log"} {
				text, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s:\n%s", name, text[max(0, len(text)-4000):])
			}
		}
	})
	d.await(t)
	if err := os.Mkdir(filepath.Join(dir, "pool"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.virsh(t, "net-define", filepath.Join(dir, "network.xml"))
	d.virsh(t, "net-start", "default")
	d.virsh(t, "pool-define-as", "default", "dir", "--target", filepath.Join(dir, "pool"))
	d.virsh(t, "pool-start", "default")
	return d
}

func (d *libvirt) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// await waits until the daemon answers, which it does once it has asked all
// QEMUs of this machine what they can do.
func (d *libvirt) await(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	end := time.After(2 * time.Minute)
	for {
		out, err := exec.Command("virsh", "--quiet", "--connect", d.uri, "version").CombinedOutput()
		if err == nil {
			t.Logf("%s", out)
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("libvirtd does not answer: %v\n%s", err, out)
		}
	}
}

// virsh runs the real tool behind the backend's back.
func (d *libvirt) virsh(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("virsh", append([]string{"--quiet", "--connect", d.uri}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("virsh %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// reset takes all VMs, volumes and leases away.
func (d *libvirt) reset(t *testing.T) {
	t.Helper()
	for _, uuid := range strings.Fields(d.virsh(t, "list", "--all", "--uuid")) {
		d.remove(t, uuid)
	}
	for _, file := range d.pool(t) {
		d.virsh(t, "vol-delete", "--pool=default", "--vol="+file)
	}
	d.write(t, leaseFile, "[]")
}

func (d *libvirt) pool(t *testing.T) (names []string) {
	t.Helper()
	d.virsh(t, "pool-refresh", "default")
	files, err := os.ReadDir(filepath.Join(d.dir, "pool"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

func (d *libvirt) remove(t *testing.T, uuid string) {
	t.Helper()
	d.power(t, uuid, hypervisor.Stopped)
	d.virsh(t, "undefine", uuid)
}

// power brings a VM into a state.
func (d *libvirt) power(t *testing.T, uuid string, want hypervisor.State) {
	t.Helper()
	now := d.look(t, uuid).State
	if now == want {
		return
	}
	switch now {
	case hypervisor.Running, hypervisor.Paused:
		d.virsh(t, "destroy", uuid)
	case hypervisor.Suspended:
		d.virsh(t, "managedsave-remove", uuid)
	}
	switch want {
	case hypervisor.Running:
		d.virsh(t, "start", uuid)
	case hypervisor.Paused:
		d.virsh(t, "start", uuid, "--paused")
	case hypervisor.Suspended:
		d.virsh(t, "start", uuid)
		d.virsh(t, "managedsave", uuid)
	}
}

// look is a VM by dominfo, which the backend does not use.
func (d *libvirt) look(t *testing.T, uuid string) hypervisor.Machine {
	t.Helper()
	m, saved := hypervisor.Machine{UUID: uuid}, false
	for line := range strings.Lines(d.virsh(t, "dominfo", uuid)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch key {
		case "Name":
			m.Name = line[len("Name:           ") : len(line)-1]
		case "State":
			m.State = hypervisor.State(strings.TrimSpace(value))
		case "Managed save":
			saved = strings.TrimSpace(value) == "yes"
		}
	}
	if m.State == "shut off" {
		m.State = hypervisor.Stopped
	}
	if m.State == hypervisor.Stopped && saved {
		m.State = hypervisor.Suspended
	}
	return m
}

// leaseFile is where libvirt itself reads the leases of its network. As no
// guest boots, nobody else writes it.
const leaseFile = "var/lib/libvirt/dnsmasq/virbr0.status"

func (d *libvirt) lease(t *testing.T, mac, addr string) {
	t.Helper()
	var leases []map[string]any
	text, _ := os.ReadFile(filepath.Join(d.dir, leaseFile))
	_ = json.Unmarshal(text, &leases)
	text, err := json.Marshal(append(leases, map[string]any{
		"ip-address": addr, "mac-address": mac, "hostname": "debian", "expiry-time": time.Now().Add(time.Hour).Unix(),
	}))
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, leaseFile, string(text))
}

// define makes a VM that needs next to nothing.
func (d *libvirt) define(t *testing.T, vm hypervisor.Machine, mac string) {
	t.Helper()
	var name strings.Builder
	if err := xml.EscapeText(&name, []byte(vm.Name)); err != nil {
		t.Fatal(err)
	}
	d.write(t, "vm.xml", fmt.Sprintf(`<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>`+
		`<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>`+
		`<interface type='network'><source network='default'/><mac address='%s'/><model type='virtio'/></interface></devices></domain>`,
		name.String(), vm.UUID, mac))
	d.virsh(t, "define", filepath.Join(d.dir, "vm.xml"))
}

// description is what dumpxml says of a VM.
type description struct {
	Memory struct {
		KiB int64 `xml:",chardata"`
	} `xml:"memory"`
	Disks []struct {
		Pool   string `xml:"pool,attr"`
		Volume string `xml:"volume,attr"`
	} `xml:"devices>disk>source"`
	MAC struct {
		Address string `xml:"address,attr"`
	} `xml:"devices>interface>mac"`
}

func (d *libvirt) describe(t *testing.T, uuid string) (x description) {
	t.Helper()
	if err := xml.Unmarshal([]byte(d.virsh(t, "dumpxml", uuid, "--inactive")), &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// world is this libvirtd without VMs. Its faults are real ones, too: a PATH
// without virsh, a socket on which nobody listens, a program that does not end.
func (d *libvirt) world(t *testing.T) hypervisortest.World {
	d.reset(t)
	calls, fault, real := atomic.Int64{}, hypervisortest.None, command.New(os.Environ()).Run
	run := func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		calls.Add(1)
		switch fault {
		case hypervisortest.ToolMissing:
			return command.Runner{}.Run(ctx, c)
		case hypervisortest.ServiceDown:
			c.Argv = append([]string{"virsh", "--quiet", "--connect", d.uri + "-nobody"}, c.Argv[4:]...)
		case hypervisortest.Hang:
			c.Argv = []string{"sleep", "600"}
		}
		return real(ctx, c)
	}
	return hypervisortest.World{
		Backend: virsh.New(virsh.Config{Run: run, URI: d.uri, Type: "qemu"}),
		Add: func(vm hypervisor.Machine) string {
			if strings.Contains(vm.Name, "/") {
				t.Skipf("libvirt has no VM called %q", vm.Name)
			}
			mac := fmt.Sprintf("52:54:00:00:%s:%s", vm.UUID[9:11], vm.UUID[11:13])
			d.define(t, vm, mac)
			if vm.Addr.IsValid() {
				d.lease(t, mac, vm.Addr.String())
			}
			d.power(t, vm.UUID, vm.State)
			return vm.UUID
		},
		Look: func() (vms []hypervisor.Machine) {
			for _, uuid := range strings.Fields(d.virsh(t, "list", "--all", "--uuid")) {
				vms = append(vms, d.look(t, uuid))
			}
			return vms
		},
		SetState: func(uuid string, s hypervisor.State) {
			if !s.Known() {
				t.Skipf("no VM of libvirt can be made %s", s)
			}
			d.power(t, uuid, s)
		},
		Rename: func(uuid, name string) { // which libvirt does with VMs that are off
			was := d.look(t, uuid).State
			d.power(t, uuid, hypervisor.Stopped)
			d.virsh(t, "domrename", uuid, name)
			d.power(t, uuid, was)
		},
		Remove: func(uuid string) { d.remove(t, uuid) },
		Sizes: func(uuid string) (ram, disk hypervisor.Size) {
			x := d.describe(t, uuid)
			info, err := os.Stat(filepath.Join(d.dir, "pool", x.Disks[0].Volume))
			if err != nil {
				t.Fatal(err)
			}
			return hypervisor.Size(x.Memory.KiB) << 10, hypervisor.Size(info.Size())
		},
		Drives: func(uuid string) (ids []string) {
			for _, disk := range d.describe(t, uuid).Disks {
				ids = append(ids, disk.Pool+"/"+disk.Volume)
			}
			return ids
		},
		MAC: func(uuid string) net.HardwareAddr {
			mac, err := net.ParseMAC(d.describe(t, uuid).MAC.Address)
			if err != nil {
				t.Fatal(err)
			}
			return mac
		},
		Calls:       func() int { return int(calls.Load()) },
		ServiceRuns: func() bool { return fault != hypervisortest.ServiceDown },
		Break: func(f hypervisortest.Fault) bool {
			fault = f
			return slices.Contains([]hypervisortest.Fault{hypervisortest.None, hypervisortest.ToolMissing, hypervisortest.ServiceDown, hypervisortest.Hang}, f)
		},
	}
}

// checkNames: names with all that libvirt allows in them are read as they are.
func (d *libvirt) checkNames(t *testing.T) {
	w := d.world(t)
	var want []string
	for i, name := range []string{"mpd-150 exist running", `say "hello"`, "it's", `back\slash`, "Übung ☃", "[{}]", "-", " two  spaces ", "Domain: 'x'", "end"} {
		w.Add(hypervisor.Machine{UUID: fmt.Sprintf("5c0ffee0-%04x-4d1e-8b00-0123456789ab", i), Name: name, State: hypervisor.Stopped})
		want = append(want, name)
	}
	vms, err := w.Backend.States(t.Context())
	var got []string
	for _, vm := range vms {
		got = append(got, vm.Name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("States = %q, %v; want %q", got, err, want)
	}
}
