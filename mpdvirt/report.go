package mpdvirt

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/internal/shell"
)

// ReportSchema is the value of Report.Schema for the layout of this version.
const ReportSchema = "mpd-virt/report/1"

// Phase says what a check is for.
type Phase string

// The phases.
const (
	// Mandatory checks must hold for a VM to be called healthy.
	Mandatory Phase = "mandatory"
	// Optional checks are about this Mac's way to *.mpd.test; they never
	// change the exit code.
	Optional Phase = "optional"
)

// Report is what diag found. Text output, JSON and exit code are three views
// of this value.
type Report struct {
	Schema  string     `json:"schema"`
	Octet   Octet      `json:"octet,omitempty"` // 0 in a report of the whole machine
	Name    string     `json:"name"`            // mpd-NNN, or "this Mac"
	Backend string     `json:"backend,omitempty"`
	Addr    netip.Addr `json:"ip,omitzero"`
	Checks  []Check    `json:"checks"`
	// Verdict says in one sentence which VM answers on this Mac and what
	// proves it.
	Verdict string `json:"verdict"`
}

// Check is one finding of a Report.
type Check struct {
	ID      string            `json:"id"` // stable, e.g. "dns-identity"
	Phase   Phase             `json:"phase"`
	Status  Status            `json:"status"`
	Summary string            `json:"summary"`              // one line for people
	Needs   []string          `json:"needs,omitempty"`      // checks without which this one says nothing
	Facts   map[string]string `json:"facts,omitempty"`      // what was found, by stable names
	Fixes   []Fix             `json:"fixes,omitempty"`      // in the order to try them
	Refused bool              `json:"refused,omitempty"`    // what answers is not what was pinned
	Elapsed time.Duration     `json:"elapsed_ns,omitempty"` // nanoseconds
}

// Fix is one way to mend a finding, or a part of one: the fixes of a check are
// in the order in which they are to be done.
type Fix struct {
	Text string   `json:"text,omitempty"` // what to do, or what the command does
	Argv []string `json:"argv,omitempty"` // the command
	Root bool     `json:"root,omitempty"` // Argv needs root: put sudo before it
	// Stdin is what the command reads; "" for nothing.
	Stdin string `json:"stdin,omitempty"`
	// Dialog: macOS asks a person on the screen.
	Dialog bool `json:"dialog,omitempty"`
	// After: the command is of use only if the one before it has worked.
	After bool `json:"after,omitempty"`
	// Open is a file, or a pane of the System Settings, to be opened.
	Open string `json:"open,omitempty"`
	// Copy is a file whose content is wanted on the clipboard. It may hold a
	// private key, which every program of the user can read there.
	Copy string `json:"copy,omitempty"`
}

// Command is the fix as a line for a shell, sudo and input included; "" if it
// has none.
func (f Fix) Command() string {
	if len(f.Argv) == 0 {
		return ""
	}
	var words []string
	if f.Root {
		words = []string{"sudo"}
	}
	for _, arg := range f.Argv {
		// A flag needs no quotes if its value needs none.
		if flag, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(flag, "--") {
			words = append(words, flag+"="+shell.Quote(value))
			continue
		}
		words = append(words, shell.Quote(arg))
	}
	line := strings.Join(words, " ")
	if f.Stdin != "" {
		line = "printf %s " + shell.Quote(f.Stdin) + " | " + line
	}
	return line
}

// same says whether two fixes are one.
func (f Fix) same(g Fix) bool {
	return f.Text == g.Text && f.Command() == g.Command() && f.Open == g.Open && f.Copy == g.Copy
}

// runnable says whether this program can run the command: one of the system's
// tools, by its absolute path, and not this program itself.
func (f Fix) runnable() bool { return len(f.Argv) > 0 && filepath.IsAbs(f.Argv[0]) }

func (f Fix) command() macos.Command {
	c := macos.Command{Argv: f.Argv, Root: f.Root, Dialog: f.Dialog, After: f.After, Note: f.Text}
	if f.Stdin != "" {
		c.Stdin = []byte(f.Stdin)
	}
	return c
}

// fixesOf are commands as fixes. What a command does is told only where the
// person sees more of it than the command.
func fixesOf(commands ...macos.Command) []Fix {
	var out []Fix
	for _, c := range commands {
		if !c.Dialog {
			c.Note = ""
		}
		out = append(out, Fix{Text: c.Note, Argv: c.Argv, Root: c.Root, Stdin: string(c.Stdin), Dialog: c.Dialog, After: c.After})
	}
	return out
}

// Healthy says whether all mandatory checks hold; warnings do.
func (r *Report) Healthy() bool { return len(r.failed()) == 0 }

// Check returns the check with the given ID, or the zero Check.
func (r *Report) Check(id string) Check {
	for _, c := range r.Checks {
		if c.ID == id {
			return c
		}
	}
	return Check{}
}

// Err is nil if r is healthy, else an error that wraps ErrUnhealthy, or
// ErrRefused if something answered that is not the pinned VM.
func (r *Report) Err() error {
	failed := r.failed()
	if len(failed) == 0 {
		return nil
	}
	kind := ErrUnhealthy
	var ids []string
	for _, c := range failed {
		ids = append(ids, c.ID+": "+c.Summary)
		if c.Refused {
			kind = ErrRefused
		}
	}
	return fmt.Errorf("%w: %s", kind, strings.Join(ids, "; "))
}

func (r *Report) failed() []Check {
	var out []Check
	for _, c := range r.Checks {
		if c.Phase == Mandatory && c.Status == Fail {
			out = append(out, c)
		}
	}
	return out
}
