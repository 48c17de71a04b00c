package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func showVerb() verb {
	return verb{
		name: "show", usage: "NNN [flags]",
		short:    "show what this Mac knows of a VM",
		about:    `The registry entry, whether the VM answers a ping, and where its files are. It does not log in.`,
		examples: []string{"mpd-virt show 150", "mpd-virt show 150 --json"},
		define: func(f *flags) action {
			var req mpdvirt.ShowRequest
			f.octet(&req.Octet)
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(noAsk)
				if err != nil {
					return err
				}
				res, err := m.Show(ctx, req)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(res)
				}
				a.writeShow(res)
				return nil
			}
		},
	}
}

func (a *app) writeShow(r *mpdvirt.ShowResult) {
	a.say("%s", r.Name)
	a.field("backend", "%s", r.Backend)
	if r.Addr.IsValid() {
		answers := "no answer to a ping"
		if r.Answers {
			answers = "answers a ping"
		}
		a.field("address", "%s, %s", r.Addr, answers)
	}
	a.field("user", "%s", r.User)
	a.field("state", "%s", stateOf(r.VM))
	a.field("uuid", "%s", r.UUID)
	if r.RAM > 0 {
		a.field("memory", "%s", size(int64(r.RAM)))
	}
	if r.Disk > 0 {
		a.field("disk", "%s", size(int64(r.Disk)))
	}
	for _, key := range r.HostKeys {
		a.field("host key", "%s", key)
	}
	if r.Alias != "" {
		a.field("log in", "ssh %s", r.Alias)
	}
	a.field("tunnel", "%s", r.ClientConf)
	a.field("mpd from", "%s %s", r.Repo, r.Branch)
	a.field("folder", "%s", r.Dir)
	a.field("last log", "%s", r.LastLog)
	if r.Next != "" {
		a.hint("Next:", r.Next)
	}
}
