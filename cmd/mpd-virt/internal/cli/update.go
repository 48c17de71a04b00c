package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func updateVerb() verb {
	return verb{
		name: "update", usage: "NNN [flags]",
		short: "bring the mpd in a VM up to date",
		about: `Fetches and builds the newest mpd inside the VM, sets it up again, and checks the VM with diag.
Takes minutes if there is something new.`,
		examples: []string{
			"mpd-virt update 150",
			"mpd-virt update 150 --mpd-branch=main --verbose",
		},
		exits: []int{exitUnhealthy, exitRefused, exitBusy},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.UpdateRequest
			var silent bool
			f.octet(&req.Octet)
			f.text("mpd-repo", "URL", &req.Repo, "git repository of mpd (default: as recorded)")
			f.text("mpd-branch", "NAME", &req.Branch, "branch of it (default: as recorded)")
			f.bool("non-interactive", &silent, "ask nothing")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(asking(!silent))
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.Update(ctx, req)
				return a.writeSetup(res, err, "up to date")
			}
		},
	}
}
