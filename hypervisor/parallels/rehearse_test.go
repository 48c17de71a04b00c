package parallels_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

// recorder is a Runner that keeps what it started.
type recorder struct {
	run hypervisor.Runner

	mu      sync.Mutex
	started []hypervisor.Command
}

func (r *recorder) Run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	r.mu.Lock()
	r.started = append(r.started, c)
	r.mu.Unlock()
	return r.run(ctx, c)
}

// changes are the commands that do more than ask.
func (r *recorder) changes() []hypervisor.Command {
	return slices.DeleteFunc(slices.Clone(r.started), func(c hypervisor.Command) bool {
		return c.Argv[0] == "prlctl" && (c.Argv[1] == "list" || c.Argv[1] == "--version") ||
			c.Argv[0] == "prlsrvctl" && (c.Argv[1] == "info" || strings.HasPrefix(strings.Join(c.Argv, " "), "prlsrvctl net info"))
	})
}

// course is what is done with the backend, on a VM that was there.
type course func(ctx context.Context, b *parallels.Backend, uuid string) error

func powerCourses() map[string]course {
	return map[string]course{
		"start":   func(ctx context.Context, b *parallels.Backend, uuid string) error { return b.Start(ctx, uuid) },
		"suspend": func(ctx context.Context, b *parallels.Backend, uuid string) error { return b.Suspend(ctx, uuid) },
		"kill":    func(ctx context.Context, b *parallels.Backend, uuid string) error { return b.Kill(ctx, uuid) },
		"delete":  func(ctx context.Context, b *parallels.Backend, uuid string) error { return b.Delete(ctx, uuid) },
		"one after the other": func(ctx context.Context, b *parallels.Backend, uuid string) error {
			for _, do := range []func(context.Context, string) error{b.Kill, b.Start, b.Suspend, b.Start, b.Delete, b.Delete} {
				if err := do(ctx, uuid); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func adopt(ctx context.Context, b *parallels.Backend, uuid string) error {
	return b.Adopted(ctx, 150, hypervisor.Machine{UUID: uuid})
}

func resize(ctx context.Context, b *parallels.Backend, uuid string) error {
	spec := hypervisor.CloneSpec{Octet: 150, Template: template, RAM: 16 * hypervisor.GiB, Disk: 80 * hypervisor.GiB}
	if _, err := b.Resize(ctx, uuid, spec, nil); err != nil {
		return err
	}
	spec.RAM = 12 * hypervisor.GiB // the disk has its size by now
	_, err := b.Resize(ctx, uuid, spec, nil)
	return err
}

// cloneCourses begin without a VM.
func cloneCourses() map[string]course {
	clone := func(spec hypervisor.CloneSpec) course {
		spec.Octet, spec.Template = 150, template
		return func(ctx context.Context, b *parallels.Backend, _ string) error {
			if err := b.CanClone(ctx, spec); err != nil {
				return err
			}
			made, err := b.Clone(ctx, spec, nil)
			if err != nil {
				return err
			}
			if _, err := b.Resize(ctx, made.UUID, spec, nil); err != nil { // as for a clone that was interrupted
				return err
			}
			return b.Start(ctx, made.UUID)
		}
	}
	later := clone(hypervisor.CloneSpec{})
	return map[string]course{
		"clone":                 clone(hypervisor.CloneSpec{}),
		"linked clone":          clone(hypervisor.CloneSpec{Linked: true}),
		"clone with memory":     clone(hypervisor.CloneSpec{RAM: 16 * hypervisor.GiB}),
		"clone with a disk":     clone(hypervisor.CloneSpec{Disk: 80 * hypervisor.GiB}),
		"clone with both":       clone(hypervisor.CloneSpec{RAM: 16 * hypervisor.GiB, Disk: 80 * hypervisor.GiB}),
		"clone with the same":   clone(hypervisor.CloneSpec{RAM: 8 * hypervisor.GiB, Disk: 64 * hypervisor.GiB}),
		"linked clone, resized": clone(hypervisor.CloneSpec{Linked: true, RAM: 16 * hypervisor.GiB}),
		"clone, and then resized": func(ctx context.Context, b *parallels.Backend, uuid string) error {
			if err := later(ctx, b, uuid); err != nil {
				return err
			}
			m, err := b.Locate(ctx, hypervisor.Query{Octet: 150})
			if err != nil {
				return err
			}
			if err := b.Kill(ctx, m.UUID); err != nil {
				return err
			}
			_, err = b.Resize(ctx, m.UUID, hypervisor.CloneSpec{Octet: 150, Template: template, RAM: 16 * hypervisor.GiB, Disk: 64 * hypervisor.GiB}, nil)
			return err
		},
	}
}

// What a rehearsal tells is what the same calls then run.
func TestRehearsalIsThePlan(t *testing.T) {
	for name, do := range powerCourses() {
		for _, from := range []hypervisor.State{hypervisor.Running, hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused,
			hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming} {
			t.Run(fmt.Sprintf("%s from %s", name, from), func(t *testing.T) { rehearse(t, "mpd-150", from, do) })
		}
	}
	for _, from := range []hypervisor.State{hypervisor.Running, hypervisor.Stopped} {
		t.Run(fmt.Sprintf("adopted from %s", from), func(t *testing.T) { rehearse(t, "Debian 13", from, adopt) })
	}
	t.Run("resize", func(t *testing.T) { rehearse(t, "mpd-150", hypervisor.Stopped, resize) })
	for name, do := range cloneCourses() {
		t.Run(name, func(t *testing.T) { rehearse(t, "", "", do) })
	}
}

// rehearse compares a rehearsal with what comes of it, with a VM unless its name is
// empty.
func rehearse(t *testing.T, name string, from hypervisor.State, do course) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, prlemu.Settings{Delay: 1})
		m.world().AddTemplate(template)
		uuid := ""
		if name != "" {
			uuid = m.world().Add(hypervisor.Machine{Name: name, State: hypervisor.Stopped})
			m.setState(uuid, from)
		}
		var told []hypervisor.Command
		asked := &recorder{run: m.emu.Runner()}
		twin := parallels.New(parallels.Config{Run: asked.Run, LeaseFile: "/none"}).Rehearse(func(c hypervisor.Command) { told = append(told, c) })
		m.must(do(t.Context(), twin.(*parallels.Backend), uuid))
		if changes := asked.changes(); len(changes) > 0 {
			t.Errorf("the rehearsal runs %q", changes)
		}
		if name != "" {
			m.setState(uuid, from) // again: some pass
		}
		run := &recorder{run: m.emu.Runner()}
		m.must(do(t.Context(), parallels.New(parallels.Config{Run: run.Run, LeaseFile: "/none"}), uuid))
		if vm, ok := m.emu.VM("mpd-150"); ok {
			for _, c := range told {
				for i, arg := range c.Argv {
					c.Argv[i] = strings.ReplaceAll(arg, hypervisor.NilUUID, vm.UUID)
				}
			}
		}
		if changes := run.changes(); len(changes)+len(told) > 0 && !reflect.DeepEqual(changes, told) {
			t.Errorf("it runs\n\t%q, and the rehearsal told\n\t%q", changes, told)
		}
	})
}

// Parallels refuses to rename a VM that is suspended or paused.
func TestRehearsedAdoptionIsRefused(t *testing.T) {
	for _, from := range []hypervisor.State{hypervisor.Suspended, hypervisor.Paused} {
		synctest.Test(t, func(t *testing.T) {
			m := newMac(t, prlemu.Settings{})
			uuid := m.world().Add(hypervisor.Machine{Name: "Debian 13", State: hypervisor.Stopped})
			m.setState(uuid, from)
			b := parallels.New(parallels.Config{Run: m.emu.Runner()})
			twin := b.Rehearse(func(c hypervisor.Command) { t.Errorf("%s: it tells %q", from, c) }).(*parallels.Backend)
			if plan, err := adopt(t.Context(), twin, uuid), adopt(t.Context(), b, uuid); plan == nil || err == nil {
				t.Errorf("%s: Adopted = %v, and in a rehearsal %v", from, err, plan)
			}
		})
	}
}
