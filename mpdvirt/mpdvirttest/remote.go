package mpdvirttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// Remote is the Config of a world that lives in another process, which calls
// [World.Serve] on the Unix socket with this path. The home folder is the
// world's own; the clock stands still at the world's time of this call. It is an
// error if nobody serves there.
//
// Connections that the world breaks with a reset end here with io.EOF. Of the errors
// of programs ErrToolMissing and the deadline's are kept, and others are texts.
func Remote(socket string) (mpdvirt.Config, error) {
	r := remote(socket)
	reply, err := r.ask(context.Background(), bridgeRequest{Op: opConfig})
	if err != nil {
		return mpdvirt.Config{}, fmt.Errorf("mpdvirttest: %w", err)
	}
	return mpdvirt.Config{
		Home:        reply.Home,
		SystemRoot:  reply.Root,
		DialContext: r.dial,
		Resolve:     r.resolve,
		Runner:      r.run,
		LocalAddrs:  r.localAddrs,
		Now:         func() time.Time { return reply.Now },
		AgentSocket: "none",
		Transport:   r,
		Image:       reply.Image,
		Host:        reply.Host,
	}, nil
}

// remote is the path of a bridge's socket.
type remote string

// open sends a request; the reply follows in the result. Closing conn ends the
// operation, which the end of ctx does.
func (r remote) open(ctx context.Context, req bridgeRequest) (conn net.Conn, in *bufio.Reader, reply bridgeReply, err error) {
	var d net.Dialer
	conn, err = d.DialContext(ctx, "unix", string(r))
	if err != nil {
		return nil, nil, reply, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	in = bufio.NewReader(conn)
	if err = writeLine(conn, req); err == nil {
		err = readLine(in, &reply)
	}
	if !stop() {
		err = ctx.Err()
	}
	if err == nil && reply.Err != nil {
		err = reply.Err.error(req)
	}
	if err != nil {
		conn.Close()
	}
	return conn, in, reply, err
}

func (r remote) ask(ctx context.Context, req bridgeRequest) (bridgeReply, error) {
	conn, _, reply, err := r.open(ctx, req)
	if err != nil {
		return bridgeReply{}, err
	}
	return reply, conn.Close()
}

func (r remote) run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	reply, err := r.ask(ctx, bridgeRequest{Op: opRun, Command: c})
	return reply.Result, err
}

func (r remote) resolve(ctx context.Context, network, host string) ([]netip.Addr, error) {
	reply, err := r.ask(ctx, bridgeRequest{Op: opResolve, Network: network, Address: host})
	return reply.Addrs, err
}

func (r remote) localAddrs() ([]netip.Addr, error) {
	reply, err := r.ask(context.Background(), bridgeRequest{Op: opAddrs})
	return reply.Addrs, err
}

func (r remote) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, in, reply, err := r.open(ctx, bridgeRequest{Op: opDial, Network: network, Address: address})
	if err != nil {
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			return nil, err
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	far := farConn{Conn: conn, in: in, local: farAddr(network, reply.Local), remote: farAddr(network, reply.Remote)}
	if isPacket(network) {
		return &farPackets{far}, nil
	}
	return &far, nil
}

// error makes an error of what the bridge told.
func (f *bridgeFail) error(req bridgeRequest) error {
	switch {
	case f.NoTool:
		return fmt.Errorf("%s: %w", req.Command.Argv[0], hypervisor.ErrToolMissing)
	case req.Op == opResolve:
		return &net.DNSError{Err: f.Text, Name: req.Address, IsNotFound: f.NotFound, IsTimeout: f.Timeout}
	case req.Op == opDial && f.Errno != 0:
		to, _ := netip.ParseAddrPort(req.Address) // it was good enough to be dialed
		return &net.OpError{Op: "dial", Net: req.Network, Addr: net.TCPAddrFromAddrPort(to), Err: os.NewSyscallError("connect", f.Errno)}
	case f.Timeout:
		return fmt.Errorf("%s: %w", strings.TrimSuffix(f.Text, ": "+context.DeadlineExceeded.Error()), context.DeadlineExceeded)
	}
	return errors.New(f.Text)
}

// farConn is a connection that the world's process holds.
type farConn struct {
	net.Conn
	in            *bufio.Reader
	local, remote net.Addr
}

func (c *farConn) Read(b []byte) (int, error) { return c.in.Read(b) }
func (c *farConn) LocalAddr() net.Addr        { return c.local }
func (c *farConn) RemoteAddr() net.Addr       { return c.remote }

// farPackets is a farConn of packets. It is a net.PacketConn, by which
// miekg/dns tells packets from streams.
type farPackets struct{ farConn }

func (c *farPackets) Read(b []byte) (int, error) {
	p, err := readPacket(c.in)
	return copy(b, p), err
}

func (c *farPackets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := c.Read(b)
	return n, c.remote, err
}

func (c *farPackets) Write(b []byte) (int, error) {
	if err := writePacket(c.Conn, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (c *farPackets) WriteTo([]byte, net.Addr) (int, error) { return 0, net.ErrWriteToConnected }

// farAddr is an address on the world's network.
func farAddr(network, address string) net.Addr {
	a, _ := netip.ParseAddrPort(address) // printed by a world
	if isPacket(network) {
		return net.UDPAddrFromAddrPort(a)
	}
	return net.TCPAddrFromAddrPort(a)
}
