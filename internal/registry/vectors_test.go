package registry

import (
	"bufio"
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

const vectorDir = "../../testdata/vectors/env"

// vector is one line of index.txt.
type vector struct {
	file, class string
	line        int
	key         string
	data        []byte
}

func vectors(t testing.TB) []vector {
	t.Helper()
	index, err := os.ReadFile(filepath.Join(vectorDir, "index.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for s := bufio.NewScanner(bytes.NewReader(index)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) != 4 {
			t.Fatalf("index.txt: %q does not have four fields", s.Text())
		}
		v := vector{file: f[0], class: f[1], key: strings.TrimPrefix(f[3], "-")}
		if v.line, err = strconv.Atoi(f[2]); err != nil {
			t.Fatal(err)
		}
		if v.data, err = os.ReadFile(filepath.Join(vectorDir, v.file)); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func TestVectorsAreAllListed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectorDir, "*.env"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(vectors(t)); n != len(files) || n == 0 {
		t.Errorf("index.txt lists %d files, there are %d", n, len(files))
	}
}

// full is what good.env says.
func full() Entry {
	return Entry{
		Octet: 150, Backend: "parallels", Addr: netip.MustParseAddr("10.211.55.150"), User: "dev",
		UUID: "{0f4b5e1c-93d2-4a7f-8b60-1c2d3e4f5a6b}", Disk: 80 * hypervisor.GiB, RAM: 8 * hypervisor.GiB,
	}
}

// F88: each fault is found, with its line and key, by Load and by List, and a
// rewrite refuses it; each harmless oddity is read, and a rewrite keeps it.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.file, func(t *testing.T) {
			r := Open(t.TempDir())
			plant(t, r, 150, v.data)
			plant(t, r, 151, entryText(t, 151))
			e, err := r.Load(150)
			items, listErr := r.List()
			if listErr != nil || len(items) != 2 || items[1].Err != nil || items[1].Entry.Octet != 151 {
				t.Fatalf("List = %+v, %v: the good neighbour must be in it", items, listErr)
			}
			if items[0].Entry != e && v.class == "ok" {
				t.Errorf("List has %+v, Load %+v", items[0].Entry, e)
			}
			if v.class == "ok" {
				checkGood(t, r, v, e, err)
				return
			}
			checkBroken(t, r, v, err)
			checkBroken(t, r, v, items[0].Err)
			if _, ok := items[0].Err.(*EntryError); !ok || items[0].Unfinished || items[0].Entry != (Entry{Octet: 150}) {
				t.Errorf("List: %+v", items[0])
			}
			checkBroken(t, r, v, r.Save(full()))
			if got, _ := os.ReadFile(r.EnvFile(150)); !bytes.Equal(got, v.data) {
				t.Errorf("Save overwrote a broken entry: %q", got)
			}
		})
	}
}

func checkBroken(t *testing.T, r *Registry, v vector, err error) {
	t.Helper()
	var broken *EntryError
	if !errors.As(err, &broken) {
		t.Fatalf("error %v, want an *EntryError", err)
	}
	if broken.Octet != 150 || broken.File != r.EnvFile(150) || broken.Line != v.line || broken.Key != v.key {
		t.Errorf("octet %s, file %s, line %d, key %q; want line %d, key %q (%v)",
			broken.Octet, broken.File, broken.Line, broken.Key, v.line, v.key, broken)
	}
	place := statefile.Locate(r.EnvFile(150), v.line, v.key, "")
	if !strings.Contains(err.Error(), strings.TrimSpace(place)) {
		t.Errorf("%q does not name %q", err, place)
	}
	for _, c := range err.Error() {
		if c < ' ' || c > '~' {
			t.Errorf("%q has a character that must not reach a terminal", err)
		}
	}
	_, syntaxErr := statefile.ParseEnv("", v.data)
	if (v.class == "syntax") != (syntaxErr != nil) {
		t.Errorf("class %s, but ParseEnv says %v", v.class, syntaxErr)
	}
}

func checkGood(t *testing.T, r *Registry, v vector, e Entry, err error) {
	t.Helper()
	want := full()
	if v.file == "good-foreign-backend.env" {
		want.Backend = "lima-2"
	}
	if e.UUID == "" {
		want.UUID = ""
	}
	if e.Disk == 0 {
		want.Disk = 0
	}
	if e.RAM == 0 {
		want.RAM = 0
	}
	if err != nil || e != want {
		t.Fatalf("Load = %+v, %v, want %+v", e, err, want)
	}
	// The same again is no change; another address changes that value only.
	env, _ := statefile.ParseEnv("", v.data)
	for _, addr := range []string{"10.211.55.150", "10.211.55.149"} {
		e.Addr = netip.MustParseAddr(addr)
		if err := r.Save(e); err != nil {
			t.Fatal(err)
		}
		if addr != want.Addr.String() {
			_ = env.Set(keyAddr, addr)
		}
		got, err := os.ReadFile(r.EnvFile(150))
		if err != nil || !bytes.Equal(got, env.Bytes()) {
			t.Errorf("after Save of %s: %q, want %q (%v)", addr, got, env.Bytes(), err)
		}
		if back, err := r.Load(150); err != nil || back != e {
			t.Errorf("Load after Save = %+v, %v", back, err)
		}
	}
}

// F88: of what Save writes, no part passes for an entry, wherever it is cut.
func TestEveryCutIsBroken(t *testing.T) {
	minimal := full()
	minimal.UUID, minimal.Disk, minimal.RAM = "", 0, 0
	for _, e := range []Entry{full(), minimal} {
		r := Open(t.TempDir())
		if err := r.Save(e); err != nil {
			t.Fatal(err)
		}
		whole, err := os.ReadFile(r.EnvFile(150))
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(whole) - 1 { // without the last line end it is whole
			plant(t, r, 150, whole[:n])
			var broken *EntryError
			if got, err := r.Load(150); !errors.As(err, &broken) || got != (Entry{}) {
				t.Errorf("cut after %q: %+v, %v", whole[:n], got, err)
			}
		}
	}
}

// FuzzEntry: what is read is valid and is read back the same after a save;
// what is refused gives nothing and a place.
func FuzzEntry(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		env, err := statefile.ParseEnv("env", data)
		if err != nil {
			return
		}
		e, err := decode(env, 150, "env")
		if err != nil {
			var broken *EntryError
			if !errors.As(err, &broken) || broken.Key == "" || e != (Entry{}) {
				t.Fatalf("%q: %+v, %v", data, e, err)
			}
			return
		}
		if err := e.validate(); err != nil {
			t.Fatalf("%q: read, but not valid: %v", data, err)
		}
		if err := e.encode(env); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		again, err := statefile.ParseEnv("env", env.Bytes())
		if err != nil {
			t.Fatalf("%q became %q: %v", data, env.Bytes(), err)
		}
		if back, err := decode(again, 150, "env"); err != nil || back != e {
			t.Fatalf("%q became %+v, then %+v, %v", data, e, back, err)
		}
	})
}
