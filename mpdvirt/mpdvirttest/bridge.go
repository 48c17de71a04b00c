package mpdvirttest

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// The bridge carries the Mac's side of a world to another process: one
// connection for each thing that the other process wants. It begins with a
// bridgeRequest and a bridgeReply, each a line of JSON. A dialed stream, or the
// body of an answer, then follows as it is; of packets each has its length, two
// bytes, before it.

// Operations of the bridge.
const (
	opConfig  = "config"
	opDial    = "dial"
	opRun     = "run"
	opResolve = "resolve"
	opAddrs   = "addrs"
	opFetch   = "fetch"
)

type bridgeRequest struct {
	Op      string
	Network string             `json:",omitempty"`
	Address string             `json:",omitempty"`
	Command hypervisor.Command `json:",omitzero"`
	// Method and Header are of a request whose URL is Address.
	Method string      `json:",omitempty"`
	Header http.Header `json:",omitempty"`
}

type bridgeReply struct {
	Home   string            `json:",omitempty"`
	Root   string            `json:",omitempty"`
	Now    time.Time         `json:",omitzero"`
	Addrs  []netip.Addr      `json:",omitempty"`
	Result hypervisor.Result `json:",omitzero"`
	// Image and Host are as in mpdvirt.Config.
	Image mpdvirt.ImageSource `json:",omitzero"`
	Host  mpdvirt.Host        `json:",omitzero"`
	// Status, Header and Length are of the answer to a request.
	Status int         `json:",omitempty"`
	Header http.Header `json:",omitempty"`
	Length int64       `json:",omitempty"`
	// Local and Remote are the addresses of a dialed connection.
	Local, Remote string      `json:",omitempty"`
	Err           *bridgeFail `json:",omitempty"`
}

// bridgeFail is an error with what a caller may want to know of it.
type bridgeFail struct {
	Text     string
	Errno    syscall.Errno `json:",omitempty"`
	NotFound bool          `json:",omitempty"` // of a name
	Timeout  bool          `json:",omitempty"`
	NoTool   bool          `json:",omitempty"`
}

func failOf(err error) *bridgeFail {
	if err == nil {
		return nil
	}
	f := &bridgeFail{Text: err.Error(), NoTool: errors.Is(err, hypervisor.ErrToolMissing)}
	f.Timeout = errors.Is(err, context.DeadlineExceeded)
	errors.As(err, &f.Errno)
	if dnsErr := (*net.DNSError)(nil); errors.As(err, &dnsErr) {
		f.NotFound, f.Timeout = dnsErr.IsNotFound, dnsErr.IsTimeout
	}
	return f
}

// Serve lets other processes work in the world through [Remote], until the
// listener is closed; then it ends what they do and returns nil. Other errors of the
// listener end it, too, and are returned. The usual listener is a Unix socket. It is meant for tests that kill the program under test
// while the VMs live on.
//
// Serve is the one part of a world that does real input and output, so that it
// cannot be used in a testing/synctest bubble.
func (w *World) Serve(l net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() {
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			defer c.Close()
			w.serveOne(ctx, c)
		})
	}
}

func (w *World) serveOne(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := bufio.NewReader(c)
	var req bridgeRequest
	if err := readLine(in, &req); err != nil {
		return
	}
	if req.Op == opDial {
		w.serveDial(ctx, c, in, req)
		return
	}
	// Whoever hangs up wants no answer any more.
	go func() {
		in.Peek(1)
		cancel()
	}()
	var reply bridgeReply
	var err error
	switch req.Op {
	case opConfig:
		cfg := w.Config()
		reply.Home, reply.Root, reply.Now, reply.Image, reply.Host = cfg.Home, cfg.SystemRoot, cfg.Now(), cfg.Image, cfg.Host
	case opFetch:
		w.serveFetch(ctx, c, req)
		return
	case opRun:
		reply.Result, err = w.Run(ctx, req.Command)
	case opResolve:
		reply.Addrs, err = w.Resolve(ctx, req.Network, req.Address)
	case opAddrs:
		reply.Addrs, err = w.LocalAddrs()
	default:
		err = errors.New("mpdvirttest: the bridge does not know " + req.Op)
	}
	reply.Err = failOf(err)
	writeLine(c, reply) // nobody there is fine
}

// serveDial carries one connection.
func (w *World) serveDial(ctx context.Context, c net.Conn, in *bufio.Reader, req bridgeRequest) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var far net.Conn
	var err error
	dialed := make(chan struct{})
	go func() {
		defer close(dialed)
		far, err = w.DialContext(ctx, req.Network, req.Address)
	}()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		in.Peek(1) // the caller says nothing before it has its reply
	}()
	select {
	case <-dialed:
	case <-gone:
		cancel()
		<-dialed
	}
	if err != nil {
		writeLine(c, bridgeReply{Err: failOf(err)})
		return
	}
	defer far.Close()
	reply := bridgeReply{Local: far.LocalAddr().String(), Remote: far.RemoteAddr().String()}
	if writeLine(c, reply) != nil {
		return
	}
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() {
		defer c.Close()
		if isPacket(req.Network) {
			copyPackets(c, far)
		} else {
			io.Copy(c, far) // either way the connection is over
		}
	})
	defer far.Close()
	<-gone
	if isPacket(req.Network) {
		for {
			b, err := readPacket(in)
			if err != nil {
				return
			}
			far.Write(b) // an error shows at the next read
		}
	}
	io.Copy(far, in)
}

func isPacket(network string) bool { return slices.Contains([]string{"udp", "udp4", "udp6"}, network) }

// copyPackets sends on what far receives.
func copyPackets(c io.Writer, far net.Conn) {
	buf := make([]byte, 1<<16)
	for {
		n, err := far.Read(buf)
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil && writePacket(c, buf[:n]) != nil {
			return
		}
	}
}

func readLine(in *bufio.Reader, v any) error {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func readPacket(in io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(in, b)
	return b, err
}

func writePacket(w io.Writer, b []byte) error {
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(b)))
	_, err := w.Write(append(framed, b...))
	return err
}
