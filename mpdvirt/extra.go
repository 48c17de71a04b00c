package mpdvirt

import (
	"context"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// CheckFunc is a question of Diag that an embedding program adds. It is of the
// Optional phase, so that it never makes a VM unhealthy.
type CheckFunc struct {
	// ID is its name in the report: lower-case words with dashes, none of
	// Diag's own.
	ID string
	// Needs are the IDs of checks without which this one says nothing: if one
	// of them fails, the question is cancelled and shown as skipped.
	Needs []string
	// Ask answers it. It is called beside the other questions and must return
	// soon after ctx ends. ID, Phase, Needs and Elapsed of what it returns are
	// filled in by Diag. Its Summary is shown to people, cleaned of controls.
	Ask func(ctx context.Context, s Subject) Check
}

// Subject is the VM that a CheckFunc is asked about.
type Subject struct {
	entry   registry.Entry
	connect func() (*guest.Conn, error)
	name    string
}

// VM is what is registered of it. State is not asked.
func (s Subject) VM() VM { return viewOf(s.entry) }

// queryLimit bounds one Query.
const queryLimit = 30 * time.Second

// Query runs a bash script on the VM, as its user, over the connection that Diag
// has, whose host key is the pinned one, and returns what it prints on stdout, at
// most 64 KiB. args are $1, $2, …: text that came from elsewhere belongs there
// and not into the script. A script that fails is an error, and so is one that
// takes longer than 30 s. What is returned is the VM's word, not cleaned of what
// controls a terminal.
func (s Subject) Query(ctx context.Context, script string, args ...string) ([]byte, error) {
	conn, err := s.connect()
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.entry.Name(), classify(err, ""))
	}
	return conn.Query(ctx, guest.Script{Name: s.name, Text: script, Args: args, Limit: queryLimit})
}
