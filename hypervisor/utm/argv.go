package utm

import (
	"strconv"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	osascript = "osascript"
	ctl       = "utmctl"
)

// argvCtl is utmctl at its real place: a link to it elsewhere does not find its
// app.
func argvCtl(app string, words ...string) []string {
	return append([]string{app + "/Contents/MacOS/" + ctl}, words...)
}

// argvScript runs a script that comes on standard input. word says what the
// script does, for logs; the values are arguments of its run handler.
func argvScript(word string, values ...string) []string {
	return append([]string{osascript, "-", word}, values...)
}

func argvRunning() []string { return argvScript("running") }

func argvDrives(uuid string) []string { return argvScript("drives", uuid) }

// argvDetach names the drive to take away, and then all that stay.
func argvDetach(uuid, drive string, keep []string) []string {
	return append(argvScript("detach", uuid, drive), keep...)
}

func argvMake(s hypervisor.CreateSpec) []string {
	return argvScript("make", s.Octet.VMName(), archWord(s.Arch), strconv.FormatInt(int64(s.RAM/hypervisor.MiB), 10), strconv.Itoa(s.Cores),
		s.MAC.String(), s.Disk, s.Seed)
}

// argvVersion reads the version from the bundle: utmctl would start UTM.
func argvVersion(app string) []string {
	return []string{"defaults", "read", app + "/Contents/Info", "CFBundleShortVersionString"}
}

// argvBridge shows the Mac's side of the shared network, which is there while a
// VM runs.
func argvBridge() []string { return []string{"ifconfig", "bridge100"} }

// argvRecorded is the address that vmnet wrote down.
func argvRecorded() []string {
	return []string{"defaults", "read", "/Library/Preferences/SystemConfiguration/com.apple.vmnet", "Shared_Net_Address"}
}
