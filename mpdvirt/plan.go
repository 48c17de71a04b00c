package mpdvirt

import (
	"context"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// PlanSchema is the value of Plan.Schema for the layout of this version.
const PlanSchema = "mpd-virt/plan/1"

// Plan is what a verb would do now, step by step. It holds no secret: files with
// one are named and not shown.
//
// What is only asked, on this Mac or in the VM, is not in it, and neither are the
// journal's later versions, the logs of runs and lock files. What is made at
// random has a stand-in. A Plan is a plain value, which nobody changes after it was
// returned.
type Plan struct {
	Schema string `json:"schema"`
	Verb   string `json:"verb"`           // "setup"
	VM     string `json:"vm,omitempty"`   // mpd-NNN; "" if the verb is about no VM, or about all
	Text   string `json:"text,omitempty"` // for people: which VM that is
	// Steps are in the order in which they would be done; none: there is nothing
	// to do.
	Steps []PlanStep `json:"steps"`
	// Standins explain the texts that stand for what is not known yet.
	Standins []Standin `json:"standins,omitempty"`
}

// PlanStep is one step, as events and results name it. What a verb does outside of
// its steps is in steps of the verb's own name, so an ID may come more than once.
type PlanStep struct {
	ID      string       `json:"id"`
	VM      string       `json:"vm,omitempty"`      // of a verb about several VMs: mpd-NNN
	Summary string       `json:"summary,omitempty"` // for people: what was found, or how it would end
	Actions []PlanAction `json:"actions"`
}

// PlanAction is one thing that a step would do. Which fields are set, its Kind
// says.
type PlanAction struct {
	Kind PlanKind `json:"kind"`
	// Text is for people: what it is for, or what it does.
	Text string `json:"text,omitempty"`
	// Argv is the program and its arguments, as they are: no shell reads them.
	Argv []string `json:"argv,omitempty"`
	// Stdin is what the program reads.
	Stdin string `json:"stdin,omitempty"`
	// Script is read by bash in the VM, as the VM's user, with Args as its $1, $2
	// and so on.
	Script string   `json:"script,omitempty"`
	Args   []string `json:"args,omitempty"`
	// File is a file or folder of this Mac, or of the VM.
	File *FileChange `json:"file,omitempty"`
	// URL is what is downloaded, and SHA512 its digest.
	URL    string `json:"url,omitempty"`
	SHA512 string `json:"sha512,omitempty"`
}

// PlanKind says what a PlanAction does. The constants are all there are.
type PlanKind string

// The kinds of actions.
const (
	PlanCommand  PlanKind = "command"  // starts a program on this Mac: Argv, Stdin
	PlanRoot     PlanKind = "root"     // the same by sudo, which is in Argv
	PlanScript   PlanKind = "script"   // runs Script in the VM
	PlanPush     PlanKind = "push"     // puts File into the VM
	PlanFile     PlanKind = "file"     // changes File on this Mac
	PlanDownload PlanKind = "download" // gets URL
	PlanBackend  PlanKind = "backend"  // calls a backend that does not tell its commands: Text
	PlanQuestion PlanKind = "question" // asks the person Text; no ends the verb
	PlanWait     PlanKind = "wait"     // waits for what Text says, and looks whether it is so
)

// FileChange is what becomes of a file or folder.
type FileChange struct {
	Path   string         `json:"path"` // absolute
	Change FileChangeKind `json:"change"`
	Mode   string         `json:"mode,omitempty"` // that it gets, in octal: "0600"
	New    bool           `json:"new,omitempty"`  // there is none of the name yet
	// Diff is the change of a text as a unified diff. Hidden says that there is
	// none because the content is secret, or made at random.
	Diff   string `json:"diff,omitempty"`
	Hidden bool   `json:"hidden,omitempty"`
}

// FileChangeKind says what is done to a file.
type FileChangeKind string

// The changes of files and folders.
const (
	FileWrite      FileChangeKind = "write"  // it gets new content, or is made
	FileRemove     FileChangeKind = "remove" // of a folder: with all that is in it
	FileMakeFolder FileChangeKind = "make-folder"
	FileMode       FileChangeKind = "chmod" // it gets the mode Mode
)

// Standin is a text in a Plan that stands for another one.
type Standin struct {
	Text string `json:"text"` // as it stands in the Plan
	For  string `json:"for"`  // what it stands for; for people
}

// PlanRequest is the request of a verb that changes something: SetupRequest,
// CreateRequest, CloneRequest, UpdateRequest, DeleteRequest, StartRequest,
// StopRequest, DiagRequest, TrustRequest, CARotateRequest, UninstallRequest or
// DefaultBackendRequest.
type PlanRequest interface {
	// rehearse calls the verb on a Manager that changes nothing.
	rehearse(ctx context.Context, m *Manager) error
}

// DefaultBackendRequest is that of SetDefaultBackend, for Plan.
type DefaultBackendRequest struct {
	Name string // of the backend
}

// Plan says what the verb of req would do, and does nothing: the verb's own code
// runs with twins of the files, backends and connections that take changes and
// tell them. So it asks all that the verb would ask, of the tools and, logged in,
// of the VM, and refuses what the verb would refuse. Where the verb reads back
// what it did, Plan takes for granted that it worked. Nobody is asked but for the
// passphrase of an SSH key. Config.Observer gets no events of it, and whatever
// Config.LockWait says, it is a *LockedError at once if another run works on the VM.
//
// The Plan is never nil, the error is the verb's: then the verb would end with it
// after the steps of the Plan. That nobody can be asked is no error here; a
// question in the Plan ends the verb then. The Plan is only as true as what it was
// made from: who runs the verb later may find another world.
func (m *Manager) Plan(ctx context.Context, req PlanRequest) (*Plan, error) {
	r := newRehearsal()
	err := req.rehearse(ctx, m.rehearsing(r))
	return r.ended(), err
}

func (req SetupRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Setup(ctx, req)
	return err
}

func (req CreateRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Create(ctx, req)
	return err
}

func (req CloneRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Clone(ctx, req)
	return err
}

func (req UpdateRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Update(ctx, req)
	return err
}

func (req DeleteRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Delete(ctx, req)
	return err
}

func (req StartRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Start(ctx, req)
	return err
}

func (req StopRequest) rehearse(ctx context.Context, m *Manager) error { return m.Stop(ctx, req) }

// rehearse of Diag is about the one thing that it changes by itself. What it finds
// wrong beside that, it only reports, or asks about.
func (req DiagRequest) rehearse(ctx context.Context, m *Manager) error {
	r, err := m.begun("diag", req.Octet)
	if err != nil {
		return err
	}
	if _, err := m.registered(req.Octet); err != nil {
		return r.fail(hint.Wrap(&classified{err, ErrUnhealthy}, hint.Of(err))) // as Diag's report
	}
	return r.fail(m.looked(ctx, r))
}

func (req TrustRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Trust(ctx, req)
	return err
}

func (req CARotateRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.CARotate(ctx, req)
	return err
}

func (req UninstallRequest) rehearse(ctx context.Context, m *Manager) error {
	_, err := m.Uninstall(ctx, req)
	return err
}

func (req DefaultBackendRequest) rehearse(ctx context.Context, m *Manager) error {
	return m.SetDefaultBackend(ctx, req.Name)
}

// planPrompter answers for the person in a rehearsal.
type planPrompter struct {
	r  *rehearsal
	to Prompter // nil: nobody is there
}

// Confirm says yes, since the plan is about what happens then.
func (p planPrompter) Confirm(_ context.Context, question string) (bool, error) {
	p.r.add(PlanAction{Kind: PlanQuestion, Text: question})
	return true, nil
}

func (p planPrompter) Pause(context.Context, string, string) error { return ErrDeclined }

func (p planPrompter) Choose(context.Context, Question) (string, error) { return "", ErrDeclined }

// Passphrase is really asked for: without the key, nothing of the VM is known.
func (p planPrompter) Passphrase(ctx context.Context, keyFile string) ([]byte, error) {
	return p.to.Passphrase(ctx, keyFile)
}
