package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// movesAtOnce bounds how many VMs get the new CA at the same time: each works hard
// for a minute, and they are all on one Mac.
const movesAtOnce = 6

// moveAll brings the new CA to all VMs that can be reached. The error is ctx's, or
// that of a registry that cannot be read.
func (m *Manager) moveAll(ctx context.Context, r *run) ([]CAMove, error) {
	all := []CAMove{}
	for {
		vms, err := m.unmoved(ctx, all)
		if err != nil || len(vms) == 0 {
			slices.SortFunc(all, func(a, b CAMove) int { return int(a.Octet) - int(b.Octet) })
			return all, err
		}
		moves, err := m.moveSome(ctx, r, vms)
		if all = append(all, moves...); err != nil {
			return all, err
		}
	}
}

// unmoved are the VMs that were not looked at yet. Whoever registers a VM while
// the others are moved may have sent it the old CA.
func (m *Manager) unmoved(ctx context.Context, seen []CAMove) ([]VM, error) {
	items, err := m.state.List()
	if err != nil {
		return nil, err
	}
	var vms []VM
	for _, it := range items {
		if !slices.ContainsFunc(seen, func(c CAMove) bool { return c.Octet == it.Entry.Octet }) {
			vms = append(vms, m.view(it))
		}
	}
	vms = slices.DeleteFunc(vms, func(vm VM) bool { return vm.State == Unfinished && !m.busy(ctx, vm.Octet) })
	m.addStates(ctx, vms)
	return vms, ctx.Err()
}

// busy says whether another run works on a VM that is not registered. One on which
// nobody works gets the new CA from the setup that goes on with it.
func (m *Manager) busy(ctx context.Context, o Octet) bool {
	lock, err := m.tryLockOctet(ctx, o, "ca rotate")
	if err == nil {
		err = lock.Unlock()
	}
	return err != nil
}

func (m *Manager) moveSome(ctx context.Context, r *run, vms []VM) ([]CAMove, error) {
	moves := make([]CAMove, len(vms))
	if m.rehearsal != nil { // a plan is told one thing after the other
		for i, vm := range vms {
			moves[i] = m.move(ctx, r, vm)
		}
		return moves, ctx.Err()
	}
	room := make(chan struct{}, movesAtOnce)
	var wg sync.WaitGroup
	for i, vm := range vms {
		wg.Go(func() {
			select {
			case room <- struct{}{}:
				moves[i] = m.move(ctx, r, vm)
				<-room
			case <-ctx.Done():
				moves[i] = CAMove{Octet: vm.Octet, Name: vm.Name, Status: CAFailed, Why: ctx.Err().Error()}
			}
		})
	}
	wg.Wait()
	return moves, ctx.Err()
}

// move brings the new CA to one VM: by Setup, which sees that the VM has another
// one, pushes it, and does again what was made from it.
func (m *Manager) move(ctx context.Context, r *run, vm VM) CAMove {
	c := CAMove{Octet: vm.Octet, Name: vm.Name}
	switch vm.State {
	case Broken:
		c.Status, c.Why, c.Next = CAFailed, vm.Error, vm.Next
		return c
	case Unfinished:
		c.Status, c.Why = CABusy, "it is being set up"
		return c
	case hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused, hypervisor.Missing:
		c.Status, c.Why = CAUnreachable, "it is "+string(vm.State)
		c.Next = fmt.Sprintf("mpd-virt start %s", vm.Octet)
		if vm.State == hypervisor.Missing {
			c.Next = fmt.Sprintf("mpd-virt delete %s     (forgets it)", vm.Octet)
		}
		return c
	}
	start := m.cfg.Now()
	r.emit(Event{Kind: StepStarted, Step: c.Name})
	res, err := m.within(r, c.Name).Setup(ctx, SetupRequest{Octet: vm.Octet})
	c.judge(res, err)
	status := OK
	if c.left() {
		status = Warn
	}
	r.emit(Event{Kind: StepEnded, Step: c.Name, Status: status, Text: strings.TrimSuffix(string(c.Status)+": "+c.Why, ": "), Elapsed: m.cfg.Now().Sub(start)})
	return c
}

// judge reads the end of a VM's setup. What diag at its end says does not take the
// CA away again.
func (c *CAMove) judge(res *SetupResult, err error) {
	var e *Error
	if errors.As(err, &e) {
		c.Why, c.Next = e.Err.Error(), e.Hint
		if e.Step != "" {
			c.Why = e.Step + ": " + c.Why
		}
	}
	if res != nil {
		c.Log = res.Log
	}
	switch {
	case err == nil, res != nil && res.Report != nil:
		c.Status = CAMoved
	case errors.As(err, new(*LockedError)):
		c.Status = CABusy
	case errors.As(err, new(*UnreachableError)):
		c.Status = CAUnreachable
	default:
		c.Status = CAFailed
	}
}

// left says whether the VM has not got the new CA.
func (c CAMove) left() bool { return c.Status != CAMoved }

// within is m for work that is a part of step id of r: what its steps do is that
// step's output, and it asks nothing, because others of its kind run beside it.
func (m *Manager) within(r *run, id string) *Manager {
	cfg := m.cfg
	cfg.Prompter = nil
	cfg.Observer = func(e Event) {
		switch e.Kind {
		case StepStarted:
			r.emit(Event{Kind: StepOutput, Step: id, Text: e.Step})
		case StepOutput:
			r.emit(Event{Kind: StepOutput, Step: id, Text: e.Step + ": " + e.Text})
		case Note:
			r.emit(Event{Kind: StepOutput, Step: id, Text: e.Text})
		case Debug:
			r.debug(e.Text)
		}
	}
	if m.rehearsal != nil { // which takes the steps as they are
		cfg.Observer = m.cfg.Observer
	}
	return &Manager{cfg: cfg, state: m.state, keys: m.keys, alias: m.alias, files: m.files, sshArgs: m.sshArgs, rehearsal: m.rehearsal}
}

// moved counts the VMs that have the new CA.
func moved(all []CAMove) string {
	n := 0
	for _, c := range all {
		if !c.left() {
			n++
		}
	}
	if len(all) == 0 {
		return "there is none"
	}
	return fmt.Sprintf("%d of %d with the new CA", n, len(all))
}

// leftBehind names who has not got the new CA, and how they get it.
func leftBehind(all []CAMove) error {
	var names, lines []string
	for _, c := range all {
		if !c.left() {
			continue
		}
		names = append(names, fmt.Sprintf("%s (%s)", c.Name, c.Status))
		if strings.HasPrefix(c.Next, "mpd-virt start ") || strings.HasPrefix(c.Next, "mpd-virt delete ") {
			lines = append(lines, c.Next)
		}
	}
	lines = append(lines, "mpd-virt ca rotate     (goes on with who is left)")
	return hint.Wrap(fmt.Errorf("without the new CA: %s; the old one stays trusted meanwhile", strings.Join(names, ", ")), strings.Join(lines, "\n"))
}
