package hypervisortest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// mistake is one way to break the contract.
type mistake struct {
	name string
	// fails are cases that must fail with it, others may; a "*" at the end
	// stands for all that begin so.
	fails []string
	make  func(b memory, w *wrong)
}

func mistakes() []mistake {
	return slices.Concat(coreMistakes(), locateMistakes(), statesMistakes(), lifecycleMistakes(), makerMistakes(), creatorMistakes(), rehearserMistakes())
}

func coreMistakes() []mistake {
	return []mistake{
		{"name in capitals", []string{"Hypervisor/Name"}, func(_ memory, w *wrong) {
			w.name = func() string { return "Memory" }
		}},
		{"name changes", []string{"Hypervisor/Name"}, func(_ memory, w *wrong) {
			n := 0
			w.name = func() string { n++; return "memory" + strings.Repeat("x", n) }
		}},
		{"network is a /16", []string{"Hypervisor/Network"}, func(_ memory, w *wrong) {
			w.network = func(context.Context) (netip.Prefix, error) { return netip.MustParsePrefix("10.99.0.0/16"), nil }
		}},
		{"network is a host", []string{"Hypervisor/Network"}, func(_ memory, w *wrong) {
			w.network = func(context.Context) (netip.Prefix, error) { return netip.MustParsePrefix("10.99.0.1/24"), nil }
		}},
		{"network is neither valid nor zero", []string{"Hypervisor/Network"}, func(_ memory, w *wrong) {
			w.network = func(context.Context) (netip.Prefix, error) {
				return netip.PrefixFrom(netip.MustParseAddr("10.99.0.0"), 99), nil
			}
		}},
		{"network changes", []string{"Hypervisor/Network stays"}, func(_ memory, w *wrong) {
			var n byte
			w.network = func(context.Context) (netip.Prefix, error) {
				n++
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, n, 0, 0}), 24), nil
			}
		}},
		{"always available", []string{"Hypervisor/Available without the tool"}, func(_ memory, w *wrong) {
			w.available = func(context.Context) error { return nil }
		}},
		{"never available", []string{"Hypervisor/Available"}, func(_ memory, w *wrong) {
			w.available = func(context.Context) error { return errors.New("no") }
		}},
		{"bare error", []string{"Hypervisor/Available without the tool"}, func(b memory, w *wrong) {
			w.available = func(ctx context.Context) error {
				if errors.Is(b.Available(ctx), hypervisor.ErrToolMissing) {
					return hypervisor.ErrToolMissing
				}
				return nil
			}
		}},
		{"Available starts the hypervisor", []string{"Hypervisor/Available does not start the hypervisor"}, func(b memory, w *wrong) {
			w.available = func(ctx context.Context) error {
				err := b.Available(ctx)
				if errors.Is(err, hypervisor.ErrService) {
					b.tool.fault = None
					return nil
				}
				return err
			}
		}},
		{"looking starts VMs", []string{"Hypervisor/no VM is changed"}, func(b memory, w *wrong) {
			w.states = func(ctx context.Context) ([]hypervisor.Machine, error) {
				vms, err := b.States(ctx)
				for _, vm := range vms {
					_, _ = b.call(ctx, "start", vm.UUID)
				}
				return vms, err
			}
		}},
		{"remembers VMs", []string{"Hypervisor/nothing is remembered"}, func(b memory, w *wrong) {
			var known []hypervisor.Machine
			w.states = func(ctx context.Context) (vms []hypervisor.Machine, err error) {
				if known == nil {
					known, err = b.States(ctx)
				}
				return known, err
			}
		}},
		{"one call at a time", []string{"Hypervisor/at the same time", "Lifecycle/at the same time"}, func(b memory, w *wrong) {
			var inside atomic.Bool
			alone := func() error {
				if inside.Swap(true) {
					return errors.New("busy")
				}
				<-time.After(time.Millisecond)
				inside.Store(false)
				return nil
			}
			w.available = func(ctx context.Context) error { return errors.Join(alone(), b.Available(ctx)) }
			w.start = func(ctx context.Context, uuid string) error { return errors.Join(alone(), b.Start(ctx, uuid)) }
		}},
		{"does not look at the context", []string{"Hypervisor/the context ends a call", "Creator/Create ends with its context",
			"Adopter/Adopted while the tool hangs", "Cloner/Clone ends with its context"}, func(b memory, w *wrong) {
			w.locate = func(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
				return b.Locate(context.WithoutCancel(ctx), q)
			}
			w.create = func(ctx context.Context, s hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
				return b.Create(context.WithoutCancel(ctx), s, progress)
			}
			w.clone = func(ctx context.Context, s hypervisor.CloneSpec, p func(string)) (hypervisor.Made, error) {
				return b.Clone(context.WithoutCancel(ctx), s, p)
			}
			w.adopted = func(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
				return b.Adopted(context.WithoutCancel(ctx), o, m)
			}
		}},
		{"sleeps", []string{"Hypervisor/an ended context ends a call"}, func(b memory, w *wrong) {
			w.available = func(ctx context.Context) error {
				<-time.After(10 * time.Second)
				return b.Available(ctx)
			}
		}},
	}
}

func locateMistakes() []mistake {
	located := func(change func(ctx context.Context, b memory, q hypervisor.Query, vm hypervisor.Machine, err error) (hypervisor.Machine, error)) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.locate = func(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
				vm, err := b.Locate(ctx, q)
				return change(ctx, b, q, vm, err)
			}
		}
	}
	// first is the first VM that fits.
	first := func(fits func(q hypervisor.Query, vm hypervisor.Machine) bool) func(memory, *wrong) {
		return located(func(ctx context.Context, b memory, q hypervisor.Query, vm hypervisor.Machine, err error) (hypervisor.Machine, error) {
			vms, _ := b.States(ctx)
			for _, vm := range vms {
				if fits(q, vm) {
					return vm, nil
				}
			}
			return vm, err
		})
	}
	return []mistake{
		{"UUID is not looked at", []string{"Locate/by UUID", "Locate/a known UUID decides alone"}, func(b memory, w *wrong) {
			w.locate = func(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
				q.UUID = ""
				return b.Locate(ctx, q)
			}
		}},
		{"name is enough where a UUID is known", []string{"Locate/a known UUID decides alone"}, first(func(q hypervisor.Query, vm hypervisor.Machine) bool {
			return vm.UUID == q.UUID || vm.Name == q.Octet.VMName()
		})},
		{"address before the name", []string{"Locate/by name before the address"}, first(func(q hypervisor.Query, vm hypervisor.Machine) bool {
			return q.UUID == "" && q.Addr.IsValid() && vm.Addr == q.Addr
		})},
		{"name is looked for in names", []string{"Locate/the whole name"}, first(func(q hypervisor.Query, vm hypervisor.Machine) bool {
			return q.UUID == "" && strings.Contains(vm.Name, q.Octet.VMName())
		})},
		{"address is looked for in addresses", []string{"Locate/the whole address"}, first(func(q hypervisor.Query, vm hypervisor.Machine) bool {
			return q.UUID == "" && q.Addr.IsValid() && vm.Addr.IsValid() && strings.HasPrefix(vm.Addr.String(), q.Addr.String())
		})},
		{"the first will do", []string{"Locate/two of one name", "Locate/two at one address"}, first(func(q hypervisor.Query, vm hypervisor.Machine) bool {
			return q.UUID == "" && (vm.Name == q.Octet.VMName() || vm.Addr == q.Addr && q.Addr.IsValid())
		})},
		{"any VM will do", []string{"Locate/none fits"}, first(func(hypervisor.Query, hypervisor.Machine) bool { return true })},
		{"nothing is ever found", []string{"Locate/by name", "Locate/by address"}, func(_ memory, w *wrong) {
			w.locate = func(context.Context, hypervisor.Query) (hypervisor.Machine, error) {
				return hypervisor.Machine{}, errors.Join(hypervisor.ErrNoMachine)
			}
		}},
		{"no VM is no error", []string{"Locate/no VM at all"}, located(func(_ context.Context, _ memory, _ hypervisor.Query, vm hypervisor.Machine, err error) (hypervisor.Machine, error) {
			if errors.Is(err, hypervisor.ErrNoMachine) {
				err = nil
			}
			return vm, err
		})},
		{"no answer is no VM", []string{"Locate/tool*", "Locate/service down"}, located(func(_ context.Context, _ memory, _ hypervisor.Query, vm hypervisor.Machine, err error) (hypervisor.Machine, error) {
			if err != nil && !errors.Is(err, hypervisor.ErrAmbiguous) {
				err = errors.Join(hypervisor.ErrNoMachine)
			}
			return vm, err
		})},
		{"no address", []string{"Locate/the address"}, located(func(_ context.Context, _ memory, _ hypervisor.Query, vm hypervisor.Machine, err error) (hypervisor.Machine, error) {
			vm.Addr = netip.Addr{}
			return vm, err
		})},
		{"hoped address", []string{"Locate/no address is known"}, located(func(_ context.Context, _ memory, q hypervisor.Query, vm hypervisor.Machine, err error) (hypervisor.Machine, error) {
			if err == nil {
				vm.Addr = q.Octet.In(netip.MustParseAddr("10.99.0.1"))
			}
			return vm, err
		})},
		{"state is not asked", []string{"Locate/the state"}, located(func(_ context.Context, _ memory, _ hypervisor.Query, vm hypervisor.Machine, err error) (hypervisor.Machine, error) {
			vm.State = ""
			return vm, err
		})},
	}
}

func statesMistakes() []mistake {
	each := func(change func(vm *hypervisor.Machine)) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.states = func(ctx context.Context) ([]hypervisor.Machine, error) {
				vms, err := b.States(ctx)
				for i := range vms {
					change(&vms[i])
				}
				return vms, err
			}
		}
	}
	return []mistake{
		{"what cannot be read is no VM", []string{"States/tool*", "States/service down"}, func(b memory, w *wrong) {
			w.states = func(ctx context.Context) ([]hypervisor.Machine, error) {
				vms, _ := b.States(ctx)
				return vms, nil
			}
		}},
		{"no VM is an error", []string{"States/no VM"}, func(b memory, w *wrong) {
			w.states = func(ctx context.Context) ([]hypervisor.Machine, error) {
				vms, err := b.States(ctx)
				if len(vms) == 0 && err == nil {
					err = errors.New("no VMs")
				}
				return vms, err
			}
		}},
		{"only ours", []string{"States/all VMs, also those that are not ours"}, func(b memory, w *wrong) {
			w.states = func(ctx context.Context) (out []hypervisor.Machine, err error) {
				vms, err := b.States(ctx)
				for _, vm := range vms {
					if ours.MatchString(vm.Name) {
						out = append(out, vm)
					}
				}
				return out, err
			}
		}},
		{"a call for each VM", []string{"States/one call for all"}, func(b memory, w *wrong) {
			w.states = func(ctx context.Context) ([]hypervisor.Machine, error) {
				vms, err := b.States(ctx)
				for range vms {
					_, _ = b.call(ctx, "list")
				}
				return vms, err
			}
		}},
		{"names end at a space", []string{"States/odd names"}, each(func(vm *hypervisor.Machine) { vm.Name, _, _ = strings.Cut(vm.Name, " ") })},
		{"all run", []string{"States/each state"}, each(func(vm *hypervisor.Machine) { vm.State = hypervisor.Running })},
		{"unknown words are not shown", []string{"States/an unknown state"}, each(func(vm *hypervisor.Machine) {
			if !vm.State.Known() {
				vm.State = ""
			}
		})},
	}
}
