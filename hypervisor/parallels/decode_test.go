package parallels

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func addrs(texts ...string) (out []netip.Addr) {
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func equal(a, b vm) bool {
	return a.uuid == b.uuid && a.name == b.name && a.state == b.state && slices.Equal(a.addrs, b.addrs)
}

func TestDecodeList(t *testing.T) {
	one := func(word string) string { return brief(u150 + " " + word + " - mpd-150") }
	stopped := []vm{{u150, "mpd-150", hypervisor.Stopped, nil}}
	for _, tc := range []struct {
		name, out string
		want      []vm // nil: an error
	}{
		{"short form", fixture(t, "list.json"), []vm{
			{u150, "mpd-130", hypervisor.Running, nil},
			{u151, "mpd-131", hypervisor.Stopped, nil},
			{"878e392f-4f3e-4726-9607-11fe308492e0", "mpd-132", hypervisor.Suspended, nil},
		}},
		{"with addresses", fixture(t, "list-full.json"), []vm{
			{u150, "mpd-130", hypervisor.Running, addrs("10.211.55.130")},
			{strings.ToUpper(u151), "Debian 13", hypervisor.Running, addrs("10.211.55.3")},
			{"878e392f-4f3e-4726-9607-11fe308492e0", "Windows 11", hypervisor.Running, nil},
			{"0d6c1c62-4f0c-4c53-9d3b-6f3c2f8f5b01", "mpd-132", hypervisor.Suspended, nil},
		}},
		{"no VM", fixture(t, "list-empty.json"), []vm{}},
		{"long form", fixture(t, "detail-running.json"), []vm{{u150, "mpd-130", hypervisor.Running, addrs("10.211.55.130")}}},
		{"braces", strings.Replace(one("stopped"), u150, "{"+u150+"}", 1), stopped},
		{"a line before", "Searching for VMs...\r\n" + one("stopped"), stopped},
		{"a list of progress before", "[ 12 %] [100 %]\n" + one("stopped"), stopped},
		{"a line behind", one("stopped") + "\nDone [ok].\n", stopped},
		{"control characters around", "\x00\x1b[0m" + one("stopped") + "\x00\x1b[0m\x07", stopped},
		{"control characters between", strings.ReplaceAll(one("stopped"), "\t", "\x00\x08"), stopped},
		{"escaped name", strings.Replace(one("stopped"), `"mpd-150"`, `"a\/b \"c\" \u00dc\n"`, 1), []vm{{u150, "a/b \"c\" Ü\n", hypervisor.Stopped, nil}}},
		{"F58: a name that speaks of states", brief(u150 + " stopped - VM mpd-150 exist running\n[{"), []vm{{u150, "VM mpd-150 exist running\n[{", hypervisor.Stopped, nil}}},
		{"F58: a name with a raw control character", strings.Replace(one("stopped"), "mpd-150", "mpd-1\x0050", 1), []vm{{u150, "mpd-1\ufffd50", hypervisor.Stopped, nil}}},
		{"F58: a raw line end in the name", strings.Replace(one("stopped"), "mpd-150", "mpd-1\n50", 1), []vm{{u150, "mpd-1\ufffd50", hypervisor.Stopped, nil}}},
		{"F58: a long name", strings.Replace(one("stopped"), "mpd-150", strings.Repeat("n", 300), 1), []vm{{u150, strings.Repeat("n", 300), hypervisor.Stopped, nil}}},
		{"empty name", strings.Replace(one("stopped"), "mpd-150", "", 1), []vm{{u150, "", hypervisor.Stopped, nil}}},

		{"nothing", "", nil},
		{"blank", "\n \n", nil},
		{"words", "Searching for VMs...", nil},
		{"null", "null", nil},
		{"an object", "{\n\n}\n", nil},
		{"not of objects", "[1, 2]", nil},
		{"cut", one("stopped")[:60], nil},
		{"cut before the end", strings.TrimRight(one("stopped"), "\n]"), nil},
		{"cut long form", fixture(t, "detail-running.json")[:4000], nil},
		{"the start is lost", fixture(t, "detail-suspended.json")[3000:], nil},
		{"the start is lost but for one list", `"ipAddresses":[]}, "x":{}}]`, nil},
		{"two answers", one("stopped") + one("running"), nil},
		{"an empty one before", "[]" + one("stopped"), nil},
		{"no UUID", strings.Replace(one("stopped"), u150, "", 1), nil},
		{"an option for a UUID", strings.Replace(one("stopped"), u150, "--kill", 1), nil},
		{"a path for a UUID", strings.Replace(one("stopped"), u150, u150+"/..", 1), nil},
		{"no name", strings.Replace(one("stopped"), `"name"`, `"nome"`, 1), nil},
		{"name is null", strings.Replace(one("stopped"), `"mpd-150"`, `null`, 1), nil},
		{"no state", one(""), nil},
		{"one UUID twice", brief(u150+" stopped - a", strings.ToUpper(u150)+" running - b"), nil},
		{"one bad entry", brief(u150+" stopped - a", "x running - b"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decodeList([]byte(tc.out))
			if (err == nil) != (tc.want != nil) || !slices.EqualFunc(got, tc.want, equal) {
				t.Errorf("decodeList(%q) =\n\t%v, %v, want\n\t%v", tc.out, got, err, tc.want)
			}
		})
	}
}

// F64: what a guest may tell of its addresses.
func TestAddresses(t *testing.T) {
	for _, tc := range []struct {
		told string
		want []netip.Addr
	}{
		{"-", nil},
		{"", nil},
		{"10.211.55.7", addrs("10.211.55.7")},
		{"10.211.55.7/24", addrs("10.211.55.7")},
		{"10.211.55.7/255.255.255.0", addrs("10.211.55.7")},
		{"10.211.55.7/x", nil},
		{"10.211.55.7/33", nil},
		{"fe80::1 169.254.3.4 10.211.55.7", addrs("10.211.55.7")},
		{"192.168.1.4 10.211.55.7 10.211.55.150", addrs("10.211.55.7", "10.211.55.150")},
		{"fdb2:2c26:f4e4:0:21c:42ff:fe35:afae", nil},
		{"::ffff:10.211.55.7", nil},
		{"10.211.56.7", nil},
		{"10.211.55.1", nil},
		{"10.211.55.2", nil},
		{"10.211.55.0", nil},
		{"10.211.55.255", nil},
		{"10.211.55.999", nil},
		{"10.211.55.07", nil},
		{"10.211.55.7;", nil},
		{"10.211.55.7; rm -rf", nil},
		{"127.0.0.1", nil},
		{"1０.211.55.7", nil},
	} {
		if got := addresses(strings.Fields(tc.told)); !slices.Equal(got, tc.want) {
			t.Errorf("addresses(%q) = %v, want %v", tc.told, got, tc.want)
		}
	}
}

func TestDecodeDetail(t *testing.T) {
	const gib = hypervisor.GiB
	for _, tc := range []struct {
		file  string
		uuid  string
		state hypervisor.State
		addrs []netip.Addr
		mac   string
	}{
		{"detail-running.json", u150, hypervisor.Running, addrs("10.211.55.130"), "001c4235afae"},
		{"detail-stopped.json", u151, hypervisor.Stopped, nil, "001c42d1e2f3"}, // its addresses are left over
		{"detail-suspended.json", "878e392f-4f3e-4726-9607-11fe308492e0", hypervisor.Suspended, nil, "001c42a9b8c7"},
		{"detail-template.json", uTpl, hypervisor.Stopped, nil, "001c42000001"},
		{"detail-16.json", u150, hypervisor.Running, nil, "001c4235afae"},
	} {
		t.Run(tc.file, func(t *testing.T) {
			d, err := decodeDetail([]byte(fixture(t, tc.file)), "{"+strings.ToUpper(tc.uuid)+"}")
			if err != nil {
				t.Fatal(err)
			}
			if d.uuid != tc.uuid || d.state != tc.state || !slices.Equal(d.addrs, tc.addrs) {
				t.Errorf("VM %+v", d.vm)
			}
			if d.ram != 8*gib || d.disk != 64*gib || !slices.Equal(d.macs, []string{tc.mac}) {
				t.Errorf("memory %v, disk %v, cards %v", d.ram, d.disk, d.macs)
			}
		})
	}
}

func TestDecodeDetailOddities(t *testing.T) {
	good := fixture(t, "detail-running.json")
	for _, tc := range []struct {
		name, old, new string
		ok             bool
		ram, disk      hypervisor.Size
		macs           int
	}{
		{"another VM", u150, u151, false, 0, 0, 0},
		{"no hardware", `"Hardware":{`, `"Hardwere":{`, true, 0, 0, 0},
		{"hardware is a word", `"Hardware":{`, `"Hardware":"none", "x":{`, true, 0, 0, 0},
		{"memory without a size", `"8192Mb"`, `"auto"`, true, 0, 65536 * hypervisor.MiB, 1},
		{"size is a number", `"65536Mb"`, `65536`, true, 8192 * hypervisor.MiB, 0, 1},
		{"network is a word", `"Network":{`, `"Network":"none", "x":{`, true, 8192 * hypervisor.MiB, 65536 * hypervisor.MiB, 1},
		{"MAC with colons", "001C4235AFAE", "00:1C:42:35:AF:AE", true, 8192 * hypervisor.MiB, 65536 * hypervisor.MiB, 1},
		{"MAC of words", "001C4235AFAE", "auto", true, 8192 * hypervisor.MiB, 65536 * hypervisor.MiB, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out := strings.Replace(good, tc.old, tc.new, 1)
			if out == good {
				t.Fatal("the change does not apply")
			}
			d, err := decodeDetail([]byte(out), u150)
			if (err == nil) != tc.ok || d.ram != tc.ram || d.disk != tc.disk || len(d.macs) != tc.macs {
				t.Errorf("memory %v, disk %v, cards %v, %v", d.ram, d.disk, d.macs, err)
			}
		})
	}
	for _, out := range []string{"[]", "[\n\n]", brief(u150+" running - a", u151+" running - b")} {
		if d, err := decodeDetail([]byte(out), u150); err == nil {
			t.Errorf("decodeDetail(%q) = %+v", out, d)
		}
	}
}

func TestDecodeTemplates(t *testing.T) {
	got, err := decodeTemplates([]byte(fixture(t, "templates.json")))
	want := []vm{{uTpl, "mpd-template-trixie", "", nil}, {"2C9A5D41-7E3F-4B8A-9C60-D1E2F3A4B5C6", "mpd-sandbox-trixie", hypervisor.Stopped, nil}}
	if err != nil || !slices.EqualFunc(got, want, equal) {
		t.Errorf("decodeTemplates = %v, %v, want %v", got, err, want)
	}
	if got, err := decodeTemplates(nil); err == nil {
		t.Errorf("decodeTemplates of nothing = %v", got)
	}
}

// F61
func TestParseState(t *testing.T) {
	for word, want := range map[string]hypervisor.State{
		"running": hypervisor.Running, "stopped": hypervisor.Stopped, "suspended": hypervisor.Suspended, "paused": hypervisor.Paused,
		"starting": hypervisor.Starting, "stopping": hypervisor.Stopping, "suspending": hypervisor.Suspending, "resuming": hypervisor.Resuming,
		"restoring": hypervisor.Resuming, "continuing": hypervisor.Resuming,
		"pausing": "pausing", "compacting": "compacting", "invalid": "invalid", "mounted": "mounted", "unknown": "unknown",
		" Running\n": hypervisor.Running, "Defragmenting": "Defragmenting", "exist stopped": "exist stopped", "stopp": "stopp",
		"missing": "listed as missing", "\x1b[31mred\x1b[0m": "red", "": "unknown", "\x00": "unknown",
		strings.Repeat("x", 1000):                      hypervisor.State(strings.Repeat("x", maxWord-1) + "…"),
		"running" + strings.Repeat(" ", maxWord) + "x": hypervisor.State("running" + strings.Repeat(" ", maxWord-8) + "…"),
	} {
		if got := parseState(word); got != want {
			t.Errorf("parseState(%q) = %q, want %q", word, got, want)
		}
	}
	for _, s := range []hypervisor.State{"", hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused, hypervisor.Missing, "invalid", "mounted", "unknown", "new"} {
		if passing(s) {
			t.Errorf("%q is waited for", s)
		}
	}
	for _, s := range []hypervisor.State{hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming, "pausing", "resetting",
		"compacting", "snapshoting", "migrating", "del_snapshot", "syncing", "reconnecting"} {
		if !passing(s) {
			t.Errorf("%q is not waited for", s)
		}
	}
}

func TestDecodeVersion(t *testing.T) {
	for out, want := range map[string]string{
		"prlctl version 26.4.1 (57516)\n":            "26.4.1",
		"prlctl version 10.0.0 (12345) rev 123456\n": "10.0.0",
		"\r\nwarning\nprlctl version 9.0.23350.9\n":  "9.0.23350.9",
		"":                              "",
		"version 26.4.1":                "",
		"Usage: prlctl version 1":       "",
		"prlctl version unknown\x1b[2J": "",
		"This feature is not available in this edition": "",
	} {
		got, err := decodeVersion([]byte(out))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("decodeVersion(%q) = %q, %v, want %q", out, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "\x1b") {
			t.Errorf("control characters in %q", err)
		}
	}
}
