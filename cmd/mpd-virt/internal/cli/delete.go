package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func deleteVerb() verb {
	return verb{
		name: "delete", usage: "NNN [flags]",
		short: "remove a VM and what this Mac knows of it",
		about: `Destroys the VM and its disk, if its backend can do that, then removes the registry entry, the
pinned host key, the logs and the SSH alias. Only the VM that was recorded is destroyed, never
another one that has its name.

The certificate authority and the WireGuard keys in ~/.mpd-virt/conf stay: a VM that is made again
with the same number fits them at once.`,
		examples: []string{
			"mpd-virt delete 150",
			"mpd-virt delete 150 --keep-vm --yes",
		},
		exits: []int{exitRefused, exitBusy},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.DeleteRequest
			f.octet(&req.Octet)
			f.bool("keep-vm", &req.KeepVM, "forget the VM but leave it as it is")
			f.bool("yes", &req.Yes, "do not ask")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(mayAsk)
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.Delete(ctx, req)
				return a.writeDelete(res, err)
			}
		},
	}
}

func (a *app) writeDelete(res *mpdvirt.DeleteResult, err error) error {
	if res == nil || a.json {
		return asJSON(a, res, err)
	}
	if err == nil {
		a.say("%s is removed", res.Name)
	}
	a.removals(res.Removed, res.Left)
	return err
}
