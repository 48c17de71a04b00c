package mpdvirttest

import "fmt"

// Names of the steps, as VM.Steps and Fault.Step have them.
const (
	StepSudo       = "10-passwordless-sudo"
	StepClone      = "20-git-clone"
	StepNetworking = "30-networking"
	StepInstall    = "40-install-software"
	StepBuild      = "50-build"
	StepWireGuard  = "60-wireguard"
	StepUpdate     = "70-update"
	StepSetup      = "mpd --setup"
)

// scripts are the bootstrap scripts by file name. Each is a text whose work a
// program of the VM does.
var scripts = func() map[string]string {
	all := map[string]string{}
	for _, name := range []string{StepSudo, StepClone, StepNetworking, StepInstall, StepBuild, StepWireGuard} {
		all[name+".sh"] = script(name, fmt.Sprintf("mpdvirttest-step %s \"$@\"", name))
	}
	all[StepUpdate+".sh"] = script(StepUpdate, `here=$(dirname "$0")
mpdvirttest-step 70-update "$@"
bash "$here/20-git-clone.sh"
bash "$here/50-build.sh"
/opt/mpd/bin/mpd "$(mpdvirttest-step setup-option)"
echo "    ok: Update complete."`)
	return all
}()

func script(name, body string) string {
	return `#!/usr/bin/env bash
# ` + name + `.sh: mpdvirttest's stand-in for the mpd project's script.
# The work is done by a program of the machine that this runs on.
set -euo pipefail

` + body + "\n\n# end of " + name + ".sh\n"
}
