package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func setupVerb() verb {
	return verb{
		name: "setup", usage: "NNN [flags]",
		short: "adopt a VM, or go on with one, until mpd runs in it",
		about: `Takes a Debian trixie VM that answers SSH to the point where mpd runs in it and this Mac knows it
as mpd-NNN: installs mpd, gives the VM the address that ends in NNN, writes the registry entry and
the SSH alias, and checks the whole with diag.

The first time it must know where the VM is (--backend, and --ip where the backend cannot look for
VMs) and whom to log in as (--username). Later NNN is enough. Whatever stopped it before, the same
command goes on where it is needed; on a healthy VM it changes nothing.

The VM must accept your SSH key, and sudo must ask no password. If one is missing, setup shows the
command that mends it.`,
		examples: []string{
			"mpd-virt setup 150 --backend=general --ip=10.211.55.37 --username=dev",
			"mpd-virt setup 150",
		},
		exits: []int{exitUnhealthy, exitRefused, exitBusy},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.SetupRequest
			var silent bool
			f.octet(&req.Octet)
			f.text("backend", "NAME", &req.Backend, "what runs the VM; see mpd-virt backend list (default: as recorded, else the default backend)")
			f.addr("ip", &req.Addr, "IPv4 address at which the VM answers now")
			f.user("username", &req.User, "the VM's account to log in as; needed the first time")
			f.source(&req.Repo, &req.Branch, &req.BootstrapURL, "as recorded, else ")
			f.text("from", "STEP", &req.From, "run the steps from this one on although they are done")
			f.text("accept-host-key", "SHA256:...", &req.AcceptHostKey, "trust this host key and no other: at first contact, or instead of the pinned one")
			f.bool("non-interactive", &silent, "ask nothing: fail with the command that is missing")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(asking(!silent))
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.Setup(ctx, req)
				return a.writeSetup(res, err, "set up")
			}
		},
	}
}
