package parallels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// kind is what a refusal of the tool means to this package.
type kind int

const (
	other     kind = iota
	noService      // the service behind the tool does not run
	login          // the service did not take the login this time
	noVM           // no VM of that name or UUID
	edition        // Parallels Desktop Standard
	expired        // the licence
	password       // an administrator has to allow the action
	extension      // macOS has to allow Parallels' system extension
	taken          // the name is another VM's
	busy           // something else is done with the VM, or it runs
	suspended      // and can therefore not be changed
	snapshots      // and the disk can therefore not grow
	noted          // nothing known, and the status was that of success
)

// serviceStatus is the one exit status of prlctl that says something: the
// service cannot be reached.
const serviceStatus = 253

// configured is the last line of every set that failed; the reason stands
// before it.
const configured = "Failed to configure the virtual machine."

// fragment is a piece of what the tool tells people, and what it means.
type fragment struct {
	text string
	kind kind
}

// fragments are all the words of prlctl and prlsrvctl that this package acts
// on; the first that fits decides. The tool speaks English whatever the
// language of the system is.
func fragments() []fragment {
	return []fragment{
		{"Unable to connect to Parallels Service", noService},
		{"Login failed", login},
		{"not available in this edition of Parallels Desktop", edition},
		{"activated for a limited period of time that has now expired", expired},
		{"No licenses installed", expired},
		{"you must enter the host OS administrator's credentials", password},
		{"allow the Parallels Hypervisor System Extension", extension},
		{"The name you specified for this virtual machine is already taken", taken},
		{"A virtual machine or folder with the name of", taken},
		{"because it has one or more snapshots", snapshots},
		{"virtual machine is busy", busy},
		{"cannot rename the virtual machine when it is running", busy},
		{"virtual machine is currently running", busy},
		{"This operation cannot be completed because", busy},
		{"This virtual machine is suspended. To be able to edit the configuration", suspended},
		{"could not be found", noVM},
	}
}

// meaning is what a text of the tool means.
func meaning(text string) kind {
	for _, f := range fragments() {
		if strings.Contains(text, f.text) {
			return f.kind
		}
	}
	return other
}

// refusal is a tool that ran and refused.
type refusal struct {
	what   string // tool and verb
	status int
	line   string // the tool's own reason, one line, safe to show; may be empty
	kind   kind
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%s: exit status %d", r.what, r.status)
	if r.line != "" {
		text += ": " + r.line
	}
	return text
}

func (r *refusal) Unwrap() error {
	switch r.kind {
	case noService, login:
		return hypervisor.ErrService
	case noVM:
		return hypervisor.ErrNoMachine
	case edition, expired:
		return hypervisor.ErrLicense
	case taken:
		return hypervisor.ErrTaken
	}
	return nil
}

// refused is the refusal in a Result.
func refused(argv []string, res hypervisor.Result) *refusal {
	// What the edition does not have, the tool says on standard output.
	text := string(res.Stderr) + "\n" + string(res.Stdout)
	k := meaning(string(res.Stderr))
	if k == other {
		k = meaning(text)
	}
	switch down := res.Status == serviceStatus; {
	case down && k != login:
		k = noService
	case !down && k == noService: // it is there, and said so with the usual status
		k = login
	}
	return &refusal{what: argv[0] + " " + argv[1], status: res.Status, line: reason(res), kind: k}
}

// complaint is what a tool that ended well said on standard error, nil if
// nothing. Some verbs refuse so, which they have in common with OpenVZ.
func complaint(argv []string, res hypervisor.Result) error {
	if len(bytes.TrimSpace(res.Stderr)) == 0 {
		return nil
	}
	r := refused(argv, res)
	if r.kind == other {
		r.kind = noted
	}
	return advised(r)
}

// reason is the tool's own line: the last of standard error, or of standard
// output if that is empty.
func reason(res hypervisor.Result) string {
	for _, out := range [][]byte{res.Stderr, res.Stdout} {
		lines := slices.DeleteFunc(strings.FieldsFunc(string(out), lineEnd), func(s string) bool {
			return strings.TrimSpace(s) == ""
		})
		if n := len(lines); n > 1 && strings.TrimSpace(lines[n-1]) == configured {
			lines = lines[:n-1]
		}
		if n := len(lines); n > 0 {
			return plaintext.Short(lines[n-1])
		}
	}
	return ""
}

// lineEnd: progress is written with carriage returns.
func lineEnd(r rune) bool { return r == '\n' || r == '\r' }

// kindOf is the kind of the refusal in err, other if there is none.
func kindOf(err error) kind {
	var r *refusal
	if errors.As(err, &r) {
		return r.kind
	}
	return other
}

// final says whether err ends what is being done at once, whatever the state of
// the VM: nothing that could be tried next would go better.
func final(ctx context.Context, err error) bool {
	var r *refusal
	switch {
	case err == nil:
		return false
	case ctx.Err() != nil:
		return true
	case hung(err):
		return false
	case !errors.As(err, &r):
		return true
	}
	switch r.kind {
	case noService, login, edition, expired, password, extension:
		return true
	}
	return false
}

// hung says whether err is a tool that was ended at its limit; ask for the
// caller's own context first.
func hung(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// advised is err with the next step that fits it.
func advised(err error) error {
	switch {
	case errors.Is(err, hypervisor.ErrToolMissing):
		return hint.Wrap(err, "install Parallels Desktop Pro and open it once; its tools are looked for on PATH and in /usr/local/bin")
	case errors.Is(err, hypervisor.ErrService):
		return hint.Wrap(err, `open -ga "Parallels Desktop"     (then wait some seconds; not from an SSH session, and not with sudo)`)
	case errors.Is(err, hypervisor.ErrLicense):
		return hint.Wrap(err, licenseHint)
	case kindOf(err) == password:
		return hint.Wrap(err, "prlsrvctl set --require-pwd clone-vm:off     (or allow it in Parallels Desktop: Settings, Security)")
	case kindOf(err) == suspended:
		return hint.Wrap(err, "start the VM first, since a suspended one cannot be changed")
	case kindOf(err) == extension:
		return hint.Wrap(err, "allow the extension in System Settings, Privacy & Security, and restart the Mac")
	}
	return err
}
