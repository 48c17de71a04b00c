package mpdvirt

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
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
	Octet   Octet      `json:"octet"`
	Name    string     `json:"name"`
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

// Fix is one way to mend a finding.
type Fix struct {
	Text string   `json:"text,omitempty"` // what to do, if no command does it
	Argv []string `json:"argv,omitempty"` // the command
	Root bool     `json:"root,omitempty"` // Argv needs root: put sudo before it
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
