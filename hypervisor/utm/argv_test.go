package utm

import (
	"net"
	"slices"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	u150 = "5D419106-2824-4FED-BFE1-24A7F7E253D8"
	u151 = "0C8F3C3E-1E57-4C8C-9C0B-3C1B62C2B0D4"
)

func spec() hypervisor.CreateSpec {
	return hypervisor.CreateSpec{Octet: 150, Arch: "arm64", RAM: 8 * hypervisor.GiB, Cores: 4, MAC: net.HardwareAddr{0x52, 0x54, 0, 0xab, 0xcd, 0x96},
		Disk: "/Users/a b/.mpd-virt/150/disk.raw", Seed: "/Users/a b/.mpd-virt/150/seed.iso"}
}

// The argument lists, exactly. A stop always says how: without a flag UTM cuts the
// power (M15).
func TestArgv(t *testing.T) {
	const tool = "/Applications/UTM.app/Contents/MacOS/utmctl"
	for _, tc := range []struct {
		name string
		got  []string
		want []string
	}{
		{"list", argvCtl(DefaultApp, "list"), []string{tool, "list"}},
		{"start", argvCtl(DefaultApp, vStart().argv(u150)...), []string{tool, "start", u150}},
		{"suspend", argvCtl(DefaultApp, vSuspend().argv(u150)...), []string{tool, "suspend", u150, "--save-state"}},
		{"kill", argvCtl(DefaultApp, vKill().argv(u150)...), []string{tool, "stop", u150, "--kill"}},
		{"shut down", argvCtl(DefaultApp, vRequest().argv(u150)...), []string{tool, "stop", u150, "--request"}},
		{"delete", argvCtl(DefaultApp, vDelete().argv(u150)...), []string{tool, "delete", u150}},
		{"list by script", argvScript("list"), []string{"osascript", "-", "list"}},
		{"start by script", argvScript(vStart().name, u150), []string{"osascript", "-", "start", u150}},
		{"running", argvRunning(), []string{"osascript", "-", "running"}},
		{"make", argvMake(spec()), []string{"osascript", "-", "make", "mpd-150", "aarch64", "8192", "4", "52:54:00:ab:cd:96",
			"/Users/a b/.mpd-virt/150/disk.raw", "/Users/a b/.mpd-virt/150/seed.iso"}},
		{"drives", argvDrives(u150), []string{"osascript", "-", "drives", u150}},
		{"detach", argvDetach(u150, u151, []string{"A", "B"}), []string{"osascript", "-", "detach", u150, u151, "A", "B"}},
		{"version", argvVersion("/Applications/UTM.app"), []string{"defaults", "read", "/Applications/UTM.app/Contents/Info", "CFBundleShortVersionString"}},
		{"bridge", argvBridge(), []string{"ifconfig", "bridge100"}},
		{"recorded", argvRecorded(), []string{"defaults", "read", "/Library/Preferences/SystemConfiguration/com.apple.vmnet", "Shared_Net_Address"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !slices.Equal(tc.got, tc.want) {
				t.Errorf("got  %q\nwant %q", tc.got, tc.want)
			}
		})
	}
}
