package identity

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

var testEndpoint = netip.AddrPortFrom(testVM, TunnelPort)

func TestProfileKeys(t *testing.T) {
	got, err := parsePlist(profile(150, []byte(goldenClient), testEndpoint))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"PayloadType":        "Configuration",
		"PayloadVersion":     1,
		"PayloadDisplayName": "mpd-150 (WireGuard)",
		"PayloadIdentifier":  "com.github.mutms.mpd-virt.mpd-150",
		"PayloadUUID":        "C3B16E77-7D37-561B-8E78-A10CA8FD2270",
		"PayloadContent": []any{map[string]any{
			"PayloadType":        "com.apple.vpn.managed",
			"PayloadVersion":     1,
			"PayloadDisplayName": "VPN",
			"PayloadIdentifier":  "com.github.mutms.mpd-virt.mpd-150.wireguard",
			"PayloadUUID":        "59EB81E2-D010-58A8-9180-DCC861E0BA6A",
			"UserDefinedName":    "mpd-150",
			"VPNType":            "VPN",
			"VPNSubType":         "com.wireguard.macos",
			"VendorConfig":       map[string]any{"WgQuickConfig": goldenClient},
			"VPN": map[string]any{
				"RemoteAddress":        "10.211.55.150:51820",
				"AuthenticationMethod": "Password",
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
}

// TestProfileForm: the bytes before the first dictionary, which a parser of XML
// lets pass in many forms and Apple's tools write in one.
func TestProfileForm(t *testing.T) {
	const head = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadType</key>
	<string>Configuration</string>
`
	got := string(profile(150, []byte(goldenClient), testEndpoint))
	if !strings.HasPrefix(got, head) || !strings.HasSuffix(got, "\n</dict>\n</plist>\n") {
		t.Errorf("profile = \n%s", got)
	}
	if !strings.Contains(got, "\nPrivateKey = AAEC") {
		t.Error("the key cannot be found by a person who restores it from the file")
	}
}

// TestProfileReplaces: System Settings replaces a profile by one with the same
// identifiers, and only VMs may differ in them.
func TestProfileReplaces(t *testing.T) {
	ids := func(o hypervisor.Octet, vm string) [4]any {
		ap := netip.AddrPortFrom(netip.MustParseAddr(vm), TunnelPort)
		top := mustPlist(t, profile(o, clientConf(o, key(byte(o)), key(1), ap.Addr()), ap))
		in := top["PayloadContent"].([]any)[0].(map[string]any)
		return [4]any{top["PayloadIdentifier"], top["PayloadUUID"], in["PayloadIdentifier"], in["PayloadUUID"]}
	}
	first := ids(150, "10.211.55.150")
	if moved := ids(150, "192.168.65.150"); moved != first {
		t.Errorf("the identifiers went with the address: %v, before %v", moved, first)
	}
	seen := map[any]bool{}
	for o := hypervisor.FirstOctet; o <= hypervisor.LastOctet; o++ {
		for _, id := range ids(o, "10.211.55.9") {
			if seen[id] {
				t.Fatalf("%v is used twice", id)
			}
			seen[id] = true
		}
	}
}

func mustPlist(t testing.TB, data []byte) map[string]any {
	t.Helper()
	v, err := parsePlist(data)
	if err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return v.(map[string]any)
}

// TestStableUUID checks against the examples of other implementations.
func TestStableUUID(t *testing.T) {
	for name, want := range map[string]string{
		"python.org":      "886313E1-3B8A-5372-9B90-0C9AEE199E5D", // Python's documentation of uuid5
		"www.example.com": "2ED6657D-E927-568B-95E1-2665A8AEA6A2", // RFC 9562, A.4
	} {
		if got := stableUUID(name); got != want {
			t.Errorf("stableUUID(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestProfileFile(t *testing.T) {
	s := newStore(t)
	id := ensure(t, s, 150)
	info, err := os.Lstat(s.ProfileFile(150))
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v; want a file of mode 0600", info, err)
	}
	top := mustPlist(t, []byte(tree(t, s)["wireguard/150/mpd-150.mobileconfig"]))
	conf := top["PayloadContent"].([]any)[0].(map[string]any)["VendorConfig"].(map[string]any)["WgQuickConfig"]
	if conf != string(id.ClientConf) {
		t.Error("WgQuickConfig is not client.conf")
	}
}

// TestPlistModelRefuses makes sure that the reader is strict.
func TestPlistModelRefuses(t *testing.T) {
	good := string(profile(150, []byte(goldenClient), testEndpoint))
	for _, tt := range []struct{ name, old, new string }{
		{"no declaration", `<?xml version="1.0" encoding="UTF-8"?>` + "\n", ""},
		{"another document type", "PLIST 1.0", "PLIST 0.9"},
		{"another version", `<plist version="1.0">`, `<plist version="2.0">`},
		{"key twice", "<key>VPNType</key>", "<key>VPNSubType</key>"},
		{"value without a key", "<key>VPNType</key>", ""},
		{"key without a value", "<integer>1</integer>", ""},
		{"no number", "<integer>1</integer>", "<integer>one</integer>"},
		{"unknown element", "<integer>1</integer>", "<data>AA==</data>"},
		{"raw ampersand", "<string>VPN</string>", "<string>V&N</string>"},
		{"text between", "<dict>\n", "<dict>hello\n"},
		{"second value", "</plist>", "<dict></dict></plist>"},
		{"text behind", "</plist>\n", "</plist>x"},
		{"cut", "</dict>\n</plist>\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			if bad == good {
				t.Fatal("nothing was changed")
			}
			if _, err := parsePlist([]byte(bad)); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// FuzzPlist: whatever text XML can hold comes back unchanged, as key and value.
func FuzzPlist(f *testing.F) {
	f.Add("a", goldenClient)
	f.Add("]]>", "<&>\"'\r\n\t</string><!--")
	f.Add("&amp;", "\u2028 &#13; \U0001f600")
	f.Fuzz(func(t *testing.T, key, value string) {
		if !inXML(key) || !inXML(value) {
			return
		}
		got := mustPlist(t, plist(dict{{key, value}, {key + "2", []dict{{{value, key}}}}}))
		want := map[string]any{key: value, key + "2": []any{map[string]any{value: key}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// inXML says whether a document in XML can hold s.
func inXML(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

// FuzzProfile: whatever VM, keys and address, the profile holds the
// configuration byte for byte, and nothing of another VM.
func FuzzProfile(f *testing.F) {
	f.Add(byte(150), []byte("mac"), []byte("vm"), []byte{10, 211, 55, 150})
	f.Add(byte(255), bytes.Repeat([]byte{255}, 32), []byte{}, []byte{192, 168, 64, 254})
	f.Fuzz(func(t *testing.T, n byte, a, b, ip []byte) {
		var mac, own wgKey
		copy(mac[:], a)
		copy(own[:], b)
		var four [4]byte
		copy(four[:], ip)
		o, ap := octet(n), netip.AddrPortFrom(netip.AddrFrom4(four), TunnelPort)
		conf := clientConf(o, mac.clamp(), own, ap.Addr())
		top := mustPlist(t, profile(o, conf, ap))
		in := top["PayloadContent"].([]any)[0].(map[string]any)
		if got := in["VendorConfig"].(map[string]any)["WgQuickConfig"]; got != string(conf) {
			t.Fatalf("WgQuickConfig = %q, want %q", got, conf)
		}
		if in["UserDefinedName"] != o.VMName() || top["PayloadIdentifier"] != profilePrefix+o.VMName() {
			t.Fatalf("a profile of another VM than %s: %v", o, top)
		}
	})
}
