package utm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// The Apple event errors that this package acts on.
const (
	NotPermitted  = -1743 // the user did not allow the terminal to control UTM
	NotRunning    = -600  // UTM does not run and cannot be started from here
	ConnectionCut = -609  // UTM quit, or is busy for a moment
	TimedOut      = -1712 // UTM did not answer in time, and may go on with the work
	NotFound      = -1728 // no such object; of the list: no such application
	scriptBroken  = -2741 // the script does not compile: there is no dictionary of UTM
	noApplication = -10814
)

// ToolError says that utmctl or osascript ran and that UTM or macOS refused. It
// is ErrService for NotRunning, ConnectionCut and TimedOut, and both ErrService
// and fs.ErrPermission for NotPermitted. Without one of these numbers it is
// ErrService if a signal ended the tool (Status above 128), as happens to utmctl
// without a console session. No number means that a VM does not exist: only a list
// tells that.
type ToolError struct {
	Tool   string // "utmctl start", "osascript make"
	Status int    // exit status, which is often 0
	Number int    // the Apple event error, 0 if none was told; -2700 is UTM's own text
	Text   string // the tool's own line, in the user's language, safe to show; may be empty
}

func (e *ToolError) Error() string {
	text := fmt.Sprintf("%s: exit status %d", e.Tool, e.Status)
	if e.Number != 0 {
		text = fmt.Sprintf("%s: Apple event error %d", e.Tool, e.Number)
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// Unwrap returns the sentinels that the number stands for.
func (e *ToolError) Unwrap() []error {
	switch e.Number {
	case NotPermitted:
		return []error{hypervisor.ErrService, fs.ErrPermission}
	case NotRunning, ConnectionCut, TimedOut:
		return []error{hypervisor.ErrService}
	}
	if e.Status > 128 { // utmctl without a console session dies of a signal
		return []error{hypervisor.ErrService}
	}
	return nil
}

var (
	// ctlNumber: the words before the number are translated, the name of its
	// type is not.
	ctlNumber    = regexp.MustCompile(`OSStatus[^\n0-9-]*(-[0-9]{1,6})`)
	scriptNumber = regexp.MustCompile(`\((-?[0-9]{1,6})\)`)
	// scriptPlace and scriptEnd are what osascript puts around the words: where in
	// our script it was, and the number.
	scriptPlace = regexp.MustCompile(`^[^ ]*:?[0-9]+:[0-9]+: execution error: `)
	scriptEnd   = regexp.MustCompile(` \(-?[0-9]{1,6}\)$`)
)

// refused is the refusal in a Result, nil if there is none.
func refused(argv []string, res hypervisor.Result) *ToolError {
	text := string(res.Stderr)
	if res.Status == 0 && strings.TrimSpace(text) == "" {
		return nil
	}
	e := &ToolError{Status: res.Status, Text: reason(text)}
	if argv[0] == osascript {
		e.Tool = osascript + " " + argv[2]
		if found := scriptNumber.FindAllStringSubmatch(text, -1); found != nil {
			e.Number = number(found[len(found)-1][1])
		}
		e.Text = scriptEnd.ReplaceAllString(scriptPlace.ReplaceAllString(e.Text, ""), "")
		return e
	}
	e.Tool = ctl + " " + argv[1]
	if found := ctlNumber.FindStringSubmatch(text); found != nil {
		e.Number = number(found[1])
	}
	return e
}

func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil { // the pattern bounds the digits
		return 0
	}
	return n
}

// reason is the line of standard error that says most: with utmctl UTM's own text
// stands below macOS's.
func reason(text string) string {
	lines := slices.DeleteFunc(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), func(s string) bool {
		return strings.TrimSpace(s) == ""
	})
	switch {
	case len(lines) == 0:
		return ""
	case strings.HasPrefix(lines[len(lines)-1], "NOTE:"), strings.Contains(lines[0], "Usage:"):
		return plaintext.Short(lines[0])
	case ctlNumber.MatchString(lines[0]) && len(lines) > 1:
		return plaintext.Short(lines[1])
	}
	return plaintext.Short(lines[0])
}

// numberOf is the Apple event error in err, 0 if there is none.
func numberOf(err error) int {
	var e *ToolError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// hung says whether err is a tool that was ended at its limit; ask for the
// caller's own context first.
func hung(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// final says whether nothing that could be tried next would go better.
func final(ctx context.Context, err error) bool {
	switch {
	case err == nil:
		return false
	case ctx.Err() != nil:
		return true
	case hung(err):
		return false
	case !errors.As(err, new(*ToolError)):
		return true
	}
	n := numberOf(err)
	return n == NotPermitted || n == NotRunning
}

const allowHint = "allow it in System Settings, Privacy & Security, Automation: UTM below the name of your terminal; then try again\n" +
	"(a dialog asks for it the first time; SSH sessions and sudo cannot drive UTM)"

// advised is err with the next step that fits it.
func advised(err error) error {
	var e *ToolError
	switch {
	case errors.Is(err, hypervisor.ErrToolMissing):
		return hint.Wrap(err, "install UTM (brew install --cask utm, or https://mac.getutm.app), and open it once")
	case errors.Is(err, fs.ErrPermission):
		return hint.Wrap(err, allowHint)
	case hung(err):
		return hint.Wrap(err, "if macOS asks whether the terminal may control UTM, answer it; else "+allowHint)
	case errors.As(err, &e) && e.Number == TimedOut:
		return hint.Wrap(err, "look at UTM: it may still be at work, or wait for an answer")
	case errors.Is(err, hypervisor.ErrService):
		return hint.Wrap(err, `open -ga UTM     (then wait some seconds; not from an SSH session, and not with sudo)`)
	}
	return err
}
