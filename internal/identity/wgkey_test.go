package identity

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// key is n, n+1, n+2 … as a clamped private key: the same in every run.
func key(n byte) wgKey {
	var k wgKey
	for i := range k {
		k[i] = n + byte(i)
	}
	return k.clamp()
}

func public(t testing.TB, k wgKey) wgKey {
	t.Helper()
	p, err := k.public()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPublicKey uses the key pairs of RFC 7748, section 6.1.
func TestPublicKey(t *testing.T) {
	for _, tt := range []struct{ name, private, public string }{
		{"Alice", "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
		{"Bob", "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.private)
			if err != nil {
				t.Fatal(err)
			}
			p := public(t, wgKey(b))
			if got := hex.EncodeToString(p[:]); got != tt.public {
				t.Errorf("public = %s, want %s", got, tt.public)
			}
		})
	}
}

// TestPublicKeyInWG asks wg.
func TestPublicKeyInWG(t *testing.T) {
	wg, err := exec.LookPath("wg")
	if err != nil {
		t.Skip("no wg on PATH")
	}
	k := newPrivate()
	cmd := exec.Command(wg, "pubkey")
	cmd.Stdin = strings.NewReader(k.text() + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(string(out)), public(t, k).text(); got != want {
		t.Errorf("wg pubkey = %s, ours is %s", got, want)
	}
}

func TestNewPrivate(t *testing.T) {
	seen := map[wgKey]bool{}
	for range 100 {
		k := newPrivate()
		if !k.clamped() || k[0]&7 != 0 || k[31]>>6 != 1 {
			t.Fatal("a new key is not clamped")
		}
		if seen[k] {
			t.Fatal("the same key twice")
		}
		seen[k] = true
	}
}

func TestParsePrivate(t *testing.T) {
	good := key(1).text()
	raw := key(1)
	unclampedLow, unclampedHigh := raw, raw
	unclampedLow[0] |= 1
	unclampedHigh[31] |= 128
	for _, tt := range []struct{ name, text, want string }{
		{"good", good, ""},
		{"empty", "", "44 characters"},
		{"cut", good[:43], "44 characters"},
		{"garbage behind", good + "x", "44 characters"},
		{"space behind", good + " ", "44 characters"},
		{"31 bytes", base64.StdEncoding.EncodeToString(raw[:31]), "32 bytes"},
		{"33 bytes", base64.StdEncoding.EncodeToString(append(raw[:], 0)), "32 bytes"},
		{"line ends inside", good[:40] + "\n\n\n\n", "32 bytes"},
		{"hexadecimal", hex.EncodeToString(raw[:]), "44 characters"},
		{"URL alphabet", strings.Repeat("-_", 21) + "8=", "base64"},
		{"spare bits", good[:42] + string(good[42]+1) + "=", "base64"},
		{"no padding", good[:43] + "A", "32 bytes"},
		{"low bits not clamped", unclampedLow.text(), "clamped"},
		{"high bits not clamped", unclampedHigh.text(), "clamped"},
		{"zero", wgKey{}.text(), "clamped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, err := parsePrivate(tt.text)
			if tt.want == "" {
				if err != nil || k != raw {
					t.Errorf("got %v, %v", k == raw, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%d characters: error %v, want one with %q", len(tt.text), err, tt.want)
			}
			if len(tt.text) > 20 && strings.Contains(err.Error(), tt.text[:20]) {
				t.Error("the error shows the key")
			}
		})
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	k := key(9)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		got := fmt.Sprintf(verb, k)
		if strings.Contains(got, k.text()[:8]) || strings.ContainsAny(got, "0123456789") {
			t.Errorf("%s prints the key: %s", verb, got)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add(key(1).text())
	f.Add(key(1).text() + "\n")
	f.Add(key(1).text() + "\r\n")
	f.Add(strings.Repeat("A", 43) + "=")
	f.Fuzz(func(t *testing.T, s string) {
		line := keyLine([]byte(s))
		if rest, ok := strings.CutPrefix(s, line); !ok || rest != "" && rest != "\n" && rest != "\r\n" {
			t.Fatalf("keyLine(%q) = %q", s, line)
		}
		k, err := parsePrivate(line)
		if err != nil {
			if k != (wgKey{}) {
				t.Fatal("a key beside an error")
			}
			return
		}
		if k.text() != line {
			t.Fatalf("%q reads as the key %q", line, k.text())
		}
		if !k.clamped() {
			t.Fatal("an unclamped key was accepted")
		}
		if _, err := parseKey(public(t, k).text()); err != nil {
			t.Fatal(err)
		}
	})
}
