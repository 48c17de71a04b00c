package parallels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLeased(t *testing.T) {
	file := filepath.Join(t.TempDir(), "leases")
	for _, tc := range []struct {
		name, data, mac, want string
	}{
		{"found", fixture(t, "leases.txt"), "001c42f593fb", "10.211.55.181"},
		{"the latest of a card", fixture(t, "leases.txt"), "001c4235afae", "10.211.55.37"},
		{"another card", fixture(t, "leases.txt"), "001c42000000", ""},
		{"upper case", strings.ToUpper(fixture(t, "leases.txt")), "001c42f593fb", "10.211.55.181"},
		{"CRLF and no quotes", "10.211.55.9=1,2,001c42f593fb\r\n", "001c42f593fb", "10.211.55.9"},
		{"junk around", "\x00\n[vnic0]\nx=y\n=\n10.211.55.9=\"1,2,001c42f593fb\"\n\xff", "001c42f593fb", "10.211.55.9"},
		{"the gateway", `10.211.55.1="1,2,001c42f593fb"`, "001c42f593fb", ""},
		{"another subnet", `10.37.129.9="1,2,001c42f593fb"`, "001c42f593fb", ""},
		{"expiry is a word", `10.211.55.9="soon,2,001c42f593fb"`, "001c42f593fb", ""},
		{"cut", `10.211.55.9="1,2,001c42`, "001c42f593fb", ""},
		{"empty", "", "001c42f593fb", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(tc.data), 0o600); err != nil {
				t.Fatal(err)
			}
			b := New(Config{LeaseFile: file})
			got := b.leased([]string{"000000000001", tc.mac})
			if got.IsValid() != (tc.want != "") || got.IsValid() && got.String() != tc.want {
				t.Errorf("leased = %v, want %q", got, tc.want)
			}
		})
	}
	b := New(Config{LeaseFile: filepath.Join(t.TempDir(), "none")})
	if got := b.leased([]string{"001c42f593fb"}); got.IsValid() {
		t.Errorf("leased = %v without a file", got)
	}
}
