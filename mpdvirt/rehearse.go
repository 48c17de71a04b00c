package mpdvirt

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/aymanbagabas/go-udiff"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/image"
	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// rehearsal collects what a verb would do. A nil one on a Manager or a run says
// that it does it.
type rehearsal struct {
	mu     sync.Mutex
	plan   Plan
	open   bool            // the last step takes actions
	hidden map[string]bool // paths whose change is told already, without its content
	away   map[Octet]bool  // VMs that a question cannot reach: they would be started first
	made   []string        // texts that were made at random, each before what stands for it
}

func newRehearsal() *rehearsal {
	return &rehearsal{plan: Plan{Schema: PlanSchema, Steps: []PlanStep{}}, hidden: map[string]bool{}, away: map[Octet]bool{}}
}

// about says which verb the plan is of: the first that begins. Those that it
// calls are parts of it.
func (p *rehearsal) about(verb string, o Octet) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plan.Verb != "" {
		return
	}
	p.plan.Verb = verb
	if o.Valid() {
		p.plan.VM = o.VMName()
	}
}

// event makes steps of the verb's steps.
func (p *rehearsal) event(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case VerbStarted:
		if e.Verb == p.plan.Verb {
			p.plan.Text = e.Text
		}
	case StepStarted:
		if n := len(p.plan.Steps); p.open && p.plan.Steps[n-1].ID == e.Step {
			return // what the verb did before belongs to it
		}
		s := PlanStep{ID: e.Step, Actions: []PlanAction{}}
		if vm := e.Octet.VMName(); e.Octet.Valid() && vm != p.plan.VM {
			s.VM = vm
		}
		p.plan.Steps, p.open = append(p.plan.Steps, s), true
	case StepEnded:
		if !p.open || p.plan.Steps[len(p.plan.Steps)-1].ID != e.Step { // it holds others
			return
		}
		p.open = false
		// A failure the error names; and of a VM that is not there nothing was found.
		if e.Status != Fail && !p.away[e.Octet] {
			p.plan.Steps[len(p.plan.Steps)-1].Summary = e.Text
		}
	}
}

// begin is for a step that the verb tells only when it ends.
func (p *rehearsal) begin(id string) {
	if p != nil {
		p.event(Event{Kind: StepStarted, Step: id})
	}
}

func (p *rehearsal) add(a PlanAction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.append(a)
}

func (p *rehearsal) append(a PlanAction) {
	switch n := len(p.plan.Steps); {
	case p.open:
	case n > 0 && a.Kind == PlanFile: // a record of what the step before has done
	default: // before the first step, between two, or of a verb without any
		p.plan.Steps, p.open = append(p.plan.Steps, PlanStep{ID: p.plan.Verb}), true
	}
	s := &p.plan.Steps[len(p.plan.Steps)-1]
	s.Actions = append(s.Actions, a)
}

// wait tells what the verb waits for.
func (p *rehearsal) wait(format string, a ...any) {
	p.add(PlanAction{Kind: PlanWait, Text: fmt.Sprintf(format, a...)})
}

// file takes a change of a draft.
func (p *rehearsal) file(c statefile.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &FileChange{Path: c.Path, Change: FileChangeKind(c.Kind), New: !c.Existed, Hidden: c.Opaque}
	if c.Kind != statefile.Removed {
		f.Mode = fmt.Sprintf("%04o", c.Perm.Perm())
	}
	switch {
	case c.Opaque && p.hidden[c.Path]: // another version of it
		return
	case c.Opaque:
		p.hidden[c.Path] = true
	case c.Kind == statefile.Removed:
		maps.DeleteFunc(p.hidden, func(path string, _ bool) bool {
			return path == c.Path || strings.HasPrefix(path, c.Path+string(filepath.Separator))
		})
		if p.undone(c.Path) {
			return
		}
	case c.Kind == statefile.Written:
		f.Diff = udiff.Unified(c.Path, c.Path, string(c.Before), string(c.After))
	}
	p.append(PlanAction{Kind: PlanFile, File: f})
}

// undone takes a folder out of the plan that the plan itself has made and that
// nothing was put into; false if it is another one.
func (p *rehearsal) undone(path string) bool {
	last := len(p.plan.Steps) - 1
	if last < 0 || !p.open {
		return false
	}
	s := &p.plan.Steps[last]
	n := len(s.Actions) - 1
	if n < 0 || s.Actions[n].File == nil || s.Actions[n].File.Path != path || s.Actions[n].File.Change != FileMakeFolder {
		return false
	}
	s.Actions = s.Actions[:n]
	if n == 0 {
		p.plan.Steps, p.open = p.plan.Steps[:last], false
	}
	return true
}

// command takes a command of a backend.
func (p *rehearsal) command(c hypervisor.Command) {
	p.add(PlanAction{Kind: PlanCommand, Argv: c.Argv, Stdin: string(c.Stdin)})
}

// Script takes a script that would run in the VM. What one reads may be a secret.
func (p *rehearsal) Script(s guest.Script) {
	p.add(PlanAction{Kind: PlanScript, Text: s.Name, Script: s.Text, Args: s.Args})
}

// File takes a file that would be put into the VM. All of them are of conf/.
func (p *rehearsal) File(f guest.File) {
	p.add(PlanAction{Kind: PlanPush, File: &FileChange{Path: f.Path, Change: FileWrite, Mode: fmt.Sprintf("%04o", f.Mode.Perm()), Hidden: true}})
}

// asRoot takes what would run in one session of sudo.
func (p *rehearsal) asRoot(commands []macos.Command) {
	for _, c := range commands {
		a := PlanAction{Kind: PlanCommand, Text: c.Note, Argv: c.Argv, Stdin: string(c.Stdin)}
		if c.Root {
			a.Kind, a.Argv = PlanRoot, append([]string{"sudo"}, c.Argv...)
		}
		p.add(a)
	}
}

func (p *rehearsal) actions() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.plan.Steps {
		n += len(s.Actions)
	}
	return n
}

func (p *rehearsal) leaves(o Octet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away[o] = true
}

// gone says whether the VM would be another one by now than the one that can be
// asked.
func (p *rehearsal) gone(o Octet) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away[o]
}

// random says that a text will be another one, for which standin stands.
func (p *rehearsal) random(text, standin string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = append(p.made, text, standin)
}

// ended is the plan, with the stand-ins that are in it explained.
func (p *rehearsal) ended() *Plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan.Steps = slices.DeleteFunc(p.plan.Steps, func(s PlanStep) bool { return len(s.Actions) == 0 && s.Summary == "" })
	named := strings.NewReplacer(p.made...)
	for i := range p.plan.Steps {
		s := &p.plan.Steps[i]
		for k := range s.Actions {
			s.Actions[k].Text = named.Replace(s.Actions[k].Text)
		}
		if s.Summary = named.Replace(s.Summary); len(s.Actions) == 0 {
			s.Actions = []PlanAction{}
		}
	}
	for _, s := range []Standin{
		{hypervisor.NilUUID, "the UUID that the hypervisor gives the new VM"},
		{net.HardwareAddr(standinMAC).String(), "the address of the VM's network card, made at random"},
		{standinAddr, "the address that the new VM gets by DHCP"},
		{bootstrap.StandinFile, "the name of a temporary file in the VM"},
		{bootstrap.StandinMachineID, "the machine-id of the new VM, made at random"},
		{image.StandinFolder, "the name of a temporary folder"},
		{standinCA, "the fingerprint of the new CA, whose key is made at random"},
	} {
		if p.plan.has(s.Text) {
			p.plan.Standins = append(p.plan.Standins, s)
		}
	}
	return &p.plan
}

// has says whether a text is anywhere in the plan.
func (p *Plan) has(text string) bool {
	for _, s := range p.Steps {
		if strings.Contains(s.Summary, text) {
			return true
		}
		for _, a := range s.Actions {
			all := append(append([]string{a.Text}, a.Argv...), a.Args...)
			if a.File != nil {
				all = append(all, a.File.Diff)
			}
			if slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, text) }) {
				return true
			}
		}
	}
	return false
}
