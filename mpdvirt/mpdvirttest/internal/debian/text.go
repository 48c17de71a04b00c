package debian

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

func head(_ context.Context, p *Process, args []string) int {
	return p.part(args, func(data []byte, n int, isBytes bool) []byte {
		if isBytes {
			return data[:min(n, len(data))]
		}
		all := bytes.SplitAfter(data, []byte("\n"))
		return bytes.Join(all[:min(n, len(all))], nil)
	})
}

func tail(_ context.Context, p *Process, args []string) int {
	return p.part(args, func(data []byte, n int, isBytes bool) []byte {
		if isBytes {
			return data[max(0, len(data)-n):]
		}
		all := bytes.SplitAfter(data, []byte("\n"))
		if len(all) > 0 && len(all[len(all)-1]) == 0 {
			all = all[:len(all)-1]
		}
		return bytes.Join(all[max(0, len(all)-n):], nil)
	})
}

// part is head and tail.
func (p *Process) part(args []string, take func(data []byte, n int, isBytes bool) []byte) int {
	if len(args) > 1 && len(args[1]) > 1 && args[1][0] == '-' && args[1][1] >= '0' && args[1][1] <= '9' {
		args = append([]string{args[0], "-n", args[1][1:]}, args[2:]...) // head -5
	}
	o, ok := p.options(args, "n= c= lines= bytes= q")
	if !ok {
		return 1
	}
	count, isBytes := "10", o.has("c") || o.has("bytes")
	if s := o.set["n"] + o.set["c"] + o.set["lines"] + o.set["bytes"]; s != "" {
		count = s
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return p.Errorf("%s: invalid number: '%s'", args[0], count)
	}
	return p.eachInput(args[0], o.rest, func(_ string, data []byte) { p.Stdout.Write(take(data, n, isBytes)) })
}

func sortLines(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "u r n")
	if !ok {
		return 2
	}
	var all []string
	status := p.eachInput("sort", o.rest, func(_ string, data []byte) { all = append(all, lines(data)...) })
	slices.SortStableFunc(all, func(a, b string) int {
		if o.has("n") {
			x, _ := strconv.ParseFloat(a, 64) // no number counts as 0
			y, _ := strconv.ParseFloat(b, 64)
			if x != y {
				return map[bool]int{true: -1, false: 1}[x < y]
			}
		}
		return strings.Compare(a, b)
	})
	if o.has("u") {
		all = slices.Compact(all)
	}
	if o.has("r") {
		slices.Reverse(all)
	}
	for _, line := range all {
		p.Printf("%s\n", line)
	}
	return status
}

func uniq(_ context.Context, p *Process, args []string) int {
	return p.eachInput("uniq", args[1:], func(_ string, data []byte) {
		for _, line := range slices.Compact(lines(data)) {
			p.Printf("%s\n", line)
		}
	})
}

func wc(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "c l w m bytes lines")
	if !ok {
		return 1
	}
	return p.eachInput("wc", o.rest, func(name string, data []byte) {
		var counts []string
		all := len(o.set) == 0
		add := func(wanted bool, n int) {
			if wanted || all {
				counts = append(counts, strconv.Itoa(n))
			}
		}
		add(o.has("l") || o.has("lines"), bytes.Count(data, []byte("\n")))
		add(o.has("w"), len(bytes.Fields(data)))
		add(o.has("c") || o.has("bytes") || o.has("m"), len(data))
		if len(o.rest) > 0 {
			counts = append(counts, name)
		}
		p.Printf("%s\n", strings.Join(counts, " "))
	})
}

func tee(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "a")
	if !ok {
		return 1
	}
	data, err := io.ReadAll(p.Stdin)
	if err != nil {
		return p.Errorf("tee: read error: %s", reason(err))
	}
	p.Stdout.Write(data)
	status := 0
	for _, name := range o.rest {
		all := data
		if old, err := p.FS.ReadFile(p.Path(name)); err == nil && o.has("a") {
			all = append(old, data...)
		}
		if err := p.writeFile(name, all, 0o644); err != nil {
			status = p.Errorf("tee: %s: %s", name, reason(err))
		}
	}
	return status
}

func cut(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "d= f= c= s")
	field, err := strconv.Atoi(o.set["f"])
	if !ok || err != nil || field < 1 {
		return p.Errorf("cut: only cut -d X -f N is played")
	}
	sep := o.set["d"]
	if sep == "" {
		sep = "\t"
	}
	return p.eachInput("cut", o.rest, func(_ string, data []byte) {
		for _, line := range lines(data) {
			parts := strings.Split(line, sep)
			switch {
			case len(parts) == 1 && o.has("s"):
			case len(parts) == 1:
				p.Printf("%s\n", line)
			case field <= len(parts):
				p.Printf("%s\n", parts[field-1])
			default:
				p.Printf("\n")
			}
		}
	})
}

func cmp(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "s q silent quiet")
	if !ok || len(o.rest) != 2 {
		return 2
	}
	var content [2][]byte
	for i, name := range o.rest {
		var err error
		if content[i], err = p.readFile(name); err != nil {
			p.Errorf("cmp: %s: %s", name, reason(err))
			return 2
		}
	}
	if bytes.Equal(content[0], content[1]) {
		return 0
	}
	if len(o.set) == 0 {
		p.Printf("%s %s differ\n", o.rest[0], o.rest[1])
	}
	return 1
}

func basename(_ context.Context, p *Process, args []string) int {
	if len(args) < 2 {
		return p.Errorf("basename: missing operand")
	}
	name := path.Base(args[1])
	if len(args) > 2 && name != args[2] {
		name = strings.TrimSuffix(name, args[2])
	}
	p.Printf("%s\n", name)
	return 0
}

func dirname(_ context.Context, p *Process, args []string) int {
	if len(args) < 2 {
		return p.Errorf("dirname: missing operand")
	}
	p.Printf("%s\n", path.Dir(args[1]))
	return 0
}
