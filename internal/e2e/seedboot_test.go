//go:build e2e && e2evm && linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/image"
)

// bootLimit bounds a boot. Without hardware virtualization it takes a minute on
// a quiet machine, three on a busy one.
const bootLimit = 8 * time.Minute

// machine is a VM that QEMU computes, at the port vm of the laboratory's bridge.
type machine struct {
	lab   *Lab
	built string   // folder with its kernel
	disks []string // virtio disks, the first one to boot from
	ended chan struct{}
}

// TestSeedBoot: a raw disk like Debian's cloud image, placed and grown by our
// code, boots with our seed as its second disk and becomes the VM that the seed
// describes; without the seed it stays that VM.
func TestSeedBoot(t *testing.T) {
	requireMachine(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the VM of this test is an amd64 one")
	}
	requirePrograms(t, "qemu-system-x86_64", "sfdisk", "mke2fs")
	l := NewLab(t)
	s := l.newSeed()
	m := &machine{lab: l, built: built(t, "disk", cloudRootfs(t))}
	raw, err := image.Local(filepath.Join(m.built, "disk.raw"))
	l.must(err)
	disk := filepath.Join(l.dir, "disk.raw")
	l.must(image.Place(t.Context(), raw.Path, disk, 8*hypervisor.GiB))

	l.run("ip", "-n", l.net, "tuntap", "add", "dev", "vm", "mode", "tap")
	l.run("ip", "-n", l.net, "link", "set", "vm", "master", "br0", "up")
	m.disks = []string{disk, s.iso}
	m.start()
	s.await(bootLimit)
	s.finished("DataSourceNoCloud [seed=/dev/vdb]")
	s.check()
	checkGrown(s)
	machineID := s.run("", "cat /etc/machine-id")
	m.shutdown(s)

	l.must(os.Remove(s.iso))
	m.disks = m.disks[:1]
	m.start()
	s.await(bootLimit)
	s.disabled()
	s.check()
	checkGrown(s)
	if got := s.run("", "cat /etc/machine-id"); got != machineID {
		t.Errorf("machine-id after the second boot is %s, was %s", got, machineID)
	}
	s.checkNoPassword()
	m.shutdown(s)
}

// checkGrown: the root file system has what the disk was grown by.
func checkGrown(s *seeded) {
	s.lab.t.Helper()
	size, err := strconv.ParseInt(s.run("", "df --block-size=1 --output=size / | tail -n 1"), 10, 64)
	s.lab.must(err)
	if size < int64(7*hypervisor.GiB) {
		s.lab.t.Errorf("the root file system has %d bytes, on a disk of 8 GiB", size)
	}
}

// start turns the VM on.
func (m *machine) start() {
	l := m.lab
	l.t.Helper()
	console := filepath.Join(l.dir, "console-vm.log")
	args := []string{"netns", "exec", l.net, "qemu-system-x86_64",
		// With cx16, which QEMU's own processor has, the kernel panics.
		"-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-machine", "q35", "-smp", "2", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-chardev", "file,id=console,append=on,path=" + console, "-serial", "chardev:console",
		"-kernel", filepath.Join(m.built, "vmlinuz"), "-initrd", filepath.Join(m.built, "initrd"),
		"-append", "root=/dev/vda1 rw console=ttyS0",
		"-netdev", "tap,id=net,ifname=vm,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=net,romfile=,mac=" + hardwareAddr(seedIP), "-device", "virtio-rng-pci"}
	for i, disk := range m.disks {
		readOnly := "off"
		if i > 0 {
			readOnly = "on"
		}
		args = append(args, "-drive", fmt.Sprintf("if=virtio,index=%d,format=raw,cache=unsafe,discard=unmap,readonly=%s,file=%s", i, readOnly, disk))
	}
	log, err := os.OpenFile(filepath.Join(l.dir, "console-qemu.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	l.must(err)
	defer log.Close()
	cmd := exec.Command("ip", args...)
	cmd.Stdout, cmd.Stderr = log, log
	l.must(cmd.Start())
	m.ended = make(chan struct{})
	// The laboratory ends it by its namespace, at the latest.
	go func() {
		cmd.Wait()
		close(m.ended)
	}()
}

// shutdown turns the VM off in good order.
func (m *machine) shutdown(s *seeded) {
	m.lab.t.Helper()
	start := time.Now()
	s.ssh("", "sudo systemctl poweroff") // which may cut this very connection
	select {
	case <-m.ended:
		m.lab.t.Logf("off after %.1fs", time.Since(start).Seconds())
	case <-time.After(2 * time.Minute):
		m.lab.t.Fatal("still running 2 minutes after it was told to power off")
	}
}
