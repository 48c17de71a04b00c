package mpdvirt

import "time"

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
	// as "waiting for another run".
	Note EventKind = "note"
	// Debug: Text is an outside command or a remote step, without secrets.
	Debug EventKind = "debug"
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
// not use are zero.
type Event struct {
	Kind    EventKind     `json:"kind"`
	Time    time.Time     `json:"time"`
	Octet   Octet         `json:"octet,omitempty"`
	Step    string        `json:"step,omitempty"`
	Text    string        `json:"text,omitempty"`
	Status  Status        `json:"status,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns,omitempty"` // nanoseconds
	Done    int64         `json:"done,omitempty"`       // bytes
	Total   int64         `json:"total,omitempty"`      // bytes; 0 if not known
}
