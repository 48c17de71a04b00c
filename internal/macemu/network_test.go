package macemu_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// parallels is a Mac whose only hypervisor runs a VM at 10.211.55.130.
func parallels() macemu.Settings {
	return macemu.Settings{
		Sudo: macemu.SudoAsksNot, Bridges: []netip.Prefix{prefix("10.211.55.2/24"), prefix("192.168.64.1/24")},
		Neighbours: []macemu.Neighbour{{Addr: netip.MustParseAddr("10.211.55.130"), MAC: "00:1c:42:35:af:ae"}},
	}
}

const metrics = " recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire\n" +
	"       0         0         0         0         0         0  %8d  %8d \n"

// macos-host.md 3.1
func TestRouteGet(t *testing.T) {
	m := newMac(t, parallels())
	get := func(addr string, mtu, expire int, lines ...string) {
		t.Helper()
		m.says("/sbin/route -n get "+addr, 0, "   route to: "+addr+"\n"+strings.Join(lines, "\n")+"\n"+fmt.Sprintf(metrics, mtu, expire), "")
	}
	get("10.163.0.3", 1500, 0, "destination: default", "       mask: default", "    gateway: 192.168.1.1", "  interface: en0",
		"      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>")
	m.must(m.AddRoute(prefix("10.163.0.0/24"), netip.MustParseAddr("10.211.55.130")))
	get("10.163.0.3", 1500, 0, "destination: 10.163.0.0", "       mask: 255.255.255.0", "    gateway: 10.211.55.130", "  interface: bridge100",
		"      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING>")
	get("10.211.55.130", 1500, 1177, "destination: 10.211.55.130", "  interface: bridge100", "      flags: <UP,HOST,DONE,LLINFO,WASCLONED,IFSCOPE,IFREF>")
	get("10.211.55.131", 1500, -1, "destination: 10.211.55.0", "       mask: 255.255.255.0", "  interface: bridge100", "      flags: <UP,DONE,CLONING,STATIC>")
	get("10.211.55.2", 16384, 0, "destination: 10.211.55.2", "  interface: lo0", "      flags: <UP,HOST,DONE,LOCAL>")

	m.says("route -n get 203.0.113.256", 68, "", "route: bad address: 203.0.113.256\n")
	m.says("route -n get -ifscope utun99 10.163.0.3", 1, "", "route: bad interface name\n")
	m.must(m.Change(func(s *macemu.Settings) { s.Offline = true }))
	m.says("route -n get 10.164.0.1", 0, "", "route: writing to routing socket: not in table\n")
}

// With a tunnel up; what an older set-up left wins over it.
func TestRouteTunnel(t *testing.T) {
	m := newMac(t, parallels())
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24")))
	m.must(m.Activate("mpd-130"))
	through := func(words string) string {
		return "   route to: 10.163.0.3\ndestination: 10.163.0.0\n       mask: 255.255.255.0\n" + words + "\n" + fmt.Sprintf(metrics, 1420, 0)
	}
	m.says("route -n get 10.163.0.3", 0, through("  interface: utun4\n      flags: <UP,DONE,STATIC,PRCLONING>"), "")
	m.must(m.Deactivate("mpd-130"))
	m.must(m.AddRoute(prefix("10.163.0.0/24"), netip.MustParseAddr("10.211.55.130")))
	m.must(m.Activate("mpd-130"))
	if r := m.run("route -n get 10.163.0.3"); !strings.Contains(string(r.Stdout), "interface: bridge100") {
		t.Errorf("beside a static route: %s", r.Stdout)
	}
	if r := m.run("route -n get -ifscope utun4 10.163.0.3"); !strings.Contains(string(r.Stdout), "interface: utun4") {
		t.Errorf("bound to the tunnel: %s", r.Stdout)
	}
	m.says("sudo route -n delete -net 10.163.0.0/24", 0, "delete net 10.163.0.0\n", "")
	m.says("route -n get 10.163.0.3", 0, through("  interface: utun4\n      flags: <UP,DONE,STATIC,PRCLONING>"), "")
	m.says("sudo route -n delete -net 10.163.0.0/24", 0, "delete net 10.163.0.0\n", "") // now the tunnel's own
	if r := m.run("route -n get 10.163.0.3"); !strings.Contains(string(r.Stdout), "default") {
		t.Errorf("without any: %s", r.Stdout)
	}
	if r := m.run("sudo route -n delete -net 10.211.55.0/24"); r.Status != 64 {
		t.Errorf("a route of the Mac's own: %+v", r)
	}
}

// Another VPN that takes everything leaves what is nearer alone.
func TestFullTunnel(t *testing.T) {
	m := newMac(t, parallels())
	m.must(m.AddTunnel("all", conf("0.0.0.0/0")))
	m.must(m.Activate("all"))
	for addr, want := range map[string]string{"192.0.2.1": "utun4", "10.211.55.131": "bridge100", "192.168.1.1": "en0"} {
		if r := m.run("route -n get " + addr); !strings.Contains(string(r.Stdout), "interface: "+want+"\n") {
			t.Errorf("%s: %s", addr, r.Stdout)
		}
	}
}

// The app makes routes of what is written, so that this one fits nothing.
func TestRouteOfHostBits(t *testing.T) {
	m := newMac(t, parallels())
	m.must(m.AddTunnel("wrong", conf("10.163.0.3/24")))
	m.must(m.Activate("wrong"))
	if r := m.run("route -n get 10.163.0.3"); !strings.Contains(string(r.Stdout), "interface: en0") {
		t.Errorf("got %s", r.Stdout)
	}
}

// macos-host.md 3.2
func TestRouteChange(t *testing.T) {
	const socket = "route: writing to routing socket: "
	steps := []struct {
		line   string
		status int
		stdout string
		stderr string
	}{
		{"route -n add -net 10.163.0.0/24 10.211.55.130", 77, "", "route: must be root to alter routing table\n"},
		{"route -n -t add -net 10.163.0.0/24 10.211.55.130", 77, "", "route: must be root to alter routing table\n"},
		{"sudo route -n delete -net 10.163.0.0/24 10.211.55.130", 0, "delete net 10.163.0.0: not in table\n", socket + "not in table\n"},
		{"sudo route -n add -net 10.163.0.0/24 10.211.55.130", 0, "add net 10.163.0.0: gateway 10.211.55.130\n", ""},
		{"sudo route -n add -net 10.163.0.0/24 10.211.55.130", 0, "add net 10.163.0.0: gateway 10.211.55.130: File exists\n", socket + "File exists\n"},
		{"sudo route -n add -net 10.163.0.0/24 192.168.64.5", 0, "add net 10.163.0.0: gateway 192.168.64.5: File exists\n", socket + "File exists\n"},
		{"sudo /sbin/route -n delete -net 10.163.0.0/24 10.211.55.130", 0, "delete net 10.163.0.0\n", ""},
		{"sudo route -n add -net 10.163.0.0/24 10.9.9.9", 0, "add net 10.163.0.0: gateway 10.9.9.9: Network is unreachable\n", socket + "Network is unreachable\n"},
		{"sudo route -n add -net 10.163.0.0/24 -interface utun99", 68, "", "route: bad address: utun99\n"},
		{"sudo route -n add -net 203.0.113.0/33 10.211.55.130", 0, "add net 128.0.0.0: gateway 10.211.55.130\n", ""},
		{"sudo route -n add -net 012.0.0.0/24 10.211.55.130", 0, "add net 10.0.0.0: gateway 10.211.55.130\n", ""},
		{"sudo route -n add -host 10.163.0.9 10.211.55.130", 0, "add host 10.163.0.9: gateway 10.211.55.130\n", ""},
		{"sudo route -n add -net 10.163.0.0/24 -interface bridge100", 0, "add net 10.163.0.0: gateway bridge100\n", ""},
	}
	m := newMac(t, parallels())
	for _, s := range steps {
		m.says(s.line, s.status, s.stdout, s.stderr)
	}
	want := []netip.Prefix{prefix("128.0.0.0/1"), prefix("10.0.0.0/24"), prefix("10.163.0.9/32"), prefix("10.163.0.0/24")}
	if got, err := m.StaticRoutes(); err != nil || !slices.Equal(got, want) {
		t.Errorf("static routes %v, %v", got, err)
	}
	m.must(m.Change(func(s *macemu.Settings) { s.Bridges = nil }))
	m.must(m.Change(func(s *macemu.Settings) { s.Bridges = parallels().Bridges }))
	if got, err := m.StaticRoutes(); err != nil || len(got) > 0 {
		t.Errorf("after the bridge went: %v, %v", got, err)
	}
	gateway := netip.MustParseAddr("10.211.55.130")
	m.must(m.AddRoute(prefix("10.163.0.0/24"), gateway))
	if err := m.AddRoute(prefix("10.163.0.0/24"), gateway); !errors.Is(err, fs.ErrExist) {
		t.Errorf("twice: %v", err)
	}
	if err := m.AddRoute(prefix("10.164.0.0/24"), netip.MustParseAddr("10.9.9.9")); err == nil {
		t.Error("a gateway that nobody reaches")
	}
	m.must(m.Reboot())
	if got, err := m.StaticRoutes(); err != nil || len(got) > 0 {
		t.Errorf("after a reboot: %v, %v", got, err)
	}
}

// macos-host.md 3.3: each row of the sheet, byte for byte.
func TestNetstat(t *testing.T) {
	m := newMac(t, parallels())
	m.must(m.AddRoute(prefix("10.163.0.0/24"), netip.MustParseAddr("10.211.55.130")))
	got := string(m.run("netstat -rn -f inet").Stdout)
	const head = "Routing tables\n\nInternet:\nDestination        Gateway            Flags               Netif Expire\n" +
		"default            192.168.1.1        UGScg                 en0       \n"
	if !strings.HasPrefix(got, head) {
		t.Errorf("got %q", got)
	}
	for _, row := range []string{
		"10.163/24          10.211.55.130      UGSc            bridge100       ",
		"10.211.55/24       link#22            UC              bridge100      !",
		"10.211.55.130      0:1c:42:35:af:ae   UHLWI           bridge100   1177",
		"127                127.0.0.1          UCS                   lo0       ",
		"127.0.0.1          127.0.0.1          UH                    lo0       ",
		"169.254            link#7             UCS                   en0      !",
		"192.168.64         link#23            UC              bridge101      !",
		"224.0.0/4          link#7             UmCS                  en0      !",
	} {
		if !strings.Contains(got, "\n"+row+"\n") {
			t.Errorf("%q\nis not in\n%s", row, got)
		}
	}
	m.says("sudo route -n delete -net 10.163.0.0/24", 0, "delete net 10.163.0.0\n", "")
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24, 10.163.1.0/24, 10.0.0.0/8, 0.0.0.0/1, 128.0.0.0/1, 100.64.0.0/10")))
	m.must(m.Activate("mpd-130"))
	rows := string(m.run("netstat -nr -f inet").Stdout)
	for _, name := range []string{"10.163/24", "10.163.1/24", "10.164/30", "10", "0/1", "128.0/1", "100.64/10"} {
		if row := fmt.Sprintf("\n%-18s utun4              USc                 utun4       \n", name); !strings.Contains(rows, row) {
			t.Errorf("%q\nis not in\n%s", row, rows)
		}
	}
}

// macos-host.md 3.4
func TestIfconfig(t *testing.T) {
	m := newMac(t, parallels())
	m.says("ifconfig utun9", 1, "", "ifconfig: interface utun9 does not exist\n")
	all := string(m.run("/sbin/ifconfig -a").Stdout)
	for _, name := range []string{"lo0", "en0", "utun0", "utun1", "utun2", "utun3", "bridge100", "bridge101"} {
		one := string(m.run("ifconfig " + name).Stdout)
		if !strings.HasPrefix(one, name+": flags=") || !strings.Contains(all, one) {
			t.Errorf("%s: %q", name, one)
		}
		if strings.HasPrefix(name, "utun") && strings.Contains(one, "\tinet ") {
			t.Errorf("%s has an address: %q", name, one)
		}
	}
	if strings.Contains(all, "utun4") {
		t.Errorf("a tunnel without one:\n%s", all)
	}
	bridge := string(m.run("ifconfig bridge100").Stdout)
	for _, want := range []string{
		"bridge100: flags=8a63<UP,BROADCAST,SMART,RUNNING,ALLMULTI,SIMPLEX,MULTICAST> mtu 1500\n", "\tinet 10.211.55.2 netmask 0xffffff00 broadcast 10.211.55.255\n", "\tmember: vmenet0 ",
	} {
		if !strings.Contains(bridge, want) {
			t.Errorf("%q is not in %q", want, bridge)
		}
	}
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24")))
	m.must(m.Activate("mpd-130"))
	m.says("ifconfig utun4", 0, "utun4: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1420\n\tinet 10.164.0.1 --> 10.164.0.1 netmask 0xfffffffc\n", "")
	m.must(m.Change(func(s *macemu.Settings) { s.Utuns = 2 }))
	m.says("ifconfig utun4", 0, string(m.run("ifconfig utun4").Stdout), "")
	if r := m.run("ifconfig utun6"); !strings.Contains(string(r.Stdout), "10.164.0.1") {
		t.Errorf("behind other tunnels: %s", r.Stdout)
	}
}

func TestArp(t *testing.T) {
	m := newMac(t, parallels())
	m.says("arp -n 10.211.55.130", 0, "? (10.211.55.130) at 0:1c:42:35:af:ae on bridge100 ifscope [bridge]\n", "")
	m.says("/usr/sbin/arp -n 10.211.55.131", 1, "10.211.55.131 (10.211.55.131) -- no entry\n", "")
}
