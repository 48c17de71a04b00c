package cli

import "context"

func doctorVerb() verb {
	return verb{
		name: "doctor", usage: "[flags]",
		short: "check this Mac and all VMs",
		about: `Looks at the whole machine in one report: the state folder and its permissions, keys and CA, ssh,
each hypervisor and its network, each VM against its hypervisor, VMs that nobody registered, other
runs and what killed ones left behind, tunnel, routes and resolver files. Each finding comes with
what mends it.

It changes nothing, asks nothing and logs in to no VM, so any number of VMs takes about a second.
What a VM says of itself is for "mpd-virt diag NNN". Only the checks that must hold change the exit
code.`,
		examples: []string{
			"mpd-virt doctor",
			"mpd-virt doctor --json",
		},
		exits: []int{exitUnhealthy, exitRefused},
		define: func(*flags) action {
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(noAsk)
				if err != nil {
					return err
				}
				a.progress.quiet = true
				r, err := m.Doctor(ctx)
				return a.writeDiag(r, err)
			}
		},
	}
}
