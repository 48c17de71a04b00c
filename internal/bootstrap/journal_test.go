package bootstrap

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

var (
	firstAddr     = netip.MustParseAddr("10.211.55.37")
	canonicalAddr = netip.MustParseAddr("10.211.55.150")
	noon          = time.Date(2026, 5, 24, 12, 0, 0, 123456789, time.UTC)
)

// sampleJournal has every field set.
func sampleJournal(file string) *Journal {
	j := NewJournal(nil, file)
	j.Octet, j.Backend, j.UUID, j.User = 150, "general", "{1234}", "dev"
	j.First, j.Canonical, j.Source = firstAddr, canonicalAddr, goodSource
	j.HostKey, j.MachineID, j.Moving = "SHA256:abc", "0123456789abcdef", true
	j.Done[StepSudoers], j.Done[StepClone] = noon, noon.Add(time.Minute)
	return j
}

var sameJournal = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmp.AllowUnexported(Journal{})}

func TestJournalRoundTrip(t *testing.T) {
	bare := func(file string) *Journal {
		j := sampleJournal(file)
		j.UUID, j.HostKey, j.MachineID, j.Moving = "", "", "", false
		clear(j.Done)
		return j
	}
	for name, make := range map[string]func(string) *Journal{"full": sampleJournal, "before first contact": bare} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "journal.json")
			want := make(file)
			if err := want.Save(); err != nil {
				t.Fatal(err)
			}
			got, err := LoadJournal(nil, file, 150)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, sameJournal); d != "" {
				t.Errorf("-saved +loaded:\n%s", d)
			}
			info, err := os.Stat(file)
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
			}
			before, _ := os.ReadFile(file)
			if err := got.Save(); err != nil {
				t.Fatal(err)
			}
			if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
				t.Errorf("saved again it is another text:\n%s\n%s", before, after)
			}
		})
	}
}

func TestJournalMissing(t *testing.T) {
	_, err := LoadJournal(nil, filepath.Join(t.TempDir(), "journal.json"), 150)
	if !Missing(err) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want fs.ErrNotExist", err)
	}
	if Missing(nil) || Missing(errors.New("x")) {
		t.Error("Missing is true of other errors")
	}
}

func TestJournalSaveNeedsItsFolder(t *testing.T) {
	if err := sampleJournal(filepath.Join(t.TempDir(), "none", "journal.json")).Save(); err == nil {
		t.Error("Save made the folder")
	}
}

func saved(t *testing.T) (file string, data []byte) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "journal.json")
	if err := sampleJournal(file).Save(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return file, data
}

func rewrite(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestJournalCutAtEveryByte(t *testing.T) {
	file, data := saved(t)
	for n := range data {
		rewrite(t, file, data[:n])
		j, err := LoadJournal(nil, file, 150)
		if n == len(data)-1 { // only the last line end is gone
			if err != nil {
				t.Errorf("without its last line end: %v", err)
			}
			continue
		}
		if err == nil || j != nil || !strings.Contains(err.Error(), file) || Missing(err) {
			t.Fatalf("cut to %d of %d bytes: %v, %v", n, len(data), j, err)
		}
	}
}

func TestJournalDamaged(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"another octet", `"octet": 150`, `"octet": 151`, "journal of octet 151"},
		{"octet out of range", `"octet": 150`, `"octet": 300`, "damaged"},
		{"octet is a text", `"octet": 150`, `"octet": "150"`, "damaged"},
		{"later schema", "journal/1", "journal/2", `schema "mpd-virt/journal/2"`},
		{"no schema", `"schema": "mpd-virt/journal/1",`, "", `schema ""`},
		{"user like an option", `"dev"`, `"-oProxyCommand=x"`, "user"},
		{"no user", `"dev"`, `""`, "user"},
		{"root", `"dev"`, `"root"`, "user"},
		{"no backend", `"general"`, `""`, "no backend"},
		{"no address", `"10.211.55.37"`, `""`, "address"},
		{"address is a name", `"10.211.55.37"`, `"vm.local"`, "damaged"},
		{"IPv6", `"10.211.55.37"`, `"fe80::1%eth0"`, "address"},
		{"IPv4 in IPv6", `"10.211.55.150"`, `"::ffff:10.211.55.150"`, "address"},
		{"loopback", `"10.211.55.150"`, `"127.0.0.1"`, "address"},
		{"branch", `"main"`, `"--upload-pack=id"`, "branch"},
		{"base", `"https://raw`, `"http://raw`, "bootstrap URL"},
		{"time", `2026-05-24T12:00:00.123456789Z`, `yesterday`, "damaged"},
		{"two documents", "\n}\n", "\n}\n{}\n", "damaged"},
		{"NUL", "\n}\n", "\x00\n}\n", "damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, data := saved(t)
			if !bytes.Contains(data, []byte(tt.old)) {
				t.Fatalf("%s is not in\n%s", tt.old, data)
			}
			rewrite(t, file, bytes.Replace(data, []byte(tt.old), []byte(tt.new), 1))
			j, err := LoadJournal(nil, file, 150)
			if err == nil || j != nil || !strings.Contains(err.Error(), file+": damaged: ") || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("LoadJournal: %v, %v, want an error with %q", j, err, tt.want)
			}
			if !errors.As(err, new(*JournalError)) || errors.As(err, new(*hypervisor.ValueError)) {
				t.Errorf("%T: a bad value in the file must not look like one in the request", err)
			}
			if h := hint.Of(err); !strings.Contains(h, "rm ") || !strings.Contains(h, file) {
				t.Errorf("hint %q does not say what to do", h)
			}
		})
	}
}

func TestJournalIsNoJournal(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "null": "null", "list": "[]", "text": `"x"`, "empty object": "{}",
		"deep": strings.Repeat("[", 20000), "HTML": "<!DOCTYPE html>", "large": strings.Repeat(" ", 64<<10) + "{}",
	} {
		t.Run(name, func(t *testing.T) {
			file, _ := saved(t)
			rewrite(t, file, []byte(text))
			if j, err := LoadJournal(nil, file, 150); err == nil || j != nil || Missing(err) {
				t.Errorf("LoadJournal of %.20q: %v, %v", text, j, err)
			}
		})
	}
}

func TestJournalIsALink(t *testing.T) {
	file, data := saved(t)
	link := filepath.Join(t.TempDir(), "journal.json")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if j, err := LoadJournal(nil, link, 150); err == nil || Missing(err) {
		t.Errorf("LoadJournal of a link: %v, %v", j, err)
	}
	if err := sampleJournal(link).Save(); err == nil {
		t.Error("Save wrote through a link")
	}
	if now, _ := os.ReadFile(file); !bytes.Equal(now, data) {
		t.Error("the link's target changed")
	}
}

func TestJournalWithoutSteps(t *testing.T) {
	file, data := saved(t)
	start := bytes.Index(data, []byte(",\n  \"done\""))
	rewrite(t, file, append(data[:start:start], "\n}\n"...))
	j, err := LoadJournal(nil, file, 150)
	if err != nil {
		t.Fatal(err)
	}
	j.Done[StepPush] = noon // must not be a nil map
}

func TestAddresses(t *testing.T) {
	tests := []struct {
		name          string
		moved, moving bool
		same          bool // First is Canonical
		want          []netip.Addr
	}{
		{"new", false, false, false, []netip.Addr{firstAddr}},
		{"around step 30", false, true, false, []netip.Addr{canonicalAddr, firstAddr}},
		{"after step 30", true, true, false, []netip.Addr{canonicalAddr}},
		{"registered", true, false, false, []netip.Addr{canonicalAddr}},
		{"always there", false, false, true, []netip.Addr{canonicalAddr}},
		{"always there, around step 30", false, true, true, []netip.Addr{canonicalAddr}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := NewJournal(nil, "")
			j.First, j.Canonical, j.Moving = firstAddr, canonicalAddr, tt.moving
			if tt.same {
				j.First = canonicalAddr
			}
			if tt.moved {
				j.Done[StepNetwork] = noon
			}
			if got := j.Addresses(); !slices.Equal(got, tt.want) {
				t.Errorf("Addresses() = %v, want %v", got, tt.want)
			}
		})
	}
}

// allDone is a journal of a VM that is through.
func allDone() *Journal {
	j := sampleJournal("")
	j.Moving = false
	for _, id := range Steps() {
		j.Done[id] = noon
	}
	return j
}

func left(j *Journal) []string { return slices.Sorted(maps.Keys(j.Done)) }

func without(ids ...string) []string {
	return slices.Sorted(slices.Values(slices.DeleteFunc(Steps(), func(id string) bool { return slices.Contains(ids, id) })))
}

func TestVoid(t *testing.T) {
	j := allDone()
	j.void(StepPush, "no such step")
	if got, want := left(j), without(StepPush); !slices.Equal(got, want) {
		t.Errorf("after void(push): %v, want %v", got, want)
	}
	if j.Moving {
		t.Error("void(push) says that the VM may be elsewhere")
	}
	j.void()
	if len(j.Done) != 0 {
		t.Errorf("after void(): %v", j.Done)
	}
	j.void()
}

// A VM that has its canonical address keeps it when its steps are forgotten: a
// run that is killed right then must find it there.
func TestVoidRemembersWhereTheVMMayBe(t *testing.T) {
	for name, ids := range map[string][]string{"all": nil, "step 30": {StepNetwork}} {
		t.Run(name, func(t *testing.T) {
			j := allDone()
			j.void(ids...)
			if got := j.Addresses(); !slices.Contains(got, canonicalAddr) || !slices.Contains(got, firstAddr) {
				t.Errorf("Addresses() = %v, want both", got)
			}
		})
	}
	j := NewJournal(nil, "")
	j.First, j.Canonical = firstAddr, canonicalAddr
	j.void()
	if got := j.Addresses(); !slices.Equal(got, []netip.Addr{firstAddr}) {
		t.Errorf("a VM that never moved is at %v", got)
	}
}

func TestSetSource(t *testing.T) {
	j := allDone()
	j.SetSource(goodSource)
	if got, want := left(j), without(); !slices.Equal(got, want) {
		t.Errorf("the same source left %v, want %v", got, want)
	}
	for name, change := range map[string]func(*Source){
		"repository": func(s *Source) { s.Repo = "/srv/mpd.git" },
		"branch":     func(s *Source) { s.Branch = "next" },
		"base":       func(s *Source) { s.Base = "https://example.org" },
	} {
		t.Run(name, func(t *testing.T) {
			j, s := allDone(), goodSource
			change(&s)
			j.SetSource(s)
			if j.Source != s {
				t.Errorf("source is %+v, want %+v", j.Source, s)
			}
			if got, want := left(j), without(StepSudoers, StepClone, StepBuild, StepMPD); !slices.Equal(got, want) {
				t.Errorf("left done: %v, want %v", got, want)
			}
		})
	}
}

func FuzzParseJournal(f *testing.F) {
	data, err := sampleJournal("").text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"schema":"mpd-virt/journal/1","octet":150,"done":null}`))
	f.Add([]byte("{\"schema\":\"\x1b[31m\u202e\"}"))
	f.Add([]byte("{\"done\":{\"sudo\":\"2026\x7f05-24T12:00:00Z\"}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := parseJournal(data, 150)
		if err != nil {
			if j != nil || !showable(err.Error()) {
				t.Errorf("journal %v, error %q", j, err)
			}
			return
		}
		if j.Octet != 150 || len(j.Addresses()) == 0 || j.Done == nil || j.Source.Validate() != nil {
			t.Errorf("%q gives %+v", data, j)
		}
		text, err := j.text()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseJournal(text, 150)
		if err != nil {
			t.Fatalf("what %q became does not load: %v", data, err)
		}
		if d := cmp.Diff(j, again, sameJournal); d != "" {
			t.Errorf("%q changes when it is saved:\n%s", data, d)
		}
	})
}
