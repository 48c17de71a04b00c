package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func diagVerb() verb {
	return verb{
		name: "diag", usage: "NNN [flags]",
		short: "check a VM and this Mac's way to it",
		about: `First the checks that must hold: the registry entry, the backend, ping, the VM's own record of who
it is, and "ssh mpd-NNN". Then what *.mpd.test needs on this Mac: the tunnel, the route, the VM's
key, which VM's name server answers, who is asked for names, the CA, and the portal. Each finding
comes with what mends it. On a terminal each can be mended at once and is then looked at again.

Only the first kind changes the exit code.`,
		examples: []string{
			"mpd-virt diag 150",
			"mpd-virt diag 150 --json",
		},
		exits: []int{exitUnhealthy, exitRefused},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.DiagRequest
			var silent bool
			f.octet(&req.Octet)
			f.bool("non-interactive", &silent, "only report, ask nothing")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(asking(!silent && !a.json))
				if err != nil {
					return err
				}
				a.progress.quiet = true
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				r, err := m.Diag(ctx, req)
				return a.writeDiag(r, err)
			}
		},
	}
}
