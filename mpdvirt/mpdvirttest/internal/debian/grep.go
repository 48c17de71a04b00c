package debian

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strings"
)

func grep(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "q F E x i v s c o n e= quiet fixed-strings")
	if !ok {
		return 2
	}
	pattern, given := o.set["e"]
	if !given {
		if len(o.rest) == 0 {
			p.Errorf("usage: grep [OPTION]... PATTERNS [FILE]...")
			return 2
		}
		pattern, o.rest = o.rest[0], o.rest[1:]
	}
	re, err := grepPattern(pattern, o)
	if err != nil {
		p.Errorf("grep: %v", err)
		return 2
	}
	found := 0
	failed := p.eachInput("grep", o.rest, func(name string, data []byte) {
		for _, line := range lines(data) {
			if re.MatchString(line) == o.has("v") {
				continue
			}
			found++
			switch {
			case o.has("q") || o.has("quiet") || o.has("c"):
			case o.has("o"):
				p.Printf("%s\n", re.FindString(line))
			case len(o.rest) > 1:
				p.Printf("%s:%s\n", name, line)
			default:
				p.Printf("%s\n", line)
			}
		}
	})
	if o.has("c") {
		p.Printf("%d\n", found)
	}
	switch {
	case found > 0:
		return 0
	case failed != 0:
		return 2
	}
	return 1
}

// grepPattern translates a pattern. Of basic ones the common subset is known:
// in them + ? | ( ) { } stand for themselves unless escaped.
func grepPattern(pattern string, o options) (*regexp.Regexp, error) {
	switch {
	case o.has("F") || o.has("fixed-strings"):
		pattern = regexp.QuoteMeta(pattern)
	case !o.has("E"):
		const turned = "+?|(){}"
		var b strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch c := pattern[i]; {
			case c == '\\' && i+1 < len(pattern) && strings.IndexByte(turned, pattern[i+1]) >= 0:
				i++
				b.WriteByte(pattern[i])
			case c == '\\' && i+1 < len(pattern):
				i++
				b.WriteString(pattern[i-1 : i+1])
			case strings.IndexByte(turned, c) >= 0:
				b.WriteString(`\` + string(c))
			default:
				b.WriteByte(c)
			}
		}
		pattern = b.String()
	}
	if o.has("x") {
		pattern = "^(?:" + pattern + ")$"
	}
	if o.has("i") {
		pattern = "(?i)" + pattern
	}
	return regexp.Compile(pattern)
}

func tr(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "d s c")
	if !ok || len(o.rest) == 0 {
		return p.Errorf("tr: missing operand")
	}
	data, err := io.ReadAll(p.Stdin)
	if err != nil {
		return p.Errorf("tr: read error: %s", reason(err))
	}
	from := trSet(o.rest[0])
	var to []byte
	if len(o.rest) > 1 {
		to = trSet(o.rest[1])
	}
	out := make([]byte, 0, len(data))
	for _, c := range data {
		i := bytes.IndexByte(from, c)
		if o.has("c") {
			i = map[bool]int{true: len(from), false: -1}[i < 0]
		}
		switch {
		case i >= 0 && o.has("d"):
			continue
		case i >= 0 && len(to) > 0:
			c = to[min(i, len(to)-1)]
		}
		if i >= 0 && o.has("s") && len(out) > 0 && out[len(out)-1] == c {
			continue
		}
		out = append(out, c)
	}
	p.Stdout.Write(out)
	return 0
}

// trSet expands a-z, the usual escapes and two classes.
func trSet(s string) []byte {
	s = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\0`, "\x00", `\\`, `\`,
		"[:upper:]", "A-Z", "[:lower:]", "a-z", "[:digit:]", "0-9", "[:space:]", " \t\n\v\f\r").Replace(s)
	var set []byte
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i+1] == '-' && s[i+2] >= s[i] {
			for c := int(s[i]); c <= int(s[i+2]); c++ {
				set = append(set, byte(c))
			}
			i += 2
			continue
		}
		set = append(set, s[i])
	}
	return set
}
