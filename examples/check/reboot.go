package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// rebootFile is where Debian's packages leave word that the VM should be
// restarted, and those that want it: unattended-upgrades(8).
const rebootFile = "/run/reboot-required"

// rebootScript prints whether the file $1 is there, and the packages.
const rebootScript = `if [ ! -e "$1" ]; then echo no; exit; fi
echo yes
if [ -e "$1.pkgs" ]; then cat "$1.pkgs"; fi`

// rebootCheck asks whether the VM waits for a restart. It needs the check
// "platform", which fails if nobody can log in: then there is nobody to ask, and
// Diag shows it as skipped.
func rebootCheck() mpdvirt.CheckFunc {
	return mpdvirt.CheckFunc{ID: "reboot", Needs: []string{"platform"}, Ask: func(ctx context.Context, s mpdvirt.Subject) mpdvirt.Check {
		out, err := s.Query(ctx, rebootScript, rebootFile)
		if err != nil {
			return mpdvirt.Check{Status: mpdvirt.Fail, Summary: "cannot tell whether the VM waits for a restart: " + err.Error()}
		}
		return judge(s.VM().Name, string(out))
	}}
}

// judge reads what the script printed. The VM may say anything: what is neither
// yes nor no is a failure and not a no.
func judge(alias, out string) mpdvirt.Check {
	answer, rest, _ := strings.Cut(out, "\n")
	switch answer {
	case "no":
		return mpdvirt.Check{Status: mpdvirt.OK, Summary: "no restart is needed"}
	case "yes":
	default:
		return mpdvirt.Check{Status: mpdvirt.Fail, Summary: fmt.Sprintf("cannot read the VM's answer: %.40q", answer)}
	}
	packages := strings.Fields(rest)
	c := mpdvirt.Check{
		Status: mpdvirt.Warn, Summary: "the VM should be restarted",
		Fixes: []mpdvirt.Fix{{Text: "restarts it", Argv: []string{"ssh", alias, "sudo", "systemctl", "reboot"}}},
	}
	if len(packages) > 0 {
		shown := strings.Join(packages[:min(3, len(packages))], ", ")
		c.Summary += " because of " + shown
		c.Facts = map[string]string{"packages": fmt.Sprint(len(packages))}
	}
	return c
}
