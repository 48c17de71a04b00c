package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// plan shows what a verb would do. What would keep the verb from it is the error,
// below the steps before.
func (a *app) plan(ctx context.Context, m *mpdvirt.Manager, req mpdvirt.PlanRequest) error {
	a.progress.quiet = true
	// It asks tools and VMs, and tells nothing of that.
	const asking = "what would be done"
	a.progress.observe(mpdvirt.Event{Kind: mpdvirt.StepStarted, Step: asking})
	p, err := m.Plan(ctx, req)
	a.progress.observe(mpdvirt.Event{Kind: mpdvirt.StepEnded, Step: asking})
	if a.json {
		return asJSON(a, p, err)
	}
	if err != nil && len(p.Steps) == 0 {
		return err
	}
	a.writePlan(p)
	return err
}

// planIndent is where the actions of a step begin.
const planIndent = "      "

func (a *app) writePlan(p *mpdvirt.Plan) {
	head := p.Verb
	switch {
	case p.Text != "":
		head += " " + p.Text
	case p.VM != "":
		head += " " + p.VM
	}
	if len(p.Steps) == 0 {
		a.say("%s: there is nothing to do", head)
		return
	}
	const plan = "the plan; nothing of it is done"
	if columns(head+": "+plan) <= lineWidth {
		a.say("%s: %s", head, plan)
	} else {
		a.say("%s\n%s", head, plan)
	}
	of := ""
	for _, s := range p.Steps {
		if s.VM != of {
			a.say("\n%s", s.VM)
		}
		of = s.VM
		a.writePlanStep(s)
	}
	for i, s := range p.Standins {
		if i == 0 {
			a.say("\nnot known yet")
		}
		a.say("  %s is %s", s.Text, s.For)
	}
}

func (a *app) writePlanStep(s mpdvirt.PlanStep) {
	if len(s.Actions) == 0 {
		fmt.Fprint(a.out, a.out.look.stepLine(markOf(mpdvirt.OK), s.ID, nameWidth, s.Summary, ""))
		return
	}
	fmt.Fprint(a.out, a.out.look.stepLine(running, s.ID, nameWidth, s.Summary, ""))
	for _, action := range s.Actions {
		a.writePlanAction(action)
	}
}

// planTitle says what the command or text behind it is.
func planTitle(k mpdvirt.PlanKind) string {
	switch k {
	case mpdvirt.PlanCommand:
		return "run on this Mac"
	case mpdvirt.PlanRoot:
		return "run as root on this Mac"
	case mpdvirt.PlanScript:
		return "run in the VM"
	case mpdvirt.PlanBackend:
		return "have it done by the backend:"
	case mpdvirt.PlanQuestion:
		return "ask:"
	case mpdvirt.PlanWait:
		return "wait until"
	}
	return string(k)
}

func (a *app) writePlanAction(p mpdvirt.PlanAction) {
	switch p.Kind {
	case mpdvirt.PlanFile:
		a.planPath(fileText(*p.File))
		a.planDiff(p.File.Diff)
	case mpdvirt.PlanPush:
		a.planPath(fmt.Sprintf("put into the VM: %s, mode %s, not shown", p.File.Path, p.File.Mode))
	case mpdvirt.PlanCommand, mpdvirt.PlanRoot:
		a.planLine("%s:", planTitle(p.Kind))
		a.planText(a.out.look.command(p.Argv))
		if p.Text != "" {
			a.planLine("%s", p.Text)
		}
		if p.Stdin != "" {
			a.planLine("with this on its standard input:")
			a.planVerbatim(p.Stdin)
		}
	case mpdvirt.PlanScript:
		a.planLine("%s:", planTitle(p.Kind))
		a.planVerbatim(p.Script)
		if len(p.Args) > 0 {
			a.planLine("with these as $1 and so on:")
			a.planText(a.out.look.command(p.Args))
		}
	case mpdvirt.PlanDownload:
		a.planLine("download:")
		a.planText(p.URL)
		a.planLine("whose SHA-512 is:")
		a.planText(p.SHA512)
	default:
		a.planLine("%s %s", planTitle(p.Kind), p.Text)
	}
}

// fileText is the change of a file in a line.
func fileText(f mpdvirt.FileChange) string {
	switch f.Change {
	case mpdvirt.FileRemove:
		return "remove " + f.Path
	case mpdvirt.FileMakeFolder:
		return fmt.Sprintf("make the folder %s, mode %s", f.Path, f.Mode)
	case mpdvirt.FileMode:
		return fmt.Sprintf("give %s the mode %s", f.Path, f.Mode)
	}
	text := "change "
	if f.New {
		text = "write "
	}
	text += fmt.Sprintf("%s, mode %s", f.Path, f.Mode)
	if f.Hidden {
		text += ", not shown"
	}
	return text
}

// planDiff prints a unified diff without its head, which names the file again, and
// with dots where it leaves lines out.
func (a *app) planDiff(diff string) {
	// All other lines begin with a blank, a plus, a minus or a backslash.
	for i, hunk := range strings.Split(diff, "\n@@ ") {
		if i == 0 {
			continue
		}
		if i > 1 {
			a.planText("…")
		}
		_, lines, _ := strings.Cut(hunk, "\n")
		a.planVerbatim(lines)
	}
}

func (a *app) planLine(format string, args ...any) {
	for _, line := range wrap(a.out.look.text(fmt.Sprintf(format, args...)), lineWidth-len(planIndent)) {
		fmt.Fprintln(a.out, planIndent+line)
	}
}

// planPath prints a line that stays whole, as the path in it.
func (a *app) planPath(text string) {
	fmt.Fprintln(a.out, planIndent+a.out.look.text(text))
}

// planText prints lines for people.
func (a *app) planText(text string) { a.planLines(a.out.look, text) }

// planVerbatim prints what stands in a file, or what a program reads: the home
// folder has its own name there.
func (a *app) planVerbatim(text string) {
	look := a.out.look
	look.home = ""
	a.planLines(look, text)
}

func (a *app) planLines(look look, text string) {
	for _, line := range look.lines(strings.ReplaceAll(strings.Trim(text, "\n"), "\t", "    ")) {
		fmt.Fprintln(a.out, strings.TrimRight(planIndent+"  "+line, " "))
	}
}
