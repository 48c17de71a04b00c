// Package macemu plays a Mac for tests and the demo: the tools of macOS that tell
// and change trust, routes, names, tunnels and what a person sees, over a Mac
// that exists only as a record in a state that may be kept in a file.
//
// [New] makes an [Emulator]; [Emulator.Runner] answers commands inside the
// process, [Emulator.AddTunnel], [Emulator.Activate] and [Emulator.AddCertificate]
// do what a person does by hand, [Emulator.Change] makes another Mac of it, and
// [Emulator.Inject] makes a command go wrong. [Emulator.NotPlayed] tells the
// commands that this package does not know: a test should find none.
//
// # Tools
//
// security, sudo, scutil, route, netstat, ifconfig, arp, dscacheutil, killall,
// pbcopy, pbpaste, open, sw_vers, id, env, and of what sudo needs to write below
// /etc/resolver: mkdir, tee, install, cp, chmod, rm and rmdir. Each is known by
// its bare name and its place. A use that is not played ends with status 64 and
// the text "macemu: not played:", so that a wrong argument is not taken for a
// real tool's refusal.
//
// # Files
//
// Only what is below /etc/resolver, and /etc/hosts for reading, is mapped below
// [Options].Root; a program under test reads the same files there. Other paths
// are those of the machine that runs the test: certificates, profiles and what is
// copied.
//
// # Time
//
// [Settings].Delay is the scale of all durations; 0, the default, is no time at
// all. A state such as "Connecting" ends by itself when its time is over; nothing
// runs in the background.
//
// # Where the texts come from
//
// Texts and habits carry the mark of their evidence: C is confirmed in Apple's or
// WireGuard's source or by a capture, A is assumed. The package was written from
// those notes alone, and not from the code that it is used to test.
//
// # Out of scope
//
// ping and ssh, which a played network answers; IPv6; Apple's own root
// certificates; UTM's and Parallels' tools; and all that would need a real trust
// evaluation, as certificate transparency and revocation.
package macemu
