package mpdvirt_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// stable is a Mac with n stopped VMs that are registered, over the emulated
// prlctl alone.
func stable(t testing.TB, n int) (*mpdvirt.Manager, *prlemu.Emulator) {
	t.Helper()
	emu, err := prlemu.New(prlemu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	state := registry.Open(filepath.Join(home, ".mpd-virt"))
	for i := range n {
		o := hypervisor.FirstOctet + hypervisor.Octet(i)
		vm, err := emu.AddVM(prlemu.VM{Name: o.VMName(), State: "stopped"})
		if err == nil {
			err = state.Save(registry.Entry{
				Octet: o, Backend: "parallels", UUID: vm.UUID, User: "dev", Addr: o.In(netip.MustParseAddr("10.211.55.1")),
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := mpdvirt.New(mpdvirt.Config{
		Home: home, AgentSocket: "none", Runner: emu.Runner(),
		Backends: []hypervisor.Hypervisor{parallels.New(parallels.Config{Run: emu.Runner()})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, emu
}

// What a backend starts is told like all other outside commands.
func TestBackendsAreDebugged(t *testing.T) {
	var mu sync.Mutex
	var told []string
	m, err := mpdvirt.New(mpdvirt.Config{
		Home: t.TempDir(), AgentSocket: "none",
		Runner: func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{}, fmt.Errorf("%s: %w", c.Argv[0], hypervisor.ErrToolMissing)
		},
		Observer: func(e mpdvirt.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == mpdvirt.Debug {
				told = append(told, e.Text)
			}
		},
	})
	check(t, err)
	_, err = m.Backends(t.Context())
	check(t, err)
	if len(told) == 0 || !strings.HasPrefix(told[0], "run prlctl ") {
		t.Errorf("told was %q", told)
	}
}

// calls counts the processes that do starts.
func calls(t testing.TB, emu *prlemu.Emulator, do func()) int {
	t.Helper()
	if err := emu.ForgetCalls(); err != nil {
		t.Fatal(err)
	}
	do()
	all, err := emu.Calls()
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestProcesses(t *testing.T) {
	m, emu := stable(t, 155)
	n := calls(t, emu, func() {
		vms, err := m.List(t.Context())
		if err != nil || len(vms) != 155 || vms[0].State != hypervisor.Stopped || vms[154].State != hypervisor.Stopped {
			t.Errorf("list: %d VMs, %v", len(vms), err)
		}
	})
	if n != 1 {
		t.Errorf("list of 155 VMs started %d processes of the hypervisor's, want 1", n)
	}
	n = calls(t, emu, func() {
		if res, err := m.Show(t.Context(), mpdvirt.ShowRequest{Octet: 150}); err != nil || res.State != hypervisor.Stopped {
			t.Errorf("show: %+v, %v", res, err)
		}
	})
	if n < 1 || n > 2 {
		t.Errorf("show started %d processes of the hypervisor's, want one or two", n)
	}
}

// BenchmarkListManaged is list of VMs whose states the emulated prlctl tells.
func BenchmarkListManaged(b *testing.B) {
	for _, n := range []int{1, 10, 155} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, emu := stable(b, n)
			processes := calls(b, emu, func() {
				for b.Loop() {
					if _, err := m.List(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(processes)/float64(b.N), "processes/op")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/VM")
		})
	}
}
