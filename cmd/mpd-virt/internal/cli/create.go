package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func createVerb() verb {
	return verb{
		name: "create", usage: "NNN [flags]",
		short: "make a new VM from a Debian image and set it up",
		about: `Makes the VM mpd-NNN with a backend that can make one from nothing, starts it, and goes on as setup
does. "mpd-virt backend list" says which backends can.`,
		examples: []string{
			"mpd-virt create 150 --backend=utm",
			"mpd-virt create 150 --backend=utm --username=dev --vm-ram=8G --vm-disk=80G",
		},
		exits: []int{exitUnhealthy, exitRefused, exitBusy},
		define: func(f *flags) action {
			var req mpdvirt.CreateRequest
			var yes bool
			f.octet(&req.Octet)
			f.text("backend", "NAME", &req.Backend, "what shall run the VM (default: the default backend)")
			f.user("username", &req.User, "the VM's account (default: your login name)")
			f.size("vm-ram", &req.RAM, "memory, like 8G or 8192M (default: the backend's)")
			f.size("vm-disk", &req.Disk, "disk, like 80G (default: the backend's)")
			f.bool("yes", &yes, "ask nothing")
			return func(ctx context.Context, a *app) (err error) {
				if req.User, err = a.userOr(req.User, "create"); err != nil {
					return err
				}
				m, err := a.manager(asking(!yes))
				if err != nil {
					return err
				}
				res, err := m.Create(ctx, req)
				return a.writeSetup(res, err, "made and set up")
			}
		},
	}
}
