package identity

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The configuration profile is the way into WireGuard.app that can be repeated:
// importing a .conf never overwrites a tunnel, but System Settings replaces a
// profile by a new one of the same PayloadIdentifier. Its keys are those of
// MOBILECONFIG.md in WireGuard's own repository wireguard-apple.

// profilePrefix begins the identifier of every profile of ours; the name of
// the VM follows.
const profilePrefix = "com.github.mutms.mpd-virt."

// profile is the configuration profile with the Mac's end of the tunnel to o.
// endpoint is shown in System Settings as the server. All but conf and
// endpoint depends on o alone, so that the profile replaces the one before it.
func profile(o hypervisor.Octet, conf []byte, endpoint netip.AddrPort) []byte {
	id := profilePrefix + o.VMName()
	tunnel := dict{
		{"PayloadType", "com.apple.vpn.managed"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", id + ".wireguard"},
		{"PayloadUUID", stableUUID(id + ".wireguard")},
		{"PayloadDisplayName", "VPN"},
		{"UserDefinedName", o.VMName()},
		{"VPNType", "VPN"},
		{"VPNSubType", "com.wireguard.macos"},
		{"VendorConfig", dict{{"WgQuickConfig", string(conf)}}},
		{"VPN", dict{
			{"RemoteAddress", endpoint.String()},
			{"AuthenticationMethod", "Password"},
		}},
	}
	return plist(dict{
		{"PayloadType", "Configuration"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", id},
		{"PayloadUUID", stableUUID(id)},
		{"PayloadDisplayName", o.VMName() + " (WireGuard)"},
		{"PayloadContent", []dict{tunnel}},
	})
}

// stableUUID is the UUID of version 5 (RFC 9562) of a name in the namespace of
// DNS names, in capitals, as Apple writes it: the same in every run.
func stableUUID(name string) string {
	dns := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	u := sha1.Sum(append(dns[:], name...)) // the RFC's hash; nothing here must be hard to guess
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// A dict is a dictionary of a property list, in the order of its writing. A
// value is a string, an int, a dict or a []dict.
type dict []struct {
	key   string
	value any
}

const plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`

// plist is d as a property list in XML.
func plist(d dict) []byte {
	b := bytes.NewBufferString(plistHead)
	d.write(b, "")
	b.WriteString("</plist>\n")
	return b.Bytes()
}

func (d dict) write(b *bytes.Buffer, indent string) {
	fmt.Fprintf(b, "%s<dict>\n", indent)
	for _, e := range d {
		fmt.Fprintf(b, "%s\t<key>%s</key>\n", indent, escape(e.key))
		switch v := e.value.(type) {
		case string:
			fmt.Fprintf(b, "%s\t<string>%s</string>\n", indent, escape(v))
		case int:
			fmt.Fprintf(b, "%s\t<integer>%d</integer>\n", indent, v)
		case dict:
			v.write(b, indent+"\t")
		case []dict:
			fmt.Fprintf(b, "%s\t<array>\n", indent)
			for _, item := range v {
				item.write(b, indent+"\t\t")
			}
			fmt.Fprintf(b, "%s\t</array>\n", indent)
		default:
			panic(fmt.Sprintf("identity: a property list has no place for a %T", v))
		}
	}
	fmt.Fprintf(b, "%s</dict>\n", indent)
}

// escape replaces what is not itself between two tags. A line feed stays, so
// that a person can read the configuration in the file; a carriage return
// would be read as a line feed.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(s)
}
