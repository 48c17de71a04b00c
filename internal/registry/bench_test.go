package registry

import (
	"fmt"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// BenchmarkList reads registries of several sizes; 155 is every octet.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{0, 10, 155} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			r := Open(b.TempDir())
			for i := range n {
				o := hypervisor.FirstOctet + hypervisor.Octet(i)
				plant(b, r, o, entryText(b, o))
			}
			b.ReportAllocs()
			for b.Loop() {
				items, err := r.List()
				if err != nil || len(items) != n {
					b.Fatalf("List = %d items, %v", len(items), err)
				}
			}
		})
	}
}
