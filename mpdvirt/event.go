package mpdvirt

import "time"

// EventSchema is the value of Event.Schema for the layout of this version.
const EventSchema = "mpd-virt/event/1"

// EventKind is what an Event tells. The constants are all there are.
type EventKind string

// The kinds of events.
const (
	// VerbStarted: a verb knows which VM it works on. Text names it.
	VerbStarted EventKind = "verb-started"
	// StepStarted: the step or check named Step begins.
	StepStarted EventKind = "step-started"
	// StepOutput: Text is one line that the step's remote script printed,
	// cleaned of terminal controls.
	StepOutput EventKind = "step-output"
	// StepProgress: Done of Total bytes are through.
	StepProgress EventKind = "step-progress"
	// StepEnded: the step ended with Status after Elapsed; Text says what was
	// found or done, or why it failed.
	StepEnded EventKind = "step-ended"
	// Note: Text is a line for people that belongs to no end of a step, such
	// as "waiting for another run"; or several lines, of which the indented
	// ones are commands that are about to be run as root.
	Note EventKind = "note"
	// Debug: Text is an outside command or a remote step, without secrets.
	Debug EventKind = "debug"
	// VerbEnded: the verb is over, and Outcome says how. It is the last event
	// of a stream that "mpd-virt --events" writes, so that whoever reads one
	// without it knows that the rest is missing. A Manager sends none: its
	// method returns.
	VerbEnded EventKind = "verb-ended"
)

// Status is how a step or a check ended.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Warn    Status = "warn"
	Fail    Status = "fail"
	Skipped Status = "skipped"
)

// Event is one thing that happened while a verb ran. Fields that the kind does
// not use are zero. An Event is a plain value: keep it, or hand it to another
// goroutine.
type Event struct {
	Schema  string        `json:"schema"` // EventSchema
	Kind    EventKind     `json:"kind"`
	Time    time.Time     `json:"time"`
	Verb    string        `json:"verb,omitempty"`  // "setup"; "" for what no verb asked for
	Octet   Octet         `json:"octet,omitempty"` // 0 if the verb is about no VM, or about all
	Step    string        `json:"step,omitempty"`
	Text    string        `json:"text,omitempty"`
	Status  Status        `json:"status,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns,omitempty"` // nanoseconds
	Done    int64         `json:"done,omitempty"`       // bytes
	Total   int64         `json:"total,omitempty"`      // bytes; 0 if not known
	Outcome *Outcome      `json:"outcome,omitempty"`    // of VerbEnded; nil in all others
}

// Outcome is how a command line ended.
type Outcome struct {
	Exit  int    `json:"exit"`            // exit code; 0 is done
	Error string `json:"error,omitempty"` // why it is another; may have several lines
	Log   string `json:"log,omitempty"`   // path of the log of the run
	Hint  string `json:"hint,omitempty"`  // the next step, as in Error.Hint
}
