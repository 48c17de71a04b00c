package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func cloneVerb() verb {
	return verb{
		name: "clone", usage: "NNN [flags]",
		short: "make a new VM from a template and set it up",
		about: `Makes the VM mpd-NNN as a copy of a template with a backend that can clone, starts it, and goes on
as setup does. "mpd-virt backend list" says which backends can.`,
		examples: []string{
			"mpd-virt clone 150 --template=mpd-template-trixie --username=dev",
			"mpd-virt clone 150 --template=mpd-template-trixie --username=dev --vm-ram=8G --linked",
		},
		exits: []int{exitUnhealthy, exitRefused, exitBusy},
		define: func(f *flags) action {
			var req mpdvirt.CloneRequest
			var yes bool
			f.octet(&req.Octet)
			f.text("backend", "NAME", &req.Backend, "what runs the template (default: the default backend)")
			f.text("template", "NAME", &req.Template, "name of the template; needed")
			f.user("username", &req.User, "the VM's account (default: your login name)")
			f.bool("linked", &req.Linked, "share the template's disk instead of copying it")
			f.size("vm-ram", &req.RAM, "memory, like 8G or 8192M (default: as the template)")
			f.size("vm-disk", &req.Disk, "disk, like 80G, not less than the template's (default: as the template)")
			f.bool("yes", &yes, "ask nothing")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(asking(!yes))
				if err != nil {
					return err
				}
				res, err := m.Clone(ctx, req)
				return a.writeSetup(res, err, "made and set up")
			}
		},
	}
}
