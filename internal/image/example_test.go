package image

import (
	"context"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The disk of a VM, from nothing; the second time, only Place takes more than
// a look at what is there.
func Example() {
	create := func(ctx context.Context, cache, arch string, run hypervisor.Runner) error {
		source, err := Build{Arch: arch}.Source()
		if err != nil {
			return err
		}
		archive, err := Fetch(ctx, Options{Dir: cache, Source: source})
		if err != nil {
			return err
		}
		raw, err := Raw(ctx, RawOptions{Dir: cache, Archive: archive, Run: run})
		if err != nil {
			return err
		}
		return Place(ctx, raw, "/vms/mpd-150/disk.img", 80*hypervisor.GiB)
	}
	_ = create
}
