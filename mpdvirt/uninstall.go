package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// UninstallRequest says how Uninstall goes about it.
type UninstallRequest struct {
	// Force forgets the VMs that are registered or whose setup did not finish,
	// and leaves them on their hypervisors. Without it, Uninstall refuses while
	// there are any.
	Force bool
	Yes   bool // do not ask
}

// UninstallSchema is the value of UninstallResult.Schema for the layout of this
// version.
const UninstallSchema = "mpd-virt/uninstall/1"

// UninstallResult is what Uninstall removed and left.
type UninstallResult struct {
	Schema  string   `json:"schema"`
	Removed []string `json:"removed"`        // for people, one thing each; none: there was nothing to do
	Left    []string `json:"left,omitempty"` // for people: what it did not remove, and why
	// Commands are the command lines that are still to be run, in their order.
	Commands []string `json:"commands,omitempty"`
}

// Uninstall removes all that this program has put on the Mac: macOS's trust in
// the CA with the certificate, by fingerprint; the resolver file for mpd.test
// and the static route to the containers; the SSH entries; and ~/.mpd-virt with
// its keys. What somebody else made stays and is in Left, and so do the VMs and
// the tunnels in the WireGuard app, which only a person can remove there.
//
// What needs root is one list of commands, shown before it is run in one session
// of sudo, and it comes first: the keys in ~/.mpd-virt, by which macOS's trust is
// found, go only when macOS was asked again and everything is gone from it. If
// it is not, nothing else is touched, and Left and Commands say what remains.
// An Uninstall that was stopped anywhere is finished by the next; where there is
// nothing, it does nothing and is no error.
//
// The error is ErrDeclined if the person says no or nobody can be asked, a
// *LockedError if another run works on any VM. The result is nil if it failed
// before anything was to be removed.
func (m *Manager) Uninstall(ctx context.Context, req UninstallRequest) (*UninstallResult, error) {
	r := m.begin("uninstall", 0)
	locks, err := m.lockAll(ctx, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	u := &uninstall{
		m: m, r: r, req: req, locks: locks,
		res: &UninstallResult{Schema: UninstallSchema, Removed: []string{}},
	}
	res, err := u.run(ctx)
	return res, r.fail(errors.Join(err, locks.release()))
}

// uninstall is one run of Uninstall.
type uninstall struct {
	m     *Manager
	r     *run
	req   UninstallRequest
	locks *allLocks
	items []registry.Item // the registry under the locks
	res   *UninstallResult
}

// trace is something that this program has put on the Mac.
type trace struct {
	key      string          // the same for the same thing, whenever it is found
	text     string          // for people: what it is
	commands []macos.Command // remove it as root
	remove   func() error    // removes it where no root is needed
}

// plan is what was found.
type plan struct {
	mac   []trace // removed by commands
	files []trace // removed by us
	left  []string
}

func (u *uninstall) run(ctx context.Context) (*UninstallResult, error) {
	var err error
	if u.items, err = u.m.state.List(); err != nil {
		return nil, err
	}
	if len(u.items) > 0 && !u.req.Force {
		return nil, u.registered()
	}
	p, err := u.find(ctx)
	if err != nil {
		return nil, err
	}
	if len(p.mac)+len(p.files) == 0 {
		u.res.Left = p.left
		return u.res, ctx.Err()
	}
	if err := u.consent(ctx, p); err != nil {
		return nil, err
	}
	if err := u.locks.check(); err != nil { // the person may have thought for long
		return nil, err
	}
	left, err := u.removeFromMac(ctx, p)
	if err == nil {
		p.left = left
		err = u.removeFiles(ctx, p)
	} else {
		u.leave(p.files, "left, because what is before it was not all removed")
	}
	u.res.Left = append(u.res.Left, p.left...)
	return u.res, err
}

// registered is the refusal to forget VMs.
func (u *uninstall) registered() error {
	var names, next []string
	for _, it := range u.items {
		name := it.Entry.Name()
		switch {
		case it.Err != nil:
			name += " (broken)"
		case it.Unfinished:
			name += " (unfinished)"
		}
		names = append(names, name)
		next = append(next, "mpd-virt delete "+it.Entry.Octet.String())
	}
	next = append(next, "mpd-virt uninstall --force     (forgets them and leaves the VMs where they are)")
	return hint.Wrap(fmt.Errorf("this Mac still has %s", strings.Join(names, ", ")), strings.Join(next, "\n"))
}

// find is all that there is of this program on the Mac. It changes nothing.
func (u *uninstall) find(ctx context.Context) (*plan, error) {
	p := new(plan)
	var foreign []string
	var err error
	// The folders first: what is in them is believed only if they are ours.
	if p.files, foreign, err = u.findFiles(); err != nil {
		return nil, err
	}
	var mac []string
	if p.mac, mac, err = u.findOnMac(ctx); err != nil {
		return nil, err
	}
	p.left = append(append(u.leftVMs(ctx), mac...), foreign...)
	return p, ctx.Err()
}

// consent shows what was found and asks, once, whether it may go.
func (u *uninstall) consent(ctx context.Context, p *plan) error {
	for _, t := range append(append([]trace{}, p.mac...), p.files...) {
		u.r.note("to remove: %s", t.text)
	}
	for _, what := range p.left {
		u.r.note("to leave:  %s", what)
	}
	switch ask := u.m.cfg.Prompter; {
	case ask == nil && !u.req.Yes:
		return hint.Wrap(fmt.Errorf("%w: nobody can be asked", ErrDeclined), u.next(p.mac))
	case ask == nil && needsScreen(p.mac):
		return hint.Wrap(fmt.Errorf("nothing is removed: %w", macos.ErrNoTerminal), u.next(p.mac))
	}
	if commands := commandsOf(p.mac); len(commands) > 0 {
		u.r.noteAsRoot(commands)
	}
	if u.req.Yes {
		return nil
	}
	yes, err := u.m.cfg.Prompter.Confirm(ctx, u.question())
	if err == nil && !yes {
		err = ErrDeclined
	}
	return err
}

func (u *uninstall) question() string {
	switch n := len(u.items); n {
	case 0:
		return "Remove all this?"
	case 1:
		return "Remove all this, and forget " + u.items[0].Entry.Name() + "?"
	default:
		return fmt.Sprintf("Remove all this, and forget %d VMs?", n)
	}
}

// next is what to do where this run cannot: the commands, and then the rest.
func (u *uninstall) next(mac []trace) string {
	again := "mpd-virt uninstall"
	if u.req.Force {
		again += " --force"
	}
	if len(mac) > 0 {
		return "run this in a terminal yourself:\n" + shownCommands(commandsOf(mac)) + "\n" + again + " --yes"
	}
	return again + " --yes"
}

// leave records traces that stay.
func (u *uninstall) leave(all []trace, why string) {
	for _, t := range all {
		u.res.Left = append(u.res.Left, t.text+": "+why)
	}
}

func commandsOf(all []trace) []macos.Command {
	var commands []macos.Command
	for _, t := range all {
		commands = append(commands, t.commands...)
	}
	return commands
}
