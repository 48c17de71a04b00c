// Package mpdvirttest is a world in one process for tests, examples and
// demonstrations of package mpdvirt: a Mac with a home folder, and VMs on a
// network in memory that speak real SSH and DNS and really run the shell text
// that is sent to them.
//
// [New] makes a world, [World.AddVM] puts a VM in it, and [World.Config] is
// what a mpdvirt.Manager needs to work there. [VM] then tells what happened to
// the VM and lets a test change or break it: [VM.Steps], [VM.File],
// [VM.PowerOff], [VM.RotateHostKeys], [VM.Inject]. [World.Close] ends all of it.
//
// Methods of all types may be called at the same time. Functions that they are
// given, and Options.Clock, may be called from many goroutines.
//
// # What is real and what is played
//
// Real: the SSH protocol with its key exchange and logins, the DNS messages,
// the files in the Mac's home folder and of its /etc, WireGuard's keys (a tunnel
// carries packets only if the configurations of both ends are a pair), TLS and the
// certificates that mpd --setup signs, and the language of the shell.
// Played: the network, the VM's files and programs, and the mpd project's
// bootstrap scripts, by stand-ins that keep their contract: exit codes, files,
// messages, and the change of address after step 30. The scripts are texts that
// a VM downloads and runs, so that a cut or empty download has its true
// consequences. Nothing here opens a socket, starts a process, or touches a
// file outside of [World.Home] and [World.Root], but that the tools of [World.Run]
// use the files that their command lines name; [World.Serve] and [Remote] alone use what their
// caller gives them.
//
// # Time
//
// Everything but [World.Serve] and [Remote] works in a testing/synctest bubble, in
// which all waits are free. Waits are by timers, whatever Options.Clock says: that is
// the time that programs tell, and by which sudo's ticket and the states of the Mac's
// tunnels end. A world whose clock is not set stands
// still at [Epoch], so that output can be compared byte by byte.
//
// # The VM's shell
//
// The interpreter of the VM's shell text is mvdan.cc/sh. It knows no descriptors
// above 2, no signals, and no EXIT trap of a subshell, and wants UTF-8; programs
// have the options that scripts commonly use, and fail when they meet another.
//
// # The Mac
//
// [World.Run] answers the tools by which macOS tells and changes trust, routes,
// names and tunnels, and shows things to a person: security, sudo, scutil, route,
// netstat, ifconfig, dscacheutil, pbcopy, open and others. [World.Mac] says what
// came of them, does what a person does by hand, and makes them fail or refuse.
// What they say is what happens:
//
//   - The tunnel that is Connected carries packets to the VM at its endpoint while
//     the VM's end is up and the keys are a pair; otherwise they vanish. Opening a
//     .mobileconfig installs its tunnel, and [World.Tunnel] does all that a person
//     does in one call.
//   - The routing table decides what reaches the networks behind a tunnel; a static
//     route through a VM reaches its containers, too.
//   - [World.Resolve] asks the name server that scutil --dns shows: that of the
//     tunnel that is up takes all queries, so that a VM that is off means no names
//     at all, and a file below /etc/resolver those of its domain.
//   - The VM's portal shows a certificate for mpd.test of the CA that was pushed to
//     it before its last mpd --setup; [VM.SetPortal] makes it wrong.
//   - With MacSettings.LocalNetworkDenied the VMs' own addresses have no route for
//     this program, and those behind the tunnel have.
//
// What programs show on their terminal is in [Mac.Terminal]; a test has no other
// terminal, and with the setting Sudo "asks not" sudo needs none. [Mac.NotPlayed]
// tells the uses of tools that nobody taught the Mac. [Options].NoMac takes the
// tools away, as on Linux.
//
// # Hypervisors
//
// The VMs of a world belong to no hypervisor until [World.AddParallels] installs
// one: then prlctl and prlsrvctl are played, too, and the VMs and templates
// that are added to the result, and those that prlctl clones, live and die as
// it says. A clone has all of its template's disk, host keys included; sshd's
// host keys are those that are in /etc/ssh when it starts.
//
// [World.AddUTM] installs UTM: utmctl, osascript, what defaults tells of it, and
// bridge100 while a VM runs. A VM that is made there is an empty Debian, which really opens the
// seed that it was given and becomes what that says; its cloud-init has the
// command status. The archive with its disk is at [World.Image], which
// [World.Transport] downloads and the played tar unpacks: [World.FailImage] makes
// that go wrong, and [World.ImageRequests] tells what was asked for.
//
// # Making things go wrong
//
// Each part of the world has faults of its own: [VM.Inject] for the steps of the
// bootstrap, [World.Web] for the VMs' downloads, [World.FailImage] for the Mac's,
// [Mac.Inject], [Parallels.Inject] and [UTM.Inject] for the tools. A fault waits
// until something fits it, happens as often as its Times says, and is gone; of many
// that fit, the first comes first. Lasting conditions are set instead, by the
// methods whose names begin with Set: [VM.SetServer], [VM.SetDNS], [VM.SetPortal],
// [VM.SetSudo], [VM.SetDiskFull] and so on.
//
// # Settings
//
// [MacSettings], [ParallelsSettings], [UTMSettings] and the faults of the tools are
// types of emulators that are internal to this module. Everybody may set their
// fields; the words in them are plain texts. What each means is printed by
//
//	go doc github.com/mutms/mpd-virt-macos/internal/macemu.Settings
//	go doc github.com/mutms/mpd-virt-macos/internal/prlemu.Settings
//	go doc github.com/mutms/mpd-virt-macos/internal/utmemu.Settings
//
// and the same with Fault.
//
// # Out of scope
//
// Other hypervisors, the containers other than the VM's name server and portal,
// and tools of macOS that this program has no use for; [World.HandleCommand] adds
// more.
package mpdvirttest
