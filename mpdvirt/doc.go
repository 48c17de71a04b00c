// Package mpdvirt sets up, proves and removes mpd VMs: Debian trixie machines
// that run mpd, a container platform for web development, for a developer on a
// Mac.
//
// # The calls that most people need
//
// A [Manager] has one method per verb of the mpd-virt command. One number, the
// [Octet], names a VM and all that belongs to it.
//
//	m, err := mpdvirt.New(mpdvirt.Config{Observer: show})
//	...
//	res, err := m.Setup(ctx, mpdvirt.SetupRequest{
//		Octet: 150, Backend: "general",
//		Addr:  netip.MustParseAddr("10.211.55.37"), User: "dev",
//	})
//	...
//	report, err := m.Diag(ctx, mpdvirt.DiagRequest{Octet: 150})
//
// [Manager.Setup] takes a VM that answers SSH through the whole bootstrap and
// may be called again at any time: it goes on where it must and confirms what
// is done. [Manager.Diag] changes nothing and returns a [Report].
//
// # Two halves
//
// Setup owns the VM: it logs in, runs the VM's bootstrap scripts, brings over
// the keys, and registers the VM in ~/.mpd-virt. Diag owns this Mac: its
// mandatory checks say whether the registered VM is there and the right one,
// its optional checks whether *.mpd.test leads to it.
//
// # Progress, questions and errors
//
// Progress is data: [Config].Observer gets an [Event] for each step that starts
// and ends and for each line that a step prints. Where a person must decide or
// act, the [Prompter] of the Config asks; without one nothing ever waits for a
// person. Every error is an *[Error], which says what failed on what and
// carries the next step as Hint; decide by errors.Is with the Err values and
// by errors.As with the Error types of this package.
//
// # Trying it without a Mac
//
// Every contact with the outside is a field of [Config]. Package mpdvirttest
// fills them with an in-process Mac and VMs that speak real SSH and DNS.
//
// # Out of scope
//
// The package prints nothing, reads the environment only in [New], and does
// nothing inside the containers: that is mpd's own business.
package mpdvirt
