package bootstrap

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fullSurvey has every key that the survey prints, as a finished VM answers.
const fullSurvey = `system=Linux
arch=x86_64
host=mpd-150
time=1795000000
machine=0123456789abcdef0123456789abcdef
id=debian
codename=trixie
sudo=yes
clone=yes
branch=main
revision=1a2b3c4
file:/var/lib/mpd/conf/wireguard/mpd0.conf=600 e3b0c442
file:/var/lib/mpd/conf/caroot/rootCA.pem=644 a1b2
platform=TVBEX1ZNX0lEPTE1MAo=
missing=podman
missing=jq
mpd=yes
option=--vm-setup
wireguard=active
wgconf=beef
dns=10.211.55.150
dns=10.211.55.151
`

func TestParseFacts(t *testing.T) {
	full := Facts{
		System: "Linux", Arch: "x86_64", ID: "debian", Codename: "trixie", Host: "mpd-150",
		MachineID: "0123456789abcdef0123456789abcdef", Time: time.Unix(1795000000, 0),
		Sudo: true, Clone: true, Branch: "main", Revision: "1a2b3c4",
		Files:    map[string]FileFact{pushedWG: {"600", "e3b0c442"}, pushedCA: {"644", "a1b2"}},
		Platform: []byte("MPD_VM_ID=150\n"), MissingPackages: []string{"podman", "jq"},
		MPD: true, SetupOption: "--vm-setup", WireGuard: true, WireGuardDigest: "beef",
		DNS: []netip.Addr{netip.MustParseAddr("10.211.55.150"), netip.MustParseAddr("10.211.55.151")},
	}
	with := func(change func(f *Facts)) Facts {
		f := Facts{Files: map[string]FileFact{}, SetupOption: "--setup"}
		change(&f)
		return f
	}
	tests := []struct {
		name, in string
		want     Facts
	}{
		{"everything", fullSurvey, full},
		{"nothing", "", with(func(*Facts) {})},
		{"last line without an end", "host=a", with(func(f *Facts) { f.Host = "a" })},
		{"host with its domain", "host=mpd-150.lan\n", with(func(f *Facts) { f.Host = "mpd-150" })},
		{"value with =", "branch=a=b\n", with(func(f *Facts) { f.Branch = "a=b" })},
		{"yes is a word", "sudo=yes \nclone=YES\nmpd=y\n", with(func(*Facts) {})},
		{"wireguard inactive", "wireguard=inactive\n", with(func(*Facts) {})},
		{"platform.env is empty", "platform=\n", with(func(f *Facts) { f.Platform = []byte{} })},
		{"no digest", "file:/x=600\n", with(func(f *Facts) { f.Files["/x"] = FileFact{Mode: "600"} })},
		{"dig prints an error", "dns=;; no servers could be reached\n", with(func(*Facts) {})},
		{"controls", "host=a\x1b]0;t\ab\x00\nfile:/x\x1b[2J=6\r0 \u202ed\n", with(func(f *Facts) {
			f.Host, f.Files["/x"] = "ab", FileFact{"6", "0 d"}
		})},
		{"not UTF-8", "branch=\xff\n", with(func(f *Facts) { f.Branch = "\ufffd" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFacts([]byte(tt.in))
			if err != nil {
				t.Fatalf("parseFacts(%q): %v", tt.in, err)
			}
			if d := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Errorf("parseFacts(%q), -want +got:\n%s", tt.in, d)
			}
		})
	}
}

func TestParseFactsFillsEveryField(t *testing.T) {
	f, err := parseFacts([]byte(fullSurvey))
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("no line of the full survey sets Facts.%s", v.Type().Field(i).Name)
		}
	}
}

func TestParseFactsRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"line of somebody else", "system=Linux\nWelcome to Debian!\n", `unexpected line "Welcome to Debian!"`},
		{"empty line", "system=Linux\n\nhost=a\n", `unexpected line ""`},
		{"carriage return", "system=Linux\r\nhost\r=a\n", `unexpected line "host "`},
		{"key with controls", "\x1b[31mhost=a\n", `unexpected line "host"`},
		{"key is long", strings.Repeat("k", 5000) + "=a\n", "unexpected line"},
		{"clock", "time=now\n", `clock "now"`},
		{"no clock", "time=\n", `clock ""`},
		{"clock beyond int64", "time=99999999999999999999\n", `clock "99999999999999999999"`},
		{"platform.env", "platform=%%%\n", "platform.env: illegal base64"},
		{"option", "option=--setup; rm -rf /\n", `option "--setup; rm -rf /"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFacts([]byte(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("parseFacts(%.80q): %v, want an error with %q", tt.in, err, tt.want)
			}
			if len(err.Error()) > 200 || !showable(err.Error()) {
				t.Errorf("the error %q is not fit to be shown", err)
			}
			if !reflect.ValueOf(got).IsZero() {
				t.Errorf("facts beside an error: %+v", got)
			}
		})
	}
}

// showable says whether a terminal shows s and does nothing else.
func showable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

// texts calls f with every string in v but those of byte slices.
func texts(v reflect.Value, f func(string)) {
	switch v.Kind() {
	case reflect.String:
		f(v.String())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			return // addresses
		}
		for i := range v.Len() {
			texts(v.Index(i), f)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			texts(k, f)
			texts(v.MapIndex(k), f)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			texts(v.Field(i), f)
		}
	}
}

func FuzzParseFacts(f *testing.F) {
	f.Add([]byte(fullSurvey))
	f.Add([]byte("host=\x1b[31m\u009b\n"))
	f.Add([]byte("file:\x1b=600 \u202e\ntime=-9223372036854775808\n"))
	f.Add([]byte("dns=fe80::1%\x07eth0\nplatform=AA==\n"))
	f.Add([]byte("=\n\n\r\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		facts, err := parseFacts(data)
		if err != nil {
			if !reflect.ValueOf(facts).IsZero() {
				t.Errorf("facts beside the error %v: %+v", err, facts)
			}
			if !showable(err.Error()) {
				t.Errorf("error %q", err)
			}
			return
		}
		texts(reflect.ValueOf(facts), func(s string) {
			if !showable(s) {
				t.Errorf("parseFacts(%q) has the text %q", data, s)
			}
		})
		for _, a := range facts.DNS {
			if !showable(a.String()) {
				t.Errorf("address %q", a)
			}
		}
		if facts.SetupOption != "--setup" && facts.SetupOption != "--vm-setup" {
			t.Errorf("option %q", facts.SetupOption)
		}
		if strings.Contains(facts.Host, ".") {
			t.Errorf("host %q", facts.Host)
		}
	})
}
