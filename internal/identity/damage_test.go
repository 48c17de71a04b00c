package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// TestDamage (F95, F7): each row changes one file of a whole identity. Where
// want is empty, Ensure repairs it; else it is an error about file that says
// want, and nothing at all changes on the disk.
func TestDamage(t *testing.T) {
	remove := func(string) (string, bool) { return "", false }
	to := func(s string) func(string) (string, bool) { return func(string) (string, bool) { return s, true } }
	raw := key(7)
	for _, tt := range []struct {
		name, file string
		change     func(old string) (content string, keep bool)
		blame      string // "": file
		want       string
	}{
		{"CA key gone", "caroot/rootCA-key.pem", remove, "", "is missing"},
		{"CA key empty", "caroot/rootCA-key.pem", to(""), "", "PEM"},
		{"CA certificate cut", "caroot/rootCA.pem", func(s string) (string, bool) { return s[:99], true }, "", "PEM"},
		{"CA certificate gone", "caroot/rootCA.pem", remove, "", ""},
		{"Mac's key gone", "wireguard/mac.private", remove, "", "is missing"},
		{"Mac's key empty", "wireguard/mac.private", to(""), "", "44 characters"},
		{"Mac's key cut", "wireguard/mac.private", func(s string) (string, bool) { return s[:20], true }, "", "44 characters"},
		{"Mac's key with 31 bytes", "wireguard/mac.private", to(base64.StdEncoding.EncodeToString(raw[:31])), "", "32 bytes"},
		{"Mac's key not clamped", "wireguard/mac.private", to(wgKey{1}.text() + "\n"), "", "clamped"},
		{"garbage behind the Mac's key", "wireguard/mac.private", func(s string) (string, bool) { return s + "x", true }, "", "44 characters"},
		{"second line behind the Mac's key", "wireguard/mac.private", func(s string) (string, bool) { return s + s, true }, "", "44 characters"},
		{"another key of the Mac", "wireguard/mac.private", to(raw.text() + "\n"), "wireguard/mac.public", "not the public half of"},
		{"Mac's public key of another", "wireguard/mac.public", to(raw.text() + "\n"), "", "not the public half of"},
		{"Mac's public key damaged", "wireguard/mac.public", to("hello"), "", "44 characters"},
		{"Mac's public key gone", "wireguard/mac.public", remove, "", ""},
		{"VM's key gone", "wireguard/150/private", remove, "", "is missing"},
		{"VM's key damaged", "wireguard/150/private", to("AAAA"), "", "44 characters"},
		{"VM's public key of another", "wireguard/150/public", to(raw.text()), "", "not the public half of"},
		{"VM's public key gone", "wireguard/150/public", remove, "", ""},
		{"server.conf gone", "wireguard/150/server.conf", remove, "", ""},
		{"server.conf cut", "wireguard/150/server.conf", func(s string) (string, bool) { return s[:50], true }, "", ""},
		{"client.conf edited", "wireguard/150/client.conf", func(s string) (string, bool) {
			return strings.Replace(s, "DNS", "#DNS", 1), true
		}, "", ""},
		{"copy for import gone", "wireguard/150/mpd-150.conf", remove, "", ""},
		{"profile gone", "wireguard/150/mpd-150.mobileconfig", remove, "", ""},
		{"profile cut", "wireguard/150/mpd-150.mobileconfig", func(s string) (string, bool) { return s[:99], true }, "", ""},
		{"a huge file", "wireguard/mac.private", to(strings.Repeat("A", maxFile+1)), "big", "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			ensure(t, s, 150)
			whole := tree(t, s)
			path := filepath.Join(s.dir, tt.file)
			if content, keep := tt.change(whole[tt.file]); keep {
				put(t, s, tt.file, content)
			} else if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			damaged := tree(t, s)

			if _, err := s.Load(150); err == nil {
				t.Error("Load accepts it")
			}
			_, err := s.Ensure(150, testVM)
			switch {
			case tt.want == "":
				wantRepaired(t, s, err, whole, tt.file)
				return
			case tt.blame == "big":
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error = %v, want %q", err, tt.want)
				}
			case tt.blame != "":
				wantFileError(t, err, filepath.Join(s.dir, tt.blame), tt.want)
			default:
				wantFileError(t, err, path, tt.want)
			}
			if !maps.Equal(tree(t, s), damaged) {
				t.Error("files were changed beside an error")
			}
			for _, secret := range []string{whole["wireguard/mac.private"][:20], whole["wireguard/150/private"][:20], raw.text()[:20]} {
				if strings.Contains(err.Error()+hint.Of(err), secret) {
					t.Error("the error shows a key")
				}
			}
		})
	}
}

// wantRepaired checks that Ensure made file whole again. A certificate that is
// made again is a new one, for the same key.
func wantRepaired(t *testing.T, s *Store, err error, whole map[string]string, file string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got := tree(t, s)
	if file == "caroot/rootCA.pem" {
		delete(got, file)
		whole = maps.Clone(whole)
		delete(whole, file)
	}
	if !maps.Equal(got, whole) {
		t.Error("Ensure did not bring back what was there")
	}
	if _, err := s.Load(150); err != nil {
		t.Errorf("Load after the repair: %v", err)
	}
}

// TestTraces: both halves of a pair are gone, but a configuration that names
// them is still there, be it another VM's.
func TestTraces(t *testing.T) {
	for _, tt := range []struct {
		name    string
		removed []string
		blame   string // "": a new key is right
		hint    string
	}{
		{"Mac's pair", []string{"wireguard/mac.private", "wireguard/mac.public"}, "wireguard/mac.private", "PrivateKey line of"},
		{"Mac's pair and our confs", []string{
			"wireguard/mac.private", "wireguard/mac.public", "wireguard/150/client.conf", "wireguard/150/mpd-150.conf", "wireguard/150/mpd-150.mobileconfig", "wireguard/150/server.conf",
		}, "wireguard/mac.private", "151/client.conf"},
		{"Mac's pair and all confs but a profile", []string{
			"wireguard/mac.private", "wireguard/mac.public", "wireguard/150/client.conf", "wireguard/150/mpd-150.conf", "wireguard/150/server.conf",
			"wireguard/151/client.conf", "wireguard/151/mpd-151.conf", "wireguard/151/mpd-151.mobileconfig", "wireguard/151/server.conf",
		}, "wireguard/mac.private", "PrivateKey line of"},
		{"VM's pair", []string{"wireguard/150/private", "wireguard/150/public"}, "wireguard/150/private", "150/server.conf"},
		{"VM's pair and server.conf", []string{
			"wireguard/150/private", "wireguard/150/public", "wireguard/150/server.conf",
		}, "wireguard/150/private", "from a backup;"},
		{"VM's pair and all but the profile", []string{
			"wireguard/150/private", "wireguard/150/public", "wireguard/150/server.conf", "wireguard/150/client.conf", "wireguard/150/mpd-150.conf",
		}, "wireguard/150/private", "from a backup;"},
		{"all of one VM", []string{
			"wireguard/150/private", "wireguard/150/public", "wireguard/150/server.conf", "wireguard/150/client.conf", "wireguard/150/mpd-150.conf",
			"wireguard/150/mpd-150.mobileconfig",
		}, "", ""},
		{"whole CA", []string{"caroot/rootCA.pem", "caroot/rootCA-key.pem"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			ensure(t, s, 150)
			ensure(t, s, 151)
			for _, name := range tt.removed {
				if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, s)
			_, err := s.Ensure(150, testVM)
			if tt.blame == "" {
				if err != nil {
					t.Errorf("error = %v, want new files", err)
				}
				return
			}
			wantFileError(t, err, filepath.Join(s.dir, tt.blame), "is missing")
			if got := hint.Of(err); !strings.Contains(got, tt.hint) {
				t.Errorf("hint = %q, want it to say %q", got, tt.hint)
			}
			if !maps.Equal(tree(t, s), before) {
				t.Error("files were changed beside an error")
			}
		})
	}
}

// TestRestoreFromConf does what the hint for a lost private key says.
func TestRestoreFromConf(t *testing.T) {
	s := newStore(t)
	old := ensure(t, s, 150)
	conf, err := parseAppConf(string(old.ClientConf))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, "wireguard/mac.private")); err != nil {
		t.Fatal(err)
	}
	put(t, s, "wireguard/mac.private", conf["interface.privatekey"][0])
	if id := ensure(t, s, 150); id.MacPublic != old.MacPublic || id.Created != nil || id.Changed != nil {
		t.Error("the restored key is not the old one")
	}
}

func TestClock(t *testing.T) {
	s := newStore(t)
	id := ensure(t, s, 150)
	for _, tt := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"last second", id.NotAfter, ""},
		{"expired", id.NotAfter.Add(time.Second), "expired"},
		{"clock an hour back", noon.Add(-time.Hour), ""},
		{"clock two hours back", noon.Add(-2 * time.Hour), "not valid before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			later := Open(s.dir, func() time.Time { return tt.now })
			_, ensureErr := later.Ensure(150, testVM)
			_, loadErr := later.Load(150)
			_, caErr := later.CA()
			for _, err := range []error{ensureErr, loadErr, caErr} {
				if tt.want == "" {
					if err != nil {
						t.Error(err)
					}
					continue
				}
				wantFileError(t, err, s.CACertFile(), tt.want)
				if !strings.Contains(hint.Of(err), "clock") {
					t.Errorf("hint = %q, want it to speak of the clock", hint.Of(err))
				}
			}
		})
	}
}

func TestCAOnly(t *testing.T) {
	s := newStore(t)
	if _, err := s.CA(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("CA in an empty store: %v, want fs.ErrNotExist", err)
	}
	id := ensure(t, s, 150)
	ca, err := s.CA()
	if err != nil {
		t.Fatal(err)
	}
	if string(ca.Cert) != string(id.CACert) || ca.Fingerprint != id.Fingerprint || !ca.NotAfter.Equal(id.NotAfter) {
		t.Errorf("CA = %+v, want the CA of Ensure", ca)
	}
}

func TestLoadChangesNothing(t *testing.T) {
	s := newStore(t)
	if _, err := s.Load(150); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load = %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Lstat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("Load made the folder")
	}
}

func TestIdentityIsNotPrinted(t *testing.T) {
	id := ensure(t, newStore(t), 150)
	conf, err := parseAppConf(string(id.ClientConf))
	if err != nil {
		t.Fatal(err)
	}
	secret := conf["interface.privatekey"][0]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{id, *id, []Identity{*id}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, secret) || strings.Contains(got, "PRIVATE") || strings.Contains(got, "45 45 45") {
				t.Errorf("%s of %T prints a secret: %s", verb, v, got)
			}
		}
	}
}
