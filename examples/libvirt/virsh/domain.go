package virsh

import (
	"encoding/xml"
	"net"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// domain is what libvirt is told of a new VM; see
// https://libvirt.org/formatdomain.html. Values are quoted by encoding/xml.
type domain struct {
	XMLName  xml.Name `xml:"domain"`
	Type     string   `xml:"type,attr"`
	Name     string   `xml:"name"`
	UUID     string   `xml:"uuid"`
	Memory   memory   `xml:"memory"`
	VCPU     int      `xml:"vcpu"`
	OS       system   `xml:"os"`
	Features features `xml:"features"`
	CPU      mode     `xml:"cpu"`
	Clock    clock    `xml:"clock"`
	Devices  devices  `xml:"devices"`
}

type memory struct {
	Unit string `xml:"unit,attr"`
	MiB  int64  `xml:",chardata"`
}

type system struct {
	Firmware string `xml:"firmware,attr,omitempty"`
	Type     struct {
		Arch    string `xml:"arch,attr"`
		Machine string `xml:"machine,attr"`
		HVM     string `xml:",chardata"`
	} `xml:"type"`
}

// features: without ACPI a guest does not hear its power button.
type features struct {
	ACPI struct{} `xml:"acpi"`
}

type mode struct {
	Mode string `xml:"mode,attr"`
}

type clock struct {
	Offset string `xml:"offset,attr"`
}

type devices struct {
	Disks     []disk `xml:"disk"`
	Interface card   `xml:"interface"`
	Console   typed  `xml:"console"`
}

// disk is one drive of a VM, as it is defined and as dumpxml shows it.
type disk struct {
	Type   string `xml:"type,attr"`
	Device string `xml:"device,attr"`
	Driver struct {
		Name string `xml:"name,attr"`
		Type string `xml:"type,attr"`
	} `xml:"driver"`
	Source struct {
		Pool   string `xml:"pool,attr"`
		Volume string `xml:"volume,attr"`
	} `xml:"source"`
	Target struct {
		Dev string `xml:"dev,attr"`
		Bus string `xml:"bus,attr"`
	} `xml:"target"`
	ReadOnly  *struct{} `xml:"readonly"`
	Shareable *struct{} `xml:"shareable"`
}

type card struct {
	Type   string `xml:"type,attr"`
	Source struct {
		Network string `xml:"network,attr"`
	} `xml:"source"`
	MAC struct {
		Address string `xml:"address,attr"`
	} `xml:"mac"`
	Model typed `xml:"model"`
}

type typed struct {
	Type string `xml:"type,attr"`
}

// describe is the VM of an order. All its devices are virtio, which is all that
// Debian's kernel for clouds has, and it has a serial console and no display.
func (b *Backend) describe(uuid string, spec hypervisor.CreateSpec, volumes [2]string) ([]byte, error) {
	d := domain{
		Type: b.cfg.Type, Name: spec.Octet.VMName(), UUID: uuid,
		Memory: memory{"MiB", int64(spec.RAM / hypervisor.MiB)}, VCPU: spec.Cores,
		CPU: mode{"host-passthrough"}, Clock: clock{"utc"},
	}
	if b.cfg.Type != "kvm" {
		d.CPU.Mode = "maximum" // QEMU's own choice for arm64 has 32 bits
	}
	d.OS.Type.HVM, d.OS.Type.Arch, d.OS.Type.Machine = "hvm", "x86_64", "q35"
	if spec.Arch == "arm64" {
		d.OS.Firmware, d.OS.Type.Arch, d.OS.Type.Machine = "efi", "aarch64", "virt"
	}
	for i, volume := range volumes {
		d.Devices.Disks = append(d.Devices.Disks, b.drive([2]string{"vda", "vdb"}[i], volume))
	}
	d.Devices.Interface = b.card(spec.MAC)
	d.Devices.Console.Type = "pty"
	return xml.MarshalIndent(d, "", "  ")
}

func (b *Backend) drive(target, volume string) disk {
	d := disk{Type: "volume", Device: "disk"}
	d.Driver.Name, d.Driver.Type = "qemu", "raw"
	d.Source.Pool, d.Source.Volume = b.cfg.Pool, volume
	d.Target.Dev, d.Target.Bus = target, "virtio"
	return d
}

func (b *Backend) card(mac net.HardwareAddr) card {
	c := card{Type: "network"}
	c.Source.Network, c.MAC.Address, c.Model.Type = b.cfg.Network, mac.String(), "virtio"
	return c
}
