// Package bootstrap takes a VM from "answers SSH" to "runs mpd": the pipeline
// of named steps, the journal that says which of them a VM has behind it, and
// the survey that tells whether they still hold.
//
// [Run] does the whole pipeline and [Update] the later update. Both speak to
// the VM only through internal/guest. Where the keys come from, where the VM is
// registered and who is asked when something is missing are functions of
// [Config]: the package writes no file but the [Journal] and touches nothing
// of the Mac.
//
// The contract of the scripts that run inside the VM is theirs, not ours: the
// package relies on exit statuses, on the files that they leave and on the
// VM's address, never on the wording of their output.
package bootstrap

// IDs of the steps, in the order in which they run. They are stable: the
// journal, --from and the users' scripts name steps by them.
const (
	StepSSH       = "ssh"
	StepSudo      = "sudo"
	StepGuest     = "guest"
	StepRotate    = "rotate" // of clones only
	StepAddress   = "address"
	StepIdentity  = "identity"
	StepSudoers   = "10-passwordless-sudo"
	StepClone     = "20-git-clone"
	StepPush      = "push"
	StepNetwork   = "30-networking"
	StepRegister  = "register"
	StepPackages  = "40-install-software"
	StepBuild     = "50-build"
	StepWireGuard = "60-wireguard"
	StepMPD       = "mpd-setup"
	StepUpdate    = "70-update"
)

// Steps returns the IDs of the pipeline's steps in their order, without those
// that not every VM needs. StepUpdate is not among them: it belongs to Update.
func Steps() []string {
	var ids []string
	for _, s := range pipeline {
		if s.only == nil {
			ids = append(ids, s.id)
		}
	}
	return ids
}
