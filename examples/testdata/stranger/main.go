// Stranger is a program of somebody else's: a module of its own that has
// nothing but what mpd-virt exports. The tests of mpd-virt build and test it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func main() {
	m, err := mpdvirt.New(mpdvirt.Config{Backends: []hypervisor.Hypervisor{&shed{}}, Observer: teller(os.Stdout), Prompter: refuser{}})
	if err == nil {
		err = list(context.Background(), m, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stranger:", err)
		if failed := (*mpdvirt.Error)(nil); errors.As(err, &failed) && failed.Hint != "" {
			fmt.Fprintln(os.Stderr, failed.Hint)
		}
		os.Exit(1)
	}
}

// list prints the VMs and what the backends can do.
func list(ctx context.Context, m *mpdvirt.Manager, out io.Writer) error {
	backends, err := m.Backends(ctx)
	if err != nil {
		return err
	}
	for _, b := range backends {
		fmt.Fprintf(out, "backend %s can %v\n", b.Name, b.Verbs)
	}
	vms, err := m.List(ctx)
	for _, vm := range vms {
		fmt.Fprintf(out, "%s at %s is %s\n", vm.Name, vm.Addr, vm.State)
	}
	return err
}

// teller is an Observer.
func teller(out io.Writer) func(mpdvirt.Event) {
	return func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.StepEnded && e.Status != mpdvirt.OK {
			fmt.Fprintln(out, e.Step, e.Status)
		}
	}
}

// refuser is a Prompter that leaves everything as it is.
type refuser struct{}

var _ mpdvirt.Prompter = refuser{}

// Confirm says no.
func (refuser) Confirm(context.Context, string) (bool, error) { return false, nil }

// Pause does not wait.
func (refuser) Pause(context.Context, string, string) error { return mpdvirt.ErrDeclined }

// Choose leaves all findings.
func (refuser) Choose(context.Context, mpdvirt.Question) (string, error) {
	return "", mpdvirt.ErrDeclined
}

// Passphrase knows none.
func (refuser) Passphrase(context.Context, string) ([]byte, error) { return nil, mpdvirt.ErrDeclined }
