package utmemu

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// parseUtmctl splits the words behind utmctl and gives the verb the name that
// osascript's callers use.
func (c *call) parseUtmctl(words []string) {
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "-"):
			c.flags = append(c.flags, w)
		case c.verb == "":
			c.verb = w
		default:
			c.args = append(c.args, w)
		}
	}
	if c.verb == "stop" {
		switch { // C: force is what happens without a flag
		case c.flag("--kill"):
			c.verb = "kill"
		case c.flag("--request"):
			c.verb = "request"
		default:
			c.verb = "force"
		}
	}
}

func (c *call) flag(name string) bool { return slices.Contains(c.flags, name) }

// known are the flags of a verb. C
func (c *call) known() []string {
	all := []string{"-d", "--debug", "--hide"}
	switch c.verb {
	case "start":
		return append(all, "-a", "--attach", "--disposable", "--recovery")
	case "suspend":
		return append(all, "-s", "--save-state")
	case "kill", "request", "force":
		return append(all, "--force", "--kill", "--request")
	}
	return all
}

// usage is a mistake in the arguments, "" if there is none. C, the lines after
// the first shortened
func (c *call) usage() string {
	verb := c.verb
	switch verb {
	case "kill", "request", "force":
		verb = "stop"
	case "list", "status", "start", "suspend", "delete":
	default:
		return "Error: Unexpected argument '" + verb + "'\nUsage: utmctl <subcommand>\n"
	}
	for _, f := range c.flags {
		if !slices.Contains(c.known(), f) {
			return "Error: Unknown option '" + f + "'\nUsage: utmctl " + verb + "\n"
		}
	}
	switch want := map[bool]int{true: 0, false: 1}[verb == "list"]; {
	case len(c.args) < want:
		return "Error: Missing expected argument '<identifier>'\n\nHelp:  <identifier>  Either the UUID or the complete name of the virtual machine.\nUsage: utmctl " + verb +
			" <identifier>\n  See 'utmctl " + verb + " --help' for more information.\n"
	case len(c.args) > want:
		return "Error: Unexpected argument '" + c.args[want] + "'\nUsage: utmctl " + verb + "\n"
	}
	return ""
}

// sentence is what macOS writes before the number; it translates it. R
func (c *call) sentence(number int) string {
	if c.set.Localised {
		return fmt.Sprintf("Error from event: \u64cd\u4f5c\u3092\u5b8c\u4e86\u3067\u304d\u307e\u305b\u3093\u3067\u3057\u305f\u3002\uff08OSStatus\u30a8\u30e9\u30fc%d\uff09\n", number)
	}
	return fmt.Sprintf("Error from event: The operation couldn\u2019t be completed. (OSStatus error %d.)\n", number)
}

// utmctlStatus: a refusal of UTM ends with status 0. C, R
func (c *call) utmctlStatus(err error) (int, error) {
	var f *failure
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &f):
		return 0, err
	}
	c.out.Reset()
	switch {
	case f.number == -1728: // C: all look-ups end so
		c.errs.WriteString("Error: Virtual machine not found.\n")
		return 1, nil
	case f.number == -1743 && c.verb != "list": // A
		c.errs.WriteString("Error: Virtual machine not found.\n")
		return 1, nil
	case c.verb == "list":
		c.out.WriteString(header)
	}
	c.errs.WriteString(c.sentence(f.number))
	switch {
	case f.number == -1743: // C
		c.errs.WriteString("NOTE: utmctl does not work from SSH sessions or before logging in.\n")
	case f.number == -2700 && f.text != "":
		c.errs.WriteString(f.text + "\n")
	}
	return 0, nil
}

// header is printed also before no VMs. C
const header = "UUID                                 Status   Name\n"

// list prints all VMs in the order of the sidebar. C
func (c *call) list() error {
	return c.change(func(st *state, _ time.Time) error {
		if c.tool == "osascript" {
			c.table("vms", len(st.VMs), func(i int) []string {
				v := st.VMs[i]
				return []string{v.UUID, c.word(v.State), v.Name}
			})
			return nil
		}
		c.out.WriteString(header)
		for _, v := range st.VMs {
			fmt.Fprintf(&c.out, "%s %-8s %s\n", v.UUID, c.word(v.State), v.Name)
		}
		return nil
	})
}

func (c *call) status() error {
	return c.vm(func(_ *state, v *VM, _ time.Time) error {
		c.out.WriteString(c.word(v.State) + "\n")
		return nil
	})
}

// word is a status as it is told.
func (c *call) word(state string) string {
	switch {
	case c.set.StatusBroken:
		return "unknown"
	case slices.Contains(words(), state) || c.set.NewWords:
		return state
	}
	return "unknown"
}
