package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func uninstallVerb() verb {
	return verb{
		name: "uninstall", usage: "[flags]",
		short: "remove all that mpd-virt has put on this Mac",
		about: `Removes macOS's trust in the certificate authority, the resolver file for mpd.test, a static route
to the containers, the SSH aliases, and ~/.mpd-virt with its keys. It shows all that first, with
the commands that need root, and asks once. Nothing of anybody else's is touched: what stays is
named.

While VMs are registered it refuses; --force forgets them. It never destroys a VM, and it cannot
remove a tunnel from the WireGuard app. The program itself stays, too: remove its file.

Stopped or refused anywhere, the same command goes on; where there is nothing, it does nothing.`,
		examples: []string{
			"mpd-virt uninstall",
			"mpd-virt uninstall --force --yes",
		},
		exits: []int{exitBusy},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.UninstallRequest
			f.bool("force", &req.Force, "forget the VMs that are registered, and leave them as they are")
			f.bool("yes", &req.Yes, "do not ask")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(mayAsk)
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.Uninstall(ctx, req)
				return a.writeUninstall(res, err)
			}
		},
	}
}

// writeUninstall renders what Uninstall returns. The commands that are left are
// the hint of the error.
func (a *app) writeUninstall(res *mpdvirt.UninstallResult, err error) error {
	if res == nil || a.json {
		return asJSON(a, res, err)
	}
	switch {
	case err == nil && len(res.Removed) > 0:
		a.say("mpd-virt is removed from this Mac, but for the program itself")
	case err == nil:
		a.say("nothing to do: mpd-virt has left nothing on this Mac that it could remove")
	}
	a.removals(res.Removed, res.Left)
	return err
}
