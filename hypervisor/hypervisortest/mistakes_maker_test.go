package hypervisortest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func makerMistakes() []mistake {
	// cloned changes what Clone says, and checked what both say.
	cloned := func(f func(b memory, ctx context.Context, spec hypervisor.CloneSpec, made hypervisor.Made, err error) (hypervisor.Made, error)) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.clone = func(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error) {
				made, err := b.Clone(ctx, spec, progress)
				return f(b, ctx, spec, made, err)
			}
		}
	}
	checked := func(f func(err error) error) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.canClone = func(ctx context.Context, spec hypervisor.CloneSpec) error { return f(b.CanClone(ctx, spec)) }
			w.clone = func(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error) {
				made, err := b.Clone(ctx, spec, progress)
				return made, f(err)
			}
		}
	}
	progressing := func(f func(progress func(string))) func(memory, *wrong) {
		return func(b memory, w *wrong) {
			w.clone = func(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error) {
				if progress != nil {
					f(progress)
				}
				return b.Clone(ctx, spec, progress)
			}
		}
	}
	// unchecked clones without looking what there is.
	unchecked := func(b memory, w *wrong) {
		w.clone = func(ctx context.Context, spec hypervisor.CloneSpec, _ func(string)) (made hypervisor.Made, err error) {
			if _, err := b.call(ctx, "clone", spec.Template, spec.Octet.VMName()); err != nil {
				return made, err
			}
			made.Machine, err = b.Locate(ctx, hypervisor.Query{Octet: spec.Octet})
			return made, err
		}
	}
	return append([]mistake{
		{"CanClone always", []string{"Cloner/CanClone while*", "Cloner/CanClone without*", "Cloner/CanClone from*", "Cloner/CanClone lists*", "Cloner/CanClone tool*", "Cloner/CanClone service*"}, func(_ memory, w *wrong) {
			w.canClone = func(context.Context, hypervisor.CloneSpec) error { return nil }
		}},
		{"CanClone never", []string{"Cloner/CanClone makes nothing"}, func(_ memory, w *wrong) {
			w.canClone = func(context.Context, hypervisor.CloneSpec) error { return errors.New("no") }
		}},
		{"CanClone tries", []string{"Cloner/CanClone makes nothing"}, func(b memory, w *wrong) {
			w.canClone = func(ctx context.Context, spec hypervisor.CloneSpec) error {
				_, err := b.Clone(ctx, spec, nil)
				return err
			}
		}},
		{"Clone does not check", []string{"Cloner/Clone while a VM*", "Cloner/Clone from a VM that is no template", "Cloner/Clone without*", "Cloner/Clone twice"}, unchecked},
		{"no answer is no template", []string{"Cloner/CanClone tool*", "Cloner/CanClone service down", "Cloner/Clone tool*", "Cloner/Clone service down"}, checked(func(err error) error {
			if err != nil {
				err = errors.Join(hypervisor.ErrNoTemplate)
			}
			return err
		})},
		{"the text has no templates", []string{"Cloner/CanClone lists the templates", "Cloner/Clone lists the templates"}, checked(func(err error) error {
			if errors.Is(err, hypervisor.ErrNoTemplate) {
				err = errors.Join(hypervisor.ErrNoTemplate)
			}
			return err
		})},
		{"Clone starts the VM", []string{"Cloner/Clone leaves it stopped"}, cloned(func(b memory, ctx context.Context, _ hypervisor.CloneSpec, made hypervisor.Made, err error) (hypervisor.Made, error) {
			if err == nil {
				err = b.Start(ctx, made.UUID)
			}
			return made, err
		})},
		{"Clone does not say the UUID", []string{"Cloner/Clone leaves it stopped", "Cloner/Clone linked"}, cloned(func(_ memory, _ context.Context, _ hypervisor.CloneSpec, made hypervisor.Made, err error) (hypervisor.Made, error) {
			made.UUID = ""
			return made, err
		})},
		{"Clone makes what cannot start", []string{"Cloner/Clone and Start"}, cloned(func(b memory, ctx context.Context, _ hypervisor.CloneSpec, made hypervisor.Made, err error) (hypervisor.Made, error) {
			if err == nil {
				_, err = b.call(ctx, "delete", made.UUID)
			}
			return made, err
		})},
		{"Clone forgets sizes", []string{"Cloner/Clone with sizes"}, func(b memory, w *wrong) {
			w.clone = func(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (hypervisor.Made, error) {
				spec.RAM, spec.Disk = 0, 0
				return b.Clone(ctx, spec, progress)
			}
		}},
		{"a refused size is an error", []string{"Cloner/Clone while sizes are refused"}, cloned(func(_ memory, _ context.Context, _ hypervisor.CloneSpec, made hypervisor.Made, err error) (hypervisor.Made, error) {
			if len(made.Warnings) > 0 {
				err = errors.New(made.Warnings[0])
			}
			return made, err
		})},
		{"a refused size is not said", []string{"Cloner/Clone while sizes are refused"}, cloned(func(_ memory, _ context.Context, _ hypervisor.CloneSpec, made hypervisor.Made, err error) (hypervisor.Made, error) {
			made.Warnings = nil
			return made, err
		})},
		{"no VM beside an error", []string{"Cloner/Clone that fails after the VM was made"}, cloned(func(_ memory, _ context.Context, _ hypervisor.CloneSpec, made hypervisor.Made, err error) (hypervisor.Made, error) {
			if err != nil {
				made = hypervisor.Made{}
			}
			return made, err
		})},
		{"progress from two goroutines", []string{"Cloner/progress"}, progressing(func(progress func(string)) {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { progress("at the same time") })
			}
			wg.Wait()
		})},
		{"progress after the return", []string{"Cloner/progress"}, progressing(func(progress func(string)) {
			time.AfterFunc(10*time.Second, func() { progress("late") })
		})},
		{"progress of a terminal", []string{"Cloner/progress"}, progressing(func(progress func(string)) { progress("\rCopying ... 12 %") })},
	}, append(adopterMistakes(), resizerMistakes()...)...)
}

func adopterMistakes() []mistake {
	return []mistake{
		{"Adopted works once", []string{"Adopter/Adopted and again", "Adopter/Adopted of a VM that has the name"}, func(b memory, w *wrong) {
			w.adopted = func(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
				if vm, err := b.Locate(ctx, hypervisor.Query{Octet: o, UUID: m.UUID}); err == nil && vm.Name == o.VMName() {
					return errors.New("it is adopted")
				}
				return b.Adopted(ctx, o, m)
			}
		}},
		{"Adopted stops the VM", []string{"Adopter/Adopted and again"}, func(b memory, w *wrong) {
			w.adopted = func(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
				err := b.Adopted(ctx, o, m)
				if err == nil {
					err = b.Kill(ctx, m.UUID)
				}
				return err
			}
		}},
		{"Adopted does not look who has the name", []string{"Adopter/Adopted while another VM has the name"}, func(b memory, w *wrong) {
			w.adopted = func(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
				_, err := b.call(ctx, "rename", m.UUID, o.VMName())
				return err
			}
		}},
		{"Adopted replaces who has the name", []string{"Adopter/Adopted while another VM has the name"}, func(b memory, w *wrong) {
			w.adopted = func(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
				if vm, err := b.Locate(ctx, hypervisor.Query{Octet: o}); err == nil && vm.UUID != m.UUID {
					_, _ = b.call(ctx, "delete", vm.UUID)
				}
				return b.Adopted(ctx, o, m)
			}
		}},
		{"Adopted does nothing", []string{"Adopter/Adopted renames", "Adopter/Adopted tool*", "Adopter/Adopted service down"}, func(_ memory, w *wrong) {
			w.adopted = func(context.Context, hypervisor.Octet, hypervisor.Machine) error { return nil }
		}},
	}
}
