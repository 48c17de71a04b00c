package macos

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseResolverFile(t *testing.T) {
	at := netip.MustParseAddrPort
	none := func(s string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(s), 0) }
	for _, tt := range []struct {
		name, text string
		want       ResolverFile
	}{
		{"ours", string(OursResolverFile()), ResolverFile{Nameservers: []netip.AddrPort{none("10.163.0.3")}}},
		{"no end of line", "nameserver 10.163.0.3", ResolverFile{Nameservers: []netip.AddrPort{none("10.163.0.3")}}},
		{"port behind the address", "nameserver 127.0.0.1.5353\n", ResolverFile{Nameservers: []netip.AddrPort{at("127.0.0.1:5353")}}},
		{"port of its own", "port 5353\nNameServer\t127.0.0.1 # not a comment\nnameserver ::1\n",
			ResolverFile{Nameservers: []netip.AddrPort{at("127.0.0.1:5353"), at("[::1]:5353")}}},
		{"domain", "domain MPD.test.\nnameserver fe80::1%en0\n",
			ResolverFile{Domain: "mpd.test", Nameservers: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("fe80::1%en0"), 0)}}},
		{"comments and indented lines", "# a\n; b\n  nameserver 10.163.0.3\n\n\tdomain x\n", ResolverFile{}},
		{"no token", "hello world\nresolver 1.2.3.4\n", ResolverFile{}},
		{"CRLF", "nameserver 10.163.0.3\r\n", ResolverFile{Others: []string{"nameserver 10.163.0.3"}}},
		{"the fourth does not count", strings.Repeat("nameserver 1.1.1.1\n", 4),
			ResolverFile{Nameservers: []netip.AddrPort{none("1.1.1.1"), none("1.1.1.1"), none("1.1.1.1")}, Others: []string{"nameserver 1.1.1.1"}}},
		{"others", "search_order 1\ntimeout 5\nnameserver\nport x\noptions \x1b[2Jmdns\n",
			ResolverFile{Others: []string{"search_order 1", "timeout 5", "nameserver", "port x", "options mdns"}}},
		{"nothing", "", ResolverFile{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ParseResolverFile([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// F114
func TestJudgeResolver(t *testing.T) {
	ours := string(OursResolverFile())
	for _, tt := range []struct {
		name, text string
		want       Owner
	}{
		{"ours", ours, Ours},
		{"by hand", "nameserver 10.163.0.3\n", SameAsOurs},
		{"by hand, in full", "# my VM\ndomain mpd.test\nnameserver 10.163.0.3\nport 53\n", SameAsOurs},
		{"ours, extended", ours + "# mine\n", SameAsOurs},
		{"another server", "nameserver 127.0.0.1\n", Foreign},
		{"another port", "nameserver 10.163.0.3\nport 5353\n", Foreign},
		{"one more server", ours + "nameserver 1.1.1.1\n", Foreign},
		{"another domain", ours + "domain example.org\n", Foreign},
		{"an option", ours + "search_order 1\n", Foreign},
		{"CRLF", strings.ReplaceAll(ours, "\n", "\r\n"), Foreign},
		{"without effect", "# nothing\n", Foreign},
		{"empty", "", Foreign},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := JudgeResolver([]byte(tt.text)); got != tt.want {
				t.Errorf("%q: %s, want %s", tt.text, got, tt.want)
			}
		})
	}
}

// F114: what else has a say about mpd.test is found and told, not judged ours.
func TestResolverClaims(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mpd.test":     string(OursResolverFile()),
		"mpd.test.bak": string(OursResolverFile()), // about names below "bak"
		".mpd.test.sw": "domain mpd.test\nnameserver 1.1.1.1\n",
		"test":         "nameserver 127.0.0.1\nport 5353\n",
		"php.mpd.test": "nameserver 127.0.0.1\n",
		"MPD.TEST":     "# without effect\n",
		"example.org":  "nameserver 127.0.0.1\n",
		"xmpd.test":    "nameserver 127.0.0.1\n",
		"corp":         "domain mpd.test.\nnameserver 127.0.0.1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	claims, err := ResolverClaims(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range claims {
		if c.Err != nil {
			t.Error(c.Err)
		}
		got = append(got, filepath.Base(c.Path)+" "+c.Domain+" "+string(c.Owner))
	}
	want := []string{".mpd.test.sw mpd.test foreign", "corp mpd.test foreign", "mpd.test mpd.test ours",
		"php.mpd.test php.mpd.test foreign", "test test foreign"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestResolverClaimsUnclear(t *testing.T) {
	dir := t.TempDir()
	if got, err := ResolverClaims(filepath.Join(dir, "absent")); err != nil || got != nil {
		t.Errorf("no folder: %v, %v", got, err)
	}
	for _, sub := range []string{"mpd.test", "example.org"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "test")); err != nil {
		t.Fatal(err)
	}
	claims, err := ResolverClaims(dir)
	if err != nil || len(claims) != 2 {
		t.Fatalf("%v, %v", claims, err)
	}
	for _, c := range claims {
		if !errors.Is(c.Err, ErrUnclear) || c.Owner != Foreign {
			t.Errorf("%s: %v, %s", c.Path, c.Err, c.Owner)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ResolverClaims(file); !errors.Is(err, ErrUnclear) {
		t.Errorf("a file as the folder: %v", err)
	}
}

func TestOurPlaceWithoutEffect(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mpd.test"), []byte("# hello\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	claims, err := ResolverClaims(dir)
	if err != nil || len(claims) != 1 || claims[0].Owner != Foreign || !claims[0].File.Empty() {
		t.Errorf("%+v, %v", claims, err)
	}
}

func TestResolverCommands(t *testing.T) {
	var got []string
	for _, c := range append(ResolverFileCommands(), RemoveResolverCommand()) {
		if !c.Root || c.Dialog || c.Note == "" {
			t.Errorf("%+v", c)
		}
		got = append(got, c.String())
	}
	want := []string{
		"sudo /bin/mkdir -p /etc/resolver",
		"printf %s '# made by mpd-virt\nnameserver 10.163.0.3\n' | sudo /usr/bin/tee /etc/resolver/mpd.test",
		"sudo /bin/chmod 0644 /etc/resolver/mpd.test",
		"sudo /usr/bin/dscacheutil -flushcache",
		"sudo /usr/bin/killall -HUP mDNSResponder",
		"sudo /bin/rm -f /etc/resolver/mpd.test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What is called ours is ours; an addition to a file of the same effect that
// has one itself makes it foreign.
func FuzzResolverFile(f *testing.F) {
	f.Add([]byte(OursResolverFile()))
	f.Add([]byte("domain mpd.test\nnameserver 10.163.0.3.53\nport 5353\n"))
	f.Add([]byte(rude))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := ParseResolverFile(data)
		harmless(t, p.Domain+strings.Join(p.Others, ""))
		for _, s := range p.Nameservers {
			harmless(t, s.String())
		}
		switch JudgeResolver(data) {
		case Ours:
			if string(data) != string(OursResolverFile()) {
				t.Errorf("%q is called ours", data)
			}
		case SameAsOurs:
			if len(p.Nameservers) != 1 || p.Nameservers[0].Addr() != nameServer || len(p.Others) != 0 {
				t.Errorf("%q is said to do the same: %+v", data, p)
			}
			if more := append(append([]byte{}, data...), "\nnameserver 1.1.1.1"...); JudgeResolver(more) != Foreign {
				t.Errorf("%q is not foreign", more)
			}
		}
	})
}
