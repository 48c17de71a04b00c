package cli

import (
	"context"
	"slices"
	"strings"
)

// verb is one thing that the command can do.
type verb struct {
	name     string // one or two words
	usage    string // what follows the name
	short    string // one line, no full stop
	about    string // paragraphs for help
	examples []string
	exits    []int // codes besides 0, 1 and 2 that help explains
	plans    bool  // it changes something: --dry-run
	noEvents bool  // it becomes another program, or works on nothing: no --events
	// waits: it works on VMs that another run may hold, though it leaves out
	// those and never ends with exitBusy.
	waits bool
	// define declares flags and operands and returns what the verb does once
	// they are parsed.
	define func(f *flags) action
}

// action is what a verb does. It writes its result to a.out.
type action func(ctx context.Context, a *app) error

// verbs are all verbs in the order of a VM's life, as help lists them.
func verbs() []verb {
	return []verb{
		createVerb(), cloneVerb(), setupVerb(), diagVerb(), sshVerb(),
		listVerb(), showVerb(), startVerb(), stopVerb(), updateVerb(), deleteVerb(), doctorVerb(),
		trustVerb(), caRotateVerb(),
		backendListVerb(), backendDefaultVerb(), uninstallVerb(), versionVerb(), helpVerb(),
	}
}

// dispatch finds the verb of a command line and runs it. Flags may stand
// before the verb, too; without a verb it is list.
func (a *app) dispatch(ctx context.Context, args []string) error {
	lead := 0
	for lead < len(args) && isFlag(args[lead]) && args[lead] != "--" {
		lead++
	}
	if lead == len(args) && slices.ContainsFunc(args, isHelp) {
		return a.run(ctx, helpVerb(), nil)
	}
	if lead == len(args) && slices.ContainsFunc(args, isVersion) {
		return a.run(ctx, versionVerb(), slices.DeleteFunc(slices.Clone(args), isVersion))
	}
	if lead == len(args) {
		return a.run(ctx, listVerb(), args)
	}
	v, words, err := findVerb(args[lead:])
	if err != nil {
		return err
	}
	return a.run(ctx, v, slices.Concat(args[:lead], args[lead+words:]))
}

func isHelp(arg string) bool    { return arg == "-h" || arg == "-help" || arg == "--help" }
func isVersion(arg string) bool { return arg == "-version" || arg == "--version" }

// findVerb is the verb that args begin with, and how many words its name has.
func findVerb(args []string) (verb, int, error) {
	names := map[string]bool{}
	group := false
	for _, v := range verbs() {
		words := strings.Fields(v.name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return v, len(words), nil
		}
		names[words[0]] = true
		group = group || words[0] == args[0]
	}
	if group {
		return groupVerb(args)
	}
	near := nearest(args[0], sortedKeys(names))
	switch {
	case near != "":
		return verb{}, 0, usage("mpd-virt help", "there is no verb %s, did you mean %s?", quoted(args[0]), near)
	case len(args[0]) == 3 && strings.Trim(args[0], "0123456789") == "":
		return verb{}, 0, usage("mpd-virt show "+args[0], "what to do with %s is missing", args[0])
	}
	return verb{}, 0, usage("mpd-virt help", "there is no verb %s", quoted(args[0]))
}

// groupVerb is for a first word that wants a second: alone it lists.
func groupVerb(args []string) (verb, int, error) {
	var names []string
	for _, v := range verbs() {
		if second, ok := strings.CutPrefix(v.name, args[0]+" "); ok {
			if second == "list" && (len(args) == 1 || isFlag(args[1])) {
				return v, 1, nil
			}
			names = append(names, second)
		}
	}
	next := "mpd-virt help " + args[0]
	if len(args) == 1 || isFlag(args[1]) {
		return verb{}, 0, usage(next, "%s: what to do is missing: %s", args[0], strings.Join(names, ", "))
	}
	if near := nearest(args[1], names); near != "" {
		return verb{}, 0, usage(next, "%s: there is no verb %s, did you mean %s?", args[0], quoted(args[1]), near)
	}
	return verb{}, 0, usage(next, "%s: there is no verb %s", args[0], quoted(args[1]))
}

func sortedKeys(m map[string]bool) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// flagsOf is what v takes, with the flags that all verbs have.
func (v verb) flagsOf(a *app) (*flags, action) {
	f := newFlags(v.name)
	act := v.define(f)
	f.bool("json", &a.json, "print the result as JSON, and nothing else on stdout")
	if !v.noEvents {
		f.add("events", "FILE", "append what happens to this file while it does, one JSON object a line; - is stdout", eventsInto(&a.events.name))
	}
	if v.waits || slices.Contains(v.exits, exitBusy) {
		f.duration("wait", &a.wait, "wait so long, like 90s or 10m, if another mpd-virt works on the same VM (default: fail at once)")
	}
	if v.plans {
		f.bool("dry-run", &a.dryRun, "show what would be done, and do nothing of it")
	}
	f.bool("verbose", &a.verbose, "show what the steps print")
	f.bool("debug", &a.debug, "show that and every outside command")
	f.bool("help", &f.help, "show this text")
	return f, act
}

func (a *app) run(ctx context.Context, v verb, args []string) error {
	f, act := v.flagsOf(a)
	if err := f.parse(args); err != nil {
		return err
	}
	if f.help {
		a.writeHelp(v)
		return nil
	}
	if a.json && a.events.toStdout() {
		return f.usage("--json and --events=- both want standard output: give one of them a file")
	}
	if a.events.toStdout() {
		a.out.to(a.env, a.stderr) // the last line of stdout is how the verb ended
	}
	ctx, err := a.events.open(ctx, a, v.name)
	if err != nil {
		return err
	}
	a.progress.verbose = a.verbose || a.debug
	a.progress.debug = a.debug
	return act(ctx, a)
}
