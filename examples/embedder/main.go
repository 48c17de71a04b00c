// Embedder is a program that has the SDK inside and gives it all that it would
// take from the machine: who answers questions, who opens connections, who
// starts programs, and where messages go.
//
// prompter.go is a Prompter that answers by rules instead of asking a person.
// outside.go wraps the DialContext and the Runner to count and log. The world
// behind them is in this process, so that it runs anywhere:
//
//	go run ./examples/embedder
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "embedder:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, messages io.Writer) error {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		return err
	}
	defer world.Close()
	vm, err := world.AddVM(mpdvirttest.VMOptions{})
	if err != nil {
		return err
	}

	log := slog.New(slog.NewTextHandler(messages, nil))
	o := newOutside(log)
	rules := &policy{log: log}
	config := world.Config()
	config.DialContext = o.dialing(config.DialContext)
	config.Runner = o.running(config.Runner)
	config.Prompter = rules
	config.Observer = func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.StepEnded && e.Status == mpdvirt.Fail {
			log.Warn("step failed", "step", e.Step, "text", e.Text)
		}
	}
	m, err := mpdvirt.New(config)
	if err != nil {
		return err
	}
	if _, err := m.Setup(ctx, mpdvirt.SetupRequest{Octet: 150, Backend: "general", Addr: vm.Addr(), User: "dev"}); err != nil {
		return err
	}

	// The rules say no to everything yet.
	if _, err := m.Delete(ctx, mpdvirt.DeleteRequest{Octet: 150}); !errors.Is(err, mpdvirt.ErrDeclined) {
		return fmt.Errorf("delete without consent: %w", err)
	}
	rules.consent = "mpd-150"
	if _, err := m.Delete(ctx, mpdvirt.DeleteRequest{Octet: 150}); err != nil {
		return err
	}
	o.summary(out)
	return nil
}

// summary prints what was counted.
func (o *outside) summary(out io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, address := range slices.Sorted(maps.Keys(o.dials)) {
		fmt.Fprintf(out, "dialled %s\n", address)
	}
	for _, name := range slices.Sorted(maps.Keys(o.programs)) {
		fmt.Fprintf(out, "started %s\n", name)
	}
	fmt.Fprintf(out, "%d connections are open\n", o.open)
}
