package hypervisortest

import (
	"context"
	"errors"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func resizerMistakes() []mistake {
	return []mistake{
		{"At finds one VM at most", []string{"Addresser/At"}, func(b memory, w *wrong) {
			w.at = func(ctx context.Context, addr netip.Addr) ([]hypervisor.Machine, error) {
				found, err := b.At(ctx, addr)
				return found[:min(1, len(found))], err
			}
		}},
		{"Resize does nothing", []string{"Resizer/Resize of a clone", "Resizer/Resize while sizes are refused"}, func(_ memory, w *wrong) {
			w.resize = func(context.Context, string, hypervisor.CloneSpec) ([]string, error) { return nil, nil }
		}},
		{"Resize sets what was not asked for", []string{"Resizer/Resize without sizes"}, func(b memory, w *wrong) {
			w.resize = func(ctx context.Context, uuid string, spec hypervisor.CloneSpec) ([]string, error) {
				if spec.RAM == 0 {
					return nil, errors.New("no memory given")
				}
				return b.Resize(ctx, uuid, spec, nil)
			}
		}},
	}
}
