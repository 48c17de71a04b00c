//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// guestROM is all the software of a VM, in place of a BIOS, which takes seconds
// to find out that nothing boots and then keeps a processor busy. It listens to
// the power button, says so on the serial port, and sleeps. Addresses are those
// of QEMU's machine pc (https://www.qemu.org/docs/master/specs/, and Intel's
// datasheet 290562, 82371AB, for the power management); the processor is a 486,
// which has no APIC that would have to be set up for interrupts to come through.
func guestROM() []byte {
	rom := bytes.Repeat([]byte{0xf4}, 64<<10) // hlt
	copy(rom, "\x66\xb8\x40\x0b\x00\x80"+     // mov eax, 0x80000b40  PCI device 1.3, register 0x40:
		"\xba\xf8\x0c\x66\xef"+ //              mov dx, 0xcf8; out dx, eax
		"\x66\xb8\x01\x06\x00\x00"+ //          mov eax, 0x601        power management is at 0x600
		"\xb2\xfc\x66\xef"+ //                  mov dl, 0xfc; out dx, eax
		"\x66\xb8\x80\x0b\x00\x80"+ //          mov eax, 0x80000b80   register 0x80:
		"\xb2\xf8\x66\xef"+ //                  mov dl, 0xf8; out dx, eax
		"\xb2\xfc\xb0\x01\xee"+ //              mov dl, 0xfc; mov al, 1; out dx, al   and it is on
		"\x31\xc0\x8e\xd8\x8e\xd0\xbc\x00\x10"+ // xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 0x1000
		"\xc7\x06\xc4\x01\x80\x00"+ //          mov word [4*0x71], 0x80     the vector of the button
		"\xc7\x06\xc6\x01\x00\xf0"+ //          mov word [4*0x71+2], 0xf000
		"\xb0\x11\xe6\x20\xe6\xa0"+ //          mov al, 0x11; out 0x20, al; out 0xa0, al  both interrupt controllers:
		"\xb0\x08\xe6\x21\xb0\x70\xe6\xa1"+ //  mov al, 8; out 0x21, al; mov al, 0x70; out 0xa1, al   vectors
		"\xb0\x04\xe6\x21\xb0\x02\xe6\xa1"+ //  mov al, 4; out 0x21, al; mov al, 2; out 0xa1, al      how they are joined
		"\xb0\x01\xe6\x21\xe6\xa1"+ //          mov al, 1; out 0x21, al; out 0xa1, al
		"\xb0\xfb\xe6\x21\xb0\xfd\xe6\xa1"+ //  mov al, 0xfb; out 0x21, al; mov al, 0xfd; out 0xa1, al  only interrupt 9
		"\xba\x02\x06\xb8\x00\x01\xef"+ //      mov dx, 0x602; mov ax, 0x100; out dx, ax   which is the power button
		"\xba\xf8\x03\xb0\x21\xee"+ //          mov dx, 0x3f8; mov al, '!'; out dx, al     the serial port
		"\xfb\xf4\xeb\xfd") //                  sti; sleep: hlt; jmp sleep
	copy(rom[0x80:], "\xba\x04\x06\xb8\x00\x20\xef"+ // mov dx, 0x604; mov ax, 0x2000; out dx, ax   power off
		"\xf4") // hlt
	copy(rom[0xfff0:], "\xe9\x0d\x00") // here a processor begins: jmp 0
	return rom
}

// add makes a VM of next to nothing and brings it into its state, while the test
// goes on until it calls settle.
func (d *libvirt) add(t *testing.T, vm hypervisor.Machine, mac string) {
	t.Helper()
	var name strings.Builder
	if err := xml.EscapeText(&name, []byte(vm.Name)); err != nil {
		t.Fatal(err)
	}
	file := "vm-" + vm.UUID + ".xml"
	d.write(t, file, fmt.Sprintf(`<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>1</memory><vcpu>1</vcpu>`+
		`<os><type arch='x86_64' machine='pc'>hvm</type><loader readonly='yes' type='rom'>%s/guest.rom</loader></os><features><acpi/></features>`+
		`<cpu mode='custom' check='none'><model>486</model></cpu><devices><controller type='usb' model='none'/><memballoon model='none'/>`+
		`<serial type='file'><source path='%s'/></serial>`+
		`<interface type='network'><source network='default'/><mac address='%s'/><model type='rtl8139'/><rom enabled='no'/></interface></devices></domain>`,
		name.String(), vm.UUID, d.dir, d.serial(vm.UUID), mac))
	d.adding.RLock()
	go func() {
		defer d.adding.RUnlock()
		d.slots <- struct{}{}
		defer func() { <-d.slots }()
		_, err := d.run("define", filepath.Join(d.dir, file))
		if err == nil {
			err = d.power(vm.UUID, hypervisor.Stopped, vm.State)
		}
		if err != nil {
			t.Error(err)
		}
	}()
}

// settle waits for all that add began.
func (d *libvirt) settle() {
	d.adding.Lock()
	defer d.adding.Unlock()
}

// serial is what the serial port of a VM prints to.
func (d *libvirt) serial(uuid string) string { return filepath.Join(d.dir, "serial-"+uuid) }

// power brings a VM from a state into another one.
func (d *libvirt) power(uuid string, from, to hypervisor.State) error {
	if from == to {
		return nil
	}
	if err := os.Remove(d.serial(uuid)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var line strings.Builder
	for _, word := range way(from, to) {
		fmt.Fprintf(&line, "%s --domain=%s; ", word, uuid)
	}
	_, err := d.run(line.String())
	if err == nil && to == hypervisor.Running {
		err = d.listens(uuid)
	}
	return err
}

// way is the commands that lead from one state to another.
func way(from, to hypervisor.State) (words []string) {
	if from == hypervisor.Running && to == hypervisor.Paused {
		return []string{"suspend"}
	}
	switch from {
	case hypervisor.Suspended:
		words = append(words, "managedsave-remove")
	case hypervisor.Running:
		if to == hypervisor.Suspended {
			return []string{"managedsave"}
		}
		words = append(words, "destroy")
	case hypervisor.Paused:
		words = append(words, "destroy")
	}
	switch to {
	case hypervisor.Running:
		words = append(words, "start")
	case hypervisor.Paused:
		words = append(words, "start --paused")
	case hypervisor.Suspended:
		words = append(words, "start", "managedsave")
	}
	return words
}

// listens waits until the guest of a VM hears its power button. Pressed earlier,
// it would be pressed in vain. VMs that the backend made have no guest: nor have
// they a file for what it prints, which libvirt makes before it starts a VM.
func (d *libvirt) listens(uuid string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for {
		text, err := os.ReadFile(d.serial(uuid))
		if len(text) > 0 || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("the guest of %s does not begin: %w", uuid, err)
		}
	}
}

// look is all VMs by dominfo, which the backend does not use.
func (d *libvirt) look(t *testing.T) []hypervisor.Machine {
	t.Helper()
	d.settle()
	uuids := strings.Fields(d.virsh(t, "list", "--all", "--uuid"))
	if len(uuids) == 0 {
		return nil
	}
	vms := decodeInfo(d.virsh(t, all("dominfo %s", uuids)))
	if len(vms) != len(uuids) {
		t.Fatalf("dominfo tells of %d VMs, and there are %d", len(vms), len(uuids))
	}
	return vms
}

// state is that of one VM.
func (d *libvirt) state(t *testing.T, uuid string) hypervisor.State {
	t.Helper()
	d.settle()
	return decodeInfo(d.virsh(t, "dominfo", uuid))[0].State
}

func decodeInfo(text string) (vms []hypervisor.Machine) {
	var m *hypervisor.Machine
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch value = strings.TrimSpace(value); key {
		case "Id":
			vms = append(vms, hypervisor.Machine{})
			m = &vms[len(vms)-1]
		case "Name":
			m.Name = line[len("Name:           ") : len(line)-1]
		case "UUID":
			m.UUID = value
		case "State":
			m.State = hypervisor.State(value)
			if value == "shut off" {
				m.State = hypervisor.Stopped
			}
		case "Managed save":
			if m.State == hypervisor.Stopped && value == "yes" {
				m.State = hypervisor.Suspended
			}
		}
	}
	return vms
}

// reset takes all VMs, volumes and leases away.
func (d *libvirt) reset(t *testing.T) {
	t.Helper()
	d.settle()
	every, on, _ := strings.Cut(d.virsh(t, "list --all --uuid; echo active; list --uuid"), "active")
	running := strings.Fields(on)
	off := slices.DeleteFunc(strings.Fields(every), func(uuid string) bool { return slices.Contains(running, uuid) })
	var wg sync.WaitGroup
	failed := make(chan error, len(running))
	for _, uuid := range running {
		// libvirt looks only each 200 ms whether a QEMU has ended.
		wg.Go(func() {
			if _, err := d.run(all("destroy %[1]s; undefine %[1]s", []string{uuid})); err != nil {
				failed <- err
			}
		})
	}
	if len(off) > 0 {
		d.virsh(t, all("undefine %s --managed-save", off))
	}
	wg.Wait()
	if len(failed) > 0 {
		t.Fatal(<-failed)
	}
	if volumes := d.pool(t); len(volumes) > 0 {
		d.virsh(t, "pool-refresh default; "+all("vol-delete --pool=default --vol=%s", volumes))
	}
	d.write(t, leaseFile, "[]")
}

func (d *libvirt) pool(t *testing.T) (names []string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(d.dir, "pool"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// leaseFile is where libvirt itself reads the leases of its network. As no
// guest asks for an address, nobody else writes it.
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
