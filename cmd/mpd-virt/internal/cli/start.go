package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func startVerb() verb {
	return verb{
		name: "start", usage: "NNN [flags]",
		short: "turn a VM on and check it",
		about: `Starts the VM or wakes it up, waits until it answers SSH, and checks it as diag does. One that runs
already is fine.`,
		examples: []string{"mpd-virt start 150", "mpd-virt start 150 --json"},
		exits:    []int{exitUnhealthy, exitRefused, exitBusy},
		plans:    true,
		define: func(f *flags) action {
			var req mpdvirt.StartRequest
			f.octet(&req.Octet)
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(asking(!a.json))
				if err != nil {
					return err
				}
				a.progress.quiet = true
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				r, err := m.Start(ctx, req)
				return a.writeDiag(r, err)
			}
		},
	}
}

func stopVerb() verb {
	return verb{
		name: "stop", usage: "NNN [flags]",
		short: "suspend a VM, or cut its power",
		about: `Saves the VM's memory and stops it; start brings it back as it was. With --kill its power is cut,
and its saved memory is lost. One that does not run is fine.`,
		examples: []string{"mpd-virt stop 150", "mpd-virt stop 150 --kill"},
		exits:    []int{exitRefused, exitBusy},
		plans:    true,
		define: func(f *flags) action {
			var req mpdvirt.StopRequest
			f.octet(&req.Octet)
			f.bool("kill", &req.Kill, "cut the power instead; what was not saved in the VM is lost")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(mayAsk)
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				if err := m.Stop(ctx, req); err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(stopped{stopSchema, req.Octet, req.Octet.VMName()})
				}
				a.say("%s is stopped. Start it with\n  mpd-virt start %s", req.Octet.VMName(), req.Octet)
				return nil
			}
		},
	}
}

const stopSchema = "mpd-virt/stop/1"

// stopped is the result of stop, for programs.
type stopped struct {
	Schema string        `json:"schema"`
	Octet  mpdvirt.Octet `json:"octet"`
	Name   string        `json:"name"`
}
