package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
	"github.com/mutms/mpd-virt-macos/internal/sshconfig"
)

// The questions about ssh and about the keys to log in with.

// sshSettings is what the user's settings say for VMs.
type sshSettings struct {
	files []string
	agent string
	err   error // ssh does not read its settings
}

func (m *Manager) sshSettings(ctx context.Context, r *run) (s sshSettings) {
	s.files, s.agent, s.err = guest.ReadSSHConfig(ctx, r.runner(), m.sshArgs, hypervisor.FirstOctet.VMName())
	if s.agent == "" {
		s.agent = m.cfg.AgentSocket
	}
	return s
}

// askKeys wants a key to log in with. Nobody is asked for a passphrase.
func (d *doctor) askKeys(ctx context.Context) Check {
	s := d.ssh()
	who := guest.NewIdentities(guest.IdentityConfig{Home: d.m.cfg.Home, Files: s.files, AgentSocket: s.agent})
	survey := who.Survey(ctx)
	c := Check{Status: OK, Summary: some(survey.Keys)}
	switch {
	case len(survey.Keys) > 0:
	case survey.Locked != "":
		c = Check{Status: Warn, Summary: survey.Locked + " needs its passphrase at every login",
			Fixes: []Fix{{Text: "give the key to the agent", Argv: []string{"ssh-add", survey.Locked}}}}
	default:
		c = Check{Status: Fail, Summary: "there is no SSH key to log in with",
			Fixes: []Fix{{Text: "make one", Argv: []string{"ssh-keygen", "-t", "ed25519", "-f", filepath.Join(d.m.cfg.Home, ".ssh", "id_ed25519")}}}}
		if len(survey.Notes) > 0 {
			c.Summary += ": " + strings.Join(survey.Notes, "; ")
		}
	}
	if survey.Agent != "" {
		c.Status, c.Summary = worse(c.Status, Warn), c.Summary+"; "+survey.Agent
		c.Fixes = append(c.Fixes, Fix{Text: "see what ssh says of the agent", Argv: []string{"ssh-add", "-l"}})
	}
	return c
}

// askSSH wants the system's ssh, settings that it reads, and our entries in
// them. Without ssh all works but the alias.
func (d *doctor) askSSH(ctx context.Context) Check {
	res, err := d.r.runner()(ctx, hypervisor.Command{Argv: []string{"ssh", "-V"}, Limit: probeLimit})
	if missingTool(err) {
		return Check{Status: Warn, Summary: "there is no ssh on this machine, so \"ssh mpd-NNN\" cannot work"}
	}
	if s := d.ssh(); s.err != nil {
		c := found(s.err)
		if len(c.Fixes) == 0 {
			c.Fixes = []Fix{{Text: "see what ssh says", Argv: d.m.sshTo(hypervisor.FirstOctet, "-G")}}
		}
		return c
	}
	c := Check{Status: OK, Summary: "it reads its settings"}
	if version := openSSH(res); err == nil && version != "" {
		c.Summary, c.Facts = version+", it reads its settings", map[string]string{"version": version}
	}
	if vms, err := d.m.aliases(); err == nil {
		err = d.m.alias.Check(vms)
		switch {
		case errors.Is(err, sshconfig.ErrDiffers):
			fix := Fix{Text: hint.Of(err)}
			if len(vms) == 0 { // then no VM's diag makes them right
				fix.Text = fmt.Sprintf("there is no VM to log in to: remove %s and the line in %s that includes it", d.m.alias.Ours, d.m.alias.User)
			}
			c.finding(Warn, err.Error(), fix)
		case err != nil:
			wrong := found(err)
			c.finding(Fail, wrong.Summary, wrong.Fixes...)
		}
	}
	for _, w := range d.m.alias.Warnings() {
		c.finding(Warn, w)
	}
	return c
}

// openSSH is the release in what "ssh -V" prints on standard error.
func openSSH(res hypervisor.Result) string {
	text, _, _ := strings.Cut(string(res.Stderr), "\n")
	version, _, _ := strings.Cut(text, ",")
	if res.Status != 0 || !strings.HasPrefix(version, "OpenSSH_") {
		return ""
	}
	return plaintext.Clean(version)
}
