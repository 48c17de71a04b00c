package utm

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const head = "UUID                                 Status   Name\n"

// The first table is that of UTM's own documents.
func TestDecodeTable(t *testing.T) {
	vm := func(uuid, name string, s hypervisor.State) hypervisor.Machine {
		return hypervisor.Machine{UUID: uuid, Name: name, State: s}
	}
	for _, tc := range []struct {
		name, in string
		want     []hypervisor.Machine // nil: an error
	}{
		{"two", head + u150 + " stopped  mpd-150\n" + u151 + " started  My Other VM\n",
			[]hypervisor.Machine{vm(u150, "mpd-150", "stopped"), vm(u151, "My Other VM", "running")}},
		{"none", head, []hypervisor.Machine{}},
		{"blanks in a name", head + u150 + " stopped   two  spaces \n", []hypervisor.Machine{vm(u150, " two  spaces ", "stopped")}},
		{"a word of eight", head + u150 + " starting mpd-150\n", []hypervisor.Machine{vm(u150, "mpd-150", "starting")}},
		{"a longer word", head + u150 + " defragmenting mpd-150\n", []hypervisor.Machine{vm(u150, "mpd-150", "defragmenting")}},
		{"no name", head + u150 + " stopped  \n", []hypervisor.Machine{vm(u150, "", "stopped")}},
		{"a name like a row", head + u150 + " stopped  " + u151 + " started  x\n", []hypervisor.Machine{vm(u150, u151+" started  x", "stopped")}},
		{"nothing", "", nil},
		{"only a line end", "\n", nil},
		{"no head", u150 + " stopped  mpd-150\n", nil},
		{"cut", head + u150 + " stop", nil},
		{"cut in the head", head[:20], nil},
		{"a line end in a name", head + u150 + " stopped  a\nb\n", nil},
		{"twice", head + u150 + " stopped  a\n" + strings.ToLower(u150) + " stopped  b\n", nil},
		{"no UUID", head + strings.Repeat("x", 36) + " stopped  a\n", nil},
		{"no status", head + u150 + "          a\n", nil},
		{"status is not filled up", head + u150 + " stop mpd-150\n", nil},
		{"not UTF-8", head + u150 + " stopped  \xff\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decodeTable([]byte(tc.in))
			if !reflect.DeepEqual(got, tc.want) || (err == nil) != (tc.want != nil) {
				t.Errorf("decodeTable(%q) = %v, %v; want %v", tc.in, got, err, tc.want)
			}
		})
	}
}

// F71: all words of UTM, and others, which must never be taken for those.
func TestParseState(t *testing.T) {
	for word, want := range map[string]hypervisor.State{
		"stopped": hypervisor.Stopped, "starting": hypervisor.Starting, "started": hypervisor.Running, "pausing": hypervisor.Suspending,
		"paused": hypervisor.Paused, "resuming": hypervisor.Resuming, "stopping": hypervisor.Stopping,
		"unknown": "unknown", "": "unknown", " \t": "unknown", "defragmenting": "defragmenting", "Stopped": "Stopped",
		"missing": "utm says missing", "running": "utm says running", "suspended": "utm says suspended",
		"\x1b[31mred": "red", strings.Repeat("x", 50): hypervisor.State(strings.Repeat("x", 39) + "…"),
	} {
		if got := parseState(word); got != want {
			t.Errorf("parseState(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDecodeMade(t *testing.T) {
	for in, want := range map[string]string{
		"virtual machine id " + u150 + "\n":                        u150,
		"virtual machine id " + u150 + " of application \"UTM\"\n": u150,
		"virtual machine id \"" + u150 + "\"\n":                    u150,
		"":                                                         "",
		"missing value\n":                                          "",
		"virtual machine id 5D41\n":                                "",
		"virtual machine id " + u150 + "F0\n":                      "",
	} {
		got, err := decodeMade([]byte(in))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("decodeMade(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestDecodeDrives(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []drive
	}{
		{"two", "drives\n" + u150 + "\x1ffalse\x1f1200\x1e" + u151 + "\x1ftrue\x1f0\x1e\n",
			[]drive{{u150, false, 1200 * hypervisor.MiB}, {u151, true, 0}}},
		{"none", "drives\n\n", []drive{}},
		{"nothing", "", nil},
		{"other answer", "vms\n\n", nil},
		{"cut", "drives\n" + u150 + "\x1ffalse\x1f12", nil},
		{"a field too few", "drives\n" + u150 + "\x1ffalse\x1e\n", nil},
		{"twice", "drives\n" + u150 + "\x1ffalse\x1f1\x1e" + u150 + "\x1ffalse\x1f1\x1e\n", nil},
		{"no number", "drives\n" + u150 + "\x1ffalse\x1f1,2\x1e\n", nil},
		{"no id", "drives\n\x1ffalse\x1f1\x1e\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decodeDrives([]byte(tc.in))
			if !reflect.DeepEqual(got, tc.want) || (err == nil) != (tc.want != nil) {
				t.Errorf("decodeDrives = %v, %v; want %v", got, err, tc.want)
			}
		})
	}
}

func TestCheckVersion(t *testing.T) {
	for text, good := range map[string]bool{
		"4.6.5\n": true, "4.7.0": true, "4.7.1": true, "4.7.2": true, "4.7.3": true, "5.0.3": true, "4.10": true, "4.6.4": false, "4.6": false,
		"3.2.4": false, "": false, "x": false, "4.7.5 (115)": true, "-1.2": false, "1.2.3.4.5": false,
	} {
		if err := checkVersion(text); (err == nil) != good {
			t.Errorf("checkVersion(%q) = %v", text, err)
		}
	}
}

func TestMute(t *testing.T) {
	for text, want := range map[string]bool{"4.7.0": false, "4.7.1": true, "4.7.2": true, "4.7.2 (113)": true, "4.7.3": false, "4.7": false, "5.0.3": false, "": false} {
		if err := mute(text); (err != nil) != want {
			t.Errorf("mute(%q) = %v", text, err)
		}
	}
}

// The seed is the second of two drives, or nothing.
func TestSeedOf(t *testing.T) {
	disk, seed := drive{"A", false, 1200 * hypervisor.MiB}, drive{"B", false, 0}
	for _, tc := range []struct {
		name   string
		drives []drive
		want   string // "": an error
		is     error
	}{
		{"disk and seed", []drive{disk, seed}, "B", nil},
		{"a disk of nothing yet", []drive{{"A", false, 0}, seed}, "B", nil},
		{"no drive", []drive{}, "", nil},
		{"the disk alone", []drive{disk}, "", nil},
		{"a third drive", []drive{disk, seed, {"C", false, 0}}, "", hypervisor.ErrAmbiguous},
		{"a CD of a person", []drive{disk, {"B", true, 0}}, "", hypervisor.ErrAmbiguous},
		{"a disk of a person", []drive{disk, {"B", false, 900 * hypervisor.MiB}}, "", hypervisor.ErrAmbiguous},
		{"the other way round", []drive{seed, disk}, "", hypervisor.ErrAmbiguous},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := seedOf(tc.drives)
			if got.ID != tc.want || (err == nil) != (tc.want != "") || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("seedOf(%v) = %+v, %v; want %q, %v", tc.drives, got, err, tc.want, tc.is)
			}
		})
	}
}
