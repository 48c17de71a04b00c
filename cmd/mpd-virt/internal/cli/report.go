package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/shell"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// checkWidth is the least width of a check's name in a report.
const checkWidth = 14

func (a *app) writeReport(r *mpdvirt.Report) { writeReport(a.out, a.out.look, r) }

// writeReport prints a whole report for people.
func writeReport(w io.Writer, l look, r *mpdvirt.Report) {
	head := r.Name
	if r.Backend != "" {
		head += " on " + r.Backend
	}
	if r.Addr.IsValid() {
		head += ", " + r.Addr.String()
	}
	fmt.Fprintln(w, l.text(head))
	for _, p := range phases {
		writePhase(w, l, p, title(r, p), r.Checks)
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(closing(l, r), "\n"))
}

// writeFindings prints what of a report is not in order.
func writeFindings(w io.Writer, l look, r *mpdvirt.Report) {
	findings := slices.DeleteFunc(slices.Clone(r.Checks), func(c mpdvirt.Check) bool { return c.Status == mpdvirt.OK })
	for _, p := range phases {
		writePhase(w, l, p, title(r, p), findings)
	}
	if len(findings) > 0 {
		fmt.Fprintln(w)
	}
}

// phases are in the order in which they are shown.
var phases = []mpdvirt.Phase{mpdvirt.Mandatory, mpdvirt.Optional}

// title is the heading of a phase in a report on a VM, or on the whole machine.
func title(r *mpdvirt.Report, p mpdvirt.Phase) string {
	switch {
	case p == mpdvirt.Mandatory:
		return "must hold"
	case !r.Octet.Valid():
		return "worth knowing"
	}
	return "for *.mpd.test on this Mac"
}

func writePhase(w io.Writer, l look, p mpdvirt.Phase, title string, checks []mpdvirt.Check) {
	pad := checkWidth
	for _, c := range checks {
		pad = max(pad, columns(c.ID)+2)
	}
	first := true
	for _, c := range checks {
		if c.Phase != p {
			continue
		}
		if first {
			fmt.Fprintf(w, "\n%s\n", title)
			first = false
		}
		io.WriteString(w, l.stepLine(markOf(c.Status), c.ID, pad, c.Summary, ""))
		for _, fix := range c.Fixes {
			writeFix(w, l, fix)
		}
	}
}

// writeFix prints how to mend a finding; a command gets a line of its own.
func writeFix(w io.Writer, l look, fix mpdvirt.Fix) {
	const indent = "      "
	for i, line := range fixLines(l, fix.Text) {
		label := "     "
		if i == 0 {
			label = "fix: "
		}
		fmt.Fprintln(w, strings.TrimRight(indent+label+line, " "))
	}
	if fix.Open != "" {
		fmt.Fprintln(w, indent+"  "+l.fold(l.command([]string{"open", fix.Open})))
	}
	if len(fix.Argv) == 0 {
		return
	}
	argv := fix.Argv
	if fix.Root {
		argv = append([]string{"sudo"}, argv...)
	}
	line := l.fold(l.command(argv))
	if fix.Stdin != "" {
		line = "printf %s " + shell.Quote(fix.Stdin) + " | " + line
	}
	fmt.Fprintln(w, indent+"  "+line)
}

// fixLines are the lines of a fix's text. Several lines were broken by who
// wrote them, and one that is a command must stay whole.
func fixLines(l look, text string) []string {
	lines := l.lines(text)
	if len(lines) > 1 || strings.HasPrefix(text, "mpd-virt ") {
		return lines
	}
	return wrap(lines[0], lineWidth-11)
}

// closing is the end of a report: which VM answers, and how many findings there
// are, on one line if that is long enough.
func closing(l look, r *mpdvirt.Report) []string {
	lines := wrap(l.text(strings.TrimRight(r.Verdict, ".")+"."), lineWidth)
	sum := sumOf(r)
	switch last := len(lines) - 1; {
	case r.Verdict == "":
		return []string{sum}
	case columns(lines[last])+1+columns(sum) <= lineWidth:
		lines[last] += " " + sum
		return lines
	}
	return append(lines, sum)
}

func sumOf(r *mpdvirt.Report) string {
	failed, warned, skipped := 0, 0, 0
	for _, c := range r.Checks {
		switch c.Status {
		case mpdvirt.OK:
		case mpdvirt.Warn:
			warned++
		case mpdvirt.Skipped:
			skipped++
		default:
			failed++
		}
	}
	var parts []string
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", failed))
	}
	if warned > 0 {
		parts = append(parts, count(warned, "warning"))
	}
	if skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d not tried", skipped))
	}
	if len(parts) == 0 {
		return "All checks hold."
	}
	return strings.Join(parts, ", ") + "."
}
