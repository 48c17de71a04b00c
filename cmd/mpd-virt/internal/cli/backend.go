package cli

import (
	"context"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func backendListVerb() verb {
	return verb{
		name:     "backend list",
		usage:    "[flags]",
		short:    "list what can run VMs here",
		about:    `A backend is a program that runs VMs, or "general": any machine that answers SSH, whoever runs it.`,
		examples: []string{"mpd-virt backend list", "mpd-virt backend list --json"},
		define: func(*flags) action {
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(noAsk)
				if err != nil {
					return err
				}
				infos, err := m.Backends(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(append([]mpdvirt.BackendInfo{}, infos...))
				}
				a.writeBackends(infos)
				return nil
			}
		},
	}
}

func (a *app) writeBackends(infos []mpdvirt.BackendInfo) {
	rows := [][]string{{"NAME", "DEFAULT", "CAN", "HERE"}}
	for _, b := range infos {
		here, def := "yes", ""
		if !b.Available {
			here = "no: " + b.Reason
		}
		if b.Default {
			def = "yes"
		}
		rows = append(rows, []string{b.Name, def, strings.Join(b.Verbs, " "), here})
	}
	a.table(rows)
}

func backendDefaultVerb() verb {
	return verb{
		name: "backend set-default", usage: "NAME [flags]",
		short:    "set the backend that is meant if --backend is not given",
		about:    `Applies to VMs that are made or adopted later; a registered VM keeps its backend.`,
		examples: []string{"mpd-virt backend set-default general", "mpd-virt backend list"},
		plans:    true,
		define: func(f *flags) action {
			var name string
			f.operand("NAME", textInto(&name))
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(noAsk)
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, mpdvirt.DefaultBackendRequest{Name: name})
				}
				if err := m.SetDefaultBackend(ctx, name); err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(backendDefault{backendSchema, name})
				}
				a.say("the default backend is %s", name)
				return nil
			}
		},
	}
}

const backendSchema = "mpd-virt/backend/1"

// backendDefault is the result of backend set-default, for programs.
type backendDefault struct {
	Schema  string `json:"schema"`
	Default string `json:"default"`
}
