package bootstrap

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const goodPlatform = `# mpd platform identity — written by bootstrap/30-networking.sh.
# Lives under /var/lib/mpd/conf/ (persistent identity dir for the in-VM mpd binary).
MPD_PLATFORM=managed
MPD_VM_IP=10.211.55.150
MPD_VM_ID=150
`

// TestCheckPlatform is fault F48.
func TestCheckPlatform(t *testing.T) {
	const ids = "MPD_VM_IP=10.211.55.150\nMPD_VM_ID=150\n"
	tests := []struct {
		name string
		data string
		want string // "" if it holds, else a part of the error
	}{
		{"as step 30 writes it", goodPlatform, ""},
		{"no end of the last line", strings.TrimSpace(ids), ""},
		{"CRLF", strings.ReplaceAll(goodPlatform, "\n", "\r\n"), ""},
		{"blanks around lines, empty lines", "\n  MPD_VM_IP=10.211.55.150\t\n\n MPD_VM_ID=150 \n", ""},
		{"quotes", "MPD_VM_IP=\"10.211.55.150\"\nMPD_VM_ID=\"150\"\n", ""},
		{"unknown keys", ids + "NEW=1\nempty=\n", ""},
		{"comment", "#MPD_VM_ID=151\n  # = = \n" + ids, ""},
		{"just fits", ids + strings.Repeat("#", maxPlatform-len(ids)), ""},

		{"empty", "", "no MPD_VM_ID"},
		{"only comments", "# MPD_VM_ID=150\n", "no MPD_VM_ID"},
		{"no IP", "MPD_VM_ID=150\n", "no MPD_VM_IP"},
		{"another ID", strings.Replace(ids, "ID=150", "ID=151", 1), `MPD_VM_ID is "151", not 150`},
		{"another IP", strings.Replace(ids, "55.150", "55.37", 1), `MPD_VM_IP is "10.211.55.37", not 10.211.55.150`},
		{"sandbox", "MPD_VM_IP=\nMPD_VM_ID=000\n", `MPD_VM_ID is "000", not 150`},
		{"empty IP", "MPD_VM_IP=\nMPD_VM_ID=150\n", `MPD_VM_IP is "", not 10.211.55.150`},
		{"same key twice, same value", ids + "MPD_VM_ID=150\n", "MPD_VM_ID stands there twice"},
		{"same key twice, the last is right", "MPD_VM_ID=151\n" + ids, "MPD_VM_ID stands there twice"},
		{"foreign key twice", ids + "A=1\nA=2\n", "A stands there twice"},
		{"too large", ids + strings.Repeat("#", maxPlatform-len(ids)+1), "larger than 32 KiB"},
		{"line without =", ids + "hello\n", "a line without '='"},
		{"blank before =", "MPD_VM_ID =150\nMPD_VM_IP=10.211.55.150\n", "no MPD_VM_ID"},
		{"export", "export MPD_VM_ID=150\nMPD_VM_IP=10.211.55.150\n", "no MPD_VM_ID"},
		{"single quotes are part of it", "MPD_VM_ID='150'\nMPD_VM_IP=10.211.55.150\n", `MPD_VM_ID is "'150'"`},
		{"two pairs of quotes", "MPD_VM_ID=\"\"150\"\"\nMPD_VM_IP=10.211.55.150\n", `MPD_VM_ID is "\"150\""`},
		{"one quote", "MPD_VM_ID=\"\nMPD_VM_IP=10.211.55.150\n", `MPD_VM_ID is "\""`},
		{"inline comment is part of it", "MPD_VM_ID=150 # me\nMPD_VM_IP=10.211.55.150\n", `MPD_VM_ID is "150 # me"`},
		{"byte order mark", "\ufeffMPD_VM_ID=150\nMPD_VM_IP=10.211.55.150\n", "no MPD_VM_ID"},
		{"leading zero", "MPD_VM_ID=0150\nMPD_VM_IP=10.211.55.150\n", `MPD_VM_ID is "0150"`},
		{"full-width digits", "MPD_VM_ID=１５０\nMPD_VM_IP=10.211.55.150\n", `MPD_VM_ID is "１５０"`},
		{"controls", "MPD_VM_ID=\x1b[2J151\u202e\nMPD_VM_IP=10.211.55.150\n", `MPD_VM_ID is "151"`},
		{"controls in a key", "\x1b[2JA=1\n\x1b[2JA=1\n", "A stands there twice"},
	}
	addr := netip.MustParseAddr("10.211.55.150")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckPlatform([]byte(tt.data), 150, addr)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("CheckPlatform(%.80q): %v", tt.data, err)
			case tt.want == "":
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("CheckPlatform(%.80q): %v, want an error with %q", tt.data, err, tt.want)
			case !strings.HasPrefix(err.Error(), platformFile+": "):
				t.Errorf("the error %q does not name the file", err)
			}
		})
	}
	if err := CheckPlatform(nil, 150, addr); err == nil || err.Error() != platformFile+": missing" {
		t.Errorf("CheckPlatform(nil): %v", err)
	}
}

func FuzzCheckPlatform(f *testing.F) {
	f.Add([]byte(goodPlatform))
	f.Add([]byte(strings.ReplaceAll(goodPlatform, "\n", "\r\n")))
	f.Add([]byte("MPD_VM_ID=\"150\"\nMPD_VM_IP=\"10.211.55.150\"\n\nA=\x1b[31m\nA=\n"))
	f.Add([]byte("=\n\"\n#\n\xff=\u202e\n"))
	addr, other := netip.MustParseAddr("10.211.55.150"), netip.MustParseAddr("10.211.55.151")
	f.Fuzz(func(t *testing.T, data []byte) {
		err := CheckPlatform(data, 150, addr)
		if err != nil {
			if s := err.Error(); !showable(s) || len(s) > 600 {
				t.Errorf("error %q", s)
			}
			return
		}
		if len(data) > maxPlatform {
			t.Errorf("%d bytes were accepted", len(data))
		}
		if CheckPlatform(data, 151, addr) == nil || CheckPlatform(data, 150, other) == nil {
			t.Errorf("%q fits two VMs", data)
		}
		if err := CheckPlatform(bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")), 150, addr); err != nil && 2*len(data) <= maxPlatform {
			t.Errorf("%q holds, but not with CRLF: %v", data, err)
		}
		if CheckPlatform(slices.Concat(data, []byte("\nMPD_VM_ID=150\n")), 150, addr) == nil {
			t.Errorf("%q holds with a second MPD_VM_ID", data)
		}
	})
}
