// Quickstart adopts a VM, proves it and forgets it again, through the SDK.
//
// It runs in an in-process world, so it needs no Mac, no VM and no rights. In
// a real program the Config is the zero value. What happens while a verb runs is
// shown by the example progress.
package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	// A Mac, and a Debian VM that answers SSH at 10.211.55.37.
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		return err
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{Addr: netip.MustParseAddr("10.211.55.37"), User: "dev"})
	if err != nil {
		return err
	}

	m, err := mpdvirt.New(world.Config())
	if err != nil {
		return err
	}

	res, err := m.Setup(ctx, mpdvirt.SetupRequest{
		Octet: 150, Backend: "general", Addr: vm.Addr(), User: "dev",
	})
	if err != nil {
		return err
	}
	for _, step := range res.Steps {
		fmt.Fprintf(out, "%-7s %s\n", step.Status, step.ID)
	}
	fmt.Fprintf(out, "%s is at %s\n", res.VM.Name, res.VM.Addr)

	// The person imports client.conf into WireGuard and turns the tunnel on.
	world.Tunnel(vm)

	report, err := m.Diag(ctx, mpdvirt.DiagRequest{Octet: 150})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, report.Verdict)
	if err := report.Err(); err != nil {
		return err
	}

	_, err = m.Delete(ctx, mpdvirt.DeleteRequest{Octet: 150, Yes: true})
	return err
}
