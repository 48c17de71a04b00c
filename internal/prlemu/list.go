package prlemu

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// listing is what "prlctl list" was asked for.
type listing struct {
	all, templates, info, full, json, noHeader bool
	fields                                     []string
	sort, id                                   string
}

// list prints VMs. Without -a only running ones; -t only templates, even with
// -a; a VM that is named is found in any state, and without -t. C (S: the
// named template)
func (c *call) list() error {
	l, bad := parseList(c.args)
	if bad != "" {
		return c.usage("Unrecognized option " + bad)
	}
	vms, s, err := c.e.look()
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(slices.Clone(vms), func(v VM) bool {
		return v.Template != l.templates || !l.all && !l.templates && !slices.Contains([]string{running, paused, starting, stopping, suspending, resuming}, v.State)
	})
	if l.id != "" {
		found := (&state{VMs: pointers(vms)}).find(l.id)
		if found == nil {
			return &failure{textUnknownVM + "\n", statusRefused}
		}
		chosen = []VM{*found}
	}
	took := listTime
	if l.info {
		took = infoTime
	}
	if err := c.spend(took); err != nil {
		return err
	}
	if l.sort == "status" {
		slices.SortStableFunc(chosen, func(a, b VM) int { return strings.Compare(a.State, b.State) })
	}
	var out bytes.Buffer
	err = c.write(&out, l, chosen, s)
	if s.Noise && l.json {
		out = *bytes.NewBufferString(noiseBefore + out.String() + noiseBehind)
	}
	if _, err := io.Copy(c.out, &out); err != nil {
		return err
	}
	return err
}

func (c *call) write(out *bytes.Buffer, l listing, vms []VM, s Settings) error {
	switch {
	case l.json && l.info:
		c.detailed(out, vms, l.id == "")
	case l.json:
		return c.brief(out, l, vms)
	case l.info:
		for _, v := range vms { // A: the plain form, of which nobody here reads more
			fmt.Fprintf(out, "ID: {%s}\nName: %s\nState: %s\n\n", v.UUID, v.Name, v.State)
		}
	default:
		return c.plain(out, l, vms)
	}
	return nil
}

func pointers(vms []VM) []*VM {
	var out []*VM
	for i := range vms {
		out = append(out, &vms[i])
	}
	return out
}

// parseList reads the arguments of list; bad is the first that is unknown.
func parseList(args []string) (l listing, bad string) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch arg {
		case "-a", "--all":
			l.all = true
		case "-t", "--template":
			l.templates = true
		case "-i", "--info":
			l.info = true
		case "-f", "--full":
			l.full = true
		case "-j", "--json":
			l.json = true
		case "--no-header":
			l.noHeader = true
		case "-o", "--output", "-s", "--sort":
			if len(args) == 0 {
				return l, arg
			}
			if arg == "-o" || arg == "--output" {
				l.fields = strings.Split(args[0], ",")
			} else {
				l.sort = args[0]
			}
			args = args[1:]
		default:
			// A name that starts with a dash breaks the parser. A
			if strings.HasPrefix(arg, "-") || l.id != "" {
				return l, arg
			}
			l.id = arg
		}
	}
	return l, ""
}

// stateLine is "prlctl status": the id as it was typed, and the state as the
// last word. C (A: the quotes of some releases)
func (c *call) stateLine() error {
	if len(c.args) != 1 || strings.HasPrefix(c.args[0], "-") {
		return c.usage("status takes one ID or name")
	}
	if err := c.spend(listTime); err != nil {
		return err
	}
	id, word := c.args[0], ""
	err := c.vm(id, func(_ *state, v *VM, _ time.Time) error {
		word = v.State
		return nil
	})
	if err != nil {
		return err
	}
	if c.set.QuotedStatus {
		id = `"` + id + `"`
	}
	_, err = fmt.Fprintf(c.out, "VM %s exist %s\n", id, word)
	return err
}

// snapshots is "prlctl snapshot-list ID [-j]": an object with braces around its
// keys; for none {} or nothing, both are seen. C
func (c *call) snapshots() error {
	rest := slices.DeleteFunc(slices.Clone(c.args), func(a string) bool { return a == "-j" || a == "--json" })
	if len(rest) != 1 {
		return c.usage("snapshot-list takes one ID or name")
	}
	var out bytes.Buffer
	err := c.vm(rest[0], func(_ *state, v *VM, _ time.Time) error {
		for i, s := range v.Snapshots {
			fmt.Fprintf(&out, "%s\n\t\"{%s}\": {\n\t\t\"name\": %s,\n\t\t\"date\": %s,\n\t\t\"state\": \"poweroff\",\n\t\t\"current\": %t,\n\t\t\"parent\": \"\"\n\t}",
				map[bool]string{true: "{", false: ","}[i == 0], s.ID, quote(s.Name), quote(s.Date.UTC().Format(time.DateTime)), i == len(v.Snapshots)-1)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case out.Len() > 0:
		out.WriteString("\n}\n")
	case !c.set.SilentSnapshots:
		out.WriteString("{}\n")
	}
	_, err = io.Copy(c.out, &out)
	return err
}
