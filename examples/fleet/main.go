// Fleet prints what is known of all registered VMs as JSON, and ends with status
// 1 if one of them is not healthy: for a launcher, a status bar, or a CI runner
// that wants to know before it begins.
//
//	go run ./examples/fleet
//
// It works on the real ~/.mpd-virt, only reads, and asks nobody anything. VMs are
// looked at at the same time, but not all at once.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// atOnce is how many VMs are looked at at the same time: each costs a
// connection, a login and some processes.
const atOnce = 4

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	healthy, err := run(ctx, mpdvirt.Config{}, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
	}
	if err != nil || !healthy {
		os.Exit(1)
	}
}

// fleet is the report. Whoever reads it compares Schema first.
type fleet struct {
	Schema  string `json:"schema"`
	Healthy bool   `json:"healthy"` // all VMs are
	VMs     []one  `json:"vms"`
}

// one is a VM of the fleet.
type one struct {
	mpdvirt.VM
	Healthy  bool      `json:"healthy"`
	Verdict  string    `json:"verdict,omitempty"`
	Problems []problem `json:"problems,omitempty"`
}

// problem is a check that did not go well. Optional ones are told, too, but make
// no VM unhealthy.
type problem struct {
	Check    string         `json:"check"`
	Phase    mpdvirt.Phase  `json:"phase"`
	Status   mpdvirt.Status `json:"status"`
	Summary  string         `json:"summary"`
	Commands []string       `json:"commands,omitempty"` // that mend it
}

func run(ctx context.Context, config mpdvirt.Config, out io.Writer) (healthy bool, err error) {
	m, err := mpdvirt.New(config)
	if err != nil {
		return false, err
	}
	vms, err := m.List(ctx)
	if err != nil {
		return false, err
	}
	report := fleet{Schema: "example/fleet/1", Healthy: true, VMs: make([]one, len(vms))}
	places := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, vm := range vms {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			report.VMs[i] = look(ctx, m, vm)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return false, err // half a report would say that VMs are ill
	}
	for _, vm := range report.VMs {
		report.Healthy = report.Healthy && vm.Healthy
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return report.Healthy, e.Encode(report)
}

// look diagnoses one VM. Why that was not possible is a finding, and no reason
// not to look at the others.
func look(ctx context.Context, m *mpdvirt.Manager, vm mpdvirt.VM) one {
	o := one{VM: vm}
	if vm.State == mpdvirt.Broken || vm.State == mpdvirt.Unfinished {
		return o // VM.Error and VM.Next say what to do
	}
	report, err := m.Diag(ctx, mpdvirt.DiagRequest{Octet: vm.Octet})
	if report == nil {
		o.Error = err.Error()
		return o
	}
	o.Healthy, o.Verdict = report.Healthy(), report.Verdict
	for _, c := range report.Checks {
		if c.Status == mpdvirt.OK || c.Status == mpdvirt.Skipped {
			continue
		}
		p := problem{Check: c.ID, Phase: c.Phase, Status: c.Status, Summary: c.Summary}
		for _, fix := range c.Fixes {
			if line := fix.Command(); line != "" {
				p.Commands = append(p.Commands, line)
			}
		}
		o.Problems = append(o.Problems, p)
	}
	return o
}
