package parallels

import (
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// verb is one way to change the state of a VM.
type verb string

const (
	vStart   verb = "start"
	vResume  verb = "resume"
	vSuspend verb = "suspend"
	vStop    verb = "stop"              // asks the guest to shut down
	vKill    verb = "stop --kill"       // cuts the power
	vDrop    verb = "stop --drop-state" // forgets the saved memory
	vDelete  verb = "delete"
)

// argv is the command for the VM uuid.
func (v verb) argv(uuid string) []string {
	switch v {
	case vKill:
		return []string{prlctl, "stop", uuid, "--kill"}
	case vDrop:
		return []string{prlctl, "stop", uuid, "--drop-state"}
	}
	return []string{prlctl, string(v), uuid}
}

// bound is how long the tool may take, and then again how long the state may
// take to follow it. stop asks a guest that may not listen.
func (v verb) bound() time.Duration {
	switch v {
	case vKill, vDrop, vDelete:
		return 60 * time.Second
	}
	return 120 * time.Second
}

// leads is the state that the verb brings a VM to.
func (v verb) leads() hypervisor.State {
	switch v {
	case vStart, vResume:
		return hypervisor.Running
	case vSuspend:
		return hypervisor.Suspended
	case vDelete:
		return hypervisor.Missing
	}
	return hypervisor.Stopped
}

// plan says for a state which verbs lead on from it: the first, and if that is
// refused, the next. None means that the way is not known.
type plan func(hypervisor.State) []verb

// toStart: whether start resumes a suspended VM depends on Parallels' version.
func toStart(s hypervisor.State) []verb {
	switch s {
	case hypervisor.Stopped:
		return []verb{vStart}
	case hypervisor.Suspended, hypervisor.Paused:
		return []verb{vResume}
	}
	return nil
}

// toSuspend: a paused VM cannot be suspended.
func toSuspend(s hypervisor.State) []verb {
	switch s {
	case hypervisor.Running:
		return []verb{vSuspend}
	case hypervisor.Paused:
		return []verb{vResume}
	}
	return nil
}

// toShutDown is for a VM that runs and that comes back.
func toShutDown(s hypervisor.State) []verb {
	if s == hypervisor.Running {
		return []verb{vStop}
	}
	return nil
}

// toKill comes to a VM in a passing state only if that did not pass: a guest
// that does not shut down is what people kill VMs for.
func toKill(s hypervisor.State) []verb {
	switch s {
	case hypervisor.Running, hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming:
		return []verb{vKill}
	case hypervisor.Paused:
		return []verb{vKill, vResume}
	case hypervisor.Suspended:
		return []verb{vDrop, vKill}
	}
	return nil
}

// toDelete: whether a suspended VM can be deleted as it is depends on
// Parallels' version.
func toDelete(s hypervisor.State) []verb {
	switch s {
	case hypervisor.Stopped:
		return []verb{vDelete}
	case hypervisor.Suspended:
		return []verb{vDelete, vDrop, vKill}
	}
	return toKill(s)
}
