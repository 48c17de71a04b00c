// Package hypervisortest is the conformance suite for backends: it checks that
// a type keeps what the comments of package hypervisor promise, over a
// hypervisor that works and over one that misbehaves.
//
// Who writes a backend plays the outside tool behind it (an emulator, or the
// real one with VMs to spare), tells the suite by a [Harness] how to look at
// the VMs and how to disturb them, and calls [Run] from a test:
//
//	func TestConformance(t *testing.T) {
//		hypervisortest.Run(t, hypervisortest.Harness{
//			New: func(t *testing.T) hypervisortest.World {
//				emu := newEmulator(t)
//				return hypervisortest.World{
//					Backend: mine.New(emu.Run),
//					Add:     emu.add,
//					Look:    emu.vms,
//				}
//			},
//		})
//	}
//
// The example of this package is a whole backend with its played tool.
//
// # What is checked
//
// Which capabilities are checked is what the backend's methods say. A case that
// fails quotes the sentence of the contract that it checks. A case that needs
// something which the [World] does not have is skipped and says what that is, so
// that a World can begin with Backend, Add and Look and grow; where a hypervisor
// honestly differs, a field of the [Harness] says so. A [Fault] that a backend
// survives is worth more than a function that works: World.Break is the part to
// play well.
//
// The subtests are named by capability and case, so that one of them is run by
//
//	go test -run 'TestConformance/Lifecycle/Start_from_stopped'
//
// A Creator gets a disk and a seed that are small files of zeros: nothing boots from
// them, so that a VM that was made runs without a guest.
//
// What a Rehearser rehearses is done for real afterwards, and must lead to what the
// rehearsal showed. Whether the commands that it tells are the right ones only the
// backend's own tests can say.
//
// # Time
//
// Each case runs in a bubble of package testing/synctest, so waits and
// time-outs cost nothing and goroutines that outlive a call are found. The
// played tool must wait by timers and channels then; see [Harness.RealTime]
// for one that cannot.
//
// # Out of scope
//
// What no test can see of a backend from outside: that it asks nobody, which
// of its errors are about licences and networks, and whether its texts are good
// for people. A test of this package holds the list of those sentences.
package hypervisortest
