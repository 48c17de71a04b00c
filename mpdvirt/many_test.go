package mpdvirt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// herd is several VMs that nobody has set up yet, in the lab's world.
func (l *lab) herd(n int) []mpdvirt.SetupRequest {
	reqs := []mpdvirt.SetupRequest{adoption}
	for i := 1; i < n; i++ {
		addr := netip.AddrFrom4([4]byte{10, 211, 55, byte(37 + i)})
		l.addVM(mpdvirttest.VMOptions{Addr: addr})
		reqs = append(reqs, mpdvirt.SetupRequest{Octet: octet + mpdvirt.Octet(i), Backend: "general", Addr: addr, User: "dev"})
	}
	return reqs
}

// Many Managers in one process, each for a VM of its own, and one more for each
// VM that comes too late: it is told so, or finds all done.
func TestManyManagers(t *testing.T) {
	bubble(t, "setups", func(t *testing.T) {
		l := newLab(t, options{world: mpdvirttest.Options{Delay: time.Second}})
		reqs := l.herd(6)
		var all sync.WaitGroup
		var late mutexed[int]
		for _, req := range reqs {
			var events []mpdvirt.Event // without a lock: the observer is called by one at a time
			l.cfg.Observer = func(e mpdvirt.Event) { events = append(events, e) }
			m := l.manager()
			all.Go(func() {
				if _, err := m.Setup(t.Context(), req); err != nil {
					t.Errorf("setup %s: %v", req.Octet, err)
				}
				for _, e := range events {
					if e.Octet != req.Octet && e.Octet != 0 || e.Schema != mpdvirt.EventSchema {
						t.Errorf("the Manager of %s is told of %+v", req.Octet, e)
					}
				}
			})
			l.cfg.Observer = nil
			other := l.manager()
			all.Go(func() {
				<-time.After(2 * time.Second)
				_, err := other.Setup(t.Context(), mpdvirt.SetupRequest{Octet: req.Octet})
				if !errors.As(err, new(*mpdvirt.LockedError)) {
					t.Errorf("the second setup of %s: %v", req.Octet, err)
				}
				late.change(func(n *int) { *n++ })
			})
		}
		all.Wait()
		if late.value != len(reqs) {
			t.Errorf("%d came too late", late.value)
		}
		vms, err := l.List(t.Context())
		if check(t, err); len(vms) != len(reqs) {
			t.Errorf("%d VMs are registered, want %d", len(vms), len(reqs))
		}
	})
}

// One Manager, and all its verbs at once on different VMs.
func TestManyVerbs(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		l := newLab(t, options{})
		reqs := l.herd(5)
		var events []mpdvirt.Event // without a lock, as above
		l.cfg.Observer = func(e mpdvirt.Event) { events = append(events, e) }
		m := l.manager()
		for _, req := range reqs[:4] {
			_, err := m.Setup(t.Context(), req)
			check(t, err)
		}
		ctx := t.Context()
		var all sync.WaitGroup
		for name, call := range map[string]func() error{
			"setup":    func() error { _, err := m.Setup(ctx, reqs[4]); return err },
			"again":    func() error { _, err := m.Setup(ctx, mpdvirt.SetupRequest{Octet: 150}); return err },
			"update":   func() error { _, err := m.Update(ctx, mpdvirt.UpdateRequest{Octet: 151}); return err },
			"delete":   func() error { _, err := m.Delete(ctx, mpdvirt.DeleteRequest{Octet: 152, Yes: true}); return err },
			"diag":     func() error { _, err := m.Diag(ctx, mpdvirt.DiagRequest{Octet: 153}); return err },
			"show":     func() error { _, err := m.Show(ctx, mpdvirt.ShowRequest{Octet: 153}); return err },
			"list":     func() error { _, err := m.List(ctx); return err },
			"doctor":   func() error { _, err := m.Doctor(ctx); return err },
			"backends": func() error { _, err := m.Backends(ctx); return err },
			"default":  func() error { return m.SetDefaultBackend(ctx, "general") },
			"ssh":      func() error { _, err := m.SSHCommand(ctx, mpdvirt.SSHRequest{Octet: 153}); return err },
		} {
			all.Go(func() {
				if err := call(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
		seen := map[string]bool{}
		for _, e := range events {
			seen[e.Verb] = true
		}
		for _, verb := range []string{"setup", "update", "diag"} {
			if !seen[verb] {
				t.Errorf("no event is of the verb %s", verb)
			}
		}
		vms, err := m.List(ctx)
		var left []mpdvirt.Octet
		for _, vm := range vms {
			left = append(left, vm.Octet)
		}
		if check(t, err); !slices.Equal(left, []mpdvirt.Octet{150, 151, 153, 154}) {
			t.Errorf("left are %v", left)
		}
	})
}

// No goroutine outlives the call that started it, also if that was cancelled.
// Goroutines inherit the labels of who starts them.
func TestGoroutinesEnd(t *testing.T) {
	calls := func(ctx context.Context, l *lab) map[string]func() error {
		all := verbs(ctx, l)
		delete(all, "delete")
		all["first setup"] = func() error { _, err := l.Setup(ctx, adoption); return err }
		all["doctor"] = func() error { _, err := l.Doctor(ctx); return err }
		return all
	}
	for name := range calls(t.Context(), &lab{}) {
		for _, after := range []time.Duration{0, 500 * time.Millisecond, 3 * time.Second} {
			bubble(t, fmt.Sprintf("%s cancelled after %v", name, after), func(t *testing.T) {
				l := newLab(t, options{world: mpdvirttest.Options{SilentHosts: true, Delay: time.Second}})
				if name != "first setup" {
					l.setup(adoption)
				}
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if after > 0 {
					ctx, cancel = context.WithTimeout(ctx, after)
				}
				defer cancel()
				label := fmt.Sprintf("%s %p", name, l)
				pprof.Do(ctx, pprof.Labels("call", label), func(ctx context.Context) {
					if err := calls(ctx, l)[name](); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("error %v", err)
					}
				})
				synctest.Wait()
				if left := labelled(t, label); left != "" {
					t.Errorf("still running:\n%s", left)
				}
			})
		}
	}
}

// labelled is the stacks of the goroutines that have a label.
func labelled(t *testing.T, label string) string {
	t.Helper()
	var out bytes.Buffer
	check(t, pprof.Lookup("goroutine").WriteTo(&out, 1))
	var found []string
	for _, g := range strings.Split(out.String(), "\n\n") {
		if strings.Contains(g, fmt.Sprintf("%q", label)) {
			found = append(found, g)
		}
	}
	return strings.Join(found, "\n\n")
}

// mutexed is a value that many change.
type mutexed[T any] struct {
	mu    sync.Mutex
	value T
}

func (m *mutexed[T]) change(by func(*T)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	by(&m.value)
}
