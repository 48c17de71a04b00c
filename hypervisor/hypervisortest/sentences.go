package hypervisortest

// The sentences of the contract that the cases check, as they stand in the
// comments of package hypervisor but for the line breaks. A test compares them.
const (
	errWrapped     = `Errors that backends return, wrapped with what failed on what.`
	errToolMissing = `ErrToolMissing: the backend's outside tool is not installed.`
	errNoMachine   = `ErrNoMachine: the hypervisor has no such VM.`
	errNoAnswer    = `It is never used for "the tool did not answer".`
	errAmbiguous   = `ErrAmbiguous: more than one VM fits.`
	errDrift       = `ErrDrift: the VM that has the name or address is not the one recorded.`
	errTaken       = `ErrTaken: the name or the address of a VM to be made belongs to another one, also if its name differs only in case.`
	errNoTemplate  = `ErrNoTemplate: there is no such template. The text lists those that are.`
	errService     = `ErrService: the tool is there, but the service behind it does not answer.`
)

// State, Machine, Query.
const (
	stateUnknown  = `any other text is an unknown word of the tool, shown as it is, and destructive actions refuse on it.`
	stateUnasked  = `The zero value means "not asked" or "this backend has no states".`
	machineState  = `as of the call that returned it`
	queryUUID     = `if known, decides alone`
	queryAddr     = `if valid, the VM may also be found by this address`
	exactlyItsOwn = `a backend is exactly what its methods say.`
)

// Hypervisor.
const (
	methodsAtOnce   = `Methods may be called at the same time.`
	methodsHonest   = `They end soon after ctx ends, keep no VM state between calls, ask nobody, and never change a VM.`
	nameWord        = `Name is the word that --backend takes: ASCII lower case, constant.`
	networkIs       = `Network is the network in which the VMs get their canonical addresses: an IPv4 /24, since the octet is the last byte of an address in it.`
	networkNone     = `The zero Prefix means that the backend has no network of its own: the canonical address is then in the /24 of the address at which the VM was adopted.`
	availableSays   = `Available says why the backend cannot be used on this machine, and nil if it can.`
	availableTool   = `A missing tool is ErrToolMissing.`
	availableStarts = `It may start the tool but must not start the hypervisor.`
	locateOrder     = `Locate finds one VM: by UUID if the query has one, else by the name mpd-NNN, else by the address.`
	locateErrors    = `ErrNoMachine if none fits, ErrAmbiguous if several do.`
	locateAddr      = `Machine.Addr is the guest's address in the backend's network, as far as the hypervisor knows it by now.`
	statesAll       = `States returns all VMs of the hypervisor with one call of its tool.`
	statesUnread    = `An answer that cannot be read is an error, never an empty list.`
	statesNone      = `A backend without states returns nil, nil.`
)

// Creator, Cloner, Adopter.
const (
	creatorStarts  = `It is a Lifecycle, too: whoever creates a VM starts it next.`
	canCreateSays  = `CanCreate says why Create would be refused, without making anything: ErrTaken, or what Available says.`
	createStopped  = `Create makes the VM mpd-NNN and leaves it stopped.`
	createChecks   = `It checks what CanCreate checks.`
	createProgress = `progress is as with Cloner.Clone.`
	createDisk     = `The disk has the size of the file.`
	createCopies   = `Both are copied: they may be deleted when Create has returned.`
	createMAC      = `of the network card, by which the seed finds it; six bytes, of one machine`
	seedNames      = `Seed names the drive with the seed, of a VM that Create made and that was not changed since.`
	seedGone       = `ErrNoMachine if there is no such VM.`
	detachTakes    = `Detach takes exactly that drive from the VM and destroys it; all others stay.`
	detachAgain    = `A drive that is gone already is fine.`
	detachStopped  = `ErrState if the VM is not stopped.`
	detachFails    = `After an error the drive must be taken for attached.`
	shutdownAsks   = `Shutdown asks the guest to shut down and waits until it has; a stopped VM is fine.`
	shutdownDeaf   = `It never cuts the power: a guest that does not shut down in time is an error, and runs on.`
	shutdownState  = `ErrState if the VM's state is not known.`
	canCloneSays   = `CanClone says why Clone would be refused, without making anything: ErrTaken, ErrNoTemplate, or what Available says.`
	cloneStopped   = `Clone makes the VM mpd-NNN and leaves it stopped.`
	cloneChecks    = `It checks what CanClone checks.`
	cloneSize      = `A size that the hypervisor refuses is a warning, not an error.`
	cloneMade      = `If the VM was made but something failed after it, Made holds it beside the error.`
	cloneEnds      = `When ctx ends, the tool is ended, and what it left is the caller's to find by Locate.`
	cloneProgress  = `progress, if not nil, gets lines for people while it runs, from one goroutine at a time and none after the return.`
	resizeSizes    = `Resize gives the stopped VM the sizes of the spec, and leaves those that it has.`
	atTells        = `At returns the VMs that tell the address now.`
	clonerStarts   = `It is a Lifecycle, too: whoever clones a VM starts it next.`
	specLinked     = `share the template's disk instead of copying it`
	specAsTemplate = `zero: as the template`
	adoptedRename  = `Adopter is a backend that wants to know when an adopted VM has its canonical address, for instance to rename it.`
	adoptedRepeat  = `Adopted is called after the canonical address is live, and again by a later setup: it must be safe to repeat.`
)

// Lifecycle.
const (
	lifecycleUUID = `A VM is named by the UUID that was recorded when it was made or adopted; if the name mpd-NNN now belongs to another VM, ErrDrift.`
	readBack      = `Success is the state read back, not the tool's word.`
	startRuns     = `Start brings the VM to Running, from Stopped, Suspended and Paused; a running one is fine.`
	suspendSaves  = `Suspend saves the VM's memory and stops it; a VM that does not run is fine.`
	killCuts      = `Kill cuts the VM's power; a stopped VM is fine, a suspended one loses its saved memory.`
	deleteAll     = `Delete destroys the VM and its disk in any known state; a VM that is already gone is fine.`
	notKnown      = `ErrState if its state is not known.`
)

// Rehearser.
const (
	rehearseSame     = `Rehearse returns a backend with the same capabilities, Rehearser among them, that changes nothing.`
	rehearseTells    = `It asks its tool as this one does; each command that would change something it hands to tell, one at a time and in the order in which they would run, and goes on as if the command had done what it should.`
	rehearsePlan     = `So its methods tell what those of this one would run if nothing goes wrong, refuse what they would refuse, and see in their answers what was told before.`
	rehearseMade     = `A VM that Create or Clone would make has NilUUID, and no address; the seed of a created one is a drive of some name.`
	rehearseFiles    = `The files of a CreateSpec need not be there.`
	rehearseWarnings = `A Resizer answers without warnings.`
)
