package debian

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func succeed(context.Context, *Process, []string) int     { return 0 }
func failProgram(context.Context, *Process, []string) int { return 1 }

// dateForms are the conversions of date that are played.
var dateForms = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'F': "2006-01-02", 'T': "15:04:05", 'Z': "MST", 'z': "-0700", 'N': "000000000",
}

func date(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "u I? Is utc iso-8601?")
	if !ok {
		return 1
	}
	now := p.Sys.Now().UTC()
	switch {
	case o.has("I") || o.has("iso-8601"):
		form := "2006-01-02"
		if v := o.set["I"] + o.set["iso-8601"]; v == "s" || v == "seconds" {
			form = time.RFC3339
		}
		p.Printf("%s\n", now.Format(form))
		return 0
	case len(o.rest) == 0:
		p.Printf("%s\n", now.Format("Mon Jan _2 15:04:05 UTC 2006"))
		return 0
	}
	format := strings.TrimPrefix(o.rest[0], "+")
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		switch form, known := dateForms[format[i]]; {
		case known:
			out.WriteString(now.Format(form))
		case format[i] == 's':
			out.WriteString(strconv.FormatInt(now.Unix(), 10))
		default:
			out.WriteByte(format[i])
		}
	}
	p.Printf("%s\n", out.String())
	return 0
}

func env(ctx context.Context, p *Process, args []string) int {
	c := *p
	c.Env = maps.Clone(p.Env)
	rest := args[1:]
	for len(rest) > 0 {
		name, value, isVar := strings.Cut(rest[0], "=")
		switch {
		case rest[0] == "-i" || rest[0] == "-":
			c.Env = map[string]string{}
		case rest[0] == "-u" && len(rest) > 1:
			rest = rest[1:]
			delete(c.Env, rest[0])
		case rest[0] == "--":
		case isVar:
			c.Env[name] = value
		default:
			if c.LookPath(rest[0]) == "" {
				p.Errorf("env: '%s': No such file or directory", rest[0])
				return 127
			}
			return c.Run(ctx, rest)
		}
		rest = rest[1:]
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		p.Printf("%s=%s\n", name, c.Env[name])
	}
	return 0
}

func printenv(_ context.Context, p *Process, args []string) int {
	status := 0
	for _, name := range args[1:] {
		value, ok := p.Env[name]
		if !ok {
			status = 1
			continue
		}
		p.Printf("%s\n", value)
	}
	return status
}

func id(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "u g n G")
	switch {
	case !ok:
		return 1
	case o.has("n"):
		p.Printf("%s\n", p.User)
	case o.has("u") || o.has("g") || o.has("G"):
		p.Printf("%d\n", p.FS.UID())
	default:
		p.Printf("uid=%d(%s) gid=%[1]d(%[2]s) groups=%[1]d(%[2]s)\n", p.FS.UID(), p.User)
	}
	return 0
}

func whoami(_ context.Context, p *Process, _ []string) int {
	p.Printf("%s\n", p.User)
	return 0
}

func uname(_ context.Context, p *Process, args []string) int {
	o, ok := p.options(args, "a s n r m o")
	if !ok {
		return 1
	}
	if len(o.set) == 0 {
		o.set["s"] = ""
	}
	host, err := p.FS.ReadFile("/proc/sys/kernel/hostname")
	if err != nil {
		host = []byte("localhost")
	}
	machine, err := p.FS.ReadFile("/proc/sys/kernel/arch")
	if err != nil {
		machine = []byte("aarch64")
	}
	var out []string
	for _, part := range []struct{ flag, value string }{
		{"s", "Linux"}, {"n", strings.TrimSpace(string(host))}, {"r", "6.12.48+deb13-arm64"},
		{"m", strings.TrimSpace(string(machine))}, {"o", "GNU/Linux"},
	} {
		if o.has(part.flag) || o.has("a") {
			out = append(out, part.value)
		}
	}
	p.Printf("%s\n", strings.Join(out, " "))
	return 0
}

// seconds reads a duration as sleep and timeout do.
func seconds(s string) (time.Duration, bool) {
	unit := time.Second
	for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = n, u
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	return time.Duration(n * float64(unit)), err == nil && n >= 0
}

func sleep(ctx context.Context, p *Process, args []string) int {
	total := time.Duration(0)
	for _, arg := range args[1:] {
		d, ok := seconds(arg)
		if !ok {
			return p.Errorf("sleep: invalid time interval '%s'", arg)
		}
		total += d
	}
	timer := time.NewTimer(total)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0
	case <-ctx.Done():
		return 143
	}
}

func timeout(ctx context.Context, p *Process, args []string) int {
	rest := args[1:]
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		if (rest[0] == "-k" || rest[0] == "-s") && len(rest) > 1 {
			rest = rest[1:]
		}
		rest = rest[1:]
	}
	if len(rest) < 2 {
		p.Errorf("timeout: missing operand")
		return 125
	}
	limit, ok := seconds(rest[0])
	if !ok {
		p.Errorf("timeout: invalid time interval '%s'", rest[0])
		return 125
	}
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	if limit > 0 {
		bounded, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	status := p.Run(bounded, rest[1:])
	if bounded.Err() != nil && ctx.Err() == nil {
		return 124
	}
	return status
}
