package guest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

func TestPinsRoundTrip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	want := []ssh.PublicKey{testKey(1).PublicKey(), testKey(2).PublicKey()}
	if err := WritePins(nil, file, "mpd-150", want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPins(nil, file, "mpd-150")
	if err != nil || len(got) != 2 || string(got[1].Marshal()) != string(want[1].Marshal()) {
		t.Errorf("ReadPins = %v, %v", got, err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if err := WritePins(nil, file, "mpd-150", nil); err == nil {
		t.Error("no keys were written")
	}
	if err := WritePins(nil, file, "two words", want); err == nil {
		t.Error("a name with a blank was written")
	}
}

// TestBadPins is F23 and M8: a VM that is known is refused, and the file named.
func TestBadPins(t *testing.T) {
	good := "mpd-150 " + string(ssh.MarshalAuthorizedKey(testKey(1).PublicKey()))
	text := func(s string) func(*testing.T, string) {
		return func(t *testing.T, file string) { writeFile(t, file, s) }
	}
	tests := []struct {
		name string
		make func(t *testing.T, file string)
	}{
		{"missing", func(*testing.T, string) {}},
		{"empty", text("")},
		{"comment only", text("# mpd-150\n")},
		{"garbage", text("\x00\xff\x1b[2J")},
		{"another VM's", text(strings.Replace(good, "150", "151", 1))},
		{"second line cut", text(good + good[:40])},
		{"type and key differ", text(strings.Replace(good, "ssh-ed25519", "ssh-rsa", 1))},
		{"revoked", text("@revoked " + good)},
		{"pattern", text(strings.Replace(good, "mpd-150", "*", 1))},
		{"too long", text(strings.Repeat(good, 1000))},
		{"folder", func(t *testing.T, file string) { os.Mkdir(file, 0o700) }},
		{"symlink", func(t *testing.T, file string) {
			writeFile(t, file+".real", good)
			os.Symlink(file+".real", file)
		}},
		{"writable by all", func(t *testing.T, file string) {
			writeFile(t, file, good)
			os.Chmod(file, 0o666)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "known_hosts")
			tt.make(t, file)
			if keys, err := ReadPins(nil, file, "mpd-150"); err == nil || keys != nil {
				t.Errorf("ReadPins = %v, %v, want an error alone", keys, err)
			}
			_, err := HostKeys{File: file, Name: "mpd-150", Pinned: true}.load()
			var e *HostKeyError
			if !errors.As(err, &e) || e.File != file {
				t.Fatalf("error %v, want *HostKeyError with the file", err)
			}
			contains(t, "error", err.Error(), file)
			if strings.Count(err.Error(), file) != 1 {
				t.Errorf("the file is named more than once: %v", err)
			}
			contains(t, "hint", hint.Of(err), "--accept-host-key=")
			if tt.name != "missing" {
				if _, err := (HostKeys{File: file, Name: "mpd-150"}).load(); !errors.As(err, &e) {
					t.Errorf("without the record: %v, want a refusal too", err)
				}
			}
		})
	}
}

func TestFirstContact(t *testing.T) {
	h := HostKeys{File: filepath.Join(t.TempDir(), "known_hosts"), Name: "mpd-150"}
	k, err := h.load()
	if err != nil {
		t.Fatal(err)
	}
	if k.algorithms()[0] != ssh.KeyAlgoED25519 {
		t.Errorf("first wish %s, want ed25519", k.algorithms()[0])
	}
	if err := k.check(firstAddr, testKey(7).PublicKey()); err != nil {
		t.Errorf("first contact: %v", err)
	}
	if _, err := ReadPins(nil, h.File, h.Name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadPins of no file: %v, want fs.ErrNotExist", err)
	}
}

// FuzzPins: whatever happens to the file, no key is accepted that it did not
// hold.
func FuzzPins(f *testing.F) {
	good := "mpd-150 " + string(ssh.MarshalAuthorizedKey(testKey(1).PublicKey())) +
		"mpd-150 " + string(ssh.MarshalAuthorizedKey(testKey(2).PublicKey()))
	for n := 0; n <= len(good); n += 7 {
		f.Add([]byte(good[:n]))
	}
	f.Add([]byte("# x\r\n\r\n" + good + "mpd-150 ssh-ed25519 AAAA"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parsePins(data, "mpd-150")
		if (err == nil) == (len(keys) == 0) {
			t.Fatalf("%d keys with %v", len(keys), err)
		}
		for _, k := range keys {
			line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
			base := strings.Fields(line)[1]
			if !strings.Contains(string(data), base) {
				t.Errorf("key %s is not in %q", line, data)
			}
		}
	})
}

// TestPinsCutAnywhere: a cut file has fewer keys or none, never others.
func TestPinsCutAnywhere(t *testing.T) {
	want := testKey(1).PublicKey()
	good := "mpd-150 " + string(ssh.MarshalAuthorizedKey(want))
	for n := range len(good) {
		keys, err := parsePins([]byte(good[:n]), "mpd-150")
		if err == nil && (len(keys) != 1 || string(keys[0].Marshal()) != string(want.Marshal())) {
			t.Errorf("cut at %d: %v", n, keys)
		}
		if err == nil && n < len(good)-1 {
			t.Errorf("cut at %d is accepted", n)
		}
	}
}
