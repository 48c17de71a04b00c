// Check adds a question of its own to diag: does the VM wait for a restart,
// since its kernel or a library was updated?
//
// The question is in reboot.go, and Config.Checks is all that it takes. It is
// asked beside diag's own, over the same connection, whose host key is the
// pinned one, and its answer is a check of the report like all others. Here the
// VM is one of an in-process world:
//
//	go run ./examples/check
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		return err
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{})
	if err != nil {
		return err
	}

	config := world.Config()
	config.Checks = []mpdvirt.CheckFunc{rebootCheck()}
	m, err := mpdvirt.New(config)
	if err != nil {
		return err
	}
	if _, err := m.Setup(ctx, mpdvirt.SetupRequest{Octet: 150, Backend: "general", Addr: vm.Addr(), User: "dev"}); err != nil {
		return err
	}
	if err := show(ctx, m, out); err != nil {
		return err
	}
	// The VM installs a new kernel.
	for name, text := range map[string]string{rebootFile: "*** System restart required ***\n", rebootFile + ".pkgs": "linux-image-cloud-arm64\n"} {
		if err := vm.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return show(ctx, m, out)
}

// show prints the answer to the question, and what mends it.
func show(ctx context.Context, m *mpdvirt.Manager, out io.Writer) error {
	report, err := m.Diag(ctx, mpdvirt.DiagRequest{Octet: 150})
	if err != nil {
		return err
	}
	c := report.Check("reboot")
	fmt.Fprintf(out, "%s %s: %s\n", c.Status, c.ID, c.Summary)
	for _, fix := range c.Fixes {
		fmt.Fprintf(out, "     %s   # %s\n", fix.Command(), fix.Text)
	}
	return nil
}
