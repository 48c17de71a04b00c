// Package mpdvirttest is a world in one process for tests, examples and
// demonstrations of package mpdvirt: a Mac with a home folder, and VMs on a
// network in memory that speak real SSH and DNS and really run the shell text
// that is sent to them.
//
// [New] makes a world, [World.AddVM] puts a VM in it, and [World.Config] is
// what a mpdvirt.Manager needs to work there. [VM] then tells what happened to
// the VM and lets a test change or break it: [VM.Steps], [VM.File],
// [VM.PowerOff], [VM.RotateHostKeys], [VM.Inject].
//
// # What is real and what is played
//
// Real: the SSH protocol with its key exchange and logins, the DNS messages,
// the files in the Mac's home folder, WireGuard's keys (a tunnel is up only if
// the conf files of both ends are a pair), and the language of the shell.
// Played: the network, the VM's files and programs, and the mpd project's
// bootstrap scripts, by stand-ins that keep their contract: exit codes, files,
// messages, and the change of address after step 30. The scripts are texts that
// a VM downloads and runs, so that a cut or empty download has its true
// consequences. Nothing here opens a socket, starts a process, or touches a
// file outside of [World.Home], but that the tools of [World.Run] use the files
// that their command lines name; [World.Serve] and [Remote] alone use what their
// caller gives them.
//
// Everything works in a testing/synctest bubble, in which all waits are free.
// A world whose clock is not set stands still at [Epoch], so that output can be
// compared byte by byte.
//
// The interpreter of the VM's shell text is mvdan.cc/sh. It knows no descriptors
// above 2, no signals, and no EXIT trap of a subshell, and wants UTF-8; programs
// have the options that scripts commonly use, and fail when they meet another.
//
// # Hypervisors
//
// The VMs of a world belong to no hypervisor until [World.AddParallels] installs
// one: then prlctl and prlsrvctl are played, too, and the VMs and templates
// that are added to the result, and those that prlctl clones, live and die as
// it says. A clone has all of its template's disk, host keys included; sshd's
// host keys are those that are in /etc/ssh when it starts.
//
// [World.AddUTM] installs UTM: utmctl, osascript, and what defaults and ifconfig
// tell of it. A VM that is made there is an empty Debian, which really opens the
// seed that it was given and becomes what that says; its cloud-init has the
// command status. The archive with its disk is at [World.Image], which
// [World.Transport] downloads and the played tar unpacks: [World.FailImage] makes
// that go wrong, and [World.ImageRequests] tells what was asked for.
//
// Out of scope: other hypervisors, the containers behind the VM's name server,
// and macOS's own tools other than ping, ssh and tar; [World.HandleCommand] adds
// more.
package mpdvirttest
