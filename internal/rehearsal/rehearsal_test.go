package rehearsal_test

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/rehearsal"
)

const upper, lower = "5C0FFEE0-0001-4D1E-8B00-0123456789AB", "5c0ffee0-0001-4d1e-8b00-0123456789ab"

func TestTold(t *testing.T) {
	one := hypervisor.Machine{UUID: upper, Name: "mpd-150", State: hypervisor.Running, Addr: netip.MustParseAddr("10.0.0.150")}
	two := hypervisor.Machine{UUID: "two", Name: "Windows 11", State: hypervisor.Running, Addr: netip.MustParseAddr("10.0.0.7")}
	made := hypervisor.Machine{UUID: hypervisor.NilUUID, Name: "mpd-151", State: hypervisor.Stopped}
	tool := []hypervisor.Machine{one, two} // says the same all the while

	var told []string
	r := rehearsal.New(func(c hypervisor.Command) { told = append(told, c.String()) })
	tell := func(word string, m hypervisor.Machine) { r.Tell(hypervisor.Command{Argv: []string{"tool", word}}, m) }
	stopped := hypervisor.Machine{UUID: lower, Name: "mpd-150", State: hypervisor.Stopped}
	for _, step := range []struct {
		word string
		then hypervisor.Machine
		want []hypervisor.Machine // the list after it
	}{
		{"stop", hypervisor.Machine{UUID: lower, Name: "mpd-150", State: hypervisor.Stopped, Addr: one.Addr}, []hypervisor.Machine{two, stopped}},
		{"make", made, []hypervisor.Machine{two, stopped, made}},
		{"delete", hypervisor.Machine{UUID: upper, State: hypervisor.Missing}, []hypervisor.Machine{two, made}},
	} {
		tell(step.word, step.then)
		if got := r.Over(tool); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %+v, want %+v", step.word, got, step.want)
		}
		if m, ok := r.Assumed(upper); !ok || m.Addr.IsValid() {
			t.Errorf("after %s: it assumes %+v, %t", step.word, m, ok)
		}
	}
	if m, ok := r.Assumed("two"); ok {
		t.Errorf("it assumes %+v of a VM of which nothing was told", m)
	}
	if !slices.Equal(tool, []hypervisor.Machine{one, two}) {
		t.Errorf("the tool's own list is %+v now", tool)
	}
	if want := []string{"tool stop", "tool make", "tool delete"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestOneAtATime(t *testing.T) {
	var inside atomic.Bool
	n := 0
	r := rehearsal.New(func(hypervisor.Command) {
		if inside.Swap(true) {
			t.Error("tell is called while it is at work")
		}
		n++
		inside.Store(false)
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r.Tell(hypervisor.Command{}, hypervisor.Machine{UUID: lower})
			r.Over(nil)
		})
	}
	wg.Wait()
	if n != 20 || len(r.Over(nil)) != 1 {
		t.Errorf("%d commands were told, of the VMs %+v", n, r.Over(nil))
	}
}
