// Package macos asks macOS's own tools one question a call: is this CA
// trusted, where does this route go, which tunnel is up, who answers names;
// and it knows the commands that change the answers.
//
// Most callers need [New] and then [Mac.Verify], [Mac.RouteTo] and
// [Mac.Tunnels]. What changes the Mac is never done on the way: functions such
// as [TrustCommands] return the commands, which the caller shows to a person
// and gives to [Mac.Sudo], and afterwards it asks again, since several of these
// tools exit with 0 when they have failed.
//
// The tools are run through a hypervisor.Runner by their absolute paths, which
// are the same on every Mac and need not be on PATH in programs that launchd
// started. So everything here builds and is tested on Linux too. Answers are
// read strictly: one that cannot be read is [ErrUnclear], never "fine" and never
// "broken". Text of the tools that is handed on has no control characters.
//
// The outputs are as Apple's sources and captures of macOS 26 have them; where
// something is only assumed, the comment at the place says so.
//
// Out of scope: what to make of the answers, asking the person, the SSH agent,
// ping, and DNS queries of our own.
package macos
