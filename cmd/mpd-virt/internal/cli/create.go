package cli

import (
	"context"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func createVerb() verb {
	return verb{
		name: "create", usage: "NNN [flags]",
		short: "make a new VM from a Debian image and set it up",
		about: `Makes the VM mpd-NNN from Debian's cloud image, which is downloaded once and verified, starts it
with an SSH host key that is pinned before its first boot, and goes on as setup does. The backend
must be one that can create: "mpd-virt backend list" says which can.

If it is stopped, the same command goes on where it was, and delete takes away what there is. If
the VM's first boot fails, the VM is removed again, or with --keep left to be looked at.`,
		examples: []string{
			"mpd-virt create 150 --backend=utm",
			"mpd-virt create 150 --backend=utm --username=dev --vm-ram=8G --vm-disk=80G",
		},
		exits: []int{exitUnhealthy, exitRefused, exitBusy},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.CreateRequest
			var yes, silent bool
			f.octet(&req.Octet)
			f.text("backend", "NAME", &req.Backend, "what shall run the VM (default: the default backend)")
			f.user("username", &req.User, "the VM's account (default: your login name)")
			f.size("vm-ram", &req.RAM, "memory, like 8G or 8192M (default: 8G, at most half of what there is)")
			f.size("vm-disk", &req.Disk, "disk, like 80G; takes only the space that is used (default: 80G)")
			f.text("image", "PATH", &req.Image, "a .tar.xz or raw disk of Debian trixie with cloud-init, taken as it is")
			f.text("image-build", "DATE", &req.ImageBuild, "another of Debian's builds, like 20260914-2601, with --image-sha512")
			f.text("image-kind", "KIND", &req.ImageKind, "generic or genericcloud, with --image-sha512 (default: generic)")
			f.text("image-sha512", "HEX", &req.ImageSHA512, "the SHA-512 of that archive")
			f.bool("keep", &req.Keep, "leave a VM whose first boot failed as it is")
			f.source(&req.Repo, &req.Branch, &req.BootstrapURL, "")
			f.bool("yes", &yes, "ask nothing")
			f.bool("non-interactive", &silent, "the same; findings are shown and not gone through")
			return func(ctx context.Context, a *app) (err error) {
				if req.User, err = a.userOr(req.User, "create"); err != nil {
					return err
				}
				if req.Image != "" {
					if req.Image, err = filepath.Abs(req.Image); err != nil {
						return err
					}
				}
				m, err := a.manager(asking(!yes && !silent))
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.Create(ctx, req)
				return a.writeSetup(res, err, "made and set up")
			}
		},
	}
}
