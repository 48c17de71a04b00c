// Package memnet is a network in memory, with streams and packets, for tests
// and demonstrations.
//
// [New] makes a network, [Network.Listen] and [Network.ListenPacket] put
// servers on it, and [Network.DialContext] has the form of net.Dialer's method
// of that name. What makes real machines hard to talk to can be played: a
// silent host, a closed port, a host without a route ([Network.SetUp],
// [Network.SetRoute]), a guest that loses its address while connections are
// open ([Network.Move], [Network.Cut]), a machine that sleeps, and a reset
// ([Network.Reset]). Errors are those of the real thing: *net.OpError around a
// syscall.Errno.
//
// Nothing here uses real sockets or polls a clock, so that all of it works in
// a testing/synctest bubble, whether the Network was made inside or outside of
// it. Names are not resolved, there is no latency and no half-close.
package memnet
