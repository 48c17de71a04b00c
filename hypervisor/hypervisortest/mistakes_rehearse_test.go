package hypervisortest

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

type tellFunc = func(hypervisor.Command)

// rehearsing makes a backend whose rehearsals are what f says.
func rehearsing(f func(b memory, tell tellFunc) hypervisor.Hypervisor) func(memory, *wrong) {
	return func(b memory, w *wrong) {
		w.rehearse = func(tell tellFunc) hypervisor.Hypervisor { return f(b, tell) }
	}
}

// telling makes one that is right but for what it does with a command.
func telling(f func(b memory, tell tellFunc, c hypervisor.Command)) func(memory, *wrong) {
	return rehearsing(func(b memory, tell tellFunc) hypervisor.Hypervisor {
		return b.Rehearse(func(c hypervisor.Command) { f(b, tell, c) })
	})
}

// twinned makes one whose rehearsals are right but for what f changes.
func twinned(f func(twin memory, tell tellFunc, w *wrong)) func(memory, *wrong) {
	return rehearsing(func(b memory, tell tellFunc) hypervisor.Hypervisor {
		w := &wrong{memory: b.Rehearse(tell).(memory)}
		f(w.memory, tell, w)
		return w
	})
}

// acting makes all that act go by act, which gets the right backend by on.
func acting(w *wrong, on func() memory, act func(do func() error) error) {
	w.start = func(ctx context.Context, uuid string) error {
		return act(func() error { return on().Start(ctx, uuid) })
	}
	w.suspend = func(ctx context.Context, uuid string) error {
		return act(func() error { return on().Suspend(ctx, uuid) })
	}
	w.kill = func(ctx context.Context, uuid string) error { return act(func() error { return on().Kill(ctx, uuid) }) }
	w.delete = func(ctx context.Context, uuid string) error {
		return act(func() error { return on().Delete(ctx, uuid) })
	}
	w.shutdown = func(ctx context.Context, uuid string) error {
		return act(func() error { return on().Shutdown(ctx, uuid) })
	}
	w.detach = func(ctx context.Context, uuid, drive string) error {
		return act(func() error { return on().Detach(ctx, uuid, drive) })
	}
	w.adopted = func(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
		return act(func() error { return on().Adopted(ctx, o, m) })
	}
	w.canClone = func(ctx context.Context, spec hypervisor.CloneSpec) error {
		return act(func() error { return on().CanClone(ctx, spec) })
	}
	w.canCreate = func(ctx context.Context, o hypervisor.Octet) error {
		return act(func() error { return on().CanCreate(ctx, o) })
	}
	w.clone = func(ctx context.Context, spec hypervisor.CloneSpec, p func(string)) (made hypervisor.Made, err error) {
		err = act(func() (err error) { made, err = on().Clone(ctx, spec, p); return err })
		return made, err
	}
	w.create = func(ctx context.Context, spec hypervisor.CreateSpec, p func(string)) (made hypervisor.Made, err error) {
		err = act(func() (err error) { made, err = on().Create(ctx, spec, p); return err })
		return made, err
	}
	w.resize = func(ctx context.Context, uuid string, spec hypervisor.CloneSpec) (warnings []string, err error) {
		err = act(func() (err error) { warnings, err = on().Resize(ctx, uuid, spec, nil); return err })
		return warnings, err
	}
}

// of are the names of cases of the group Rehearser.
func of(names ...string) []string {
	for i := range names {
		names[i] = "Rehearser/" + names[i]
	}
	return names
}

func rehearserMistakes() []mistake {
	list := hypervisor.Command{Argv: []string{"memtool", "list"}}
	return append([]mistake{
		{"a rehearsal acts", of("Start from stopped", "Suspend from running", "Kill from suspended", "Delete from*", "Shutdown from running",
			"one action*", "Clone", "Create", "Resize", "Adopted", "Detach of a seed*"), telling(func(b memory, tell tellFunc, c hypervisor.Command) {
			tell(c)
			b.tool.mu.Lock()
			defer b.tool.mu.Unlock()
			b.tool.do(c.Argv[1:])
		})},
		{"a rehearsal tells nothing", of("Start from stopped", "Suspend from running", "Kill from paused", "Delete from*", "Shutdown from running", "one action*",
			"Clone*", "Create*", "Resize", "Adopted", "Detach of a seed*"), telling(func(memory, tellFunc, hypervisor.Command) {})},
		{"a rehearsal tells though nothing is to do", of("Start from running", "Suspend from stopped", "Kill from stopped", "Shutdown from stopped", "Delete of a VM that is gone",
			"Resize to what it has", "Adopted of a VM that has the name", "Start in an unknown state", "Delete in an unknown state"),
			twinned(func(twin memory, tell tellFunc, w *wrong) {
				acting(w, func() memory { return twin }, func(do func() error) error {
					defer tell(hypervisor.Command{Argv: []string{"memtool", "sync"}})
					return do()
				})
			})},
		{"a rehearsal tells questions", of("questions", "Start from running", "Delete of a VM that is gone", "Clone while*", "Create while*", "CanClone*", "CanCreate*", "Kill tool missing",
			"Shutdown service down", "Adopted tool fails"), twinned(func(twin memory, tell tellFunc, w *wrong) {
			acting(w, func() memory { return twin }, func(do func() error) error {
				tell(list)
				return do()
			})
			w.states = func(ctx context.Context) ([]hypervisor.Machine, error) {
				tell(list)
				return twin.States(ctx)
			}
		})},
		{"a rehearsal forgets what was told", of("Start from stopped", "one action*", "Clone twice", "Clone and Start", "Create twice", "Create and the way*", "Resize", "Adopted", "Detach of a seed*"),
			rehearsing(func(b memory, tell tellFunc) hypervisor.Hypervisor {
				w := &wrong{memory: b.Rehearse(tell).(memory)}
				acting(w, func() memory { return b.Rehearse(tell).(memory) }, func(do func() error) error { return do() })
				return w
			})},
		{"a rehearsal swallows refusals", of("Start in an unknown state", "Kill of a VM that is gone", "Delete after the name went*", "Start while the tool hangs",
			"Delete tool*", "Shutdown service down", "Clone while*", "Clone without*", "CanClone from*", "Clone twice", "Create while*", "CanCreate tool*", "Create twice", "Create and the way*",
			"Adopted while another*", "Adopted tool*"), twinned(func(twin memory, _ tellFunc, w *wrong) {
			acting(w, func() memory { return twin }, func(do func() error) error {
				_ = do()
				return nil
			})
		})},
		{"a rehearsal wants the files", of("Create before its files*"), twinned(func(twin memory, _ tellFunc, w *wrong) {
			w.create = func(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
				if _, err := os.Stat(spec.Disk); err != nil {
					return hypervisor.Made{}, err
				}
				return twin.Create(ctx, spec, progress)
			}
		})},
		{"a rehearsal does not look who is meant", of("Start after the VM was replaced", "Delete by a name"), twinned(func(twin memory, _ tellFunc, w *wrong) {
			for _, p := range powers() {
				p.replace(w, func(ctx context.Context, uuid string) error {
					if vm, err := twin.Locate(ctx, hypervisor.Query{Octet: octet}); err == nil {
						uuid = vm.UUID
					}
					return p.right(twin, ctx, uuid)
				})
			}
		})},
	}, rehearsedMistakes()...)
}

func rehearsedMistakes() []mistake {
	return []mistake{
		{"a rehearsal has no capabilities", of("capabilities"), rehearsing(func(b memory, tell tellFunc) hypervisor.Hypervisor {
			return struct{ hypervisor.Hypervisor }{b.Rehearse(tell)}
		})},
		{"a rehearsal lacks one capability", of("capabilities"), rehearsing(func(b memory, tell tellFunc) hypervisor.Hypervisor {
			type most interface {
				hypervisor.Hypervisor
				hypervisor.Creator
				hypervisor.Cloner
				hypervisor.Addresser
				hypervisor.Adopter
				hypervisor.Rehearser
			}
			return struct{ most }{b.Rehearse(tell).(memory)}
		})},
		{"a rehearsal has a name of its own", of("Name and Network"), twinned(func(_ memory, _ tellFunc, w *wrong) {
			w.name = func() string { return "memory-rehearsal" }
		})},
		{"a rehearsal has a network of its own", of("Name and Network"), twinned(func(_ memory, _ tellFunc, w *wrong) {
			w.network = func(context.Context) (netip.Prefix, error) { return netip.MustParsePrefix("192.0.2.0/24"), nil }
		})},
		{"a rehearsal does not ask", of("what others do meanwhile", "Start tool missing", "Delete while the tool hangs", "Clone tool fails", "Create service down", "Adopted tool*"),
			rehearsing(func(b memory, tell tellFunc) hypervisor.Hypervisor {
				then := &memtool{}
				for _, r := range b.tool.rows {
					row := *r
					then.rows = append(then.rows, &row)
				}
				return memory{then}.Rehearse(tell)
			})},
		{"a rehearsal tells commands without a program", of("Start from stopped", "Clone", "Create", "Adopted"), telling(func(_ memory, tell tellFunc, _ hypervisor.Command) {
			tell(hypervisor.Command{})
		})},
		{"a rehearsal tells two at a time", of("Kill from running", "Clone with sizes"), telling(func(_ memory, tell tellFunc, c hypervisor.Command) {
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { tell(c) })
			}
			wg.Wait()
		})},
		{"a rehearsal does not end", of("Start from stopped", "Shutdown from running", "Clone", "Create", "Adopted"), func(b memory, w *wrong) {
			w.rehearse = func(tell tellFunc) hypervisor.Hypervisor {
				twin := b.Rehearse(tell).(memory)
				acting(w, func() memory { return twin }, func(do func() error) error { return do() })
				return twin
			}
		}},
		{"a rehearsal makes VMs with UUIDs of their own", of("Clone", "Clone linked", "Create"), twinned(func(_ memory, _ tellFunc, w *wrong) {
			w.memory.tool.draft.uuid = uuid(7)
		})},
		{"a rehearsal knows no addresses", of("questions"), twinned(func(_ memory, _ tellFunc, w *wrong) {
			w.at = func(context.Context, netip.Addr) ([]hypervisor.Machine, error) { return nil, nil }
		})},
		{"a rehearsal hopes for addresses", of("Clone and Start", "Create and the way*"), twinned(func(twin memory, _ tellFunc, w *wrong) {
			w.locate = func(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
				vm, err := twin.Locate(ctx, q)
				if vm.State == hypervisor.Running {
					vm.Addr = q.Octet.In(netip.MustParseAddr("10.99.0.1"))
				}
				return vm, err
			}
		})},
		{"a rehearsal warns of sizes", of("Resize", "Resize while*"), twinned(func(twin memory, _ tellFunc, w *wrong) {
			w.resize = func(ctx context.Context, uuid string, spec hypervisor.CloneSpec) ([]string, error) {
				_, err := twin.Resize(ctx, uuid, spec, nil)
				return []string{"perhaps"}, err
			}
		})},
		{"a rehearsal has no seeds", of("Create and the way*"), twinned(func(_ memory, _ tellFunc, w *wrong) {
			w.seed = func(context.Context, string) (string, error) { return "", nil }
		})},
		{"a rehearsal detaches whatever the state", of("Create and the way*"), twinned(func(twin memory, _ tellFunc, w *wrong) {
			w.detach = func(ctx context.Context, uuid, id string) error {
				r, err := twin.made(ctx, uuid)
				if err == nil && slices.ContainsFunc(r.Drives, func(d drive) bool { return d.ID == id }) {
					_, err = twin.call(ctx, "detach", uuid, id)
				}
				return err
			}
		})},
	}
}
