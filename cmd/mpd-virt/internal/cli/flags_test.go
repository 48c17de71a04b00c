package cli

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

type parsed struct {
	octet mpdvirt.Octet
	ip    netip.Addr
	user  mpdvirt.User
	disk  mpdvirt.Size
	name  string
	yes   bool
	rest  []string
}

func testFlags(rest bool) (*flags, *parsed) {
	var p parsed
	f := newFlags("try")
	f.octet(&p.octet)
	f.addr("ip", &p.ip, "an address")
	f.user("username", &p.user, "a user")
	f.size("vm-disk", &p.disk, "a size")
	f.text("template", "NAME", &p.name, "a name")
	f.bool("yes", &p.yes, "a switch")
	if rest {
		f.rest = &p.rest
	}
	return f, &p
}

func TestParse(t *testing.T) {
	ip := netip.MustParseAddr("10.0.0.9")
	tests := []struct {
		name, args string
		rest       bool
		want       parsed
	}{
		{name: "operand alone", args: "150", want: parsed{octet: 150}},
		{name: "flags before", args: "--ip=10.0.0.9 --yes 150", want: parsed{octet: 150, ip: ip, yes: true}},
		{name: "flags after", args: "150 --ip=10.0.0.9 --yes", want: parsed{octet: 150, ip: ip, yes: true}},
		{name: "value as next argument", args: "--ip 10.0.0.9 150 --username dev", want: parsed{octet: 150, ip: ip, user: "dev"}},
		{name: "single dash", args: "-ip 10.0.0.9 -yes 150 -vm-disk=8G", want: parsed{octet: 150, ip: ip, yes: true, disk: 8 << 30}},
		{name: "value with equals sign", args: "150 --template=a=b", want: parsed{octet: 150, name: "a=b"}},
		{name: "switch with value", args: "--yes=false 150", want: parsed{octet: 150}},
		{name: "end of flags", args: "--yes -- 150", want: parsed{octet: 150, yes: true}},
		{name: "rest behind dashes", args: "150 --yes -- ls -la --yes", rest: true,
			want: parsed{octet: 150, yes: true, rest: []string{"ls", "-la", "--yes"}}},
		{name: "rest without dashes", args: "--yes 150 ls -la --help -- x", rest: true,
			want: parsed{octet: 150, yes: true, rest: []string{"ls", "-la", "--help", "--", "x"}}},
		{name: "operand and rest behind dashes", args: "-- 150 ls -l", rest: true, want: parsed{octet: 150, rest: []string{"ls", "-l"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, got := testFlags(tt.rest)
			if err := f.parse(strings.Fields(tt.args)); err != nil {
				t.Fatalf("parse(%s): %v", tt.args, err)
			}
			if f.help {
				t.Errorf("parse(%s) asks for help", tt.args)
			}
			rest, wantRest := got.rest, tt.want.rest
			got.rest, tt.want.rest = nil, nil
			if got.octet != tt.want.octet || got.ip != tt.want.ip || got.user != tt.want.user || got.disk != tt.want.disk ||
				got.name != tt.want.name || got.yes != tt.want.yes || !slices.Equal(rest, wantRest) {
				t.Errorf("parse(%s) = %+v %q, want %+v %q", tt.args, *got, rest, tt.want, wantRest)
			}
		})
	}
}

func TestParseHelp(t *testing.T) {
	for _, args := range []string{"--help", "-h", "-help", "150 --help", "--nonsense -h", "--username -h"} {
		f, _ := testFlags(false)
		if err := f.parse(strings.Fields(args)); err != nil || !f.help {
			t.Errorf("parse(%s) = %v, help %v; want help", args, err, f.help)
		}
	}
	f, _ := testFlags(false)
	if err := f.parse([]string{"--", "--help"}); err == nil || f.help {
		t.Error("--help behind -- is an operand, and no good one")
	}
}

func TestParseErrors(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	tests := []struct {
		name string
		args []string
		want string // in the message
	}{
		{"nothing", nil, "NNN is missing"},
		{"two operands", []string{"150", "151"}, `"151" is one argument too many`},
		{"operand twice behind dashes", []string{"--", "150", "151"}, `"151" is one argument too many`},
		{"unknown flag", []string{"150", "--frobnicate"}, `there is no flag "--frobnicate"`},
		{"misspelt flag", []string{"150", "--usrename=dev"}, `did you mean --username?`},
		{"unknown flag with secret-like value", []string{"150", "--x=" + long}, `there is no flag "--x=`},
		{"flag without value", []string{"150", "--ip"}, "--ip needs a value: --ip=ADDRESS"},
		{"empty value", []string{"150", "--template="}, "--template: needs a value that is not empty"},
		{"repeated flag", []string{"150", "--yes", "-yes"}, "--yes: given twice"},
		{"repeated flag with value", []string{"--ip=10.0.0.9", "150", "--ip", "10.0.0.9"}, "--ip: given twice"},
		{"switch with nonsense", []string{"150", "--yes=maybe"}, "--yes: is there or not"},
		{"megabyte operand", []string{long}, `"xxx`},
		{"megabyte value", []string{"150", "--template=" + long}, "longer than 1024 bytes"},
		{"megabyte flag", []string{"--" + long}, "there is no flag"},
		{"invalid UTF-8 operand", []string{"\xff\xfe"}, `"\xff\xfe"`},
		{"invalid UTF-8 value", []string{"150", "--template=\xff"}, "cannot be shown"},
		{"newline in a value", []string{"150", "--template=a\nb"}, `"a\nb"`},
		{"NUL in a value", []string{"150", "--template=a\x00"}, "cannot be shown"},
		{"right-to-left mark", []string{"150", "--template=a\u202eb"}, `"a\u202eb"`},
		{"value that begins with a dash", []string{"150", "--template", "-a"}, "begins with a dash"},
		{"one dash", []string{"-"}, `"-" is not a valid octet`},
		{"empty operand", []string{""}, `"" is not a valid octet`},
		{"flag without a name", []string{"150", "--=x"}, "there is no flag"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := testFlags(false)
			err := f.parse(tt.args)
			if err == nil || !isUsage(err) {
				t.Fatalf("error is %v, want a usage error", err)
			}
			if msg := err.Error(); !strings.Contains(msg, tt.want) || len(msg) > 300 || !utf8.ValidString(msg) || strings.Contains(msg, "\n") {
				t.Errorf("message is %.400q, want a short line with %q", msg, tt.want)
			}
			if nextOf(err) != "mpd-virt help try" {
				t.Errorf("next is %q", nextOf(err))
			}
		})
	}
}

// F120, F121, F123 and F124: what is no octet, user, size or
// address ends with 2 and the rule, before anything else happens.
func TestF120to124(t *testing.T) {
	faults := map[string]struct {
		args []string // the value comes behind the last one
		rule string
		bad  []string
		good []string
	}{
		"F120 octets": {
			args: []string{"diag"}, rule: "from 100 to 254",
			bad: []string{"000", "99", "100x", "255", "0155", "+150", "-150", "150 ", " 150", "150x", "1e2", "0x96",
				"１５０", "٣٣٣", "", "1", "999", "256", "150\n"},
		},
		"F121 users": {
			args: []string{"setup", "150", "--backend=nope", "--username"}, rule: "starting with a letter",
			bad: []string{"", "-oProxyCommand=x", "a b", "a'b", `a"b`, "$(id)", "a\nb", "a:b", "a\u2028b", "é", "root",
				strings.Repeat("a", 33)},
			good: []string{"petr.skoda", "Petr", strings.Repeat("a", 32)},
		},
		"F123 sizes": {
			args: []string{"create", "150", "--backend=nope", "--vm-disk"}, rule: "like 80G or 81920M",
			bad: []string{"0", "-1", "80", "80g", "80GB", "80GiB", "1.5G", "1e3G", "99999999999G", " 8G", "8Gx", "８G", "",
				"0G", "08G", "-8G", "+8G"},
			good: []string{"80G", "81920M", "8G"},
		},
		"F124 addresses": {
			args: []string{"setup", "150", "--backend=nope", "--username=dev", "--ip"}, rule: "a plain IPv4 address",
			bad: []string{"", "::1", "fe80::1", "vm.local", "-f", "010.0.0.1", "256.1.1.1", "0.0.0.0", "127.0.0.1",
				"224.0.0.1", "255.255.255.255", "10.0.0.255", "10.0.0.0", "10.0.0", "::ffff:10.0.0.1", "10.0.0.1:22"},
			good: []string{"10.0.0.9"},
		},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			for _, value := range f.bad {
				got := runArgs(t, append(slices.Clone(f.args), value)...)
				if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, f.rule) {
					t.Errorf("%q: exit %d, want 2 and %q in:\n%s%s", value, got.code, f.rule, got.stdout, got.stderr)
				}
			}
			for _, value := range f.good {
				got := runArgs(t, append(slices.Clone(f.args), value)...)
				if strings.Contains(got.stderr, f.rule) {
					t.Errorf("%q is refused:\n%s", value, got.stderr)
				}
			}
		})
	}
}

func TestF122Templates(t *testing.T) {
	for _, bad := range []string{"", "-a", "a\nb", "a\x00b", "\xff"} {
		var name string
		if err := textInto(&name)(bad); err == nil {
			t.Errorf("template %q is taken", bad)
		}
	}
	for _, good := range []string{"x --name y", `it's "q"`, "mpd-template-trixie", "Ünïcode", "a/b", "trailing "} {
		var name string
		if err := textInto(&name)(good); err != nil || name != good {
			t.Errorf("template %q becomes %q, %v; want it as it is", good, name, err)
		}
	}
}

func TestSandboxOctet(t *testing.T) {
	contains(t, "stderr", runArgs(t, "show", "000").stderr, "000 is the sandbox's own number")
}

func TestErrRepeatedIsAnError(t *testing.T) {
	var b bool
	f := newFlags("x")
	f.bool("b", &b, "")
	if err := errors.Join(f.set.Set("b", "true"), f.set.Set("b", "true")); !errors.Is(err, errRepeated) {
		t.Errorf("second Set returns %v", err)
	}
}
