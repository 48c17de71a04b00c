// Package utmemu plays UTM for tests and the demo: utmctl, the osascript calls
// of one client, and the two macOS tools that tell of UTM's version and network,
// over VMs that exist only as records in a state that may be kept in a file.
//
// [New] makes an [Emulator]; [Emulator.AddVM] fills it, [Emulator.Runner]
// answers commands inside the process, [Emulator.Inject] makes one go wrong, and
// [Emulator.Calls] tells them.
//
// # osascript
//
// AppleScript is not interpreted. A call is known by its arguments, which are
// "-", one of the words list, running, start, suspend, kill, request, delete,
// make, drives and detach, and then values; what the script on standard input
// says is only searched: it must be ASCII, have a run handler and the command of
// UTM's dictionary that the word stands for, and must not hold any value. How it
// stops a VM is taken from the script's own words, so that a stop that forgot to
// say how is the power cut that it is with UTM.
//
// # Time
//
// [Settings.Delay] is the scale of all durations: 0, the default, is no time at
// all, and 1 is about as on a Mac. A state such as "starting" ends by itself when
// its time is over; nothing runs in the background.
//
// # Where the texts come from
//
// Texts and habits carry the mark of their evidence: C is confirmed in UTM's
// source or documents, R by a log from a real Mac, A is assumed. The package was
// written from those notes alone, and not from the code that it is used to test.
//
// # Out of scope
//
// Guest agent verbs, USB, clone, import and export, Apple's own virtualisation,
// and displays.
package utmemu
