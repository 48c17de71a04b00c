package identity

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

func TestCompareServerKey(t *testing.T) {
	s := newStore(t)
	id := ensure(t, s, 150)
	other := public(t, key(9)).text()
	for _, tt := range []struct {
		name, shown string
		want        KeyMatch
		ok          bool
	}{
		{"the same", id.ServerPublic + "\n", KeyMatch{KeySame, id.ServerPublic, id.ServerPublic}, true},
		{"without a line end", id.ServerPublic, KeyMatch{KeySame, id.ServerPublic, id.ServerPublic}, true},
		{"another", other + "\n", KeyMatch{KeyDiffers, id.ServerPublic, other}, true},
		{"the Mac's", id.MacPublic + "\n", KeyMatch{KeyDiffers, id.ServerPublic, id.MacPublic}, true},
		{"none", "(none)\n", KeyMatch{KeyAbsent, id.ServerPublic, ""}, true},
		{"nothing", "", KeyMatch{}, false},
		{"two keys", other + "\n" + other + "\n", KeyMatch{}, false},
		{"a key and more", other + " \x1b[2Jhello", KeyMatch{}, false},
		{"spare bits", strings.Replace(other, other[42:43], "/", 1) + "!", KeyMatch{}, false},
		{"hexadecimal", strings.Repeat("ab", 22), KeyMatch{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.CompareServerKey(150, tt.shown)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("got %+v, %v; want %+v, accepted = %v", got, err, tt.want, tt.ok)
			}
			if err != nil && (strings.Contains(err.Error(), "\x1b") || strings.Contains(err.Error(), "hello")) {
				t.Errorf("the error repeats what the VM printed: %q", err)
			}
		})
	}
}

// TestCompareServerKeyReadsOneFile: the rest of the identity may be gone.
func TestCompareServerKeyReadsOneFile(t *testing.T) {
	s := newStore(t)
	if _, err := s.CompareServerKey(150, "(none)"); !errors.Is(err, fs.ErrNotExist) || hint.Of(err) == "" {
		t.Errorf("without client.conf: %v, want fs.ErrNotExist with a hint", err)
	}
	if _, err := s.CompareServerKey(99, "(none)"); err == nil {
		t.Error("octet 99 was accepted")
	}
	id := ensure(t, s, 150)
	for _, dir := range []string{"caroot", "service"} {
		if err := os.RemoveAll(filepath.Join(s.dir, dir)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.CompareServerKey(150, id.ServerPublic)
	if err != nil || got.Verdict != KeySame {
		t.Errorf("got %+v, %v", got, err)
	}
	put(t, s, "wireguard/150/client.conf", strings.Replace(goldenClient, "[Peer]", "[Pear]", 1))
	_, err = s.CompareServerKey(150, id.ServerPublic)
	wantFileError(t, err, filepath.Join(s.dir, "wireguard/150/client.conf"), "is not the configuration")
}

func TestKeyVerdictText(t *testing.T) {
	for v, want := range map[KeyVerdict]string{KeyUnknown: "unknown", KeySame: "same", KeyDiffers: "differs", KeyAbsent: "absent", 9: "unknown"} {
		if v.String() != want {
			t.Errorf("KeyVerdict(%d) = %s, want %s", int(v), v, want)
		}
	}
}

func TestPeerKey(t *testing.T) {
	want := public(t, key(0x60))
	const line = "PublicKey = Z13VdO13iTELPS52gfN5C0ZsdzsVIf7PNld5WDcepS8=\n"
	for _, tt := range []struct {
		name, old, new string
		ok             bool
	}{
		{"as written", line, line, true},
		{"other case", "[Peer]\n" + line, "[PEER]\n" + strings.ToLower(line[:9]) + line[9:], true},
		{"blanks", line, " \t" + strings.Replace(line, " = ", "=", 1), true},
		{"CRLF", line, strings.TrimSuffix(line, "\n") + "\r\n", true},
		{"comment behind", line, strings.TrimSuffix(line, "\n") + "# the VM\n", true},
		{"a comment only", line, "#" + line, false},
		{"twice", line, line + line, false},
		{"second peer", line, line + "[Peer]\n", false},
		{"in the interface", "[Peer]\n", "", false},
		{"damaged", "ZsdzsVIf7", "Z", false},
		{"spare bits", "epS8=", "epS9=", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := strings.Replace(goldenClient, tt.old, tt.new, 1)
			got, ok := peerKey([]byte(conf))
			if ok != tt.ok || ok && got != want || !ok && got != (wgKey{}) {
				t.Errorf("peerKey = %s, %v; want accepted = %v in\n%s", got.text(), ok, tt.ok, conf)
			}
		})
	}
}

// FuzzPeerKey: what the model of WireGuard.app reads, peerKey reads the same;
// what it refuses, leaves nothing; what it finds, is in the text.
func FuzzPeerKey(f *testing.F) {
	f.Add(goldenClient)
	f.Add(goldenServer)
	f.Add("[peer]\npublickey=Z13VdO13iTELPS52gfN5C0ZsdzsVIf7PNld5WDcepS8=")
	f.Add("[Peer]\n[Interface]\nPublicKey = x")
	f.Fuzz(func(t *testing.T, conf string) {
		got, ok := peerKey([]byte(conf))
		if model, err := parseAppConf(conf); err == nil && (!ok || got.text() != model["peer.publickey"][0]) {
			t.Fatalf("peerKey = %s, %v; the model says %s", got.text(), ok, model["peer.publickey"][0])
		}
		if ok && !strings.Contains(conf, got.text()) {
			t.Fatalf("%s is not in %q", got.text(), conf)
		}
		if !ok && got != (wgKey{}) {
			t.Fatal("a key beside false")
		}
	})
}

// FuzzCompareServerKey: the verdict is "same" for exactly the key itself, and
// an error never shows what was read.
func FuzzCompareServerKey(f *testing.F) {
	want := key(0x60)
	f.Add(want.text() + "\n")
	f.Add("(none)\n")
	f.Add("interface: mpd0\n")
	f.Fuzz(func(t *testing.T, shown string) {
		m, err := compareKey(want, shown)
		same := strings.TrimRight(shown, "\r\n") == want.text()
		switch {
		case err != nil && m != (KeyMatch{}):
			t.Fatal("a result beside an error")
		case err == nil && m.Verdict == KeyUnknown:
			t.Fatal("no verdict and no error")
		case (m.Verdict == KeySame) && !same:
			t.Fatalf("%q is the same as %s", shown, want.text())
		case m.Verdict == KeyDiffers && (m.VM == m.Conf || !strings.Contains(shown, m.VM)):
			t.Fatalf("%+v of %q", m, shown)
		case err != nil && len(shown) > 20 && strings.Contains(err.Error(), shown):
			t.Fatalf("the error shows %q", shown)
		}
	})
}
