package cli

import (
	"context"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func caRotateVerb() verb {
	return verb{
		name: "ca rotate", usage: "[flags]",
		short: "make a new CA and give it to this Mac and all VMs",
		about: `Makes a new certificate authority, lets this Mac trust it, and runs setup on every registered VM
that answers, which gives the VM the new one and signs its certificates again. The CA before stays
trusted until every VM has the new one; then it is removed from this Mac.

Who is left is listed: VMs that are off or busy keep working meanwhile. The same command goes on
with them later, and makes no other CA before nobody is left. A VM that is no more is in its way
until it is deleted.`,
		examples: []string{
			"mpd-virt ca rotate",
			"mpd-virt ca rotate --yes --json",
		},
		waits: true,
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.CARotateRequest
			f.bool("yes", &req.Yes, "do not ask; sudo and macOS do all the same")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(mayAsk)
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.CARotate(ctx, req)
				return a.writeCARotate(res, err)
			}
		},
	}
}

func (a *app) writeCARotate(res *mpdvirt.CARotateResult, err error) error {
	if res == nil || a.json {
		return asJSON(a, res, err)
	}
	if len(res.VMs) > 0 {
		a.writeMoves(res.VMs)
	}
	a.removals(nil, res.Left)
	if err == nil {
		a.say("%s is the CA of this Mac and of all VMs", caText(res.CA))
	}
	return err
}

func (a *app) writeMoves(all []mpdvirt.CAMove) {
	rows := [][]string{{"NNN", "NAME", "NEW CA", "WHY"}}
	for _, c := range all {
		has := "yes"
		if c.Status != mpdvirt.CAMoved {
			has = string(c.Status)
		}
		why, _, _ := strings.Cut(c.Why, "\n")
		rows = append(rows, []string{c.Octet.String(), c.Name, has, why})
	}
	a.table(rows)
}

// lowerShort is the beginning of a fingerprint, as other verbs show it.
func lowerShort(fingerprint string) string {
	return strings.ToLower(fingerprint[:min(8, len(fingerprint))]) + "…"
}
