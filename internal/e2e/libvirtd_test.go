//go:build e2e && linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
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
libvirtd --config "$1/libvirtd.conf" --pid-file "$1/pid" || code=$?
echo "libvirtd ended with ${code:-0}"
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
		"guest.rom": string(guestROM()),
	}
}

// libvirt is a libvirtd of the test's own.
type libvirt struct {
	dir, uri string
	ended    chan struct{} // closed once it has ended
	adding   sync.RWMutex  // held for reading while a VM is made
	slots    chan struct{} // has room for as many VMs as are made at the same time
}

func startLibvirt(t *testing.T) *libvirt {
	t.Helper()
	dir := t.TempDir()
	d := &libvirt{dir: dir, uri: "qemu:///system?socket=" + dir + "/libvirt-sock", ended: make(chan struct{}), slots: make(chan struct{}, 4)}
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
	d.must(t, startTethered(cmd, d.ended))
	t.Cleanup(func() {
		select {
		case <-d.ended:
			t.Errorf("libvirtd ended before the test did: %v", cmd.ProcessState)
		default:
		}
		// unshare lets no other signal end it, and with it all of the namespace.
		_ = cmd.Process.Kill()
		<-d.ended
		if t.Failed() {
			for _, name := range []string{"out.log", "libvirtd.log"} {
				text, _ := os.ReadFile(filepath.Join(dir, name))
				t.Logf("%s:\n%s", name, text[max(0, len(text)-4000):])
			}
		}
	})
	d.await(t)
	d.must(t, os.Mkdir(filepath.Join(dir, "pool"), 0o700))
	d.virsh(t, "net-define", filepath.Join(dir, "network.xml"))
	d.virsh(t, "net-start", "default")
	d.virsh(t, "pool-define-as", "default", "dir", "--target", filepath.Join(dir, "pool"))
	d.virsh(t, "pool-start", "default")
	return d
}

func (d *libvirt) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *libvirt) write(t *testing.T, name, text string) {
	t.Helper()
	d.must(t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600))
}

// await waits until the daemon answers, which it does once it has asked all
// QEMUs of this machine what they can do.
func (d *libvirt) await(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	end := time.After(2 * time.Minute)
	for {
		out, err := d.run("version")
		if err == nil {
			t.Logf("%s", out)
			return
		}
		select {
		case <-tick.C:
		case <-d.ended:
			t.Fatalf("libvirtd does not start: %v", err)
		case <-end:
			t.Fatalf("libvirtd does not answer: %v", err)
		}
	}
}

// run runs the real tool behind the backend's back. A single argument is a line
// of commands with semicolons between, which costs one process; of these, virsh
// tells only the last one's end by its status.
func (d *libvirt) run(args ...string) (string, error) {
	cmd := exec.Command("virsh", append([]string{"--quiet", "--connect", d.uri}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.Contains(stderr.String(), "error:") {
		return "", fmt.Errorf("virsh %.200q: %v\n%s", args, err, stderr.String())
	}
	return string(out), nil
}

func (d *libvirt) virsh(t *testing.T, args ...string) string {
	t.Helper()
	out, err := d.run(args...)
	d.must(t, err)
	return out
}

// all is one line of a command for each VM.
func all(command string, uuids []string) string {
	var line strings.Builder
	for _, uuid := range uuids {
		fmt.Fprintf(&line, command+"; ", uuid)
	}
	return line.String()
}
