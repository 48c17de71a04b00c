package cloudinit

import (
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// F77: what a .pub file may hold.
func TestParsePublicKey(t *testing.T) {
	body := strings.Fields(userKey)[1]
	bare := "ssh-ed25519 " + body
	for _, tc := range []struct{ name, text, want string }{
		{"plain", userKey + "\n", userKey},
		{"no newline, no comment", bare, bare},
		{"CRLF", userKey + "\r\n", userKey},
		{"two keys", bare + " one\n" + bare + " two\n", bare + " one"},
		{"behind a comment line", "# mine\n\n" + userKey, userKey},
		{"behind rubbish", "ssh-ed25519 AAAA broken\nhello\n" + userKey, userKey},
		{"options", `restrict,command="rm -rf \"/\"",from="10.0.0.1" ` + userKey, userKey},
		{"YAML in the comment", bare + ` x: "y"]} # &a`, bare + ` x: "y"]} # &a`},
		{"foreign letters", bare + " Škoda \u202egnp\u2028 ¬\x7f", bare + " ?koda ?gnp? ??"},
		{"tabs and blanks", "  " + bare + "\t a\tb  ", bare + " a b"},
		{"escape and NUL", bare + " a\x1b[31mb\x00c", bare + " a?[31mb?c"},
		{"long comment", bare + " " + strings.Repeat("a", 10<<10), bare + " " + strings.Repeat("a", 100)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParsePublicKey([]byte(tc.text))
			if err != nil || got != tc.want {
				t.Errorf("ParsePublicKey(%q) = %q, %v; want %q", tc.text, got, err, tc.want)
			}
		})
	}
	for _, tc := range []struct{ name, text string }{
		{"empty", ""},
		{"newlines", "\n\r\n"},
		{"cut", bare[:len(bare)-8]},
		{"no type", body},
		{"folded", "ssh-ed25519\n" + body},
		{"private key", hostKey},
		{"NUL", "\x00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParsePublicKey([]byte(tc.text))
			if err == nil || got != "" || hint.Of(err) == "" {
				t.Errorf("ParsePublicKey(%q) = %q, %v (hint %q); want an error with a hint", tc.text, got, err, hint.Of(err))
			}
		})
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add([]byte(userKey))
	f.Add([]byte(`from="a" ` + userKey + "\r\n" + userKey))
	f.Add([]byte("# x\n" + userKey + strings.Repeat(" é", 200)))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParsePublicKey(data)
		if err != nil {
			if got != "" {
				t.Fatal("a key beside the error")
			}
			return
		}
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is not one line of printable ASCII", got)
		}
		if again, err := ParsePublicKey([]byte(got)); err != nil || again != got {
			t.Fatalf("%q reads again as %q, %v", got, again, err)
		}
	})
}
