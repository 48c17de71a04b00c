package cli

import (
	"errors"
	"flag"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// flags is what one verb takes on its command line: flags, kept in a
// flag.FlagSet, and operands. A verb declares them and reads its variables
// after parse.
//
// The loop over the arguments is our own because FlagSet.Parse stops at the
// first operand, lets a flag be repeated, and prints an argument of a megabyte.
type flags struct {
	verb     string
	set      *flag.FlagSet
	order    []string // names of the flags as they were declared
	operands []*operand
	rest     *[]string // what follows the operands, flags too, if the verb takes that
	words    *[]string // the operands, if the verb takes any number of them
	help     bool      // help was asked for
}

// operand is an argument that is known by its place.
type operand struct {
	name  string // as in the usage line
	parse func(string) error
	given bool
}

// value is the flag.Value of all our flags.
type value struct {
	kind  string // what stands for the value in help, "" if there is none
	parse func(string) error
	given bool
}

var _ flag.Value = (*value)(nil)

func (v *value) String() string   { return "" }
func (v *value) IsBoolFlag() bool { return v.kind == "" }

func (v *value) Set(s string) error {
	if v.given {
		return errRepeated
	}
	v.given = true
	return v.parse(s)
}

var errRepeated = errors.New("given twice")

func newFlags(verb string) *flags {
	f := &flags{verb: verb, set: flag.NewFlagSet(verb, flag.ContinueOnError)}
	f.set.SetOutput(io.Discard)
	return f
}

func (f *flags) add(name, kind, usage string, parse func(string) error) {
	f.set.Var(&value{kind: kind, parse: parse}, name, usage)
	f.order = append(f.order, name)
}

// bool declares a flag that is there or not.
func (f *flags) bool(name string, to *bool, usage string) {
	f.add(name, "", usage, func(s string) error {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("is there or not, it takes no value but true and false")
		}
		*to = b
		return nil
	})
}

// text declares a flag whose value is a name or an address that the SDK
// checks. What no such value can be is refused here.
func (f *flags) text(name, kind string, to *string, usage string) {
	f.add(name, kind, usage, textInto(to))
}

func textInto(to *string) func(string) error {
	return func(s string) error {
		*to = s
		return checkText(s)
	}
}

func (f *flags) addr(name string, to *netip.Addr, usage string) {
	f.add(name, "ADDRESS", usage, into(to, mpdvirt.ParseAddr))
}

func (f *flags) user(name string, to *mpdvirt.User, usage string) {
	f.add(name, "NAME", usage, into(to, mpdvirt.ParseUser))
}

func (f *flags) size(name string, to *mpdvirt.Size, usage string) {
	f.add(name, "SIZE", usage, into(to, mpdvirt.ParseSize))
}

// duration declares a flag for a time that is not negative.
func (f *flags) duration(name string, to *time.Duration, usage string) {
	f.add(name, "DURATION", usage, func(s string) (err error) {
		if *to, err = time.ParseDuration(s); err != nil || *to < 0 {
			return errors.New(quoted(s) + " is no duration: a number and a unit, like 90s, 10m or 1h")
		}
		return nil
	})
}

// eventsInto reads what --events takes: a file, or "-".
func eventsInto(to *string) func(string) error {
	return func(s string) error {
		if *to = s; s == "-" {
			return nil
		}
		return checkText(s)
	}
}

// source declares where mpd comes from; before is what counts before the
// environment and our own choice.
func (f *flags) source(repo, branch, bootstrapURL *string, before string) {
	f.text("mpd-repo", "URL", repo, "git repository of mpd (default: "+before+"$MPD_REPO, else "+mpdvirt.DefaultRepo+")")
	f.text("mpd-branch", "NAME", branch, "branch of it (default: "+before+"$MPD_BRANCH, else "+mpdvirt.DefaultBranch+")")
	f.text("bootstrap-url", "URL", bootstrapURL, "where the first two scripts are fetched (default: "+before+mpdvirt.DefaultBootstrapURL+")")
}

// octet declares the operand NNN.
func (f *flags) octet(to *mpdvirt.Octet) {
	f.operand("NNN", into(to, mpdvirt.ParseOctet))
}

func (f *flags) operand(name string, parse func(string) error) {
	f.operands = append(f.operands, &operand{name: name, parse: parse})
}

func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*to, err = parse(s)
		return err
	}
}

// parse reads the arguments: flags before and after operands, with one dash or
// two, with their value behind "=" or as the next argument; "--" ends them.
func (f *flags) parse(args []string) error {
	if f.wantsHelp(args) {
		f.help = true
		return nil
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			err = f.places(args)
			args = nil
		case isFlag(arg):
			args, err = f.flag(arg, args)
		case f.rest != nil && f.missing() == nil:
			*f.rest = append([]string{arg}, args...)
			args = nil
		default:
			err = f.places([]string{arg})
		}
		if err != nil {
			return err
		}
	}
	if o := f.missing(); o != nil {
		return f.usage("%s is missing", o.name)
	}
	return nil
}

// wantsHelp looks for a flag that asks for help, so that help is given even if
// the rest is wrong. What follows the operands of a verb that takes such a rest
// is somebody else's: the command of ssh may have a --help of its own.
func (f *flags) wantsHelp(args []string) bool {
	places := 0
	for _, arg := range args {
		switch {
		case arg == "--":
			return false
		case isHelp(arg):
			return true
		case !isFlag(arg):
			places++
		}
		if f.rest != nil && places > len(f.operands) {
			return false
		}
	}
	return false
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// places hands arguments to the operands.
func (f *flags) places(args []string) error {
	if f.words != nil {
		*f.words = append(*f.words, args...)
		return nil
	}
	for i, arg := range args {
		o := f.missing()
		if o == nil {
			if f.rest != nil {
				*f.rest = args[i:]
				return nil
			}
			return f.usage("%s is one argument too many", quoted(arg))
		}
		o.given = true
		if err := o.parse(arg); err != nil {
			return f.usage("%v", err)
		}
	}
	return nil
}

// missing is the first operand that has no argument yet.
func (f *flags) missing() *operand {
	for _, o := range f.operands {
		if !o.given {
			return o
		}
	}
	return nil
}

// flag reads one flag and returns the arguments behind it.
func (f *flags) flag(arg string, rest []string) ([]string, error) {
	name, val, hasVal := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
	known := f.set.Lookup(name)
	if known == nil {
		return nil, f.unknown(arg, name)
	}
	v := known.Value.(*value)
	switch {
	case hasVal:
	case v.IsBoolFlag():
		val = "true"
	case len(rest) == 0:
		return nil, f.usage("--%s needs a value: --%s=%s", name, name, v.kind)
	default:
		val, rest = rest[0], rest[1:]
	}
	if err := f.set.Set(name, val); err != nil {
		return nil, f.usage("--%s: %v", name, err)
	}
	return rest, nil
}

// unknown says that there is no such flag. A number with a sign was meant as
// NNN.
func (f *flags) unknown(arg, name string) error {
	if name != "" && strings.Trim(name, "0123456789") == "" {
		_, err := mpdvirt.ParseOctet(arg)
		return f.usage("%v", err)
	}
	if near := nearest(name, f.order); near != "" {
		return f.usage("there is no flag %s, did you mean --%s?", quoted(arg), near)
	}
	return f.usage("there is no flag %s", quoted(arg))
}

func (f *flags) usage(format string, args ...any) error {
	return usage("mpd-virt help "+f.verb, f.verb+": "+format, args...)
}
