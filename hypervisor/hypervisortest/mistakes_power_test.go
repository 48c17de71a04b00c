package hypervisortest

import (
	"context"
	"errors"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// power is a method that is an action, and how it is replaced.
type power struct {
	group      string // of its cases
	name, verb string
	right      func(b memory, ctx context.Context, uuid string) error
	replace    func(w *wrong, f func(ctx context.Context, uuid string) error)
}

type powerFunc = func(ctx context.Context, uuid string) error

func powers() []power {
	return []power{
		{"Lifecycle", "Start", "start", memory.Start, func(w *wrong, f powerFunc) { w.start = f }},
		{"Lifecycle", "Suspend", "suspend", memory.Suspend, func(w *wrong, f powerFunc) { w.suspend = f }},
		{"Lifecycle", "Kill", "stop", memory.Kill, func(w *wrong, f powerFunc) { w.kill = f }},
		{"Lifecycle", "Delete", "delete", memory.Delete, func(w *wrong, f powerFunc) { w.delete = f }},
		{"Creator", "Shutdown", "shutdown", memory.Shutdown, func(w *wrong, f powerFunc) { w.shutdown = f }},
	}
}

func lifecycleMistakes() (out []mistake) {
	for _, p := range powers() {
		add := func(name string, fails []string, do func(b memory, ctx context.Context, uuid string) error) {
			for i, f := range fails {
				fails[i] = p.group + "/" + p.name + " " + f
			}
			out = append(out, mistake{p.name + " " + name, fails, func(b memory, w *wrong) {
				p.replace(w, func(ctx context.Context, uuid string) error { return do(b, ctx, uuid) })
			}})
		}
		// what works, and nothing else
		works := map[string][]string{"Start": {"from stopped", "from suspended", "from paused"}, "Suspend": {"from running"}, "Kill": {"from running", "from suspended", "from paused"}, "Delete": {"from*"}, "Shutdown": {"from running"}}
		add("does nothing", works[p.name], func(memory, context.Context, string) error { return nil })
		add("fails where nothing is to be done", map[string][]string{"Start": {"from running"}, "Suspend": {"from stopped", "from suspended"},
			"Kill": {"from stopped"}, "Shutdown": {"from stopped"}, "Delete": {"of a VM that is gone", "from running"}}[p.name], func(b memory, ctx context.Context, uuid string) error {
			before, _ := b.Locate(ctx, hypervisor.Query{Octet: octet, UUID: uuid})
			err := p.right(b, ctx, uuid)
			after, _ := b.Locate(ctx, hypervisor.Query{Octet: octet, UUID: uuid})
			if before == after && err == nil {
				err = errors.New("nothing to do")
			}
			return err
		})
		add("believes the tool", []string{"tool ignores actions", "tool is slow", "tool prints*"}, func(b memory, ctx context.Context, uuid string) error {
			if b.tool.fault != Ignored && b.tool.fault != Slow && b.tool.fault != Garbage && b.tool.fault != Empty {
				return p.right(b, ctx, uuid)
			}
			_, err := b.call(ctx, p.verb, uuid)
			return err
		})
		add("swallows errors", []string{"tool missing", "service down", "tool fails", "tool stops in its answer", "tool prints*", "VM is busy once", "in an unknown state",
			"after the name went to another VM", "while the tool hangs"}, func(b memory, ctx context.Context, uuid string) error {
			_ = p.right(b, ctx, uuid)
			return nil
		})
		add("takes silence for no VM", []string{"tool fails", "service down"}, func(b memory, ctx context.Context, uuid string) error {
			err := p.right(b, ctx, uuid)
			if err != nil {
				err = errors.Join(hypervisor.ErrNoMachine)
			}
			return err
		})
		add("does not ask first", []string{"in an unknown state", "by a name"}, func(b memory, ctx context.Context, uuid string) error {
			_, err := b.call(ctx, p.verb, uuid)
			return err
		})
		add("takes the VM that has the name", []string{"after the VM was replaced", "after the name went to another VM"}, func(b memory, ctx context.Context, uuid string) error {
			if vm, err := b.Locate(ctx, hypervisor.Query{Octet: octet}); err == nil {
				uuid = vm.UUID
			}
			return p.right(b, ctx, uuid)
		})
		add("does it to all", []string{"of a VM that is gone", "while two VMs have the name"}, func(b memory, ctx context.Context, uuid string) error {
			for _, vm := range b.tool.look() {
				_, _ = b.call(ctx, p.verb, vm.UUID)
			}
			return p.right(b, ctx, uuid)
		})
		add("does not look at the context", []string{"while the tool hangs"}, func(b memory, ctx context.Context, uuid string) error {
			return p.right(b, context.WithoutCancel(ctx), uuid)
		})
		if p.name == "Delete" {
			continue
		}
		add("does not miss a VM", []string{"of a VM that is gone"}, func(b memory, ctx context.Context, uuid string) error {
			err := p.right(b, ctx, uuid)
			if errors.Is(err, hypervisor.ErrNoMachine) {
				err = nil
			}
			return err
		})
		add("takes transition for done", []string{"while*"}, func(b memory, ctx context.Context, uuid string) error {
			if err := p.right(b, ctx, uuid); !errors.Is(err, hypervisor.ErrState) {
				return err
			}
			return nil
		})
	}
	return append(out,
		mistake{"Start does not look whether it started", []string{"Lifecycle/Start VMs cannot be started"}, func(b memory, w *wrong) {
			w.start = func(ctx context.Context, uuid string) error {
				if b.tool.fault == NoStart {
					return nil
				}
				return b.Start(ctx, uuid)
			}
		}},
		mistake{"Kill keeps the saved memory", []string{"Lifecycle/Kill from suspended"}, func(b memory, w *wrong) {
			w.kill = func(ctx context.Context, uuid string) error {
				if vm, err := b.recorded(ctx, uuid); err == nil && vm.State == hypervisor.Suspended {
					return nil
				}
				return b.Kill(ctx, uuid)
			}
		}},
		mistake{"Delete needs a stopped VM", []string{"Lifecycle/Delete from running", "Lifecycle/Delete from suspended"}, func(b memory, w *wrong) {
			w.delete = func(ctx context.Context, uuid string) error {
				if vm, err := b.recorded(ctx, uuid); err == nil && vm.State != hypervisor.Stopped {
					return errors.Join(hypervisor.ErrState)
				}
				return b.Delete(ctx, uuid)
			}
		}},
	)
}
