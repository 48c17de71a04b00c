package mpdvirttest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Run plays the programs that the Mac has: those of [World.Mac]; ping, with the
// options of Linux or of macOS; ssh, of which it plays "ssh -G" and a login that
// runs a command without asking anything; tar, which lists and unpacks the archive
// of [World.Image] alone; and the tools of the hypervisors that were added. Others
// are hypervisor.ErrToolMissing, unless HandleCommand added them. It is a
// hypervisor.Runner.
func (w *World) Run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	if len(c.Argv) == 0 {
		return hypervisor.Result{}, fmt.Errorf("mpdvirttest: run a program: no name: %w", hypervisor.ErrToolMissing)
	}
	ctx, cancel := bound(ctx, c)
	defer cancel()
	name := path.Base(c.Argv[0])
	w.mu.Lock()
	w.commands = append(w.commands, hypervisor.Command{Argv: slices.Clone(c.Argv), Stdin: c.Stdin, Terminal: c.Terminal, Limit: c.Limit})
	tool := w.tools[name]
	w.mu.Unlock()
	switch {
	case tool != nil:
	case w.mac.plays(name):
		w.settleTunnel()
		tool = w.mac.emu.Runner()
	case name == "ping":
		tool = w.ping
	case name == "ssh":
		tool = w.ssh
	case name == "tar":
		tool = w.tar
	default:
		return hypervisor.Result{}, fmt.Errorf("%s: %w", name, hypervisor.ErrToolMissing)
	}
	result, err := tool(ctx, c)
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return hypervisor.Result{}, fmt.Errorf("%s: %w", name, err)
	}
	return result, nil
}

// bound is the time that a command may take: as it says, and with a person at its
// terminal for ever.
func bound(ctx context.Context, c hypervisor.Command) (context.Context, context.CancelFunc) {
	switch {
	case c.Limit > 0:
		return context.WithTimeout(ctx, c.Limit)
	case c.Terminal:
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, hypervisor.DefaultLimit)
}

// HandleCommand makes a function play a program of the Mac, by its base name,
// also in the place of one that Run plays; nil ends that, and takes away the tool of a
// hypervisor. Its ctx ends with the command's limit.
func (w *World) HandleCommand(name string, tool hypervisor.Runner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.tools, name)
	if tool != nil {
		w.tools[name] = tool
	}
}

// Commands are all programs that were started on the Mac, in order, those included
// that are not there. The caller must not change what the elements hold.
func (w *World) Commands() []hypervisor.Command {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.commands)
}

// ping sends one packet. Linux's -W is in seconds and macOS's -t is; which of
// them is there says whose output to play.
func (w *World) ping(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	var out, errs bytes.Buffer
	args := c.Argv[1:]
	linux := !slices.Contains(args, "-t")
	if len(args) == 0 {
		return hypervisor.Result{Stderr: []byte("ping: usage error: Destination address required\n"), Status: 64}, nil
	}
	target := args[len(args)-1]
	addr, err := netip.ParseAddr(target)
	if err != nil {
		fmt.Fprintf(&errs, "ping: cannot resolve %s: Unknown host\n", target)
		return hypervisor.Result{Stderr: errs.Bytes(), Status: map[bool]int{true: 2, false: 68}[linux]}, nil
	}
	denied := w.denied(addr)
	exists := !denied && w.exists(addr)
	silent := !exists && !denied && (w.opts.SilentHosts || throughTunnel(addr))
	if silent {
		if !pause(ctx, 2*time.Second) {
			return hypervisor.Result{}, ctx.Err()
		}
	}
	if linux {
		linuxPing(&out, addr, exists, silent)
	} else {
		macPing(&out, &errs, addr, exists, silent)
	}
	status := 0
	if !exists {
		status = map[bool]int{true: 1, false: 2}[linux]
	}
	return hypervisor.Result{Stdout: out.Bytes(), Stderr: errs.Bytes(), Status: status}, nil
}

func linuxPing(out *bytes.Buffer, addr netip.Addr, exists, silent bool) {
	fmt.Fprintf(out, "PING %v (%[1]v) 56(84) bytes of data.\n", addr)
	switch {
	case exists:
		fmt.Fprintf(out, "64 bytes from %v: icmp_seq=1 ttl=64 time=0.411 ms\n\n--- %[1]v ping statistics ---\n1 packets transmitted, 1 received, 0%% packet loss, time 0ms\nrtt min/avg/max/mdev = 0.411/0.411/0.411/0.000 ms\n", addr)
	case silent:
		fmt.Fprintf(out, "\n--- %v ping statistics ---\n1 packets transmitted, 0 received, 100%% packet loss, time 0ms\n\n", addr)
	default:
		fmt.Fprintf(out, "From 10.211.55.2 icmp_seq=1 Destination Host Unreachable\n\n--- %v ping statistics ---\n1 packets transmitted, 0 received, +1 errors, 100%% packet loss, time 0ms\n\n", addr)
	}
}

func macPing(out, errs *bytes.Buffer, addr netip.Addr, exists, silent bool) {
	fmt.Fprintf(out, "PING %v (%[1]v): 56 data bytes\n", addr)
	if exists {
		fmt.Fprintf(out, "64 bytes from %v: icmp_seq=0 ttl=64 time=0.411 ms\n\n--- %[1]v ping statistics ---\n1 packets transmitted, 1 packets received, 0.0%% packet loss\nround-trip min/avg/max/stddev = 0.411/0.411/0.411/0.000 ms\n", addr)
		return
	}
	if !silent {
		errs.WriteString("ping: sendto: No route to host\n")
	}
	fmt.Fprintf(out, "\n--- %v ping statistics ---\n1 packets transmitted, 0 packets received, 100.0%% packet loss\n", addr)
}

// vmAt is the running VM at an address; nil if there is none.
func (w *World) vmAt(a netip.Addr) *VM {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.vms {
		if v.running() && v.Addr() == a {
			return v
		}
	}
	return nil
}

// output is a line of a program that failed.
func output(status int, format string, a ...any) (hypervisor.Result, error) {
	return hypervisor.Result{Stderr: []byte(strings.ReplaceAll(fmt.Sprintf(format, a...), "\n", "\r\n") + "\r\n"), Status: status}, nil
}
