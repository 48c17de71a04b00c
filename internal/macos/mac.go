package macos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// ErrUnclear says that a tool gave no answer that can be read: it hung, failed
// in a way that is not known, or printed something else than it should. The
// caller can tell nothing from it, neither that all is well nor that something
// is wrong.
var ErrUnclear = errors.New("cannot tell")

// The tools. Only those of this list are run, besides sudo's.
const (
	securityTool = "/usr/bin/security"
	scutilTool   = "/usr/sbin/scutil"
	routeTool    = "/sbin/route"
	netstatTool  = "/usr/sbin/netstat"
	ifconfigTool = "/sbin/ifconfig"
	swVersTool   = "/usr/bin/sw_vers"
	openTool     = "/usr/bin/open"
	pbcopyTool   = "/usr/bin/pbcopy"
	envTool      = "/usr/bin/env"
	idTool       = "/usr/bin/id"
	sudoTool     = "/usr/bin/sudo"
)

// Limit bounds each question. The tools answer from memory within
// milliseconds; what takes seconds hangs.
const Limit = 5 * time.Second

// Mac is the machine that the program runs on, through its tools. Make one with
// New. Its methods may be called at the same time as long as nobody changes the
// field; they hold nothing between calls.
//
// A method returns hypervisor.ErrToolMissing if its tool is not there (this is
// no Mac, or a very broken one), the context's error if ctx has ended, and
// ErrUnclear for everything that leaves its question open.
type Mac struct {
	// NoTerminal says that nobody can type a password, for instance because
	// the program runs without a terminal. Sudo then works only where sudo
	// asks for none, and runs nothing that opens a dialog.
	NoTerminal bool

	run hypervisor.Runner
}

// New returns the Mac whose tools run starts.
func New(run hypervisor.Runner) *Mac { return &Mac{run: run} }

// ask runs a tool that answers a question. Exit statuses are the caller's to
// judge.
func (m *Mac) ask(ctx context.Context, argv ...string) (hypervisor.Result, error) {
	return m.start(ctx, hypervisor.Command{Argv: argv, Limit: Limit})
}

func (m *Mac) start(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	res, err := m.run(ctx, c)
	switch {
	case err == nil:
		return res, nil
	case ctx.Err() != nil:
		return hypervisor.Result{}, fmt.Errorf("%s: %w", c.Argv[0], ctx.Err())
	case errors.Is(err, hypervisor.ErrToolMissing):
		return hypervisor.Result{}, err
	}
	// It did not start, did not end, or printed without end.
	return hypervisor.Result{}, fmt.Errorf("%s: %w: %w", c.Argv[0], ErrUnclear, err)
}

// unclear is the error for an answer that cannot be read; what names the tool
// and the question.
func unclear(what, format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", what, ErrUnclear, plaintext.Short(fmt.Sprintf(format, args...)))
}

// strange is unclear for a tool that ended in a way that is not known.
func strange(what string, res hypervisor.Result) error {
	if text := said(res); text != "" {
		return unclear(what, "exit status %d: %s", res.Status, text)
	}
	return unclear(what, "exit status %d and no answer", res.Status)
}

// said is what a tool complained about, or else printed, first.
func said(res hypervisor.Result) string {
	for _, text := range []string{string(res.Stderr), string(res.Stdout)} {
		if text = strings.TrimSpace(text); text != "" {
			line, _, _ := strings.Cut(text, "\n")
			return plaintext.Short(line)
		}
	}
	return ""
}

// has says whether a tool printed part on either of its outputs.
func has(res hypervisor.Result, part string) bool {
	return strings.Contains(string(res.Stdout), part) || strings.Contains(string(res.Stderr), part)
}
