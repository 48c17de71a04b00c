package cli

// How the command looks. All rules stand here, all verbs obey them:
//
//   - Results go to stdout, everything else to stderr.
//   - A step or check is one line: two spaces, mark, name, text, time. Marks
//     are ✓ ! ✗ – ▸; where the stream is no terminal that can draw (see rich)
//     they are ok, warn, FAIL, skip and "..".
//   - Colour only repeats what the mark says. A terminal with NO_COLOR, with
//     TERM unset or dumb, of unknown width, or without a UTF-8 locale gets
//     plain text: no colour, no line that is drawn again.
//   - Text that came from outside has no control characters; without a UTF-8
//     locale it has none but ASCII characters either.
//   - Paths below the home folder are shown with ~. JSON has them whole.
//   - A line has less than 100 columns if its words allow that.
//   - A command to copy stands alone on an indented line, quoted for a shell.
//   - Times: 0.3s, 12s, 1m12s, 1h02m. Sizes: 1.5 GiB, 512.0 MiB. No time below
//     0.1s is shown.

import (
	"fmt"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
	"github.com/mutms/mpd-virt-macos/internal/shell"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

const (
	lineWidth = 98 // columns of a line, where its words allow that
	textWidth = 60 // columns of a step's text if a time follows
	nameWidth = 22 // columns of a step's name
)

// A look is how one stream is written to.
type look struct {
	rich  bool       // unicode marks, colour, lines drawn again
	utf8  bool       // more than ASCII may be written
	home  string     // shown as ~; "" is none
	width func() int // columns of the terminal; nil if it is none
}

func lookOf(env Env, stream any) look {
	l := look{utf8: env.utf8(), home: env.home()}
	fd, ok := terminalOf(stream)
	if !ok {
		return l
	}
	l.width = func() int { return widthOf(fd) }
	l.rich = l.utf8 && !env.plainWanted() && l.width() > 0
	return l
}

// A mark is how a line begins.
type mark struct {
	rich, plain string
	colour      string // SGR code
}

var running = mark{"▸", "..  ", "36"}

func markOf(s mpdvirt.Status) mark {
	switch s {
	case mpdvirt.OK:
		return mark{"✓", "ok  ", "32"}
	case mpdvirt.Warn:
		return mark{"!", "warn", "33"}
	case mpdvirt.Skipped:
		return mark{"–", "skip", "2"}
	}
	return mark{"✗", "FAIL", "31"} // a status that is not known is no success
}

// mark is the mark's text and its width.
func (l look) mark(m mark) (string, int) {
	if !l.rich {
		return m.plain, len(m.plain)
	}
	return "\x1b[" + m.colour + "m" + m.rich + "\x1b[0m", 1
}

// text makes a line that came from outside fit to be shown.
func (l look) text(s string) string { return l.fold(l.tilde(plaintext.Clean(s))) }

// lines makes a text of several lines fit to be shown.
func (l look) lines(s string) []string {
	out := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, line := range out {
		out[i] = strings.TrimRight(l.text(line), " ")
	}
	return out
}

// tilde shows paths below the home folder with ~.
func (l look) tilde(s string) string {
	if l.home == "" {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, l.home)
		if i < 0 {
			return b.String() + s
		}
		before, after := s[:i], s[i+len(l.home):]
		starts := i == 0 || !pathByte(before[i-1])
		ends := after == "" || after[0] == '/' || !pathByte(after[0])
		b.WriteString(before)
		if starts && ends {
			b.WriteByte('~')
		} else {
			b.WriteString(l.home)
		}
		s = after
	}
}

// pathByte says whether c next to a path makes it another path.
func pathByte(c byte) bool {
	return c == '/' || c == '.' || c == '-' || c == '_' || c >= 0x80 ||
		c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// fold writes ASCII for those who can read no more.
func (l look) fold(s string) string {
	if l.utf8 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r == '→':
			b.WriteString("->")
		case r == '…':
			b.WriteString("...")
		case r == '–', r == '—':
			b.WriteByte('-')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// command is an argument list as a person can paste it into a shell.
func (l look) command(argv []string) string {
	words := make([]string, len(argv))
	for i, arg := range argv {
		words[i] = l.word(arg)
	}
	return plaintext.Clean(strings.Join(words, " "))
}

// word quotes one argument, if it must be. A quoted tilde would not mean the
// home folder any more, and --flag=value needs no quotes if value needs none.
func (l look) word(arg string) string {
	plain := func(s string) bool { return shell.Quote(s) == s }
	if rest, ok := strings.CutPrefix(arg, l.home+"/"); ok && l.home != "" && plain(arg) {
		return "~/" + rest
	}
	name, value, ok := strings.Cut(arg, "=")
	if ok && strings.HasPrefix(name, "-") && plain(name) && plain(value) {
		return arg
	}
	return shell.Quote(arg)
}

// stepLine is the line, or if the text is long the lines, of a step or check.
func (l look) stepLine(m mark, name string, pad int, text, took string) string {
	sign, width := l.mark(m)
	name = cell(l.text(name), pad)
	indent := 2 + width + 1 + columns(name)
	room := lineWidth - indent
	if took != "" {
		room = textWidth
	}
	parts := wrap(l.text(text), room)
	first := "  " + sign + " " + name + parts[0]
	if took != "" {
		first += strings.Repeat(" ", max(textWidth-columns(parts[0]), 0)) + "  " + took
	}
	out := strings.TrimRight(first, " ") + "\n"
	for _, part := range parts[1:] {
		out += strings.Repeat(" ", indent) + part + "\n"
	}
	return out
}

// took is a time as people say it, "" if it is too short to say.
func took(d time.Duration) string {
	if d < 50*time.Millisecond {
		return ""
	}
	return duration(d)
}

func duration(d time.Duration) string {
	if d < 9950*time.Millisecond {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
}

// size is a number of bytes as people say it.
func size(n int64) string {
	const mib, gib = 1 << 20, 1 << 30
	if n >= gib {
		return fmt.Sprintf("%.1f GiB", float64(n)/gib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/mib)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
