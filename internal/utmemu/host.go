package utmemu

import (
	"fmt"
	"strings"
)

// ifconfig tells of bridge100, which is there only while a VM of vmnet runs. R
func (c *call) ifconfig() int {
	if len(c.args) != 1 || c.args[0] != "bridge100" || c.set.Bridge == "" {
		fmt.Fprintf(&c.errs, "ifconfig: interface %s does not exist\n", strings.Join(c.args, " "))
		return 1
	}
	mask := c.set.Mask
	if mask == "" {
		mask = "0xffffff00"
	}
	fmt.Fprintf(&c.out, "bridge100: flags=8a63<UP,BROADCAST,SMART,RUNNING,ALLMULTI,SIMPLEX,MULTICAST> mtu 1500\n"+
		"\toptions=3<RXCSUM,TXCSUM>\n\tether 5e:52:30:ee:34:64\n\tinet %s netmask %s broadcast 192.168.64.255\n"+
		"\tinet6 fe80::5c52:30ff:feee:3464%%bridge100 prefixlen 64 scopeid 0x16\n"+
		"\tmember: vmenet0 flags=3<LEARNING,DISCOVER>\n\tstatus: active\n", c.set.Bridge, mask)
	return 0
}

// defaults reads one key of a property list: UTM's version, or the address that
// vmnet wrote down. C for the keys, R for the second file
func (c *call) defaults() int {
	var value string
	switch strings.Join(c.args, " ") {
	case "read /Applications/UTM.app/Contents/Info CFBundleShortVersionString":
		if !c.set.Absent {
			value = c.set.version()
		}
	case "read /Library/Preferences/SystemConfiguration/com.apple.vmnet Shared_Net_Address":
		value = c.set.Recorded
	}
	if value == "" {
		fmt.Fprintf(&c.errs, "2026-11-21 10:00:00.000 defaults[123:456] \nThe domain/default pair of (%s) does not exist\n", strings.Join(c.args, ", "))
		return 1
	}
	c.out.WriteString(value + "\n")
	return 0
}
