package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

func helpVerb() verb {
	return verb{
		name: "help", usage: "[VERB]", noEvents: true,
		short:    "explain mpd-virt, or one verb",
		about:    `"mpd-virt VERB --help" shows the same.`,
		examples: []string{"mpd-virt help", "mpd-virt help setup"},
		define: func(f *flags) action {
			var words []string
			f.words = &words // a verb's name may have two
			return func(_ context.Context, a *app) error {
				about, err := helpOn(words)
				switch {
				case err != nil:
					return err
				case a.json:
					return a.writeJSON(describe(about))
				case len(words) == 0:
					io.WriteString(a.out, overview())
					return nil
				}
				for i, v := range about {
					if i > 0 {
						fmt.Fprintln(a.out)
					}
					a.writeHelp(v)
				}
				return nil
			}
		},
	}
}

// helpOn is the verbs that words name: one, those of a group, or without words all.
func helpOn(words []string) ([]verb, error) {
	if len(words) == 0 {
		return verbs(), nil
	}
	if len(words) == 1 {
		group := slices.DeleteFunc(verbs(), func(v verb) bool { return !strings.HasPrefix(v.name, words[0]+" ") })
		if len(group) > 0 {
			return group, nil
		}
	}
	v, n, err := findVerb(words)
	if err != nil {
		return nil, err
	}
	if n < len(words) {
		return nil, usage("mpd-virt help "+v.name, "help: %s is one argument too many", quoted(words[n]))
	}
	return []verb{v}, nil
}

const helpSchema = "mpd-virt/help/1"

// helpText is the result of help --json: what a program needs that completes
// command lines, or shows them.
type helpText struct {
	Schema string          `json:"schema"`
	Verbs  []describedVerb `json:"verbs"`
}

type describedVerb struct {
	Name     string          `json:"name"`
	Usage    string          `json:"usage"`
	Summary  string          `json:"summary"`
	About    string          `json:"about"`
	Flags    []describedFlag `json:"flags"`
	Examples []string        `json:"examples"`
	Exits    []int           `json:"exits"` // besides those by a signal
}

type describedFlag struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"` // what stands for it; "" if the flag has none
	Text  string `json:"text"`
}

func describe(all []verb) helpText {
	text := helpText{Schema: helpSchema, Verbs: []describedVerb{}}
	for _, v := range all {
		d := describedVerb{
			Name: v.name, Usage: v.usage, Summary: v.short, About: v.about, Examples: v.examples, Flags: []describedFlag{},
			Exits: append([]int{exitDone, exitFailed, exitUsage}, v.exits...),
		}
		f, _ := v.flagsOf(&app{})
		for _, name := range f.order {
			fl := f.set.Lookup(name)
			d.Flags = append(d.Flags, describedFlag{name, fl.Value.(*value).kind, fl.Usage})
		}
		text.Verbs = append(text.Verbs, d)
	}
	return text
}

// overview is what somebody reads first.
func overview() string {
	var b strings.Builder
	b.WriteString(`mpd-virt gives your Mac a Debian VM in which mpd runs, and takes it away again.

mpd is a container platform that lives inside a Debian VM. Through a WireGuard tunnel to that VM
your Mac reaches its sites as https://*.mpd.test. mpd-virt makes or adopts such a VM, sets it up
over SSH, and proves that the right one answers.

  mpd-virt VERB [NNN] [flags]

NNN is a number from 100 to 254 that you choose. It names all that belongs to one VM: the VM
mpd-NNN, its address that ends in .NNN, "ssh mpd-NNN", and its tunnel.

Verbs, in the order of a VM's life:
`)
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-19s  %s\n", v.name, v.short)
	}
	b.WriteString(`
These commands do most of the work:
  mpd-virt create 150 --backend=utm
  mpd-virt clone 150 --backend=parallels --template=mpd-template-trixie --username=dev
  mpd-virt setup 150 --backend=general --ip=10.211.55.37 --username=dev
  mpd-virt diag 150

Results go to stdout, progress and errors to stderr. For programs, --json prints the result and
--events what happens meanwhile. All state is in ~/.mpd-virt, and in one line at the top of
~/.ssh/config.

Exit codes:
`)
	for _, code := range []int{exitDone, exitFailed, exitUsage, exitUnhealthy, exitRefused, exitBusy, exitSignal} {
		fmt.Fprintf(&b, "  %s  %s\n", exitName(code), exitMeaning(code))
	}
	b.WriteString("\nMore about a verb: mpd-virt help VERB\n")
	return b.String()
}

func exitName(code int) string {
	if code == exitSignal {
		return "128+"
	}
	return fmt.Sprintf("%4d", code)
}

// writeHelp explains one verb.
func (a *app) writeHelp(v verb) {
	f, _ := v.flagsOf(&app{})
	fmt.Fprintf(a.out, "mpd-virt %s: %s\n\n  mpd-virt %s %s\n\n%s\n\nFlags:\n", v.name, v.short, v.name, v.usage, v.about)
	writeFlags(a.out, f)
	fmt.Fprintf(a.out, "\nExamples:\n")
	for _, ex := range v.examples {
		fmt.Fprintf(a.out, "  %s\n", ex)
	}
	if len(v.exits) == 0 {
		return
	}
	fmt.Fprintf(a.out, "\nExit codes:\n")
	for _, code := range append([]int{exitDone, exitFailed, exitUsage}, v.exits...) {
		fmt.Fprintf(a.out, "  %d  %s\n", code, exitMeaning(code))
	}
}

func writeFlags(w io.Writer, f *flags) {
	width := 0
	for _, name := range f.order {
		width = max(width, len(flagUsage(f.set.Lookup(name))))
	}
	for _, name := range f.order {
		fl := f.set.Lookup(name)
		for i, line := range wrap(fl.Usage, lineWidth-width-4) {
			label := ""
			if i == 0 {
				label = flagUsage(fl)
			}
			fmt.Fprintf(w, "  %-*s  %s\n", width, label, line)
		}
	}
}

func flagUsage(fl *flag.Flag) string {
	if kind := fl.Value.(*value).kind; kind != "" {
		return "--" + fl.Name + "=" + kind
	}
	return "--" + fl.Name
}
