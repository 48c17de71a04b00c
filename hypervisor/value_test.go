package hypervisor

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// bad checks that err is the *ValueError for text, and that its message is
// short and printable whatever the text is.
func bad(t *testing.T, err error, kind, text string) {
	t.Helper()
	var v *ValueError
	if !errors.As(err, &v) || v.Kind != kind || v.Text != text || v.Rule == "" {
		t.Fatalf("error %#v, want a *ValueError for %s %q", err, kind, text)
	}
	msg := v.Error()
	if len(msg) > 600 || !strings.Contains(msg, v.Rule) || strings.ContainsFunc(msg, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("message %q", msg)
	}
}

var (
	badOctets = []string{"000", "99", "099", "255", "256", "999", "0155", "1550", "+150", "-150", "150 ", " 150", "150x", "15", "1e2",
		"0x96", "1_5", "１５０", "٣٣٣", "150\n", "1\x0050", "\xff50", "", strings.Repeat("1", 1<<20)}
	badUsers = []string{"", "-oProxyCommand=x", "a b", "a'b", `a"b`, "$(id)", "a\nb", "a:b", "a\u2028b", "é", "root", strings.Repeat("a", 33),
		"1a", ".a", "-a", "a/b", `a\b`, "a@b", "a=b", "a#b", "a;b", "a%b", "a~b", "a\x00b", "a\x7f", "\xff", "ａ", strings.Repeat("x", 1<<20)}
	badAddrs = []string{"", "::1", "fe80::1", "::ffff:192.168.64.20", "fd00::1%en0", "vm.example.org", "localhost", "-f", "010.0.0.1", "192.168.64.020",
		"256.1.1.1", "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.1.2.3", "169.254.1.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"10.0.0.0", "10.0.0.255", "10.0.0", "10.0.0.1.2", "10.0.0.1:22", "10.0.0.1/24", "0x0a.0.0.1", "167772161", "10.0.0.1 ", " 10.0.0.1",
		"10.0.0.1\n", "１０.0.0.1", "10.0.0.+1", strings.Repeat("1.", 1<<19)}
	badSizes = []string{"", "0", "-1", "80", "80g", "80m", "80GB", "80GiB", "80K", "80T", "1.5G", "1e3G", "99999999999G", "9999999999999999999M",
		"18446744073709551617G", " 8G", "8G ", "8 G", "8Gx", "8GG", "8MG", "8GM", "0G", "0M", "-1G", "+8G", "08G", "0x8G", "8_0G", "G", "M", "GM",
		"８G", "8Ｇ", "8G\n", "8\x00G", strings.Repeat("9", 1<<20) + "G"}
)

// F120
func TestParseOctet(t *testing.T) {
	for text, want := range map[string]Octet{"100": 100, "150": 150, "199": 199, "200": 200, "254": 254} {
		got, err := ParseOctet(text)
		if err != nil || got != want || !got.Valid() || got.String() != text {
			t.Errorf("ParseOctet(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range badOctets {
		got, err := ParseOctet(text)
		if bad(t, err, "octet", text); got != 0 || got.Valid() {
			t.Errorf("ParseOctet(%.20q) = %v beside the error", text, got)
		}
		if !strings.Contains(err.Error(), octetRule) {
			t.Errorf("ParseOctet(%.20q): %v does not say the range", text, err)
		}
	}
	if _, err := ParseOctet("000"); !strings.Contains(err.Error(), "sandbox's own") {
		t.Errorf("000: %v does not say whose number it is", err)
	}
}

func TestOctetNames(t *testing.T) {
	if got := Octet(150).VMName(); got != "mpd-150" {
		t.Errorf("VMName = %q", got)
	}
	if got := Octet(150).In(netip.MustParseAddr("10.211.55.37")); got != netip.MustParseAddr("10.211.55.150") {
		t.Errorf("In = %v", got)
	}
	for o := range Octet(255) {
		if o.Valid() != (o >= 100 && o <= 254) {
			t.Errorf("Octet(%d).Valid() = %t", o, o.Valid())
		}
	}
	if Octet(255).Valid() {
		t.Error("the broadcast address is a valid octet")
	}
}

// F121
func TestParseUser(t *testing.T) {
	for _, text := range []string{"petr.skoda", "Petr", "p", "_apt", "a-b_c.d9", "roots", "Root", strings.Repeat("a", 32)} {
		if got, err := ParseUser(text); err != nil || string(got) != text {
			t.Errorf("ParseUser(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range badUsers {
		got, err := ParseUser(text)
		if bad(t, err, "user", text); got != "" {
			t.Errorf("ParseUser(%.20q) = %q beside the error", text, got)
		}
	}
}

// F124; the host's own address is known to the caller only.
func TestParseAddr(t *testing.T) {
	for _, text := range []string{"192.168.64.20", "10.211.55.150", "10.0.0.1", "172.16.5.254", "100.64.0.9", "223.255.255.254", "1.2.3.4"} {
		if got, err := ParseAddr(text); err != nil || got.String() != text || !got.Is4() {
			t.Errorf("ParseAddr(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range badAddrs {
		got, err := ParseAddr(text)
		if bad(t, err, "address", text); got.IsValid() {
			t.Errorf("ParseAddr(%.20q) = %v beside the error", text, got)
		}
	}
}

// F123; what is too small or too large for a VM is known to its backend.
func TestParseSize(t *testing.T) {
	for text, want := range map[string]struct {
		size Size
		text string // "": the same
	}{
		"80G": {80 * GiB, ""}, "1G": {GiB, ""}, "1M": {MiB, ""}, "1536M": {1536 * MiB, ""}, "81920M": {80 * GiB, "80G"}, "1024M": {GiB, "1G"},
		"4294967296G": {1 << 62, ""},
	} {
		got, err := ParseSize(text)
		if err != nil || got != want.size {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want.size)
		}
		if want.text == "" {
			want.text = text
		}
		if got.String() != want.text {
			t.Errorf("ParseSize(%q).String() = %q, want %q", text, got, want.text)
		}
	}
	for _, text := range append(badSizes, "4294967297G", "4398046511105M") {
		got, err := ParseSize(text)
		if bad(t, err, "size", text); got != 0 {
			t.Errorf("ParseSize(%.20q) = %d beside the error", text, got)
		}
		if !strings.Contains(err.Error(), "80G") {
			t.Errorf("ParseSize(%.20q): %v shows no example", text, err)
		}
	}
	for s, want := range map[Size]string{0: "0G", GiB + 1: "1024M", MiB - 1: "0M"} {
		if got := s.String(); got != want {
			t.Errorf("Size(%d).String() = %q, want %q", s, got, want)
		}
	}
}

func TestStateKnown(t *testing.T) {
	for _, s := range []State{Running, Stopped, Suspended, Paused, Starting, Stopping, Suspending, Resuming, Missing} {
		if !s.Known() {
			t.Errorf("%q is not known", s)
		}
	}
	for _, s := range []State{"", "Running", "mounted", "unknown"} {
		if s.Known() {
			t.Errorf("%q is known", s)
		}
	}
}

// What the parsers accept, they accept again from its String, and it is safe
// in an argument list, an SSH configuration and a KEY=value file.
func FuzzValues(f *testing.F) {
	for _, list := range [][]string{badOctets, badUsers, badAddrs, badSizes,
		{"150", "petr.skoda", "Petr", "192.168.64.20", "80G", "81920M"}} {
		for _, text := range list {
			if len(text) < 100 {
				f.Add(text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOctet(text)
		again(t, "octet", text, o, err, ParseOctet, safeOctet)
		u, err := ParseUser(text)
		again(t, "user", text, u, err, ParseUser, safeUser)
		a, err := ParseAddr(text)
		again(t, "address", text, a, err, ParseAddr, safeAddr)
		s, err := ParseSize(text)
		again(t, "size", text, s, err, ParseSize, safeSize)
	})
}

var (
	safeOctet = regexp.MustCompile(`^[12][0-9]{2}$`)
	safeUser  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}$`)
	safeAddr  = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){3}$`)
	safeSize  = regexp.MustCompile(`^[1-9][0-9]{0,12}[GM]$`)
)

func again[T comparable](t *testing.T, kind, text string, got T, err error, parse func(string) (T, error), safe *regexp.Regexp) {
	t.Helper()
	var zero T
	if err != nil {
		if bad(t, err, kind, text); got != zero {
			t.Errorf("%s %q: %v beside %v", kind, text, got, err)
		}
		return
	}
	if !safe.MatchString(text) {
		t.Errorf("%s %q was accepted", kind, text)
	}
	shown := textOf(got)
	if !safe.MatchString(shown) {
		t.Errorf("%s %q is written as %q", kind, text, shown)
	}
	if back, err := parse(shown); err != nil || back != got {
		t.Errorf("%s %q is written as %q, which reads as %v, %v", kind, text, shown, back, err)
	}
}

func textOf(v any) string {
	switch v := v.(type) {
	case interface{ String() string }:
		return v.String()
	case User:
		return string(v)
	}
	return ""
}
