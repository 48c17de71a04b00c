package macemu_test

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

const (
	private = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	public  = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	shared  = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
)

// conf is a client's configuration for some networks.
func conf(allowed string) string {
	return "[Interface]\nPrivateKey = " + private + "\nAddress = 10.164.0.1/30\nDNS = 10.163.0.3, mpd.test\n\n" +
		"[Peer]\nPublicKey = " + public + "\nEndpoint = 10.211.55.130:51820\nAllowedIPs = " + allowed + "\nPersistentKeepalive = 25\n"
}

// wireguard.md 1: what the app takes and what it refuses.
func TestParseConf(t *testing.T) {
	key := "PrivateKey = " + private + "\n"
	peer := "[Peer]\nPublicKey = " + public + "\n"
	for _, tt := range []struct {
		name, text, problem string
	}{
		{"ours", conf("10.164.0.0/30, 10.163.0.0/24"), ""},
		{"comments anywhere", "# one\n[Interface] # two\n" + key + "Address = 10.164.0.1/30 # three\n", ""},
		{"capitals, blanks, carriage returns", " [INTERFACE]\r\n\tprivatekey=" + private + "\r\n [peer]\npublicKEY =" + public + "\n", ""},
		{"lists add up", "[Interface]\n" + key + "Address = 10.0.0.1\nAddress = 10.0.0.2\nDNS = 10.0.0.3\nDNS = x\n" + peer + "AllowedIPs = 10.0.0.0/8\nAllowedIPs = ::/0\n", ""},
		{"keys before a section", "A = b\n[Interface]\n" + key, ""},
		{"preshared key", "[Interface]\n" + key + peer + "PresharedKey = " + shared + "\n", ""},
		{"endpoint of version 6", "[Interface]\n" + key + peer + "Endpoint = [fd00::1]:51820\n", ""},
		{"bits of the host", "[Interface]\n" + key + peer + "AllowedIPs = 10.163.0.3/24\n", ""},

		{"text before a section", "hello\n[Interface]\n" + key, "line 1: neither"},
		{"no interface", peer, "there is no interface"},
		{"two interfaces", "[Interface]\n" + key + "[Interface]\n" + key, "more than one interface"},
		{"no private key", "[Interface]\nAddress = 10.0.0.1\n", "no private key"},
		{"no public key", "[Interface]\n" + key + "[Peer]\nAllowedIPs = 10.0.0.0/8\n", "no public key"},
		{"two peers with one key", "[Interface]\n" + key + peer + peer, "two peers"},
		{"PostUp", "[Interface]\n" + key + "PostUp = true\n", "postup: not a key"},
		{"Table", "[Interface]\n" + key + "Table = off\n", "table: not a key"},
		{"SaveConfig", "[Interface]\n" + key + "SaveConfig = true\n", "saveconfig: not a key"},
		{"FwMark", "[Interface]\n" + key + "FwMark = 1\n", "fwmark: not a key"},
		{"a peer's key", "[Interface]\n" + key + "Endpoint = a:1\n", "endpoint: not a key"},
		{"unknown key of a peer", "[Interface]\n" + key + peer + "Name = x\n", "name: not a key"},
		{"MTU twice", "[Interface]\n" + key + "MTU = 1420\nMTU = 1420\n", "multiple entries for key mtu"},
		{"private key twice", "[Interface]\n" + key + key, "multiple entries for key privatekey"},
		{"keepalive off", "[Interface]\n" + key + peer + "PersistentKeepalive = off\n", "persistentkeepalive: not a number"},
		{"port too large", "[Interface]\n" + key + "ListenPort = 65536\n", "listenport: not a number"},
		{"MTU with a sign", "[Interface]\n" + key + "MTU = +1420\n", "mtu: not a number"},
		{"short key", "[Interface]\nPrivateKey = " + private[4:] + "\n", "privatekey: not a key"},
		{"trailing bits", "[Interface]\nPrivateKey = " + private[:42] + "l=\n", "privatekey: not a key"},
		{"hex key", "[Interface]\nPrivateKey = " + strings.Repeat("ab", 32) + "\n", "privatekey: not a key"},
		{"no value", "[Interface]\n" + key + "DNS =\n", "dns has no value"},
		{"bad address", "[Interface]\n" + key + "Address = 10.0.0.1/33\n", "address: not an address"},
		{"endpoint without a port", "[Interface]\n" + key + peer + "Endpoint = 10.0.0.1\n", "endpoint: not host:port"},
		{"endpoint of version 6 without brackets", "[Interface]\n" + key + peer + "Endpoint = fd00::1:51820\n", "endpoint: not host:port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := macemu.ParseConf(tt.text)
			switch {
			case tt.problem == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("error %v, want %q", err, tt.problem)
			case err != nil && strings.Contains(err.Error(), private[4:40]):
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
	c, err := macemu.ParseConf(conf("10.163.0.0/24"))
	if err != nil || c.PrivateKey != private || c.Address[0] != prefix("10.164.0.1/30") || c.DNS[0].String() != "10.163.0.3" || c.Search[0] != "mpd.test" ||
		c.Peers[0].Endpoint != "10.211.55.130:51820" || c.Peers[0].PersistentKeepalive != 25 || c.Peers[0].AllowedIPs[0] != prefix("10.163.0.0/24") {
		t.Errorf("got %+v, %v", c, err)
	}
}

// wireguard.md 3: an import never replaces.
func TestAddTunnel(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	m.must(m.AddTunnel("mpd-150", conf("10.163.0.0/24")))
	if err := m.AddTunnel("mpd-150", conf("10.163.0.0/24")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("twice: %v", err)
	}
	if err := m.AddTunnel("mpd-151", "[Interface]\nPostUp = true\n"); err == nil {
		t.Error("a configuration that the app refuses")
	}
	for name, do := range map[string]func(string) error{"activate": m.Activate, "deactivate": m.Deactivate, "remove": m.RemoveTunnel} {
		if err := do("mpd-151"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s what is not there: %v", name, err)
		}
	}
	m.must(m.RemoveTunnel("mpd-150"))
	m.must(m.AddTunnel("mpd-150", conf("10.163.0.0/24")))
}

// wireguard.md 4 and macos-host.md 4.3: the list as it was captured, with other
// identifiers.
func TestServices(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	const head = "Available network connection services in the current set (*=enabled):\n"
	m.says("scutil --nc list", 0, head, "")
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24")))
	m.must(m.AddTunnel("home", conf("10.8.0.0/24")))
	m.must(m.Activate("mpd-130"))
	id := regexp.MustCompile(`[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}`)
	list := func() string {
		t.Helper()
		return id.ReplaceAllString(string(m.run("scutil --nc list").Stdout), "ID")
	}
	const want = head +
		`* (Connected)      ID VPN (com.wireguard.macos) "mpd-130"                        [VPN:com.wireguard.macos]` + "\n" +
		`* (Disconnected)   ID VPN (com.wireguard.macos) "home"                           [VPN:com.wireguard.macos]` + "\n"
	if got := list(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	m.says("scutil --nc status mpd-130", 0, "Connected\nExtended Status <dictionary> {\n  Status : 2\n}\n", "")
	m.says("scutil --nc status nothing", 1, "", "No service\n")
	m.says("scutil --nc start nothing", 1, "", "No service\n")
	m.must(m.AddVPN("work", "com.example.vpn"))
	m.must(m.Change(func(s *macemu.Settings) { s.TunnelGap = true }))
	if got := list(); got != head+`* (Disconnected)   ID VPN (com.example.vpn) "work"                           [VPN:com.example.vpn]`+"\n" {
		t.Errorf("with the gap:\n%s", got)
	}
	m.says("scutil --nc status mpd-130", 1, "", "No service\n")
}

// Only one is up, it takes its time, and the hooks hear of it at once.
func TestStartStop(t *testing.T) {
	var heard []string
	m := newMac(t, macemu.Settings{Delay: 1}, func(h *macemu.Hooks) {
		h.TunnelUp = func(t macemu.Tunnel, c macemu.Conf) {
			heard = append(heard, "up "+t.Name+" "+c.Peers[0].AllowedIPs[0].String())
		}
		h.TunnelDown = func(t macemu.Tunnel) { heard = append(heard, "down "+t.Name) }
	})
	m.must(m.AddTunnel("mpd-130", conf("10.163.0.0/24")))
	m.must(m.AddTunnel("mpd-131", conf("10.163.1.0/24")))
	is := func(want ...macemu.TunnelState) {
		t.Helper()
		tunnels, err := m.Tunnels()
		m.must(err)
		var got []macemu.TunnelState
		for _, one := range tunnels {
			got = append(got, one.State)
		}
		if !slices.Equal(got, want) {
			t.Errorf("states %v, want %v", got, want)
		}
	}
	m.says("scutil --nc start mpd-130", 0, "", "")
	is(macemu.Connecting, macemu.Disconnected)
	if r := m.run("ifconfig utun4"); r.Status != 1 {
		t.Error("the interface is there too early")
	}
	m.now = m.now.Add(time.Second)
	is(macemu.Connected, macemu.Disconnected)
	m.says("scutil --nc start mpd-130", 0, "", "")
	m.says("scutil --nc start mpd-131", 0, "", "")
	is(macemu.Disconnecting, macemu.Connecting)
	m.now = m.now.Add(time.Second)
	is(macemu.Disconnected, macemu.Connected)
	m.says("scutil --nc stop mpd-131", 0, "", "")
	m.says("scutil --nc stop mpd-131", 0, "", "")
	is(macemu.Disconnected, macemu.Disconnecting)
	m.now = m.now.Add(time.Second)
	is(macemu.Disconnected, macemu.Disconnected)
	m.must(m.Activate("mpd-131"))
	m.must(m.Reboot())
	is(macemu.Disconnected, macemu.Disconnected)
	want := "up mpd-130 10.163.0.0/24, down mpd-130, up mpd-131 10.163.1.0/24, down mpd-131, up mpd-131 10.163.1.0/24, down mpd-131"
	if got := strings.Join(heard, ", "); got != want {
		t.Errorf("heard %s", got)
	}
}

// profile is a configuration profile with one tunnel.
func profile(id, name, text string) string {
	uuid := "<key>PayloadUUID</key><string>25A7922F-5A1B-4B59-8F0C-0F6C6B8A7D22</string>"
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadDisplayName</key><string>mpd</string><key>PayloadIdentifier</key><string>` + id + `</string>` + uuid + `
<key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.vpn.managed</string><key>PayloadDisplayName</key><string>VPN</string>
<key>PayloadVersion</key><integer>1</integer><key>PayloadIdentifier</key><string>` + id + `.vpn</string>` + uuid + `
<key>UserDefinedName</key><string>` + name + `</string><key>VPNType</key><string>VPN</string><key>VPNSubType</key><string>com.wireguard.macos</string>
<key>VendorConfig</key><dict><key>WgQuickConfig</key><string>` + text + `</string></dict>
<key>VPN</key><dict><key>RemoteAddress</key><string>10.211.55.130</string><key>AuthenticationMethod</key><string>Password</string></dict></dict></array></dict></plist>
`
}

// wireguard.md 3.1: a profile of the same identifier replaces.
func TestProfile(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	names := func() (out []string) {
		tunnels, err := m.Tunnels()
		m.must(err)
		for _, one := range tunnels {
			out = append(out, one.Name+" "+one.Profile)
		}
		return out
	}
	file := m.file("mpd-150.mobileconfig", profile("test.mpd.150", "mpd-150", conf("10.163.0.0/24")))
	for range 2 {
		m.says("open "+file, 0, "", "")
	}
	m.must(m.Activate("mpd-150"))
	m.must(m.Install([]byte(profile("test.mpd.150", "renamed", conf("10.163.0.0/24")))))
	m.must(m.Install([]byte(profile("test.mpd.151", "mpd-151", conf("10.163.0.0/24")))))
	if got := names(); !slices.Equal(got, []string{"renamed test.mpd.150", "mpd-151 test.mpd.151"}) {
		t.Errorf("tunnels %q", got)
	}
	m.must(m.Change(func(s *macemu.Settings) { s.ProfileIgnored = true }))
	m.says("open "+file, 0, "", "")
	if got := names(); len(got) != 2 {
		t.Errorf("a profile that nobody installs: %q", got)
	}
	good := profile("a.b", "mpd-150", conf("10.163.0.0/24"))
	for name, bad := range map[string]string{
		"not XML":             "{}",
		"cut":                 good[:len(good)-20],
		"no identifier":       strings.Replace(good, "<string>a.b</string>", "<string></string>", 1),
		"one identifier":      strings.Replace(good, "a.b.vpn", "a.b", 1),
		"another type":        strings.Replace(good, "com.apple.vpn.managed", "com.apple.wifi.managed", 1),
		"another VPN":         strings.Replace(good, "com.wireguard.macos", "com.wireguard.ios", 1),
		"no remote address":   strings.Replace(good, "<key>RemoteAddress</key><string>10.211.55.130</string>", "", 1),
		"a password":          strings.Replace(good, "<string>Password</string>", "<string>Certificate</string>", 1),
		"version two":         strings.Replace(good, "<integer>1</integer>", "<integer>2</integer>", 1),
		"version in words":    strings.Replace(good, "<integer>1</integer>", "<string>1</string>", 1),
		"a UUID that is none": strings.Replace(good, "25A7922F", "X", 1),
		"a hook":              strings.Replace(good, "PersistentKeepalive", "PostUp", 1),
		"a key twice":         strings.Replace(good, "<key>VPNType</key>", "<key>VPNSubType</key>", 1),
		"text behind":         good + "<plist/>",
	} {
		if err := m.Install([]byte(bad)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	m.must(m.Install([]byte(good)))
	m.must(m.Change(func(s *macemu.Settings) { s.ProfileIgnored = false }))
	m.command(hypervisor.Command{Argv: []string{"open", m.file("bad.mobileconfig", "x")}})
	opened, err := m.Opened()
	m.must(err)
	if last := opened[len(opened)-1]; last.Problem == "" {
		t.Errorf("a bad profile: %+v", last)
	}
}
