package mpdvirt

import "context"

// Prompter asks the person in front of the program. Its methods return
// ErrDeclined if there is no answer any more (end of input), and the context's
// error soon after ctx ends, with the terminal as it was. They are called one
// at a time.
type Prompter interface {
	// Confirm asks a question whose answer is yes or no; no is the default.
	Confirm(ctx context.Context, question string) (bool, error)

	// Pause shows a text and a command to run elsewhere ("" for none; it may
	// have several lines), and returns when the person says that it is done.
	Pause(ctx context.Context, text, command string) error

	// Choose shows a finding and what can be done about it, and returns the ID
	// of the action that the person chose, which is one of the question's.
	Choose(ctx context.Context, q Question) (action string, err error)

	// Passphrase asks for the passphrase of a private key file without showing
	// what is typed. The caller overwrites the answer after use.
	Passphrase(ctx context.Context, keyFile string) ([]byte, error)
}

// Question is a finding that a person decides about.
type Question struct {
	Text     string   // what was found and what to do; may have several lines
	Commands []string // command lines that mend it, whole, in their order
	Actions  []Action // at least one; the first is the default
}

// Action is one of the answers to a Question.
type Action struct {
	ID   string // one of the Action constants
	Text string // what it does, for people
}

// IDs of actions.
const (
	ActionAgain = "again" // the person has mended it: look again
	ActionRun   = "run"   // run the commands
	ActionOpen  = "open"  // open what is to be opened
	ActionCopy  = "copy"  // copy what is to be copied
	ActionSkip  = "skip"  // leave it as it is
	ActionQuit  = "quit"  // leave this and all that follow
)
