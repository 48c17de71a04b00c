package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// dialer is a DialContext.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// outside counts and logs what the SDK does beyond this process. An embedding
// program may as well send it elsewhere: the connections through a proxy, the
// programs to another machine.
type outside struct {
	log *slog.Logger

	mu       sync.Mutex
	dials    map[string]int // by "tcp 10.211.55.150:22"
	open     int            // connections now
	programs map[string]int // by name
}

func newOutside(log *slog.Logger) *outside {
	return &outside{log: log, dials: map[string]int{}, programs: map[string]int{}}
}

// dialing wraps a DialContext. It is called from many goroutines at once.
func (o *outside) dialing(next dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		begin := time.Now()
		conn, err := next(ctx, network, address)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.dials[network+" "+address]++
		o.log.Debug("dial", "network", network, "address", address, "took", time.Since(begin), "error", err)
		if err != nil {
			return nil, err
		}
		o.open++
		return &countedConn{Conn: conn, closed: sync.OnceFunc(o.closed)}, nil
	}
}

func (o *outside) closed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open--
}

// countedConn tells once that it was closed. Everything else is the
// connection's own.
type countedConn struct {
	net.Conn
	closed func()
}

// Close closes the connection.
func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// running wraps a Runner. Argument lists never hold secrets; Stdin may, and is
// not logged.
func (o *outside) running(next hypervisor.Runner) hypervisor.Runner {
	return func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		res, err := next(ctx, c)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.programs[filepath.Base(c.Argv[0])]++
		o.log.Debug("run", "argv", c.Argv, "status", res.Status, "error", err)
		return res, err
	}
}
