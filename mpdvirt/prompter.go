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

	// Passphrase asks for the passphrase of a private key file without showing
	// what is typed. The caller overwrites the answer after use.
	Passphrase(ctx context.Context, keyFile string) ([]byte, error)
}
