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
// is done. [Manager.Diag] returns a [Report], and changes nothing but SSH entries
// that differ from the registry.
//
// # The life of a VM
//
//   - [Manager.Create] makes one from Debian's image and [Manager.Clone] from a
//     template; both then do what Setup does.
//   - [Manager.Start] and [Manager.Stop] turn it on and off, [Manager.Update]
//     brings the mpd in it up to date, [Manager.SSHCommand] says how to log in.
//   - [Manager.List] and [Manager.Show] tell what is known of it.
//   - [Manager.Delete] destroys and forgets it.
//
// The Mac itself is the business of [Manager.Doctor], which looks at all of it,
// [Manager.Trust] and [Manager.CARotate] for the certificate authority,
// [Manager.Backends] and [Manager.SetDefaultBackend], and of
// [Manager.Uninstall], which leaves nothing behind.
//
// # Plan before action
//
// [Manager.Plan] takes the request of any verb that changes something and says,
// step by step, what the verb would do: commands, scripts in the VM, files with
// their differences, and what runs as root. It is the verb's own code, and does
// nothing of it.
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
// by errors.As with the Error types of this package. [EventWriter] writes events
// as lines of JSON, and results marshal to the JSON that the command prints:
// values with a Schema field follow the JSON schemas in docs/schema.
//
// # At the same time
//
// All methods may be called at once, on one Manager or on many, in one process
// or in several: locks on files keep apart what changes the same VM. Who comes
// second gets a *[LockedError], or waits if [Config].LockWait says so. Verbs that
// only look wait for nobody. When ctx ends, a verb ends within a second and
// leaves what the next run needs to go on; no goroutine outlives its call.
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
