package parallels

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// BenchmarkStates is this package's own time for a list of all VMs: the tool
// answers at once. It reports the processes that one list costs.
func BenchmarkStates(b *testing.B) {
	for _, n := range []int{1, 10, 155} {
		b.Run(fmt.Sprintf("VMs=%d", n), func(b *testing.B) {
			var vms []string
			for i := range n {
				vms = append(vms, fmt.Sprintf("bb586bcf-5a5c-4a1c-9d2e-0f3f7e0b%04x stopped - mpd-%d", i, 100+i))
			}
			out, calls := []byte(brief(vms...)), 0
			backend := New(Config{Run: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
				calls++
				return hypervisor.Result{Stdout: out}, nil
			}})
			b.ReportAllocs()
			for b.Loop() {
				if got, err := backend.States(b.Context()); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
			b.ReportMetric(float64(calls)/float64(b.N), "processes/op")
			b.ReportMetric(float64(b.Elapsed())/float64(time.Microsecond)/float64(b.N)/float64(n), "µs/VM")
		})
	}
}
