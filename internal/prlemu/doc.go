// Package prlemu plays prlctl and prlsrvctl, the command line of Parallels
// Desktop, for tests and the demo: the same arguments, output texts, exit codes
// and moods, over VMs that exist only as records in a state that may be kept in
// a file.
//
// [New] makes an [Emulator]; [Emulator.AddVM] fills it, [Emulator.Runner]
// answers commands inside the process, [Emulator.Inject] makes one go wrong, and
// [Emulator.Calls] counts them. [Main] is the same as the body of a real
// program, for tests that want processes to hang and to be killed: a test
// binary that was started under the name prlctl calls it.
//
// # Time
//
// [Settings.Delay] is the scale of all durations: 0, the default, is no time at
// all, and 1 is as measured on a Mac. A state such as "starting" ends by itself
// when its time is over; nothing runs in the background. All waits are timers,
// so that a testing/synctest bubble makes them free.
//
// # Where the texts come from
//
// Every text and habit carries the mark of its evidence: C is confirmed on a
// real Mac, S is confirmed only in the source of the OpenVZ edition of the same
// program, A is assumed. The package was written from those notes alone, and
// not from the code that it is used to test.
//
// # Out of scope
//
// Snapshots of running VMs, capture, exec, devices other than the first disk,
// and the language of the plain forms that nobody parses.
package prlemu
