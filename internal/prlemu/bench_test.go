package prlemu_test

import (
	"fmt"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

// What the emulator itself costs, to be taken off from what it helps to measure.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{1, 10, 155} {
		e, err := prlemu.New(prlemu.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for i := range n {
			if _, err := e.AddVM(prlemu.VM{Name: fmt.Sprintf("mpd-%d", 100+i)}); err != nil {
				b.Fatal(err)
			}
		}
		run := e.Runner()
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := run(b.Context(), hypervisor.Command{Argv: []string{"prlctl", "list", "-a", "-j"}}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/VM")
		})
	}
}
