// Libvirt is a small mpd-virt with a fourth hypervisor: libvirt, driven through
// virsh by the package in the folder virsh, which is an example of a backend
// that is written outside of mpd-virt.
//
//	go run ./examples/libvirt                      what libvirt has
//	go run ./examples/libvirt create 150 dev       makes a VM and sets it up
//	go run ./examples/libvirt delete 150           destroys it
//
// With -connect, -network and -pool it drives another libvirt than the usual one,
// and with -emulate VMs run without hardware virtualization.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mutms/mpd-virt-macos/examples/libvirt/virsh"
	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config := mpdvirt.Config{Runner: mpdvirt.NewRunner(os.Environ())}
	err := run(ctx, config, os.Args[1:], os.Stdout)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "libvirt:", err)
	if failed := (*mpdvirt.Error)(nil); errors.As(err, &failed) && failed.Hint != "" {
		fmt.Fprintln(os.Stderr, failed.Hint)
	}
	os.Exit(1)
}

// run works with the Runner of the config, which must not be nil: a backend gets
// its Runner from whoever makes it.
func run(ctx context.Context, config mpdvirt.Config, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("libvirt", flag.ContinueOnError)
	flags.SetOutput(out)
	c := virsh.Config{Run: config.Runner}
	flags.StringVar(&c.URI, "connect", "", "libvirt's `URI`")
	flags.StringVar(&c.Network, "network", "", "`name` of the network")
	flags.StringVar(&c.Pool, "pool", "", "`name` of the storage pool")
	emulate := flags.Bool("emulate", false, "compute VMs by emulation")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *emulate {
		c.Type = "qemu"
	}
	backend := virsh.New(c)
	config.Backends = append(mpdvirt.DefaultBackends(config.Runner, config.SystemRoot), backend)
	config.Observer = func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.StepEnded {
			fmt.Fprintf(out, "%-7s %-20s %s\n", e.Status, e.Step, e.Text)
		}
	}
	m, err := mpdvirt.New(config)
	if err != nil {
		return err
	}
	switch verb := flags.Arg(0); {
	case flags.NArg() == 0:
		return list(ctx, m, backend, out)
	case verb == "create" && flags.NArg() == 3:
		return create(ctx, m, backend, flags.Arg(1), flags.Arg(2))
	case verb == "delete" && flags.NArg() == 2:
		return remove(ctx, m, flags.Arg(1), out)
	}
	return errors.New("wrong usage: nothing, create NNN USER, or delete NNN")
}

// list prints what the backend can do and what VMs its hypervisor has, those of
// others too.
func list(ctx context.Context, m *mpdvirt.Manager, backend hypervisor.Hypervisor, out io.Writer) error {
	infos, err := m.Backends(ctx)
	if err != nil {
		return err
	}
	for _, info := range infos {
		if info.Name == backend.Name() {
			fmt.Fprintf(out, "%s can %v\n", info.Name, info.Verbs)
			if !info.Available {
				return errors.New(info.Reason)
			}
		}
	}
	vms, err := backend.States(ctx)
	for _, vm := range vms {
		fmt.Fprintf(out, "%s %-10s %q\n", vm.UUID, vm.State, vm.Name)
	}
	return err
}

func create(ctx context.Context, m *mpdvirt.Manager, backend hypervisor.Hypervisor, octet, user string) error {
	o, err := mpdvirt.ParseOctet(octet)
	if err != nil {
		return err
	}
	_, err = m.Create(ctx, mpdvirt.CreateRequest{Octet: o, Backend: backend.Name(), User: mpdvirt.User(user)})
	return err
}

func remove(ctx context.Context, m *mpdvirt.Manager, octet string, out io.Writer) error {
	o, err := mpdvirt.ParseOctet(octet)
	if err != nil {
		return err
	}
	res, err := m.Delete(ctx, mpdvirt.DeleteRequest{Octet: o, Yes: true})
	if res != nil {
		for _, what := range res.Removed {
			fmt.Fprintln(out, "removed", what)
		}
		for _, what := range res.Left {
			fmt.Fprintln(out, "left", what)
		}
	}
	return err
}
