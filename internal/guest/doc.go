// Package guest is one SSH connection to a VM.
//
// [Dial] logs in at one address; [Await] does so at the first of several
// addresses at which it succeeds, and waits for a VM that is still coming up.
// Over the [Conn] that they return, [Conn.Run] runs a bash script and hands
// over its output line by line, [Conn.Query] returns what a script prints, and
// [Conn.Push] puts a file in place in one step. [ReadPins] and [WritePins] keep
// the VM's host keys, [NewIdentities] finds the keys to log in with.
//
// # What it guards against
//
// Everything that the other side sends is taken as a stranger's: the host key
// is checked against the VM's own known_hosts before anything of ours is said;
// no channel, forwarding, agent or environment is ever offered; output is
// cleaned of what controls a terminal and is bounded in memory; a script that
// did not report that it began did not succeed, whatever status came back.
//
// Every wait has a bound. A connection to a VM that lost its address, which no
// read or write ever notices, is found dead by keep-alives. When a context ends
// the call returns within a second. No goroutine outlives [Conn.Close].
//
// # Out of scope
//
// Terminals, port forwarding, SFTP, passwords, and any program but bash.
package guest
