package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// octet is any octet, chosen by n.
func octet(n byte) hypervisor.Octet {
	return hypervisor.FirstOctet + hypervisor.Octet(n)%(hypervisor.LastOctet-hypervisor.FirstOctet+1)
}

func newStore(t testing.TB) *Store {
	return Open(filepath.Join(t.TempDir(), "conf"), func() time.Time { return noon })
}

func ensure(t testing.TB, s *Store, o hypervisor.Octet) *Identity {
	t.Helper()
	id, err := s.Ensure(o, testVM)
	if err != nil {
		t.Fatalf("Ensure(%s): %v", o, err)
	}
	return id
}

// tree is every file below the store's folder, by name, with its content.
func tree(t testing.TB, s *Store) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[rel(s, path)] = string(data)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

func rel(s *Store, path string) string { return strings.TrimPrefix(path, s.dir+"/") }

func rels(s *Store, paths []string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, rel(s, p))
	}
	return out
}

// put writes a file of the store, with its folders.
func put(t testing.TB, s *Store, name, content string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inOrder are the files of a VM's identity in the order of their making.
var inOrder = []string{
	"caroot/rootCA-key.pem", "caroot/rootCA.pem",
	"wireguard/mac.private", "wireguard/mac.public",
	"wireguard/150/private", "wireguard/150/public",
	"wireguard/150/server.conf", "wireguard/150/client.conf", "wireguard/150/mpd-150.conf", "wireguard/150/mpd-150.mobileconfig",
}

func TestEnsureFromNothing(t *testing.T) {
	s := newStore(t)
	id := ensure(t, s, 150)
	if got := rels(s, id.Created); !slices.Equal(got, inOrder) {
		t.Errorf("Created = %q, want %q", got, inOrder)
	}
	files := tree(t, s)
	if got, want := slices.Sorted(maps.Keys(files)), slices.Sorted(slices.Values(inOrder)); !slices.Equal(got, want) {
		t.Errorf("files = %q, want %q", got, want)
	}
	for name, want := range map[string]string{
		"caroot/rootCA.pem":          string(id.CACert),
		"caroot/rootCA-key.pem":      string(id.CAKey),
		"wireguard/mac.public":       id.MacPublic + "\n",
		"wireguard/150/public":       id.ServerPublic + "\n",
		"wireguard/150/server.conf":  string(id.ServerConf),
		"wireguard/150/client.conf":  string(id.ClientConf),
		"wireguard/150/mpd-150.conf": string(id.ClientConf),

		"wireguard/150/mpd-150.mobileconfig": string(id.Profile),
	} {
		if files[name] != want {
			t.Errorf("%s does not hold what Ensure returned", name)
		}
	}
	if want := netip.AddrPortFrom(testVM, 51820); id.Endpoint != want || len(id.Fingerprint) != 64 {
		t.Errorf("Endpoint %s, want %s; Fingerprint %q", id.Endpoint, want, id.Fingerprint)
	}
	checkModes(t, s)
}

func checkModes(t *testing.T, s *Store) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		switch name := d.Name(); {
		case d.IsDir():
			want = 0o700
		case name == "rootCA.pem" || strings.HasSuffix(name, "public"):
			want = 0o644
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", rel(s, path), got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEnsureAgain(t *testing.T) {
	s := newStore(t)
	first := ensure(t, s, 150)
	before := tree(t, s)
	second := ensure(t, s, 150)
	if second.Created != nil || second.Changed != nil {
		t.Errorf("Created %q, Changed %q by the second call", second.Created, second.Changed)
	}
	if !maps.Equal(tree(t, s), before) || first.Fingerprint != second.Fingerprint {
		t.Error("the second call changed files")
	}
	loaded, err := s.Load(150)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(loaded, string(loaded.ClientConf), string(loaded.ServerConf), string(loaded.CAKey), string(loaded.Profile)),
		fmt.Sprint(second, string(second.ClientConf), string(second.ServerConf), string(second.CAKey), string(second.Profile)); got != want {
		t.Error("Load returns something else than Ensure")
	}
}

func TestSecondVM(t *testing.T) {
	s := newStore(t)
	a, b := ensure(t, s, 150), ensure(t, s, 151)
	if a.Fingerprint != b.Fingerprint || a.MacPublic != b.MacPublic {
		t.Error("two VMs have two CAs or two keys of the Mac")
	}
	if a.ServerPublic == b.ServerPublic {
		t.Error("two VMs have one key")
	}
	if len(b.Created) != 6 {
		t.Errorf("Created = %q, want only the files of 151", rels(s, b.Created))
	}
}

func TestAddressChange(t *testing.T) {
	s := newStore(t)
	old := ensure(t, s, 150)
	moved := netip.MustParseAddr("192.168.65.150")
	id, err := s.Ensure(150, moved)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"wireguard/150/client.conf", "wireguard/150/mpd-150.conf", "wireguard/150/mpd-150.mobileconfig"}
	if got := rels(s, id.Changed); !slices.Equal(got, want) || id.Created != nil {
		t.Errorf("Changed = %q, Created = %q; want %q and none", got, id.Created, want)
	}
	if id.Endpoint.Addr() != moved || !strings.Contains(string(id.ClientConf), "Endpoint = 192.168.65.150:51820\n") {
		t.Errorf("the endpoint is still %s", id.Endpoint)
	}
	if id.MacPublic != old.MacPublic || id.ServerPublic != old.ServerPublic || string(id.ServerConf) != string(old.ServerConf) {
		t.Error("keys changed with the address")
	}
}

// TestEnsureAfterAKill (F7): whatever part of the files a killed call had
// written, the next one keeps them and makes the rest.
func TestEnsureAfterAKill(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	whole := tree(t, s)
	for n := range len(inOrder) + 1 {
		t.Run(fmt.Sprintf("after %d files", n), func(t *testing.T) {
			s := newStore(t)
			for _, name := range inOrder[:n] {
				put(t, s, name, whole[name])
			}
			if n < len(inOrder) {
				if _, err := s.Load(150); !errors.Is(err, fs.ErrNotExist) || hint.Of(err) == "" {
					t.Errorf("Load = %v, want fs.ErrNotExist with a hint", err)
				}
			}
			// What the dead writer had open.
			put(t, s, "caroot/.mpd-virt-x.tmp", "secret")
			put(t, s, "wireguard/.mpd-virt-x.tmp", "secret")
			put(t, s, "wireguard/150/.mpd-virt-x.tmp", "secret")

			id := ensure(t, s, 150)
			if got := rels(s, id.Created); !slices.Equal(got, inOrder[n:]) {
				t.Errorf("Created = %q, want %q", got, inOrder[n:])
			}
			files := tree(t, s)
			for _, name := range inOrder[:n] {
				if files[name] != whole[name] {
					t.Errorf("%s was changed", name)
				}
			}
			if len(files) != len(inOrder) {
				t.Errorf("files = %q", slices.Sorted(maps.Keys(files)))
			}
			if _, err := s.Load(150); err != nil {
				t.Errorf("Load after Ensure: %v", err)
			}
		})
	}
}

// TestEnsureOnReadOnlyFolders: nothing is written when all is there.
func TestEnsureOnReadOnlyFolders(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	s := newStore(t)
	ensure(t, s, 150)
	dirs := []string{"caroot", "wireguard/150", "wireguard", "service", ""}
	for _, d := range dirs {
		path := filepath.Join(s.dir, d)
		if err := os.Chmod(path, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o700) })
	}
	if id := ensure(t, s, 150); id.Created != nil || id.Changed != nil {
		t.Errorf("Created %q, Changed %q", id.Created, id.Changed)
	}
	if _, err := s.Ensure(151, testVM); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a new VM: error %v, want fs.ErrPermission", err)
	}
}

func TestModesAreRepaired(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	for _, name := range append([]string{"caroot", "wireguard", "wireguard/150", "service", ""}, inOrder...) {
		mode := fs.FileMode(0o755)
		if filepath.Ext(name) == ".pem" && name == "caroot/rootCA.pem" || strings.HasSuffix(name, "public") {
			mode = 0o644
		}
		if err := os.Chmod(filepath.Join(s.dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if id := ensure(t, s, 150); id.Created != nil || id.Changed != nil {
		t.Errorf("Created %q, Changed %q", id.Created, id.Changed)
	}
	checkModes(t, s)
}

func TestEnsureRefusesArguments(t *testing.T) {
	s := newStore(t)
	for _, tt := range []struct {
		name string
		o    hypervisor.Octet
		vm   netip.Addr
	}{
		{"no octet", 0, testVM},
		{"octet too small", 99, testVM},
		{"octet too big", 255, testVM},
		{"no address", 150, netip.Addr{}},
		{"IPv6", 150, netip.MustParseAddr("fd00::150")},
		{"inside the tunnel", 150, netip.MustParseAddr("10.164.0.2")},
		{"a container", 150, netip.MustParseAddr("10.163.0.150")},
	} {
		if id, err := s.Ensure(tt.o, tt.vm); err == nil || id != nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	if _, err := s.Load(99); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load(99) = %v", err)
	}
	if _, err := os.Lstat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("refused arguments left something on the disk")
	}
}

// TestSymlinksAreRefused (F96): a link at any place where Ensure writes stops
// it, and nothing is written behind the link or changed there.
func TestSymlinksAreRefused(t *testing.T) {
	donor := newStore(t)
	ensure(t, donor, 150)
	whole := tree(t, donor)
	refused := func(t *testing.T, s *Store, name, target string) {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		_, err := s.Ensure(150, testVM)
		if kind := new(statefile.KindError); !errors.As(err, &kind) || kind.Path != path {
			t.Errorf("error = %v, want a KindError about %s", err, path)
		}
	}
	for _, name := range []string{"", "caroot", "wireguard", "wireguard/150", "service"} {
		t.Run("folder "+name, func(t *testing.T) {
			outside := t.TempDir()
			refused(t, newStore(t), name, outside)
			if found, _ := os.ReadDir(outside); len(found) > 0 {
				t.Error("something was written outside")
			}
		})
	}
	for i, name := range inOrder {
		for _, there := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, target there: %v", name, there), func(t *testing.T) {
				s, target := newStore(t), filepath.Join(t.TempDir(), "target")
				for _, before := range inOrder[:i] {
					put(t, s, before, whole[before])
				}
				if there { // a good file, with a mode that is not for Ensure to change
					if err := os.WriteFile(target, []byte(whole[name]), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				refused(t, s, name, target)
				info, err := os.Stat(target)
				if there != (err == nil) || there && info.Mode().Perm() != 0o644 {
					t.Errorf("the target was touched: %v, %v", info, err)
				}
			})
		}
	}
}
