package shell

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":                       `''`,
		"plain":                  `plain`,
		"/var/lib/mpd@1.2:3,4-_": `/var/lib/mpd@1.2:3,4-_`,
		"two words":              `'two words'`,
		"it's":                   `'it'\''s'`,
		`a\b`:                    `'a'\\'b'`,
		`''`:                     `\'\'`,
		"$(id)`id`":              "'$(id)`id`'",
		"a\nb":                   "'a\nb'",
		"~":                      `'~'`,
		"=ls":                    `'=ls'`,
		"nul\x00byte":            `nulbyte`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestJoin(t *testing.T) {
	if got, want := Join("bash", "-c", "echo $1", ""), `bash -c 'echo $1' ''`; got != want {
		t.Errorf("Join = %s, want %s", got, want)
	}
}

// shells are those that Quote is made for; each is tried if it is there.
var shells = [][]string{{"sh"}, {"dash"}, {"bash"}, {"zsh", "-f"}, {"fish", "--no-config"}, {"busybox", "sh"}}

func TestShellsReadItAlike(t *testing.T) {
	var all strings.Builder
	for b := 1; b < 256; b++ {
		all.WriteByte(byte(b))
	}
	words := []string{all.String(), "", "'", `\`, `'\''`, `\\'`, "$(id)", "!!", "a\n\nb\n", "{a,b}", "*", "-n", "%self", "é\u202e\xff", "x=~/y"}
	for _, argv := range shells {
		t.Run(argv[0], func(t *testing.T) {
			if _, err := exec.LookPath(argv[0]); err != nil {
				t.Skip(err)
			}
			line := "printf '<%s>' " + Join(words...)
			out, err := exec.CommandContext(t.Context(), argv[0], append(argv[1:], "-c", line)...).CombinedOutput()
			if want := "<" + strings.Join(words, "><") + ">"; err != nil || string(out) != want {
				t.Errorf("%s printed %q, %v, want %q", argv[0], out, err, want)
			}
		})
	}
}

// read is a model of how POSIX shells, and with fishy also fish, read a word
// that consists of single-quoted parts, backslash escapes and plain bytes.
func read(word string, fishy bool) (string, error) {
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		switch c := word[i]; {
		case c == '\\':
			if i++; i == len(word) || word[i] != '\\' && word[i] != '\'' {
				return "", fmt.Errorf("escape of something else at %d", i)
			}
			b.WriteByte(word[i])
		case c == '\'':
			for i++; ; i++ {
				if i == len(word) {
					return "", fmt.Errorf("open quote")
				}
				if word[i] == '\'' {
					break
				}
				if fishy && word[i] == '\\' {
					return "", fmt.Errorf("backslash inside quotes")
				}
				b.WriteByte(word[i])
			}
			if i+1 < len(word) && word[i+1] == '\'' {
				return "", fmt.Errorf("'' is one quote to zsh with RC_QUOTES")
			}
		case strings.IndexByte(plain, c) >= 0:
			b.WriteByte(c)
		default:
			return "", fmt.Errorf("bare %q", c)
		}
	}
	return b.String(), nil
}

func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "it's", `\`, `'\''\`, "$x`y`", "\x00a", "\n", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.ReplaceAll(s, "\x00", "")
		q := Quote(s)
		for _, fishy := range []bool{false, true} {
			if got, err := read(q, fishy); got != want || err != nil {
				t.Errorf("Quote(%q) = %s reads as %q, %v", s, q, got, err)
			}
		}
	})
}
