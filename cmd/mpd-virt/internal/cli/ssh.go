package cli

import (
	"context"
	"fmt"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func sshVerb() verb {
	return verb{
		name: "ssh", usage: "NNN [flags] [-- COMMAND...]", noEvents: true,
		short: "log in to a VM, or run a command in it",
		about: `Becomes the system's ssh with the VM's SSH alias, its pinned host key included. The exit code is
then that of ssh. "ssh mpd-NNN" does the same in every program that reads your SSH configuration.

With --json it only prints the arguments that it would become.`,
		examples: []string{
			"mpd-virt ssh 150",
			"mpd-virt ssh 150 -- uname -a",
		},
		define: func(f *flags) action {
			var req mpdvirt.SSHRequest
			f.octet(&req.Octet)
			f.rest = &req.Args
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(noAsk)
				if err != nil {
					return err
				}
				argv, err := m.SSHCommand(ctx, req)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(sshCommand{sshSchema, req.Octet, req.Octet.VMName(), argv})
				}
				if err := a.env.Exec(argv, a.env.Environ); err != nil {
					return fmt.Errorf("ssh %s: %w", req.Octet.VMName(), err)
				}
				return nil
			}
		},
	}
}

const sshSchema = "mpd-virt/ssh/1"

// sshCommand is the result of ssh --json.
type sshCommand struct {
	Schema string        `json:"schema"`
	Octet  mpdvirt.Octet `json:"octet"`
	Name   string        `json:"name"`
	Argv   []string      `json:"argv"`
}
