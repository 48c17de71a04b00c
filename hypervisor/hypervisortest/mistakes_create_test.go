package hypervisortest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func creatorMistakes() []mistake {
	return append(append(createMistakes(), createFaultMistakes()...), append(seedMistakes(), append(detachMistakes(), shutdownMistakes()...)...)...)
}

// created changes what Create says.
func created(f func(b memory, ctx context.Context, made hypervisor.Made, err error) (hypervisor.Made, error)) func(memory, *wrong) {
	return func(b memory, w *wrong) {
		w.create = func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
			made, err := b.Create(ctx, spec, progress)
			return f(b, ctx, made, err)
		}
	}
}

// specified changes what Create is asked for.
func specified(f func(spec *hypervisor.CreateSpec)) func(memory, *wrong) {
	return func(b memory, w *wrong) {
		w.create = func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
			f(&spec)
			return b.Create(ctx, spec, progress)
		}
	}
}

func createMistakes() []mistake {
	// unchecked creates by a verb of the tool, whatever there is.
	unchecked := func(verb string) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.create = func(ctx context.Context, spec hypervisor.CreateSpec, _ func(string)) (hypervisor.Made, error) {
				return b.make(ctx, verb, spec)
			}
		}
	}
	return []mistake{
		{"CanCreate always", []string{"Creator/CanCreate while*", "Creator/CanCreate tool*", "Creator/CanCreate service down"}, func(_ memory, w *wrong) {
			w.canCreate = func(context.Context, hypervisor.Octet) error { return nil }
		}},
		{"CanCreate never", []string{"Creator/CanCreate makes nothing"}, func(_ memory, w *wrong) {
			w.canCreate = func(context.Context, hypervisor.Octet) error { return errors.New("no") }
		}},
		{"CanCreate tries", []string{"Creator/CanCreate makes nothing"}, func(b memory, w *wrong) {
			w.canCreate = func(ctx context.Context, o hypervisor.Octet) error {
				_, err := b.call(ctx, "clone", "Windows 11", o.VMName())
				return err
			}
		}},
		{"Create does not check", []string{"Creator/Create while a VM*", "Creator/Create twice"}, unchecked("create")},
		{"Create does not copy", []string{"Creator/Create and the files are deleted"}, unchecked("link")},
		{"Create replaces what has the name", []string{"Creator/Create while a VM has the name*", "Creator/Create twice"}, func(b memory, w *wrong) {
			w.create = func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
				for _, name := range []string{vmName, "Mpd-150"} {
					_, _ = b.call(ctx, "delete", name)
				}
				return b.Create(ctx, spec, progress)
			}
		}},
		{"Create starts the VM", []string{"Creator/Create leaves it stopped"}, created(func(b memory, ctx context.Context, made hypervisor.Made, err error) (hypervisor.Made, error) {
			if err == nil {
				err = b.Start(ctx, made.UUID)
			}
			return made, err
		})},
		{"Create makes what cannot start", []string{"Creator/Create and Start"}, created(func(b memory, _ context.Context, made hypervisor.Made, err error) (hypervisor.Made, error) {
			if err == nil {
				b.tool.fault = NoStart
			}
			return made, err
		})},
		{"Create forgets the memory", []string{"Creator/Create with sizes"}, specified(func(spec *hypervisor.CreateSpec) { spec.RAM = 2 * hypervisor.GiB })},
		{"Create takes the seed for the disk", []string{"Creator/Create with sizes"}, specified(func(spec *hypervisor.CreateSpec) { spec.Disk = spec.Seed })},
		{"Create chooses the MAC", []string{"Creator/Create with a MAC"}, specified(func(spec *hypervisor.CreateSpec) { spec.MAC = []byte{2, 0, 0, 0, 0, 1} })},
		{"Create forgets the seed", []string{"Creator/Create with drives", "Creator/Seed"}, created(func(b memory, ctx context.Context, made hypervisor.Made, err error) (hypervisor.Made, error) {
			if err == nil {
				_, err = b.call(ctx, "detach", made.UUID, made.UUID+"-1")
			}
			return made, err
		})},
		{"Create is busy with another", []string{"Creator/Create at the same time"}, func(b memory, w *wrong) {
			var busy atomic.Bool
			w.create = func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
				if busy.Swap(true) {
					return hypervisor.Made{}, errors.New("busy")
				}
				defer busy.Store(false)
				<-time.After(time.Second)
				return b.Create(ctx, spec, progress)
			}
		}},
	}
}

func createFaultMistakes() []mistake {
	progressing := func(f func(progress func(string))) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.create = func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
				if progress != nil {
					f(progress)
				}
				return b.Create(ctx, spec, progress)
			}
		}
	}
	return []mistake{
		{"Create succeeds always", []string{"Creator/Create tool*", "Creator/Create service down", "Creator/Create VM is busy once", "Creator/Create ends with its context"}, created(
			func(_ memory, _ context.Context, made hypervisor.Made, _ error) (hypervisor.Made, error) {
				return made, nil
			})},
		{"Create tells of a VM before it is there", []string{"Creator/Create tool*", "Creator/Create while a VM*"}, created(
			func(_ memory, _ context.Context, made hypervisor.Made, err error) (hypervisor.Made, error) {
				if err != nil {
					made.Machine = hypervisor.Machine{UUID: uuid(7), Name: vmName}
				}
				return made, err
			})},
		{"Create tells no VM beside an error", []string{"Creator/Create that fails after the VM was made"}, created(
			func(_ memory, _ context.Context, made hypervisor.Made, err error) (hypervisor.Made, error) {
				if err != nil {
					made = hypervisor.Made{}
				}
				return made, err
			})},
		{"Create does not look at the context", []string{"Creator/Create ends with its context"}, func(b memory, w *wrong) {
			w.create = func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
				return b.Create(context.WithoutCancel(ctx), spec, progress)
			}
		}},
		{"Create tells two things at a time", []string{"Creator/Create tells its progress"}, progressing(func(progress func(string)) {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { progress("at the same time") })
			}
			wg.Wait()
		})},
		{"Create tells of it later", []string{"Creator/Create tells its progress"}, progressing(func(progress func(string)) {
			time.AfterFunc(10*time.Second, func() { progress("late") })
		})},
	}
}

func seedMistakes() []mistake {
	seeded := func(f func(b memory, ctx context.Context, uuid string) (string, error)) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.seed = func(ctx context.Context, uuid string) (string, error) { return f(b, ctx, uuid) }
		}
	}
	return []mistake{
		{"Seed names the disk", []string{"Creator/Seed"}, seeded(func(b memory, ctx context.Context, uuid string) (string, error) {
			r, err := b.made(ctx, uuid)
			if err != nil {
				return "", err
			}
			return r.Drives[0].ID, nil
		})},
		{"Seed always has an answer", []string{"Creator/Seed of a VM that is gone", "Creator/Seed by a name", "Creator/Seed tool*", "Creator/Seed service down", "Creator/Seed while*"},
			seeded(func(b memory, ctx context.Context, uuid string) (string, error) {
				if drive, err := b.Seed(ctx, uuid); err == nil {
					return drive, nil
				}
				return uuid + "-1", nil
			})},
		{"Seed takes silence for no VM", []string{"Creator/Seed tool*", "Creator/Seed service down"}, seeded(func(b memory, ctx context.Context, uuid string) (string, error) {
			drive, err := b.Seed(ctx, uuid)
			if err != nil {
				err = errors.Join(hypervisor.ErrNoMachine)
			}
			return drive, err
		})},
	}
}

func detachMistakes() []mistake {
	detached := func(f func(b memory, ctx context.Context, uuid, drive string) error) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.detach = func(ctx context.Context, uuid, drive string) error { return f(b, ctx, uuid, drive) }
		}
	}
	return []mistake{
		{"Detach takes all drives", []string{"Creator/Detach", "Creator/Detach and Start"}, detached(func(b memory, ctx context.Context, uuid, drive string) error {
			_, _ = b.call(ctx, "detach", uuid, uuid+"-0")
			return b.Detach(ctx, uuid, drive)
		})},
		{"Detach does nothing", []string{"Creator/Detach", "Creator/Detach again", "Creator/Detach tool ignores actions", "Creator/Detach VM is busy once"}, detached(
			func(memory, context.Context, string, string) error { return nil })},
		{"Detach leaves what cannot start", []string{"Creator/Detach and Start"}, detached(func(b memory, ctx context.Context, uuid, drive string) error {
			err := b.Detach(ctx, uuid, drive)
			if err == nil {
				b.tool.fault = NoStart
			}
			return err
		})},
		{"Detach works once", []string{"Creator/Detach again"}, detached(func(b memory, ctx context.Context, uuid, drive string) error {
			if r, err := b.made(ctx, uuid); err == nil && len(r.Drives) == 1 {
				return errors.New("it is gone")
			}
			return b.Detach(ctx, uuid, drive)
		})},
		{"Detach does not look at the state", []string{"Creator/Detach while running", "Creator/Detach while paused", "Creator/Detach while suspended", "Creator/Detach while defragmenting",
			"Creator/Detach by a name"}, detached(func(b memory, ctx context.Context, uuid, drive string) error {
			_, err := b.call(ctx, "detach", uuid, drive)
			return err
		})},
		{"Detach swallows errors", []string{"Creator/Detach tool*", "Creator/Detach service down", "Creator/Detach VM is busy once", "Creator/Detach of a VM that is gone", "Creator/Detach while*"},
			detached(func(b memory, ctx context.Context, uuid, drive string) error {
				_ = b.Detach(ctx, uuid, drive)
				return nil
			})},
	}
}

func shutdownMistakes() []mistake {
	return []mistake{
		{"Shutdown cuts the power", []string{"Creator/Shutdown of a guest that does not listen"}, func(b memory, w *wrong) {
			w.shutdown = func(ctx context.Context, uuid string) error {
				if err := b.Shutdown(ctx, uuid); err == nil || errors.Is(err, hypervisor.ErrState) {
					return err
				}
				return b.Kill(ctx, uuid)
			}
		}},
		{"Shutdown does not wait", []string{"Creator/Shutdown of a guest that does not listen"}, func(b memory, w *wrong) {
			w.shutdown = func(ctx context.Context, uuid string) error {
				_, err := b.call(ctx, "shutdown", uuid)
				return err
			}
		}},
	}
}
