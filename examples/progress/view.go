package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// view is a list of steps, made from nothing but events. A GUI would keep the
// same rows and draw them in its own way.
type view struct {
	mu    sync.Mutex // events come one at a time, but from several goroutines
	title string
	rows  []*row
}

// row is one step.
type row struct {
	name   string
	inner  bool           // it began while another one ran
	status mpdvirt.Status // "" while it runs
	text   string         // the last line that it printed, or how it ended
	bytes  transfer
}

// transfer is how far a download is.
type transfer struct {
	done, total, first int64
	began, now         time.Time
}

// observe takes in one event.
func (v *view) observe(e mpdvirt.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e.Kind {
	case mpdvirt.VerbStarted:
		v.title = e.Text
	case mpdvirt.StepStarted:
		v.rows = append(v.rows, &row{name: e.Step, inner: v.running("") != nil})
	case mpdvirt.StepOutput:
		if r := v.running(e.Step); r != nil {
			r.text = e.Text
		}
	case mpdvirt.StepProgress:
		if r := v.running(e.Step); r != nil {
			r.bytes.advance(e)
		}
	case mpdvirt.StepEnded:
		if r := v.running(e.Step); r != nil {
			r.status, r.text, r.bytes = e.Status, e.Text, transfer{}
		}
	}
}

// running is the step of a name that runs, or with "" the first that does.
func (v *view) running(name string) *row {
	for _, r := range v.rows {
		if r.status == "" && (name == "" || r.name == name) {
			return r
		}
	}
	return nil
}

// String is the whole view, one line for each step.
func (v *view) String() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var b strings.Builder
	fmt.Fprintln(&b, v.title)
	for _, r := range v.rows {
		indent := ""
		if r.inner {
			indent = "  "
		}
		line := fmt.Sprintf("%s%s %-20s %s", indent, r.mark(), r.name, r.detail())
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func (r *row) mark() string {
	switch r.status {
	case "":
		return ">"
	case mpdvirt.OK:
		return "+"
	case mpdvirt.Skipped:
		return "-"
	case mpdvirt.Warn:
		return "!"
	}
	return "x"
}

func (r *row) detail() string {
	if r.bytes.done > 0 {
		return r.bytes.String()
	}
	text, _, _ := strings.Cut(r.text, "\n")
	if runes := []rune(text); len(runes) > 50 {
		text = string(runes[:47]) + "..."
	}
	return text
}

// advance takes in a report. A download that goes on where an earlier one
// stopped does not begin at zero, which is not its rate.
func (t *transfer) advance(e mpdvirt.Event) {
	if t.began.IsZero() {
		t.began, t.first = e.Time, e.Done
	}
	t.done, t.total, t.now = e.Done, e.Total, e.Time
}

// String is like "12.0 of 48.0 MiB, 4.0 MiB/s, 9s left", as far as it is known.
func (t transfer) String() string {
	mib := func(n float64) string { return fmt.Sprintf("%.1f", n/(1<<20)) }
	text := mib(float64(t.done)) + " MiB"
	if t.total > 0 {
		text = mib(float64(t.done)) + " of " + mib(float64(t.total)) + " MiB"
	}
	took := t.now.Sub(t.began).Seconds()
	if took <= 0 || t.done == t.first {
		return text
	}
	rate := float64(t.done-t.first) / took
	text += ", " + mib(rate) + " MiB/s"
	if t.total > t.done {
		left := time.Duration(float64(t.total-t.done) / rate * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}
