package cloudinit

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// hostKey was made for these tests and is used nowhere else.
const hostKey = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz
c2gtZWQyNTUxOQAAACBNr5kSJkBjDo2jyTmIUqjZlqsg9vWSss2ToXdht03O5QAA
AIjliyEd5YshHQAAAAtzc2gtZWQyNTUxOQAAACBNr5kSJkBjDo2jyTmIUqjZlqsg
9vWSss2ToXdht03O5QAAAEDcFf/j+XKs8BUo3FKussDS1CkaI9sr2M7b0lIZ527B
1U2vmRImQGMOjaPJOYhSqNmWqyD29ZKyzZOhd2G3Tc7lAAAAAAECAwQF
-----END OPENSSH PRIVATE KEY-----
`

const userKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvgnRTqg1jr3r9NtsM94c0rqzGZPWLEP13pr0lHKZId dev@mac"

func sample() Seed {
	return Seed{
		InstanceID: "mpd-150-4f2a", HostName: "mpd-150", User: "petr.skoda", PublicKey: userKey, HostKey: []byte(hostKey),
		MAC: net.HardwareAddr{0x52, 0x54, 0, 0xAB, 0xCD, 0xEF}, Addr: netip.MustParsePrefix("192.168.64.150/24"), Gateway: netip.MustParseAddr("192.168.64.1"),
	}
}

// iso is the image of a seed that is fine.
func iso(t testing.TB, s Seed) []byte {
	t.Helper()
	image, err := s.ISO()
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func TestDocuments(t *testing.T) {
	label, files, err := Files(iso(t, sample()))
	if err != nil || label != "cidata" || len(files) != 3 {
		t.Fatalf("Files = %q, %d files, %v", label, len(files), err)
	}
	_, public, err := readHostKey([]byte(hostKey))
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	want := map[string]string{
		"user-data": `{"hostname":"mpd-150","users":[{"name":"petr.skoda","sudo":"ALL=(ALL) NOPASSWD:ALL","shell":"/bin/bash","lock_passwd":true,
			"ssh_authorized_keys":[` + text(userKey) + `]}],"ssh_pwauth":false,
			"ssh_keys":{"ed25519_private":` + text(hostKey) + `,"ed25519_public":` + text(public) + `},"growpart":{"mode":"auto","devices":["/"]}}`,
		"meta-data": `{"instance-id":"mpd-150-4f2a","local-hostname":"mpd-150"}`,
		"network-config": `{"version":2,"ethernets":{"primary":{"match":{"macaddress":"52:54:00:ab:cd:ef"},"dhcp4":false,"addresses":["192.168.64.150/24"],
			"routes":[{"to":"0.0.0.0/0","via":"192.168.64.1"}],"nameservers":{"addresses":["192.168.64.1"]}}}}`,
	}
	for name, wanted := range want {
		got := files[name]
		if name == "user-data" {
			var ok bool
			if got, ok = bytes.CutPrefix(got, []byte("#cloud-config\n")); !ok {
				t.Errorf("user-data begins with %.20q", files[name])
			}
		}
		var a, b any
		if err := json.Unmarshal(got, &a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := json.Unmarshal([]byte(wanted), &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s = %s\nwant %s", name, got, wanted)
		}
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.iso")
	if err := sample().WriteFile(nil, path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, iso(t, sample())) {
		t.Errorf("not the bytes of ISO, or not the same bytes twice (%v)", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600: there is a private key in it", info.Mode())
	}
}

func TestRead(t *testing.T) {
	want := sample()
	got, err := Read(iso(t, want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Read = %+v, %v\nwant %+v", got, err, want)
	}
}

func TestReadRefuses(t *testing.T) {
	good := iso(t, sample())
	swap := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	for _, tc := range []struct {
		name  string
		image []byte
		want  string
	}{
		{"nothing", nil, "not an ISO"},
		{"cut", good[:len(good)-sector], "lies outside"},
		{"other label", swap("cidata ", "CIDATE "), "label"},
		{"no header", swap("#cloud-config", "#!oud-config "), "begin"},
		{"unknown field", swap(`"version"`, `"virsion"`), "unknown field"},
		{"no route", swap(`"0.0.0.0/0"`, `"0.0.0.0/1"`), "not as this program writes it"},
		{"other user", swap(`"petr.skoda"`, `"-otr.skoda"`), "user"},
		{"strict names", swap("USER-DATA.;1", "USER_DAT.;1\x00"), "begin"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Read(tc.image)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !reflect.DeepEqual(s, Seed{}) {
				t.Errorf("Read = %v, %v; want an error with %q", s.HostName, err, tc.want)
			}
		})
	}
}

func TestSeedRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Seed)
		want   string
	}{
		{"no id", func(s *Seed) { s.InstanceID = "" }, "instance id"},
		{"id of two lines", func(s *Seed) { s.InstanceID = "a\nb" }, "instance id"},
		{"id that is a path", func(s *Seed) { s.InstanceID = "../x" }, "instance id"},
		{"no host name", func(s *Seed) { s.HostName = "" }, "host name"},
		{"host name with a quote", func(s *Seed) { s.HostName = `a"b` }, "host name"},
		{"host name ends with -", func(s *Seed) { s.HostName = "mpd-" }, "host name"},
		{"user", func(s *Seed) { s.User = "a\": x" }, "user"},
		{"root", func(s *Seed) { s.User = "root" }, "root"},
		{"no key", func(s *Seed) { s.PublicKey = "" }, "public key"},
		{"key of two lines", func(s *Seed) { s.PublicKey += "\n" + userKey }, "public key"},
		{"key with right-to-left marks", func(s *Seed) { s.PublicKey += " \u202e" }, "public key"},
		{"no host key", func(s *Seed) { s.HostKey = nil }, "host key"},
		{"host key and more", func(s *Seed) { s.HostKey = append(s.HostKey, "x"...) }, "host key"},
		{"host key cut", func(s *Seed) { s.HostKey = s.HostKey[:100] }, "host key"},
		{"no MAC", func(s *Seed) { s.MAC = nil }, "MAC"},
		{"group MAC", func(s *Seed) { s.MAC[0] |= 1 }, "MAC"},
		{"long MAC", func(s *Seed) { s.MAC = make(net.HardwareAddr, 8) }, "MAC"},
		{"zero MAC", func(s *Seed) { s.MAC = make(net.HardwareAddr, 6) }, "MAC"},
		{"no address", func(s *Seed) { s.Addr = netip.Prefix{} }, "address"},
		{"IPv6", func(s *Seed) { s.Addr = netip.MustParsePrefix("fd00::1/64") }, "address"},
		{"no gateway", func(s *Seed) { s.Gateway = netip.Addr{} }, "address"},
		{"gateway elsewhere", func(s *Seed) { s.Gateway = netip.MustParseAddr("192.168.65.1") }, "192.168.64.0/24"},
		{"gateway is the VM", func(s *Seed) { s.Gateway = s.Addr.Addr() }, "gateway"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := sample()
			tc.change(&s)
			image, err := s.ISO()
			if err == nil || image != nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("ISO = %d bytes, %v; want an error with %q", len(image), err, tc.want)
			}
			if strings.Contains(err.Error(), "b3BlbnNzaC1r") {
				t.Error("the error quotes the private key")
			}
			path := filepath.Join(t.TempDir(), "seed.iso")
			if s.WriteFile(nil, path) == nil {
				t.Error("WriteFile writes it")
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("a file was left")
			}
		})
	}
}

// What the system's tools make of the image, where there are any.
func TestTools(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.iso")
	if err := sample().WriteFile(nil, path); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		argv []string
		want []string
	}{
		{"isoinfo plain", []string{"isoinfo", "-f", "-i", path}, []string{"/META-DATA.;1\n", "/NETWORK-CONFIG.;1\n", "/USER-DATA.;1\n"}},
		{"isoinfo joliet", []string{"isoinfo", "-J", "-f", "-i", path}, []string{"/meta-data\n", "/network-config\n", "/user-data\n"}},
		{"isoinfo label", []string{"isoinfo", "-d", "-i", path}, []string{"Volume id: cidata\n"}},
		{"isovfy", []string{"isovfy", path}, []string{"No errors found"}},
		{"bsdtar", []string{"bsdtar", "-tf", path}, []string{"\nmeta-data\n", "\nnetwork-config\n", "\nuser-data\n"}},
		{"bsdtar content", []string{"bsdtar", "-xOf", path, "meta-data"}, []string{`"instance-id": "mpd-150-4f2a"`}},
		{"xorriso", []string{"xorriso", "-read_fs", "norock", "-indev", path, "-find"}, []string{"network-config"}},
		{"blkid", []string{"blkid", "-p", path}, []string{`LABEL="cidata"`, `TYPE="iso9660"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := exec.LookPath(tc.argv[0]); err != nil {
				t.Skip(err)
			}
			out, err := exec.Command(tc.argv[0], tc.argv[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %v\n%s", tc.argv, err, out)
			}
			for _, want := range tc.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%v says\n%s\nwant %q", tc.argv, out, want)
				}
			}
		})
	}
}

// Python's YAML reader, which is cloud-init's, sees what JSON's sees.
func TestYAML(t *testing.T) {
	if err := exec.Command("python3", "-c", "import yaml").Run(); err != nil {
		t.Skip("no Python with yaml")
	}
	s := sample()
	var err error
	if s.PublicKey, err = ParsePublicKey([]byte("ssh-ed25519 " + strings.Fields(userKey)[1] + " x: [&a *b] #c \"d\" 'e' {f}, %g \\n !!python/none \u2028 é \x7f ¬")); err != nil {
		t.Fatal(err)
	}
	_, files, err := Files(iso(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		cmd := exec.Command("python3", "-c", "import sys,yaml,json; json.dump(yaml.safe_load(sys.stdin.buffer.read()), sys.stdout)")
		cmd.Stdin = bytes.NewReader(text)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got, want any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(bytes.TrimPrefix(text, []byte(header)), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: YAML sees %s\nJSON sees %s", name, out, text)
		}
	}
}

func FuzzSeed(f *testing.F) {
	f.Add("mpd-150-1", "mpd-150", "dev", "a comment", "192.168.64.150/24", "192.168.64.1", []byte{2, 0, 0, 0, 0, 1})
	f.Add("x\ny", `m"`, "-o", "#\u2028\"]\x7f", "10.0.0.1/8", "10.0.0.2", []byte{0xfe, 1, 2, 3, 4, 5})
	f.Fuzz(func(t *testing.T, id, host, user, comment, addr, gateway string, mac []byte) {
		s := Seed{InstanceID: id, HostName: host, User: hypervisor.User(user), HostKey: []byte(hostKey), MAC: mac}
		s.Addr, _ = netip.ParsePrefix(addr)
		s.Gateway, _ = netip.ParseAddr(gateway)
		s.PublicKey, _ = ParsePublicKey([]byte(strings.TrimSuffix(userKey, "dev@mac") + comment))
		image, err := s.ISO()
		if err != nil {
			if image != nil {
				t.Fatal("an image beside the error")
			}
			return
		}
		got, err := Read(image)
		if err != nil || !reflect.DeepEqual(got, s) {
			t.Fatalf("Read = %+v, %v\nwant %+v", got, err, s)
		}
	})
}

func FuzzRead(f *testing.F) {
	good := iso(f, sample())
	for at := 16 * sector; at < len(good); at += sector {
		f.Add(at, good[at:at+64])
	}
	f.Add(primaryAt*sector+158, []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(primaryRoot*sector+68, []byte{1})
	// The folder and the documents are where the parsers look: a change of
	// some bytes there reaches more than bytes at random.
	f.Fuzz(func(t *testing.T, at int, change []byte) {
		image := bytes.Clone(good)
		if at >= 0 && at < len(image) {
			copy(image[at:], change)
		}
		s, err := Read(image)
		if err != nil {
			if !reflect.DeepEqual(s, Seed{}) {
				t.Fatal("a seed beside the error")
			}
			return
		}
		again, err := s.ISO()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if back, err := Read(again); err != nil || !reflect.DeepEqual(back, s) {
			t.Fatalf("read again: %+v, %v; want %+v", back, err, s)
		}
	})
}

func TestGenerateHostKey(t *testing.T) {
	private, public, err := GenerateHostKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := sample()
	s.HostKey = private
	got, err := Read(iso(t, s))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(got.HostKey)
	if err != nil || !bytes.Equal(signer.PublicKey().Marshal(), public.Marshal()) {
		t.Errorf("the seed holds another key than the one to pin (%v)", err)
	}
}

func BenchmarkISO(b *testing.B) {
	s := sample()
	for b.Loop() {
		if _, err := s.ISO(); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleSeed() {
	s := Seed{
		InstanceID: "mpd-150-4f2a", HostName: "mpd-150", User: "dev", PublicKey: userKey, HostKey: []byte(hostKey),
		MAC: net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}, Addr: netip.MustParsePrefix("192.168.64.150/24"), Gateway: netip.MustParseAddr("192.168.64.1"),
	}
	if err := s.WriteFile(nil, "/home/dev/.mpd-virt/150/seed.iso"); err != nil {
		return // the field that is wrong, or the file
	}
}
