package mpdvirttest

import (
	"errors"
	"io"
	"math/bits"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

// disks is what was on the drives of a VM when it was made, by their IDs.
type disks struct {
	system string            // the drive to boot from; "" if none can be booted from
	data   map[string][]byte // of the others, as far as maxData goes
}

// maxData is more than any seed has.
const maxData = 4 << 20

// made keeps what the files of a new VM hold: UTM copies them, and their owner
// may delete them as soon as the call has returned.
func (u *UTM) made(m utmemu.VM) {
	d := &disks{data: map[string][]byte{}}
	for i, drive := range m.Drives {
		head, err := readHead(drive.Source, maxData)
		switch {
		case err != nil: // such a drive holds nothing
		case i == 0 && len(head) >= 512 && head[510] == 0x55 && head[511] == 0xaa:
			d.system = drive.ID
		case i > 0:
			d.data[drive.ID] = head
		}
	}
	v, err := u.w.plant(VMOptions{Curl: true, NoWget: true, Unauthorized: true}, (*VM).installCloud)
	if err != nil {
		return // a world that is closed has no room for it, which shows when it is started
	}
	v.SetArch(m.Arch)
	u.put(m.UUID, v)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.disks[m.UUID] = d
}

func readHead(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// seed is the first disk beside the system's that holds anything: of a drive
// that was copied what was copied, and of a removable one its file, which stays
// where it was.
func (d *disks) seed(m utmemu.VM) []byte {
	for _, drive := range m.Drives {
		data := d.data[drive.ID]
		if drive.Removable {
			data, _ = readHead(drive.File, maxData) // a file that is gone is an empty drive
		}
		if drive.ID != d.system && len(data) > 0 {
			return data
		}
	}
	return nil
}

// boots says whether the VM still has its system.
func (d *disks) boots(m utmemu.VM) bool {
	for _, drive := range m.Drives {
		if drive.ID == d.system {
			return true
		}
	}
	return false
}

func (u *UTM) detached(uuid string, drive utmemu.Drive) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if d := u.disks[uuid]; d != nil {
		delete(d.data, drive.ID)
	}
}

func (u *UTM) started(uuid string) {
	u.plugIn()
	u.start(uuid, u.powerOn)
}

func (u *UTM) resumed(uuid string) {
	u.plugIn()
	u.resume(uuid, u.powerOn)
}

func (u *UTM) stopped(uuid string, killed bool) {
	u.stop(uuid, killed)
	u.unplug()
}

func (u *UTM) deleted(uuid string) {
	u.discard(uuid)
	u.mu.Lock()
	delete(u.disks, uuid)
	delete(u.leases, uuid)
	u.mu.Unlock()
	u.unplug()
}

// powerOn lets the guest boot. One that is on already was saved when UTM quit,
// and goes on.
func (u *UTM) powerOn(uuid string, v *VM) {
	m, there := u.emu.VM(uuid)
	v.mu.Lock()
	on := v.on
	v.mac = strings.ToLower(m.MAC)
	v.mu.Unlock()
	u.mu.Lock()
	d, plan := u.disks[uuid], u.cloud
	u.mu.Unlock()
	switch {
	case !there: // deleted meanwhile
	case on:
		v.Resume()
	case d == nil:
		u.appear(uuid, v, m)
	case d.boots(m):
		u.mu.Lock()
		seed := d.seed(m)
		u.mu.Unlock()
		st := v.cloudBoot(seed, plan)
		u.appear(uuid, v, m)
		v.cloudStages(st, plan)
	}
}

// appear boots the guest at its own address if that is in the Mac's network, or
// at one of the DHCP server's. Debian's image for clouds asks for none of those
// by itself.
func (u *UTM) appear(uuid string, v *VM, m utmemu.VM) {
	shared, up := u.shared()
	addr, fixed := v.static()
	v.mu.Lock()
	cloud := v.cloud != nil
	v.mu.Unlock()
	if !fixed && !cloud {
		addr = u.lease(uuid, shared)
	}
	if !up || m.Mode != "shared" || !shared.Contains(addr) {
		addr = netip.Addr{}
	}
	v.appear(addr)
}

// lease is the address of the DHCP server for a VM, the same each time while the
// network is; invalid if none is left.
func (u *UTM) lease(uuid string, in netip.Prefix) netip.Addr {
	u.mu.Lock()
	defer u.mu.Unlock()
	if addr := u.leases[uuid]; in.Contains(addr) {
		return addr
	}
	taken := map[netip.Addr]bool{}
	for _, addr := range u.leases {
		taken[addr] = true
	}
	for n := byte(2); n < 255; n++ {
		if addr := hostAt(in, n); !taken[addr] && !u.w.exists(addr) {
			u.leases[uuid] = addr
			return addr
		}
	}
	return netip.Addr{}
}

func hostAt(p netip.Prefix, n byte) netip.Addr {
	a := p.Addr().As4()
	a[3] = n
	return netip.AddrFrom4(a)
}

// hostOf reads the Mac's address on the bridge; invalid if there is none.
func hostOf(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return netip.Addr{}
	}
	return a
}

func around(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 24).Masked() }

// vmnetDefault is what macOS gives to vmnet if nobody has it.
func vmnetDefault() netip.Prefix { return netip.MustParsePrefix("192.168.64.0/24") }

// shared is vmnet's network, if it is there.
func (u *UTM) shared() (p netip.Prefix, up bool) {
	err := u.emu.Change(func(s *utmemu.Settings) {
		if a := hostOf(s.Bridge); a.IsValid() {
			p, up = around(a), true
		}
	})
	return p, up && err == nil
}

// intel says whether the Mac has no Apple Silicon.
func (u *UTM) intel() (is bool) {
	err := u.emu.Change(func(s *utmemu.Settings) { is = s.Intel })
	return is && err == nil
}

// plugIn makes the bridge appear for the first VM that starts.
func (u *UTM) plugIn() {
	u.mu.Lock()
	chosen := u.network
	u.mu.Unlock()
	appeared := false
	// An error is one of a state in a file, which this emulator has not.
	_ = u.Change(func(s *utmemu.Settings) {
		if s.Bridge != "" {
			return
		}
		last := hostOf(s.Recorded)
		switch {
		case chosen.IsValid():
		case last.IsValid():
			chosen = around(last)
		default:
			chosen = vmnetDefault()
		}
		s.Bridge = hostAt(chosen, 1).String()
		s.Recorded = s.Bridge
		appeared = true
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ours = u.ours || appeared
}

// unplug makes the bridge go with the last VM.
func (u *UTM) unplug() {
	vms, err := u.emu.VMs()
	for _, m := range vms {
		if m.State != "stopped" && m.Next != "stopped" {
			return
		}
	}
	u.mu.Lock()
	ours := u.ours
	u.ours = false
	u.mu.Unlock()
	if ours && err == nil {
		_ = u.Change(func(s *utmemu.Settings) { s.Bridge = "" }) // as in plugIn
	}
}

// setBridge says which address the Mac has on vmnet's bridge, and its mask as
// ifconfig writes it; "" is no bridge, and the usual mask.
func (w *World) setBridge(addr, mask string) error {
	a := hostOf(addr)
	if !a.IsValid() {
		return w.mac.setBridge(netip.Prefix{})
	}
	length := 24
	if m, err := strconv.ParseUint(strings.TrimPrefix(mask, "0x"), 16, 32); err == nil {
		length = bits.OnesCount32(uint32(m))
	}
	return w.mac.setBridge(netip.PrefixFrom(a, length))
}
