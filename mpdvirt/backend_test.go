package mpdvirt_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/general"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// farm is a hypervisor whose VMs are the world's.
type farm struct {
	l *lab

	mu       sync.Mutex
	machines []*hypervisor.Machine // without address: see vms
	vms      map[string]*mpdvirttest.VM
	calls    []string
	broken   error // what the next call that changes or lists something fails with
	absent   error // why it is not available
	adopting error // what Adopted fails with
}

var (
	_ hypervisor.Hypervisor = (*farm)(nil)
	_ hypervisor.Lifecycle  = (*farm)(nil)
	_ hypervisor.Adopter    = (*farm)(nil)
)

// farmLab is a lab with a farm, without VMs but the lab's own, which the farm
// does not know.
func farmLab(t *testing.T) (*lab, *farm) {
	t.Helper()
	f := &farm{vms: map[string]*mpdvirttest.VM{}}
	f.l = newLab(t, options{config: func(c *mpdvirt.Config) { c.Backends = []hypervisor.Hypervisor{general.New(), f} }})
	return f.l, f
}

// created is mpd-150, which somebody made on the farm, set up.
func (f *farm) created() *mpdvirt.SetupResult {
	f.l.t.Helper()
	f.make()
	return f.l.setup(onFarm)
}

var onFarm = mpdvirt.SetupRequest{Octet: octet, Backend: "farm", User: "dev"}

// make makes mpd-150 at a passing address.
func (f *farm) make() {
	f.l.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	vm, err := f.l.world.AddVM(mpdvirttest.VMOptions{Addr: netip.MustParseAddr("10.211.55.40")})
	check(f.l.t, err)
	m := &hypervisor.Machine{UUID: fmt.Sprintf("{00000000-%d}", len(f.vms)+1), Name: octet.VMName(), State: hypervisor.Running}
	f.machines, f.vms[m.UUID] = append(f.machines, m), vm
}

func (f *farm) call(format string, args ...any) error {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
	err := f.broken
	f.broken = nil
	return err
}

func (f *farm) Name() string { return "farm" }

func (f *farm) Network(context.Context) (netip.Prefix, error) {
	return netip.MustParsePrefix("10.211.55.0/24"), nil
}

func (f *farm) Available(context.Context) error { return f.absent }

func (f *farm) Locate(_ context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.machines {
		if m.Name == q.Octet.VMName() {
			found := *m
			found.Addr = f.vms[m.UUID].Addr()
			return found, nil
		}
	}
	return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), hypervisor.ErrNoMachine)
}

func (f *farm) States(context.Context) ([]hypervisor.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []hypervisor.Machine{}
	for _, m := range f.machines {
		out = append(out, *m)
	}
	return out, f.call("states")
}

// change does something to one VM.
func (f *farm) change(verb, uuid string, state hypervisor.State, do func(*mpdvirttest.VM)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("%s %s", verb, uuid); err != nil {
		return err
	}
	i := slices.IndexFunc(f.machines, func(m *hypervisor.Machine) bool { return m.UUID == uuid })
	if i < 0 {
		return hypervisor.ErrNoMachine
	}
	f.machines[i].State = state
	do(f.vms[uuid])
	return nil
}

func (f *farm) Start(_ context.Context, uuid string) error {
	return f.change("start", uuid, hypervisor.Running, (*mpdvirttest.VM).Resume)
}

func (f *farm) Suspend(_ context.Context, uuid string) error {
	return f.change("suspend", uuid, hypervisor.Suspended, (*mpdvirttest.VM).Suspend)
}

func (f *farm) Kill(_ context.Context, uuid string) error {
	return f.change("kill", uuid, hypervisor.Stopped, (*mpdvirttest.VM).PowerOff)
}

func (f *farm) Delete(_ context.Context, uuid string) error {
	err := f.change("delete", uuid, hypervisor.Stopped, (*mpdvirttest.VM).PowerOff)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.machines = slices.DeleteFunc(f.machines, func(m *hypervisor.Machine) bool { return m.UUID == uuid })
	} else if errors.Is(err, hypervisor.ErrNoMachine) {
		err = nil // gone is fine
	}
	return err
}

func (f *farm) Adopted(_ context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.call("adopted %s %s %s", o, m.UUID, m.Addr), f.adopting)
}

// TestManagedVM is the life of a VM that this program made.
func TestManagedVM(t *testing.T) {
	bubble(t, "created, stopped, started, killed, deleted", func(t *testing.T) {
		l, f := farmLab(t)
		res := f.created()
		if res.VM.UUID != "{00000000-1}" || res.VM.Backend != "farm" || !slices.Contains(f.calls, "adopted 150 {00000000-1} 10.211.55.150") {
			t.Errorf("%+v after %v", res.VM, f.calls)
		}
		if !strings.Contains(l.read(".mpd-virt/150/env"), "MPD_VM_UUID={00000000-1}\n") {
			t.Errorf("entry %s", l.read(".mpd-virt/150/env"))
		}
		wantState(l, hypervisor.Running)
		check(t, l.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet}))
		wantState(l, hypervisor.Suspended)
		report := l.diag()
		if c := report.Check("backend"); c.Status != fail || len(c.Fixes) != 1 || strings.Join(c.Fixes[0].Argv, " ") != "mpd-virt start 150" {
			t.Errorf("diag of a suspended VM: %+v", c)
		}
		report, err := l.Start(t.Context(), mpdvirt.StartRequest{Octet: octet})
		if check(t, err); !report.Healthy() {
			t.Error(report.Err())
		}
		check(t, l.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet, Kill: true}))
		wantState(l, hypervisor.Stopped)

		f.broken = errors.New("disk is busy")
		_, err = l.Delete(t.Context(), deletion)
		wantError(t, err, err, "nothing is forgotten", "disk is busy")
		wantState(l, hypervisor.Stopped)
		if !l.exists(".mpd-virt/150/known_hosts") || !l.exists(".ssh/config") {
			t.Error("it is half forgotten")
		}
		_, err = l.Delete(t.Context(), deletion)
		if check(t, err); len(f.machines) > 0 || l.exists(".mpd-virt/150") {
			t.Errorf("left are %v", f.machines)
		}
		if n := len(f.calls); f.calls[n-1] != "delete {00000000-1}" {
			t.Errorf("calls %v", f.calls)
		}
	})
	bubble(t, "setup again tells the backend again", func(t *testing.T) {
		l, f := farmLab(t)
		f.created()
		f.calls = nil
		l.setup(alone)
		if !slices.Contains(f.calls, "adopted 150 {00000000-1} 10.211.55.150") {
			t.Errorf("calls %v", f.calls)
		}
	})
	bubble(t, "found by its name", func(t *testing.T) {
		l, f := farmLab(t)
		f.created()
		_, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: octet, KeepVM: true, Yes: true})
		if check(t, err); len(f.machines) != 1 {
			t.Fatal("the VM is gone")
		}
		l.setup(onFarm)
	})
	bubble(t, "gone behind our back", func(t *testing.T) {
		l, f := farmLab(t)
		f.created()
		f.vms["{00000000-1}"].PowerOff()
		f.machines = nil
		wantState(l, hypervisor.Missing)
		_, err := l.Delete(t.Context(), deletion) // F10
		check(t, err)
	})
	bubble(t, "name taken by another VM", func(t *testing.T) {
		l, f := farmLab(t)
		f.created()
		f.machines[0].UUID = "{other}"
		wantState(l, hypervisor.Missing)
	})
	bubble(t, "no UUID is recorded", func(t *testing.T) {
		l, _ := farmLab(t)
		register(l, octet, "farm")
		_, err := l.Delete(t.Context(), deletion)
		if wantError(t, err, err, "no UUID", "--keep-vm"); !l.exists(".mpd-virt/150/env") {
			t.Error("it is forgotten")
		}
	})
	bubble(t, "F64 with an address that no VM can have", func(t *testing.T) {
		l, f := farmLab(t)
		f.created()
		_, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: octet, KeepVM: true, Yes: true})
		check(t, err)
		for _, addr := range []string{"fd00::37", "169.254.7.7"} {
			check(t, f.vms["{00000000-1}"].SetAddr(netip.MustParseAddr(addr)))
			failure := l.refused(onFarm)
			if wantError(t, failure, failure, addr); errors.Is(failure, mpdvirt.ErrUsage) {
				t.Error("it is called wrong usage")
			}
		}
	})
	bubble(t, "its setup fails without a better hint", func(t *testing.T) {
		l, f := farmLab(t)
		f.adopting = errors.New("rename failed")
		f.make()
		_, err := l.Setup(t.Context(), onFarm)
		if e := wrapped(t, err); e.Step != "register" || e.Hint != "mpd-virt setup 150     (goes on at register)" {
			t.Errorf("%+v", e)
		}
		f.adopting = nil
		l.setup(alone)
	})
	bubble(t, "the backend cannot be asked", func(t *testing.T) {
		l, f := farmLab(t)
		f.created()
		f.broken = errors.New("no answer")
		vms, err := l.List(t.Context())
		if check(t, err); len(vms) != 1 || vms[0].State != "" || !strings.Contains(vms[0].Error, "ask farm: no answer") {
			t.Errorf("%+v", vms)
		}
		f.broken = errors.New("no answer")
		if c := l.diag().Check("backend"); c.Status != fail || !strings.Contains(c.Summary, "no answer") {
			t.Errorf("%+v", c)
		}
	})
	bubble(t, "one question for all VMs", func(t *testing.T) {
		l, f := farmLab(t)
		for o := mpdvirt.Octet(100); o < 110; o++ {
			register(l, o, "farm")
		}
		vms, err := l.List(t.Context())
		if check(t, err); len(vms) != 10 || len(f.calls) != 1 {
			t.Errorf("%d VMs, calls %v", len(vms), f.calls)
		}
	})
	bubble(t, "outside of the backend's network", func(t *testing.T) {
		l, f := farmLab(t)
		f.created()
		_, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: octet, KeepVM: true, Yes: true})
		check(t, err)
		check(t, f.vms["{00000000-1}"].SetAddr(netip.MustParseAddr("192.168.64.20")))
		wantError(t, l.refused(onFarm), mpdvirt.ErrUsage, "192.168.64.20", "10.211.55.0/24")
	})
	bubble(t, "not available", func(t *testing.T) {
		l, f := farmLab(t)
		f.absent = fmt.Errorf("farmctl: %w", mpdvirt.ErrToolMissing)
		req := adoption
		req.Backend = "farm"
		wantError(t, l.refused(req), mpdvirt.ErrToolMissing, "farmctl")
	})
}

// wantState checks what list says of the lab's VM.
func wantState(l *lab, want mpdvirt.State) {
	l.t.Helper()
	vms, err := l.List(l.t.Context())
	check(l.t, err)
	if len(vms) != 1 || vms[0].State != want || vms[0].Error != "" {
		l.t.Errorf("list says %+v, want %s", vms, want)
	}
}

// The general backend manages no VMs, and says what to do instead.
func TestGeneralIsUnsupported(t *testing.T) {
	bubble(t, "general", func(t *testing.T) {
		l := adopted(t, options{})
		const free mpdvirt.Octet = 160
		for name, tt := range map[string]struct {
			err  func() error
			next string
		}{
			"start": {func() error { _, err := l.Start(t.Context(), mpdvirt.StartRequest{Octet: octet}); return err }, "mpd-virt diag 150"},
			"stop":  {func() error { return l.Stop(t.Context(), mpdvirt.StopRequest{Octet: octet}) }, "mpd-virt diag 150"},
			"create": {func() error {
				_, err := l.Create(t.Context(), mpdvirt.CreateRequest{Octet: free, Backend: "general", User: "dev"})
				return err
			}, "mpd-virt setup 160 --backend=general"},
			"clone": {func() error {
				_, err := l.Clone(t.Context(), mpdvirt.CloneRequest{Octet: free, Backend: "general", User: "dev"})
				return err
			}, "mpd-virt setup 160 --backend=general"},
		} {
			err := tt.err()
			wantError(t, err, errors.ErrUnsupported, "the general backend cannot "+name, tt.next)
			var unsupported *mpdvirt.UnsupportedError
			if !errors.As(err, &unsupported) || unsupported.Backend != "general" {
				t.Errorf("%s: %v", name, err)
			}
		}
		if l.exists(".mpd-virt/160") {
			t.Error("a folder was made")
		}
		for _, err := range []error{
			func() error { _, err := l.Start(t.Context(), mpdvirt.StartRequest{Octet: free}); return err }(),
			l.Stop(t.Context(), mpdvirt.StopRequest{Octet: free}),
		} {
			wantError(t, err, mpdvirt.ErrNotRegistered)
		}
	})
}

func TestBackends(t *testing.T) {
	bubble(t, "what they can do", func(t *testing.T) {
		l, f := farmLab(t)
		f.absent = fmt.Errorf("farmctl: %w", mpdvirt.ErrToolMissing)
		check(t, l.SetDefaultBackend(t.Context(), "farm"))
		got, err := l.Backends(t.Context())
		check(t, err)
		want := []mpdvirt.BackendInfo{
			{Name: "general", Available: true, Verbs: []string{"setup", "diag", "update", "delete"}},
			{Name: "farm", Reason: "farmctl: tool not installed", Default: true, Verbs: []string{"setup", "diag", "update", "delete", "start", "stop"}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
	bubble(t, "F89 the record is damaged", func(t *testing.T) {
		l := newLab(t, options{})
		l.write(".mpd-virt/conf/backend.env", "\x00\n", 0o600)
		_, err := l.Backends(t.Context())
		var broken *mpdvirt.EntryError
		if !errors.As(err, &broken) || broken.File != l.path(".mpd-virt/conf/backend.env") {
			t.Errorf("%v", err)
		}
		check(t, l.SetDefaultBackend(t.Context(), "general"))
		got, err := l.Backends(t.Context())
		if check(t, err); !got[0].Default {
			t.Errorf("%+v", got)
		}
	})
	bubble(t, "no such backend", func(t *testing.T) {
		l := newLab(t, options{})
		wantError(t, l.SetDefaultBackend(t.Context(), "vmware"), mpdvirt.ErrUsage, "vmware", "general")
		if l.exists(".mpd-virt") {
			t.Error("something was written")
		}
	})
}
