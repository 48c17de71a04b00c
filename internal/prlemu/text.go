package prlemu

import (
	"fmt"
	"strings"
)

// Exit statuses.
const (
	statusRefused   = 255 // any refused or failed operation, also an unknown VM. C
	statusNoService = 253 // the service does not answer. C
	statusUsage     = 1   // unknown option. A
)

// failure is how a verb ends badly.
type failure struct {
	text   string // on stderr, with its newline
	status int
}

func (f *failure) Error() string { return strings.TrimSpace(f.text) }

func refused(format string, a ...any) *failure {
	return &failure{fmt.Sprintf(format, a...) + "\n", statusRefused}
}

// Complete lines.
const (
	// C (BRX, packer#2828): exactly one line, for any verb that names a VM.
	textUnknownVM = "Failed to get VM config: The virtual machine could not be found. The virtual machine is not registered in the virtual machine directory on your Mac."
	// C (SKILL)
	textNoService = "Login failed: Unable to connect to Parallels Service."
	// C (OMA) that it is refused on Standard; A the text.
	textEdition = "This feature is not available in this edition of Parallels Desktop."
	// C: the last line of every set that failed.
	textNotConfigured = "Failed to configure the virtual machine."
)

// Reasons, which follow "Failed to … the VM: ".
const (
	// C (SWY on delete; a public capture on clone)
	whyBusy = "Unable to perform the action because the virtual machine is busy. The virtual machine is currently running. Please try again later."
	// C (VAG#206): the second of two linked clones.
	whyUnknown = "The virtual machine could not be found. The virtual machine is not registered in the virtual machine directory on your Mac."
	// C (report of release 17)
	whyExpired = "This product was activated for a limited period of time that has now expired. Purchase a new activation key (URL) to continue using Parallels Desktop."
	// C the text; A that it is the one without a licence, or for a VM whose
	// bundle is missing.
	whyCannotStart = "Unable to start the virtual machine. The virtual machine cannot be started."
	// C the text; A where it stands for a guest that does not stop, and for a
	// missing bundle.
	whyGeneric = "Operation failed. Failed to execute the operation."
	// C the text; A that a signal to clone gives it.
	whyCanceled = "Operation canceled."
	// SDK's text, A on a Mac.
	whyTemplate = "You cannot start virtual machine templates. You can either deploy or convert this template to a virtual machine."
	// SDK's text, A on a Mac.
	whyPaused = "This virtual machine is paused and cannot be suspended. Resume the virtual machine and try again."
	// C (SW) that it is refused, the SDK's text.
	whySuspended = "This virtual machine is suspended. To be able to edit the configuration of this virtual machine, you need to stop it."
	// SDK's text, A on a Mac; the end of the sentence is not known.
	whyNameTaken = "The name you specified for this virtual machine is already taken."
	// C (VAG#178)
	whyPassword = "The operation failed. To perform this operation, you must enter the host OS administrator's credentials."
	// A: no capture of a full disk is known.
	whyNoSpace = "There is not enough free space on the disk to complete the operation."
	// A: no capture is known of deleting what linked clones need.
	whyParent = "Unable to perform the operation because there are linked clones of this virtual machine."
	// C (release 15)
	whySnapshots = "This virtual hard disk cannot be resized because it has one or more snapshots. To resize the disk, delete the snapshots and try again."
	// A
	whyTooSmall = "The specified disk size is too small."
)

// A: one of two texts that are possible; both say that it is running.
func whyRunning(name string) string {
	return fmt.Sprintf("The virtual machine %q is running. You or another user have already started this virtual machine.", name)
}

// A for start, from the SDK.
func whyNotStopped(name string) string {
	return fmt.Sprintf("Unable to perform the operation because \"%s\" is not stopped. This operation can be performed for stopped virtual machines only.", name)
}

// C (exec on a Mac)
func whyNotStarted(name string) string {
	return fmt.Sprintf("Unable to perform the operation because \"%s\" is not started. This operation can be performed for running virtual machines only.", name)
}

// SDK's text, A on a Mac.
func whyNotSuspended(name string) string {
	return fmt.Sprintf("Unable to perform the operation because \"%s\" is not suspended. The requested operation cannot be performed as it is applicable to virtual machines in the suspended state only.", name)
}

// C (public capture)
func whyState(name, state string) string {
	return fmt.Sprintf("Unable to complete the operation. This operation cannot be completed because \"%s\" is in the \"%s\" state.", name, state)
}

// SDK's text, A on a Mac.
func whyFolder(bundle, name string) string {
	return fmt.Sprintf("A virtual machine or folder with the name of \"%s\" already exists in %s.", name, bundle[:strings.LastIndex(bundle, "/")])
}

// words are what a verb says: a line when it begins, one when it is done, and
// how its failure begins.
type words struct{ first, done, failed string }

// wordsOf knows the verbs that change something. Those with a name in their
// first line complete it themselves.
func wordsOf(verb string) words {
	switch verb {
	case "start": // C
		return words{"Starting the VM...", "The VM has been successfully started.", "Failed to start the VM: "}
	case "resume": // C
		return words{"Resuming the VM...", "The VM has been successfully resumed.", "Failed to resume the VM: "}
	case "suspend": // S
		return words{"Suspending the VM...", "The VM has been successfully suspended.", "Failed to suspend the VM: "}
	case "pause": // S
		return words{"Pause the VM...", "The VM has been successfully paused.", "Failed to pause the VM: "}
	case "stop": // C; with --kill another last line
		return words{"Stopping the VM...", "The VM has been successfully stopped.", "Failed to stop the VM: "}
	case "restart", "reset": // C the first line, A the last
		return words{"Restarting the VM...", "The VM has been successfully restarted.", "Failed to restart the VM: "}
	case "clone": // S; C that the failure begins with an empty line
		return words{"Clone the VM...", "The VM has been successfully cloned.", "\nFailed to clone the VM: "}
	case "delete": // C; A the failure's beginning
		return words{"Removing the VM...", "The VM has been successfully removed.", "Failed to remove the VM: "}
	case "unregister": // C the last line; A the others
		return words{"Unregister the VM...", "The VM has been successfully unregistered.", "Failed to unregister the VM: "}
	case "set": // C (S on OpenVZ) the last line
		return words{"", "The VM has been successfully configured.", "Failed to configure the VM: "}
	}
	return words{"", "", "Failed to get VM config: "}
}

// textKilled ends stop --kill, without a full stop. S
const textKilled = "The VM has been forcibly stopped"
