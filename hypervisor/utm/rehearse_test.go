package utm_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/utm"
	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

// recorder is a Runner that keeps what it started: programs that are not there are
// not.
type recorder struct {
	run hypervisor.Runner

	mu      sync.Mutex
	started []hypervisor.Command
}

func (r *recorder) Run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	res, err := r.run(ctx, c)
	if !errors.Is(err, hypervisor.ErrToolMissing) {
		r.mu.Lock()
		r.started = append(r.started, c)
		r.mu.Unlock()
	}
	return res, err
}

// changes are the commands that do more than ask.
func (r *recorder) changes() []hypervisor.Command {
	return slices.DeleteFunc(slices.Clone(r.started), func(c hypervisor.Command) bool {
		switch word := c.Argv[1]; {
		case c.Argv[0] == "osascript":
			return slices.Contains([]string{"running", "list", "drives"}, c.Argv[2])
		case strings.HasSuffix(c.Argv[0], "utmctl"):
			return word == "list"
		}
		return true // defaults, ifconfig
	})
}

// course is what is done with the backend, on a VM that was there.
type course func(ctx context.Context, b *utm.Backend, uuid string) error

func powerCourses() map[string]course {
	return map[string]course{
		"start":    func(ctx context.Context, b *utm.Backend, uuid string) error { return b.Start(ctx, uuid) },
		"suspend":  func(ctx context.Context, b *utm.Backend, uuid string) error { return b.Suspend(ctx, uuid) },
		"kill":     func(ctx context.Context, b *utm.Backend, uuid string) error { return b.Kill(ctx, uuid) },
		"delete":   func(ctx context.Context, b *utm.Backend, uuid string) error { return b.Delete(ctx, uuid) },
		"shutdown": func(ctx context.Context, b *utm.Backend, uuid string) error { return b.Shutdown(ctx, uuid) },
		"one after the other": func(ctx context.Context, b *utm.Backend, uuid string) error {
			for _, do := range []func(context.Context, string) error{b.Kill, b.Start, b.Suspend, b.Start, b.Shutdown, b.Start, b.Delete, b.Delete} {
				if err := do(ctx, uuid); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// create is the way from nothing to a VM without its seed.
func create(spec hypervisor.CreateSpec) course {
	return func(ctx context.Context, b *utm.Backend, _ string) error {
		if err := b.CanCreate(ctx, spec.Octet); err != nil {
			return err
		}
		made, err := b.Create(ctx, spec, nil)
		if err != nil {
			return err
		}
		drive, err := b.Seed(ctx, made.UUID)
		if err != nil {
			return err
		}
		detach := func(ctx context.Context, uuid string) error { return b.Detach(ctx, uuid, drive) }
		for _, do := range []func(context.Context, string) error{b.Start, b.Shutdown, detach, detach, b.Start} {
			if err := do(ctx, made.UUID); err != nil {
				return err
			}
		}
		return nil
	}
}

// detach takes the seed from a VM that was made before.
func detach(ctx context.Context, b *utm.Backend, uuid string) error {
	drive, err := b.Seed(ctx, uuid)
	if err != nil {
		return err
	}
	if err := b.Detach(ctx, uuid, drive); err != nil {
		return err
	}
	return b.Start(ctx, uuid)
}

// What a rehearsal tells is what the same calls then run.
func TestRehearsalIsThePlan(t *testing.T) {
	for tool, settings := range map[string]utmemu.Settings{
		"":               {NewWords: true, Delay: 1},
		"without utmctl": {NewWords: true, Delay: 1, NoUtmctl: true},
		"utmctl on PATH": {NewWords: true, Delay: 1, NoUtmctl: true, OnPath: true},
	} {
		for name, do := range powerCourses() {
			for _, from := range []hypervisor.State{hypervisor.Running, hypervisor.Stopped, hypervisor.Paused,
				hypervisor.Starting, hypervisor.Stopping, hypervisor.Suspending, hypervisor.Resuming} {
				t.Run(fmt.Sprintf("%s from %s %s", name, from, tool), func(t *testing.T) {
					rehearse(t, settings, func(m *mac) (string, course) {
						uuid := m.world().Add(hypervisor.Machine{Name: "mpd-150", State: hypervisor.Stopped})
						m.setState(uuid, from)
						return uuid, do
					}, func(m *mac, uuid string) { m.setState(uuid, from) })
				})
			}
		}
		t.Run("create "+tool, func(t *testing.T) {
			rehearse(t, settings, func(m *mac) (string, course) { return "", create(m.spec("150")) }, nil)
		})
		t.Run("detach "+tool, func(t *testing.T) {
			rehearse(t, settings, func(m *mac) (string, course) {
				made, err := m.create(m.spec("150"))
				m.must(err)
				return made.UUID, detach
			}, nil)
		})
	}
}

// rehearse compares a rehearsal of a course with what comes of it. again, if not
// nil, puts the VM back into a state that has passed.
func rehearse(t *testing.T, settings utmemu.Settings, begin func(m *mac) (string, course), again func(m *mac, uuid string)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, settings)
		uuid, do := begin(m)
		var told []hypervisor.Command
		asked := &recorder{run: m.emu.Runner()}
		twin := utm.New(utm.Config{Run: asked.Run}).Rehearse(func(c hypervisor.Command) { told = append(told, c) })
		m.must(do(t.Context(), twin.(*utm.Backend), uuid))
		if changes := asked.changes(); len(changes) > 0 {
			t.Errorf("the rehearsal runs %q", changes)
		}
		if again != nil {
			again(m, uuid)
		}
		run := &recorder{run: m.emu.Runner()}
		var real []string // the names of what was made, in the order of the rehearsal's
		m.must(do(t.Context(), utm.New(utm.Config{Run: func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			if c.Argv[0] == "osascript" && c.Argv[2] == "detach" {
				real = c.Argv[3:]
			}
			return run.Run(ctx, c)
		}}), uuid))
		if uuid == "" {
			names := strings.NewReplacer(hypervisor.NilUUID, real[0], "SEED-OF-THE-NEW-VM", real[1], "DISK-OF-THE-NEW-VM", real[2])
			for _, c := range told {
				for i, arg := range c.Argv {
					c.Argv[i] = names.Replace(arg)
				}
			}
		}
		if changes := run.changes(); len(changes)+len(told) > 0 && !reflect.DeepEqual(changes, told) {
			t.Errorf("it runs\n\t%q, and the rehearsal told\n\t%q", changes, told)
		}
	})
}
