package macemu

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// Opening is something that open showed to a person.
type Opening struct {
	// Kind is "file", "folder of" (open -R), "app" or "url".
	Kind string
	// Target is the path, name or URL.
	Target string
	// App is what open -a named beside a file.
	App string `json:",omitempty"`
	// Problem is what macOS said of a profile that it did not take; it is never
	// in open's own answer.
	Problem string `json:",omitempty"`
}

// Opened is all that was opened, in order.
func (e *Emulator) Opened() (out []Opening, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		out = slices.Clone(st.Opened)
		return nil
	})
	return out, err
}

// Clipboard is the text that was copied last.
func (e *Emulator) Clipboard() (text string, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		text = st.Clipboard
		return nil
	})
	return text, err
}

// utf8Locale says whether the command's language is one in UTF-8. C: what decides
// is LC_ALL, then LC_CTYPE, then LANG
func (c *call) utf8Locale() bool {
	value := c.env["LC_ALL"]
	for _, v := range []string{c.env["LC_CTYPE"], c.set.Locale, c.env["LANG"]} {
		value = or(value, v)
	}
	return strings.HasSuffix(upper(value), "UTF-8")
}

// macRoman are the characters of the bytes from 0x80.
const macRoman = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø" +
	"¿¡¬√ƒ≈∆«»…\u00a0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ"

// pbcopy takes its input for MacRoman if nothing says that it is UTF-8. C
func (c *call) pbcopy() (int, error) {
	data, err := c.stdin()
	switch {
	case err != nil:
		return 0, err
	case len(c.args) > 0:
		return c.notPlayed()
	case c.set.NoScreen: // A
		return 1, nil
	}
	text := string(data)
	if !c.utf8Locale() {
		table := []rune(macRoman)
		var b strings.Builder
		for _, one := range data {
			if one < utf8.RuneSelf {
				b.WriteByte(one)
			} else {
				b.WriteRune(table[one-utf8.RuneSelf])
			}
		}
		text = b.String()
	}
	return 0, c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		st.Clipboard = text
		return nil
	})
}

// pbpaste prints the clipboard; what MacRoman does not have is a question mark
// without a language in UTF-8. A
func (c *call) pbpaste() (int, error) {
	if len(c.args) > 0 {
		return c.notPlayed()
	}
	return 0, c.look(func(st *state, _ time.Time) {
		if c.utf8Locale() {
			c.out.WriteString(st.Clipboard)
			return
		}
		table := []rune(macRoman)
		for _, r := range st.Clipboard {
			at := slices.Index(table, r)
			switch {
			case r < utf8.RuneSelf:
				c.out.WriteByte(byte(r))
			case at >= 0:
				c.out.WriteByte(byte(at + utf8.RuneSelf))
			default:
				c.out.WriteByte('?')
			}
		}
	})
}

// hasApp says whether an app is installed, by its name or the place of it.
func (s *Settings) hasApp(name string) bool {
	name = strings.TrimSuffix(filepath.Base(name), ".app")
	switch name {
	case "WireGuard", "Parallels Desktop", "UTM":
		return !slices.Contains(s.NoApps, name)
	}
	return slices.Contains([]string{"Finder", "System Settings", "Keychain Access", "TextEdit", "Safari", "Terminal"}, name)
}

// open shows things to a person and returns at once. C
func (c *call) open() (int, error) {
	o, rest, ok := getopt(c.args, "Rga:")
	app := o.last('a')
	switch {
	case !ok, len(rest) > 1, len(rest) == 0 && (app == "" || o.has('R')), o.has('R') && app != "":
		return c.notPlayed()
	case c.set.NoScreen:
		return c.say(1, "LSOpenURLsWithRole() failed with error -10810 for the file %s.", strings.Join(append(rest, app)[:1], "")) // A behind the number
	case app != "" && !c.set.hasApp(app):
		return c.say(1, "Unable to find application named '%s'", app)
	case len(rest) == 0:
		return 0, c.opened(Opening{Kind: "app", Target: app})
	}
	target := rest[0]
	if scheme, _, found := strings.Cut(target, ":"); found && !o.has('R') && !strings.Contains(scheme, "/") {
		switch scheme {
		case "x-apple.systempreferences", "http", "https":
			return 0, c.opened(Opening{Kind: "url", Target: target, App: app})
		}
		return c.notPlayed()
	}
	if !filepath.IsAbs(target) {
		return c.notPlayed()
	}
	if !exists(target) { // A on the text
		return c.say(1, "The file %s does not exist.", target)
	}
	switch {
	case o.has('R'):
		return 0, c.opened(Opening{Kind: "folder of", Target: target})
	case app == "" && strings.HasSuffix(target, ".mobileconfig"):
		return 0, c.openProfile(target)
	}
	return 0, c.opened(Opening{Kind: "file", Target: target, App: app})
}

func (c *call) opened(o Opening) error {
	return c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		st.Opened = append(st.Opened, o)
		return nil
	})
}

// openProfile hands a profile to System Settings, where a person installs it. C
func (c *call) openProfile(name string) error {
	data, err := readFile(name)
	o := Opening{Kind: "file", Target: name}
	if err != nil {
		o.Problem = "macemu: the profile cannot be read"
		return c.opened(o)
	}
	return c.change(func(st *state, _ time.Time, later *emu.Later) error {
		if !c.set.ProfileIgnored {
			if err := c.e.install(st, data, later); err != nil {
				o.Problem = err.Error()
			}
		}
		st.Opened = append(st.Opened, o)
		return nil
	})
}

// swVers tells the version of macOS. C for -productVersion, A for the rest
func (c *call) swVers() (int, error) {
	switch {
	case slices.Equal(c.args, []string{"-productVersion"}), slices.Equal(c.args, []string{"--productVersion"}):
		fmt.Fprintln(c.out, c.set.version())
	case slices.Equal(c.args, []string{"-productName"}):
		fmt.Fprintln(c.out, "macOS")
	case len(c.args) == 0:
		fmt.Fprintf(c.out, "ProductName:\t\tmacOS\nProductVersion:\t\t%s\nBuildVersion:\t\t25G74\n", c.set.version())
	default:
		return c.notPlayed()
	}
	return 0, nil
}
