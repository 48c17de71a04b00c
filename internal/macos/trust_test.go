package macos

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	digest256 = "5F0E2C5F0E2C5F0E2C5F0E2C5F0E2C5F0E2C5F0E2C5F0E2C5F0E2C5F0E2C5F0E"
	digest1   = "1F9575A7FDCE56AB5461E89C0738841C94F02C81"
	other256  = "0000000000000000000000000000000000000000000000000000000000000001"
	other1    = "0000000000000000000000000000000000000002"
)

// foundOne is the form of `find-certificate -a -Z` in Apple's source
// (Security-61901, keychain_find.c).
var foundOne = join(
	"SHA-256 hash: "+digest256,
	"SHA-1 hash: "+digest1,
	`keychain: "/Library/Keychains/System.keychain"`,
	"version: 256",
	"class: 0x80001000 ",
	"attributes:",
	`    "alis"<blob>="mpd Root CA"`,
	`    "cenc"<uint32>=0x00000003 `,
	`    "hpky"<blob>=0x9A00  "\232\000"`,
	`    "labl"<blob>="mpd Root CA"`,
	`    "snbr"<blob>=0x01  "\001"`,
)

func TestFind(t *testing.T) {
	const line = "/usr/bin/security find-certificate -a -c mpd Root CA -Z /Library/Keychains/System.keychain"
	ours := Fingerprints{digest256, digest1, "mpd Root CA"}
	other := Fingerprints{other256, other1, "old mpd root ca 2"}
	second := strings.NewReplacer(digest256, other256, digest1, other1, "mpd Root CA", "old mpd root ca 2").Replace(foundOne)
	for _, tt := range []struct {
		name string
		a    answer
		want []Fingerprints
	}{
		{"one", answer{out: foundOne}, []Fingerprints{ours}},
		{"two, since the name is part of a name", answer{out: foundOne + second}, []Fingerprints{ours, other}},
		{"none: exit 0 and nothing", answer{}, nil},
		{"none: 44", answer{status: 44, errs: "security: SecKeychainSearchCopyNext: The specified item could not be found in the keychain.\n"}, nil},
		{"old macOS knows SHA-1 only", answer{out: "SHA-1 hash: " + digest1 + "\n" + `    "labl"<blob>=0xC3  "\303"` + "\n"}, []Fingerprints{{SHA1: digest1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := says(line, tt.a)
			got, err := m.Find(t.Context(), "mpd Root CA")
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	for name, out := range map[string]string{
		"cut":               "SHA-256 hash: " + digest256 + "\n",
		"short":             "SHA-1 hash: ABCD\n",
		"lower case":        "SHA-1 hash: " + strings.ToLower(digest1) + "\n",
		"SHA-256 alone":     "SHA-256 hash: " + digest256 + "\nkeychain: x\nSHA-1 hash: " + digest1 + "\n",
		"a list of nothing": "keychain: \"x\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := says(line, answer{out: out})
			if got, err := m.Find(t.Context(), "mpd Root CA"); !errors.Is(err, ErrUnclear) || got != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    answer
		want Trust
		err  error
	}{
		{"trusted", answer{out: "...certificate verification successful.\n"}, Trusted, nil},
		{"in the keychain, not trusted", answer{status: 1, errs: "Cert Verify Result: CSSMERR_TP_NOT_TRUSTED\n"}, Untrusted, nil},
		{"expired", answer{status: 1, errs: "Cert Verify Result: CSSMERR_TP_CERT_EXPIRED\n"}, Expired, nil},
		{"denied", answer{status: 1, errs: "SecTrustEvaluate result: kSecTrustResultDeny\n"}, Denied, nil},
		{"wrong usage", answer{status: 1, errs: "Cert Verify Result: Invalid Extended Key Usage for policy\n"}, TrustUnclear, ErrUnclear},
		{"over the cap", answer{status: 1, errs: "Cert Verify Result: CSSMERR_TP_CERT_SUSPENDED\n"}, TrustUnclear, ErrUnclear},
		{"file", answer{status: 1, errs: "***Error reading file /ca.pem\n"}, TrustUnclear, ErrUnclear},
		{"not PEM", answer{status: 1, errs: "Error decoding cert file /ca.pem\n"}, TrustUnclear, ErrUnclear},
		{"usage", answer{status: 2, errs: "***No certs specified.\nUsage: verify-cert\n"}, TrustUnclear, ErrUnclear},
		{"exit 0 and nothing", answer{}, TrustUnclear, ErrUnclear},
		{"exit 0 and the wrong words", answer{errs: "Cert Verify Result: CSSMERR_TP_NOT_TRUSTED\n"}, TrustUnclear, ErrUnclear},
		{"exit 1 and the right words", answer{status: 1, out: "...certificate verification successful.\n"}, TrustUnclear, ErrUnclear},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := says("/usr/bin/security verify-cert -L -c /ca.pem", tt.a)
			got, err := m.Verify(t.Context(), "/ca.pem")
			if got != tt.want || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("%v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestTrustCommands(t *testing.T) {
	lines := func(cmds []Command) (out []string) {
		for _, c := range cmds {
			if !c.Root || !c.Dialog || c.Note == "" {
				t.Errorf("%v: root %t, dialog %t, note %q", c, c.Root, c.Dialog, c.Note)
			}
			out = append(out, c.String())
		}
		return out
	}
	ours := Fingerprints{SHA256: digest256, SHA1: digest1}
	for _, tt := range []struct {
		name string
		got  []Command
		want []string
	}{
		{"trust", TrustCommands("/a b/ca.pem"),
			[]string{"sudo /usr/bin/security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain '/a b/ca.pem'"}},
		{"untrust", UntrustCommands([]Fingerprints{ours, {SHA1: other1}}, "/ca.pem"), []string{
			"sudo /usr/bin/security delete-certificate -Z " + digest256 + " -t /Library/Keychains/System.keychain",
			"sudo /usr/bin/security delete-certificate -Z " + other1 + " -t /Library/Keychains/System.keychain"}},
		{"an orphaned record", UntrustCommands(nil, "/ca.pem"), []string{"sudo /usr/bin/security remove-trusted-cert -d /ca.pem"}},
		{"nothing", UntrustCommands(nil, ""), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, lines(tt.got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const settingsHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>trustList</key>
`

var exported = settingsHead + `	<dict>
		<key>` + digest1 + `</key>
		<dict>
			<key>issuerName</key>
			<data>MBYxFDASBgNVBAMMC21wZA==</data>
			<key>trustSettings</key>
			<array><dict><key>` + other1 + `</key><integer>1</integer></dict></array>
		</dict>
		<key>kSecTrustRecordDefaultRootCert</key>
		<dict/>
	</dict>
	<key>trustVersion</key>
	<integer>1</integer>
</dict>
</plist>
`

func TestAdminTrusted(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		a          answer
		want       []string
	}{
		{"one", exported, answer{out: "...Trust Settings exported successfully.\n"}, []string{digest1}},
		{"an empty list", settingsHead + "<dict/></dict></plist>", answer{}, nil},
		{"none", "", answer{status: 1, errs: "SecTrustSettingsCreateExternalRepresentation: No Trust Settings were found.\n"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			m := New(func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
				if got := c.Argv[:3]; !slices.Equal(got, []string{"/usr/bin/security", "trust-settings-export", "-d"}) {
					t.Errorf("ran %v", c)
				}
				if tt.file != "" {
					if err := os.WriteFile(c.Argv[3], []byte(tt.file), 0o644); err != nil {
						t.Error(err)
					}
				}
				return hypervisor.Result{Stdout: []byte(tt.a.out), Stderr: []byte(tt.a.errs), Status: tt.a.status}, nil
			})
			got, err := m.AdminTrusted(t.Context(), dir)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("%v, %v; want %v", got, err, tt.want)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	for name, text := range map[string]string{
		"empty": "", "text": "hello", "cut": exported[:len(exported)-30], "another list": strings.ReplaceAll(exported, "trustList", "list"),
		"two lists": strings.ReplaceAll(exported, "trustVersion</key>\n\t<integer>1</integer>", "trustList</key><dict/>"),
		"deep":      "<plist>" + strings.Repeat("<dict>", 100), "not a property list": "<html><dict><key>trustList</key><dict/></dict></html>",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseTrustSettings("x", []byte(text)); !errors.Is(err, ErrUnclear) || got != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// What is found is exactly the lines that hold 64 or 40 digits.
func FuzzFind(f *testing.F) {
	f.Add(foundOne)
	f.Add(foundOne + foundOne)
	f.Add("SHA-1 hash: " + digest1 + "\n")
	f.Add(rude)
	digests := regexp.MustCompile(`(?m)^SHA-(?:256 hash: [0-9A-F]{64}|1 hash: [0-9A-F]{40})$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseFind("x", text)
		if err != nil {
			harmless(t, err.Error())
			if got != nil || !errors.Is(err, ErrUnclear) {
				t.Fatalf("%v beside %v", got, err)
			}
			return
		}
		var lines []string
		for _, p := range got {
			harmless(t, p.Label)
			if p.SHA256 != "" {
				lines = append(lines, "SHA-256 hash: "+p.SHA256)
			}
			lines = append(lines, "SHA-1 hash: "+p.SHA1)
		}
		if want := digests.FindAllString(text, -1); !slices.Equal(lines, want) {
			t.Errorf("%q, want %q", lines, want)
		}
	})
}

func FuzzTrustSettings(f *testing.F) {
	f.Add([]byte(exported))
	f.Add([]byte(settingsHead + "<dict/></dict></plist>"))
	f.Add([]byte(rude))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseTrustSettings("x", data)
		if err != nil {
			harmless(t, err.Error())
			if got != nil || !errors.Is(err, ErrUnclear) {
				t.Fatalf("%v beside %v", got, err)
			}
			return
		}
		for _, digest := range got {
			if !regexp.MustCompile(`^[0-9A-F]{40}$`).MatchString(digest) {
				t.Errorf("fingerprint %q", digest)
			}
		}
		if !slices.IsSorted(got) {
			t.Errorf("not sorted: %v", got)
		}
	})
}
