package debian

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/syntax"
)

// programs is everything in this package that can be called by name.
func programs() map[string]Program {
	return map[string]Program{
		"bash": shellProgram(syntax.LangBash),
		"sh":   shellProgram(syntax.LangPOSIX),
		"dash": shellProgram(syntax.LangPOSIX),

		"cat": cat, "chmod": chmod, "chown": chown, "cp": cp, "ln": ln, "ls": ls, "mkdir": mkdir,
		"mktemp": mktemp, "mv": mv, "readlink": readlink, "rm": rm, "rmdir": rmdir, "stat": stat,
		"sync": succeed, "touch": touch,

		"base64": encode64, "basename": basename, "cmp": cmp, "cut": cut, "dirname": dirname,
		"grep": grep, "head": head, "sha256sum": sha256sum, "sort": sortLines, "tail": tail,
		"tee": tee, "tr": tr, "uniq": uniq, "wc": wc,

		"date": date, "env": env, "false": failProgram, "id": id, "printenv": printenv,
		"sleep": sleep, "timeout": timeout, "true": succeed, "uname": uname, "whoami": whoami,
	}
}

// options are the parsed arguments of a program: the options by name without
// dashes ("" for those without a value) and the rest.
type options struct {
	set  map[string]string
	rest []string
}

func (o options) has(name string) bool {
	_, ok := o.set[name]
	return ok
}

// parse reads arguments as getopt_long does. known lists the options, by blanks;
// one that takes a value ends in "=", one whose value may be missing in "?".
// An unknown option is printed, and ok is false.
func (p *Process) options(args []string, known string) (o options, ok bool) {
	kinds := map[string]string{}
	for _, k := range strings.Fields(known) {
		kinds[strings.TrimRight(k, "=?")] = k[len(strings.TrimRight(k, "=?")):]
	}
	o.set = map[string]string{}
	rest := args[1:]
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "--":
			o.rest = append(o.rest, rest...)
			return o, true
		case strings.HasPrefix(arg, "--"):
			name, value, given := strings.Cut(arg[2:], "=")
			kind, known := kinds[name]
			if !known || given && kind == "" {
				p.Errorf("%s: unrecognized option '%s'", args[0], arg)
				return o, false
			}
			if kind == "=" && !given && len(rest) > 0 {
				value, rest = rest[0], rest[1:]
			}
			o.set[name] = value
		case len(arg) < 2 || arg[0] != '-':
			o.rest = append(o.rest, arg)
		default:
			if rest, ok = o.short(p, args[0], arg[1:], rest, kinds); !ok {
				return o, false
			}
		}
	}
	return o, true
}

// short reads a group of short options.
func (o options) short(p *Process, program, group string, rest []string, kinds map[string]string) ([]string, bool) {
	for i, c := range group {
		name := string(c)
		kind, known := kinds[name]
		switch {
		case !known:
			p.Errorf("%s: invalid option -- '%s'", program, name)
			return rest, false
		case kind == "":
			o.set[name] = ""
			continue
		}
		value := group[i+len(name):]
		if value == "" && kind == "=" {
			if len(rest) == 0 {
				p.Errorf("%s: option requires an argument -- '%s'", program, name)
				return rest, false
			}
			value, rest = rest[0], rest[1:]
		}
		o.set[name] = value
		return rest, true
	}
	return rest, true
}

// reason is the text of the errno inside err, as programs print it: with a
// capital letter.
func reason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	s := errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// Fail prints why a program failed on a file, and returns status 1.
func (p *Process) Fail(program, doing, name string, err error) int {
	if doing != "" {
		doing += " "
	}
	return p.Errorf("%s: %s'%s': %s", program, doing, name, reason(err))
}

// readFile reads a file as a program does, "-" and /dev/stdin being its input.
func (p *Process) readFile(name string) ([]byte, error) {
	if name == "-" || name == "/dev/stdin" {
		return io.ReadAll(p.Stdin)
	}
	return p.FS.ReadFile(p.Path(name))
}

// writeFile writes a file as a program does whose output is redirected to it.
func (p *Process) writeFile(name string, data []byte, perm fs.FileMode) error {
	f, err := p.FS.Open(p.Path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm&^fs.FileMode(p.Mask))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return err
}

// eachInput calls f with the content of each named file, or of the input if
// there are none.
func (p *Process) eachInput(program string, names []string, f func(name string, data []byte)) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	status := 0
	for _, name := range names {
		data, err := p.readFile(name)
		if err != nil {
			status = p.Errorf("%s: %s: %s", program, name, reason(err))
			continue
		}
		f(name, data)
	}
	return status
}

// lines splits a text into lines without their ends.
func lines(data []byte) []string {
	s := strings.TrimSuffix(string(data), "\n")
	if s == "" && len(data) == 0 {
		return nil
	}
	return strings.Split(s, "\n")
}
