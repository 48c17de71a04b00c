package identity

import (
	"bytes"
	"errors"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const goldenServer = `# mpd-150: the VM's end of the tunnel, written by mpd-virt
[Interface]
Address = 10.164.0.2/30
ListenPort = 51820
PrivateKey = YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8=

[Peer]
PublicKey = j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=
AllowedIPs = 10.164.0.1/32
`

const goldenClient = `# mpd-150: the Mac's end of the tunnel, written by mpd-virt
[Interface]
Address = 10.164.0.1/30
DNS = 10.163.0.3
PrivateKey = AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHl8=

[Peer]
PublicKey = Z13VdO13iTELPS52gfN5C0ZsdzsVIf7PNld5WDcepS8=
Endpoint = 10.211.55.150:51820
AllowedIPs = 10.164.0.0/30, 10.163.0.0/24
PersistentKeepalive = 25
`

var testVM = netip.MustParseAddr("10.211.55.150")

func TestGoldenConfs(t *testing.T) {
	mac, vm := key(0), key(0x60)
	if got := string(serverConf(150, vm, public(t, mac))); got != goldenServer {
		t.Errorf("server.conf = \n%s\nwant\n%s", got, goldenServer)
	}
	if got := string(clientConf(150, mac, public(t, vm), testVM)); got != goldenClient {
		t.Errorf("client.conf = \n%s\nwant\n%s", got, goldenClient)
	}
}

// TestConfsByModel reads the configurations as WireGuard.app does.
func TestConfsByModel(t *testing.T) {
	mac, vm := key(0), key(0x60)
	server, err := parseAppConf(string(serverConf(150, vm, public(t, mac))))
	if err != nil {
		t.Fatalf("server.conf: %v", err)
	}
	client, err := parseAppConf(string(clientConf(150, mac, public(t, vm), testVM)))
	if err != nil {
		t.Fatalf("client.conf: %v", err)
	}
	if server["interface.privatekey"][0] != vm.text() || server["peer.publickey"][0] != public(t, mac).text() {
		t.Error("server.conf: wrong keys")
	}
	if client["interface.privatekey"][0] != mac.text() || client["peer.publickey"][0] != public(t, vm).text() {
		t.Error("client.conf: wrong keys")
	}
	if server["interface.dns"] != nil {
		t.Error("server.conf has a DNS line, which needs resolvconf in the VM")
	}
	for _, allowed := range client["peer.allowedips"] {
		if p := netip.MustParsePrefix(allowed); p.Contains(testVM) || p != p.Masked() {
			t.Errorf("AllowedIPs %s: contains the VM's own address, or has host bits set", p)
		}
	}
}

// TestConfsInWGQuick asks wg-quick.
func TestConfsInWGQuick(t *testing.T) {
	wgQuick, err := exec.LookPath("wg-quick")
	if err != nil {
		t.Skip("no wg-quick on PATH")
	}
	for name, conf := range map[string]string{"server": goldenServer, "client": goldenClient} {
		file := filepath.Join(t.TempDir(), "mpd-150.conf")
		writeFile(t, file, []byte(conf))
		out, err := exec.Command(wgQuick, "strip", file).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "[Peer]") {
			t.Errorf("wg-quick strip %s.conf: %v\n%s", name, err, out)
		}
	}
}

// TestModelRefuses makes sure that the model is one: what breaks an import
// into WireGuard.app breaks it.
func TestModelRefuses(t *testing.T) {
	for _, tt := range []struct{ name, old, new string }{
		{"hook", "DNS =", "PostUp ="},
		{"keepalive off", "= 25", "= off"},
		{"repeated key", "[Peer]\n", "[Peer]\nPersistentKeepalive = 20\n"},
		{"no private key", "PrivateKey", "#PrivateKey"},
		{"spare bits in a key", "Hl8=", "Hl9="},
		{"port too big", ":51820", ":70000"},
		{"text without a value", "[Peer]\n", "[Peer]\nhello\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(goldenClient, tt.old, tt.new, 1)
			if bad == goldenClient {
				t.Fatal("nothing was changed")
			}
			if _, err := parseAppConf(bad); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestCheckAddr(t *testing.T) {
	for _, tt := range []struct {
		addr string
		ok   bool
	}{
		{"192.168.64.150", true},
		{"10.211.55.150", true},
		{"10.163.0.150", false},
		{"10.164.0.2", false},
		{"10.163.1.150", true},
		{"fe80::1", false},
		{"::ffff:10.211.55.150", false},
	} {
		if err := checkAddr(netip.MustParseAddr(tt.addr)); (err == nil) != tt.ok {
			t.Errorf("checkAddr(%s) = %v, want accepted = %v", tt.addr, err, tt.ok)
		}
	}
	if checkAddr(netip.Addr{}) == nil {
		t.Error("the zero address was accepted")
	}
}

// FuzzConf: whatever keys and address, both files are ASCII that the model
// reads back to the same values, and Load finds the address again.
func FuzzConf(f *testing.F) {
	f.Add(byte(150), []byte("mac"), []byte("vm"), []byte{10, 211, 55, 150})
	f.Add(byte(100), bytes.Repeat([]byte{255}, 32), []byte{}, []byte{192, 168, 64, 254})
	f.Fuzz(func(t *testing.T, n byte, a, b, ip []byte) {
		var mac, own wgKey
		copy(mac[:], a)
		copy(own[:], b)
		mac, own = mac.clamp(), own.clamp()
		var four [4]byte
		copy(four[:], ip)
		vm := netip.AddrFrom4(four)
		if checkAddr(vm) != nil {
			return
		}
		server := serverConf(octet(n), own, public(t, mac))
		client := clientConf(octet(n), mac, public(t, own), vm)
		for _, conf := range [][]byte{server, client} {
			if _, err := parseAppConf(string(conf)); err != nil {
				t.Fatalf("%v in\n%s", err, conf)
			}
		}
		if got, ok := confAddr(client); !ok || got != vm {
			t.Fatalf("confAddr = %v, %v; want %v", got, ok, vm)
		}
	})
}

// FuzzConfAddr: an address that is found in a foreign file is one that a
// tunnel can lead to and that clientConf would have written so.
func FuzzConfAddr(f *testing.F) {
	f.Add([]byte(goldenClient))
	f.Add([]byte("Endpoint = 10.0.0.1:1\r\n"))
	f.Add([]byte("Endpoint = [::1%x]:51820"))
	f.Add([]byte("Endpoint = 10.164.0.2:51820\nEndpoint = 10.0.0.1:51820"))
	f.Fuzz(func(t *testing.T, conf []byte) {
		vm, ok := confAddr(conf)
		if !ok {
			if vm.IsValid() {
				t.Fatal("an address beside false")
			}
			return
		}
		if err := checkAddr(vm); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(conf, []byte(endpointKey+vm.String()+":")) {
			t.Fatalf("%s is not in %q", vm, conf)
		}
	})
}

// errModel keeps the model's errors short.
func errModel(line string) error { return errors.New("line not accepted: " + line) }
