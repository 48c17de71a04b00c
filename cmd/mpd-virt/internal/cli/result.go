package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// writeJSON prints a result for programs.
func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// asJSON prints the result that a verb has, which may be beside its error; nil is
// none. The error of the verb counts more than one of printing.
func asJSON[T any](a *app, res *T, err error) error {
	if res == nil {
		return err
	}
	if failed := a.writeJSON(res); err == nil {
		err = failed
	}
	return err
}

// removals prints what was removed and what was left.
func (a *app) removals(removed, left []string) {
	for _, what := range removed {
		a.field("removed", "%s", what)
	}
	for _, what := range left {
		a.field("left", "%s", what)
	}
}

// say prints lines of a result, fit to be shown.
func (a *app) say(format string, args ...any) {
	for _, line := range a.out.look.lines(fmt.Sprintf(format, args...)) {
		fmt.Fprintln(a.out, line)
	}
}

// hint prints what to do next, to stderr and below the result: a sentence, and
// a command to copy.
func (a *app) hint(sentence, command string) {
	_ = a.out.flush() // remembered, and told at the end
	fmt.Fprintln(a.stderr, a.look.text(sentence))
	if command != "" {
		fmt.Fprintln(a.stderr, "  "+a.look.text(command))
	}
}

// field prints one named value of a result; an empty value is left out.
func (a *app) field(name, format string, args ...any) {
	if v := strings.TrimSpace(a.out.look.text(fmt.Sprintf(format, args...))); v != "" {
		fmt.Fprintf(a.out, "  %-10s  %s\n", name, v)
	}
}

// table prints rows in columns; the first row is the header. Empty cells are
// shown as "-", and the last column is not padded.
func (a *app) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			row[i] = a.out.look.text(cell)
			if row[i] == "" {
				row[i] = "-"
			}
			widths[i] = max(widths[i], columns(row[i]))
		}
	}
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			fmt.Fprint(a.out, padded(cell, widths[i]+2))
		}
		fmt.Fprintln(a.out, row[len(row)-1])
	}
}

// writeSetup renders what Setup, Update, Create and Clone return. The steps
// said already what was done; what is left are findings to act on.
func (a *app) writeSetup(res *mpdvirt.SetupResult, err error, done string) error {
	if res == nil || a.json {
		return asJSON(a, res, err)
	}
	for _, text := range res.Warnings {
		io.WriteString(a.out, a.out.look.stepLine(markOf(mpdvirt.Warn), mpdvirt.StepMake, nameWidth, text, ""))
	}
	if res.Report != nil {
		writeFindings(a.out, a.out.look, res.Report)
	}
	if err == nil {
		a.say("%s is %s. Log in with\n  ssh %s", res.VM.Name, done, res.VM.Name)
		return nil
	}
	return withoutFindings(err, res.Report)
}

// withoutFindings is err without the text of the findings that stand above it.
func withoutFindings(err error, r *mpdvirt.Report) error {
	var e *mpdvirt.Error
	if r == nil || r.Err() == nil || !errors.As(err, &e) {
		return err
	}
	short := *e
	short.Err = &brief{r}
	return &short
}

// brief is a report's error that names the failed checks and no more.
type brief struct{ r *mpdvirt.Report }

func (b *brief) Unwrap() error { return b.r.Err() }

func (b *brief) Error() string {
	var ids []string
	for _, c := range b.r.Checks {
		if c.Phase == mpdvirt.Mandatory && c.Status == mpdvirt.Fail {
			ids = append(ids, c.ID)
		}
	}
	return "not healthy: " + strings.Join(ids, ", ") + " failed"
}

// writeDiag renders what Diag and Start return. The report says what is wrong,
// so the error that follows from it is not told again.
func (a *app) writeDiag(r *mpdvirt.Report, err error) error {
	if r == nil {
		return err
	}
	if a.json {
		if jsonErr := a.writeJSON(r); jsonErr != nil {
			return jsonErr
		}
	} else {
		a.writeReport(r)
	}
	if err == nil {
		err = r.Err()
	}
	if err != nil && r.Err() != nil {
		return shown{err}
	}
	return err
}
