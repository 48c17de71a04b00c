package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func cloneVerb() verb {
	return verb{
		name: "clone", usage: "NNN [flags]",
		short: "make a new VM from a template and set it up",
		about: `Makes the VM mpd-NNN as a copy of a template, starts it, waits for its address, gives it host keys
and a machine-id of its own, and goes on as setup does. The backend must be one that can clone:
"mpd-virt backend list" says which can. What a template must be like is in docs/template.md.

If it is stopped, the same command goes on where it was, and delete takes away what there is. It
never takes over a VM that has the name or the address already.`,
		examples: []string{
			"mpd-virt clone 150 --backend=parallels --template=mpd-template-trixie --username=dev",
			"mpd-virt clone 150 --backend=parallels --template=mpd-template-trixie --linked --vm-ram=8G",
		},
		exits: []int{exitUnhealthy, exitRefused, exitBusy},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.CloneRequest
			var yes, silent bool
			f.octet(&req.Octet)
			f.text("backend", "NAME", &req.Backend, "what runs the template (default: the default backend)")
			f.text("template", "NAME", &req.Template, "the template to copy; needed")
			f.user("username", &req.User, "the account in the template (default: your login name)")
			f.bool("linked", &req.Linked, "share the template's disk instead of copying it")
			f.size("vm-ram", &req.RAM, "memory, like 8G or 8192M (default: as the template)")
			f.size("vm-disk", &req.Disk, "disk, like 80G, not less than the template's (default: as the template)")
			f.source(&req.Repo, &req.Branch, &req.BootstrapURL, "")
			f.bool("yes", &yes, "ask nothing")
			f.bool("non-interactive", &silent, "the same; findings are shown and not gone through")
			return func(ctx context.Context, a *app) (err error) {
				if req.User, err = a.userOr(req.User, "clone"); err != nil {
					return err
				}
				m, err := a.manager(asking(!yes && !silent))
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.Clone(ctx, req)
				return a.writeSetup(res, err, "made and set up")
			}
		},
	}
}
