package prlemu

import (
	"bytes"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

// detail is one VM of "list -i -j". Keys, their capitals, the spaces at the end
// of some, the order, the nesting and the types of the values are those of a
// real release 20 (VSC), adapted to a Debian guest; tabs and blanks are as
// irregular as there (JK). C
const detail = `	{
		"ID": @id,
		"Name": @name,
		"Description": "",
		"Type": "VM",
		"State": @state,
		"OS": "debian",
		"Template": @template,
		"Uptime": @uptime,
		"Home path": @path,
		"Home": @home,
		"Restore Image": "",
		"GuestTools":{
			"state": @tools
		},
		"Mouse and Keyboard":{
			"Smart mouse optimized for games": "auto",
			"Sticky mouse": "off",
			"Smooth scrolling": "on",
			"Keyboard optimization mode": "auto"
		},
		"Print Management":{
			"Synchronize with host printers": "on",
			"Synchronize default printer": "on",
			"Show host printer UI": "on"
		},
		"USB and Bluetooth":{
			"Automatic sharing cameras": "on",
			"Automatic sharing bluetooth": "off",
			"Automatic sharing smart cards": "off",
			"Automatic sharing gamepads": "on",
			"Support USB 3.0": "on"
		},
		"Startup and Shutdown":{
			"Autostart": "off",
			"Autostart delay": 0,
			"Autostop": "suspend",
			"Startup view": "window",
			"On shutdown": "window",
			"On window close": "keep-running",
			"Pause idle": "off",
			"Undo disks": "off"
		},
		"Optimization":{
			"Faster virtual machine": "on",
			"Hypervisor type": "apple",
			"Adaptive hypervisor": "on",
			"Disabled Windows logo": "on",
			"Auto compress virtual disks": "off",
			"Nested virtualization": "off",
			"PMU virtualization": "off",
			"Longer battery life": "off",
			"Show battery status": "on",
			"Resource quota": "unlimited"
		},
		"Travel mode":{
			"Enter condition": "never",
			"Enter threshold": 30,
			"Quit condition": "never"
		},
		"Security":{
			"Encrypted": "no",
			"TPM enabled": "no",
			"TPM type": "unknown",
			"Custom password protection": "off",
			"Configuration is locked": "off",
			"Protected": "no",
			"Archived": "no",
			"Packed": "no"
		},
		"Smart Guard":{
			"enabled": false
		},
		"Modality":{
			"Opacity (percentage)": 50,
			"Stay on top": "on",
			"Show on all spaces ": "on",
			"Capture mouse clicks": "on"
		},
		"Fullscreen":{
			"Use all displays": "off",
			"Activate spaces on click": "on",
			"Optimize for games": "off",
			"Gamma control": "on",
			"Scale view mode": "auto"
		},
		"Coherence":{
			"Show Windows systray in Mac menu": "off",
			"Auto-switch to full screen": "off",
			"Disable aero": "off",
			"Hide minimized windows": "off"
		},
		"Time Synchronization":{
			"enabled": true,
			"Smart mode": "off",
			"Interval (in seconds)": 60,
			"Timezone synchronization disabled": "off"
		},
		"Expiration":{
			"enabled": false
		},
		"Boot order": "hdd0 cdrom0 ",
		"BIOS type": "efi-arm64",
		"EFI Secure boot": "off",
		"Allow select boot device": "off",
		"External boot device": "",
		"SMBIOS settings":{
			"BIOS Version": "",
			"System serial number": "",
			"Board Manufacturer": ""
		},
		"Hardware":{
			"cpu":{
				"cpus": @cpus,
				"auto": "off",
				"VT-x": true,
				"hotplug": false,
				"accl": "high",
				"mode": "64",
				"type": "arm"
			},
			"memory":{
				"size": @memory,
				"auto": "off",
				"hotplug": false
			},
			"video":{
				"adapter-type": "virtio",
				"size": "0Mb",
				"3d-acceleration": "off",
				"vertical-sync": "on",
				"high-resolution": "off",
				"high-resolution-in-guest": "off",
				"native-scaling-in-guest": "off",
				"automatic-video-memory": "on"
			},
			"memory_quota":{
				"auto": "yes"
			},
			"hdd0":{
				"enabled": true,
				"port": "sata:0",
				"image": @image,
				"type": "expanded",
				"size": @disk,
				"online-compact": "off"
			},
			"cdrom0":{
				"enabled": true,
				"port": "sata:1",
				"image": "",
				"state": "disconnected"
			},
			"usb":{
				"enabled": true
			},
			"net0":{
				"enabled": true,
				"type": "shared",
				"mac": @mac,
				"card": "virtio",
				"dhcp": "yes"
			},
			"sound0":{
				"enabled": true,
				"output": "Default",
				"mixer": "Default"
			}
		},
		"Host Shared Folders":{
			"enabled": false
		},
		"Host defined sharing": "User home directory",
		"Guest Shared Folders":{
			"enabled": false
		},
		"Shared Profile":{
			"enabled": false
		},
		"Shared Applications":{
			"enabled": false,
			"Host-to-guest apps sharing": "off",
			"Guest-to-host apps sharing": "off",
			"Show guest apps folder in Dock": "off",
			"Show guest notifications": "on",
			"Bounce dock icon when app flashes": "on"
		},
		"SmartMount":{
			"enabled": false
		},@network
		"Miscellaneous Sharing":{
			"Shared clipboard mode": "on",
			"Shared cloud": "off"
		},
		"Advanced":{
			"VM hostname synchronization": @sync,
			"Public SSH keys synchronization": "off",
			"Show developer tools": "off",
			"Swipe from edges": "off",
			"Share host location": "off",
			"Rosetta Linux": "off"
		}
	}`

// detailed is the JSON of "list -i". bulk says that it is of all VMs.
func (c *call) detailed(out *bytes.Buffer, vms []VM, bulk bool) {
	if len(vms) == 0 {
		out.WriteString("[\n\n]\n")
		return
	}
	out.WriteString("[\n")
	for i, v := range vms {
		if i > 0 {
			out.WriteString(",\n")
		}
		out.WriteString(c.detail(v, bulk))
	}
	out.WriteString("\n]\n")
}

func (c *call) detail(v VM, bulk bool) string {
	// JK: where a VM does not run, both are the folder without what follows,
	// and the image is relative. C
	home, file, image := v.Bundle, v.Bundle, "harddisk1.hdd"
	if v.State == running {
		home, file, image = v.Bundle+"/", v.Bundle+"/config.pvs", v.Bundle+"/harddisk1.hdd"
	}
	if bulk && c.set.EmptyHomes {
		home, file = "", ""
	}
	uptime := time.Duration(0)
	if v.State == running {
		uptime = max(0, c.e.store.Now().Sub(v.Since))
	}
	onOff, yesNo := map[bool]string{true: "on", false: "off"}, map[bool]string{true: "yes", false: "no"}
	return strings.NewReplacer(
		"@id", quote(c.id(v)), "@name", quote(v.Name), "@state", quote(v.State), "@template", quote(yesNo[v.Template]),
		"@uptime", quote(strconv.Itoa(int(uptime/time.Second))), "@path", quote(file), "@home", quote(home),
		"@tools", c.tools(v), "@cpus", strconv.Itoa(v.CPUs), "@memory", quote(fmt.Sprintf("%dMb", v.RAM)),
		"@disk", quote(fmt.Sprintf("%dMb", v.Disk)), "@image", quote(path.Clean(image)), "@mac", quote(v.MAC),
		"@network", c.network(v), "@sync", quote(onOff[c.set.HostnameSync]),
	).Replace(detail)
}

// tools is GuestTools: "installed" only while the VM runs. C
func (c *call) tools(v VM) string {
	version := ",\n\t\t\t\"version\": \"26.4.1-57516\""
	switch {
	case v.NoTools:
		return `"not_installed"`
	case v.State == running:
		return `"installed"` + version
	}
	return `"possibly_installed"` + version
}

// network is the block with the addresses: an empty list where the VM does not
// run (C, 26.4 and 27), perhaps stale ones (C, 20), no block (C, 16.5).
func (c *call) network(v VM) string {
	if c.set.NoNetworkBlock {
		return ""
	}
	var list []string
	for _, word := range c.e.reported(v, c.set) {
		kind := "ipv4"
		if a, err := netip.ParseAddr(word); err == nil && a.Is6() {
			kind = "ipv6"
		} else if c.set.MaskSuffix {
			word += "/255.255.255.0"
		}
		list = append(list, fmt.Sprintf("{\n\t\t\t\t\t\"type\": %s,\n\t\t\t\t\t\"ip\": %s\n\t\t\t\t}", quote(kind), quote(word)))
	}
	return "\n\t\t\"Network\":{\n\t\t\t\"Conditioned\": \"off\",\n\t\t\t\"ipAddresses\": [" + strings.Join(list, ", ") + "]\n\t\t},"
}
