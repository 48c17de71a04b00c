package hypervisortest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// memory is the reference: a backend with all capabilities that keeps the
// contract. It is all that a backend needs to be, without a tool's oddities.
type memory struct{ tool *memtool }

var (
	_ hypervisor.Creator   = memory{}
	_ hypervisor.Cloner    = memory{}
	_ hypervisor.Resizer   = memory{}
	_ hypervisor.Addresser = memory{}
	_ hypervisor.Adopter   = memory{}
	_ hypervisor.Rehearser = memory{}
)

var ours = regexp.MustCompile(`^mpd-[0-9]{3}$`)

func (memory) Name() string { return "memory" }

// Rehearse returns a backend over a tool that only plays.
func (b memory) Rehearse(tell func(hypervisor.Command)) hypervisor.Hypervisor {
	return memory{&memtool{draft: &draft{real: b.tool, tell: tell, uuid: hypervisor.NilUUID}}}
}

func (memory) Network(context.Context) (netip.Prefix, error) {
	return netip.MustParsePrefix("10.99.0.0/24"), nil
}

func (b memory) Available(ctx context.Context) error {
	_, err := b.list(ctx)
	return err
}

// call runs the tool.
func (b memory) call(ctx context.Context, args ...string) (string, error) {
	out, status, err := b.tool.run(ctx, args...)
	switch {
	case err != nil:
		return "", err
	case status == 253:
		return "", fmt.Errorf("memtool %s: %w", args[0], hypervisor.ErrService)
	case status != 0:
		return "", fmt.Errorf("memtool %s: exit status %d: %q", args[0], status, out)
	}
	return out, nil
}

// list is all VMs and templates.
func (b memory) list(ctx context.Context) ([]row, error) {
	out, err := b.call(ctx, "list")
	if err != nil {
		return nil, err
	}
	var rows []row
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		return nil, fmt.Errorf("memtool list: %w", err)
	}
	return rows, nil
}

func (b memory) States(ctx context.Context) ([]hypervisor.Machine, error) {
	rows, err := b.list(ctx)
	if err != nil {
		return nil, err
	}
	out := []hypervisor.Machine{}
	for _, r := range rows {
		if !r.Template {
			out = append(out, r.machine())
		}
	}
	return out, nil
}

func (b memory) At(ctx context.Context, addr netip.Addr) ([]hypervisor.Machine, error) {
	vms, err := b.States(ctx)
	return slices.DeleteFunc(vms, func(vm hypervisor.Machine) bool { return vm.State != hypervisor.Running || vm.Addr != addr }), err
}

func (r row) machine() hypervisor.Machine {
	return hypervisor.Machine{UUID: r.UUID, Name: r.Name, State: r.State, Addr: r.Addr}
}

func (b memory) Locate(ctx context.Context, q hypervisor.Query) (hypervisor.Machine, error) {
	vms, err := b.States(ctx)
	if err != nil {
		return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), err)
	}
	by := []func(hypervisor.Machine) bool{
		func(vm hypervisor.Machine) bool { return vm.Name == q.Octet.VMName() },
		func(vm hypervisor.Machine) bool { return q.Addr.IsValid() && vm.Addr == q.Addr },
	}
	if q.UUID != "" {
		by = []func(hypervisor.Machine) bool{func(vm hypervisor.Machine) bool { return vm.UUID == q.UUID }}
	}
	for _, fits := range by {
		found := slices.DeleteFunc(slices.Clone(vms), func(vm hypervisor.Machine) bool { return !fits(vm) })
		switch {
		case len(found) > 1:
			return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), hypervisor.ErrAmbiguous)
		case len(found) == 1:
			return found[0], nil
		}
	}
	return hypervisor.Machine{}, fmt.Errorf("locate %s: %w", q.Octet.VMName(), hypervisor.ErrNoMachine)
}

// recorded is the VM of a UUID, if it is still ours.
func (b memory) recorded(ctx context.Context, uuid string) (hypervisor.Machine, error) {
	vm, err := b.Locate(ctx, hypervisor.Query{Octet: hypervisor.FirstOctet, UUID: cmp.Or(uuid, "none")})
	if err == nil && !ours.MatchString(vm.Name) {
		err = fmt.Errorf("%s has the name %q: %w", uuid, vm.Name, hypervisor.ErrDrift)
	}
	return vm, err
}

// act brings a VM from one of the states in which a verb works to another.
// A VM in a state that is neither here nor there is refused.
func (b memory) act(ctx context.Context, uuid, verb string, from []hypervisor.State, fine ...hypervisor.State) error {
	vm, err := b.recorded(ctx, uuid)
	switch {
	case err != nil:
		return err
	case slices.Contains(fine, vm.State):
		return nil
	case !slices.Contains(from, vm.State):
		return fmt.Errorf("%s %s, which is %q: %w", verb, vm.Name, vm.State, hypervisor.ErrState)
	}
	if _, err := b.call(ctx, verb, uuid); err != nil {
		return err
	}
	return b.await(ctx, uuid, fine[0])
}

// await polls until the VM is in the state, for two minutes.
func (b memory) await(ctx context.Context, uuid string, want hypervisor.State) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		rows, err := b.list(ctx)
		if err != nil {
			return fmt.Errorf("wait until %s is %s: %w", uuid, want, err)
		}
		now := hypervisor.Missing
		if i := slices.IndexFunc(rows, func(r row) bool { return r.UUID == uuid }); i >= 0 {
			now = rows[i].State
		}
		if now == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s is %s: it is %s: %w", uuid, want, now, ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

func (b memory) Start(ctx context.Context, uuid string) error {
	return b.act(ctx, uuid, "start", []hypervisor.State{hypervisor.Stopped, hypervisor.Suspended, hypervisor.Paused}, hypervisor.Running)
}

func (b memory) Suspend(ctx context.Context, uuid string) error {
	return b.act(ctx, uuid, "suspend", []hypervisor.State{hypervisor.Running, hypervisor.Paused}, hypervisor.Suspended, hypervisor.Stopped)
}

func (b memory) Kill(ctx context.Context, uuid string) error {
	return b.act(ctx, uuid, "stop", []hypervisor.State{hypervisor.Running, hypervisor.Paused, hypervisor.Suspended}, hypervisor.Stopped)
}

func (b memory) Delete(ctx context.Context, uuid string) error {
	vm, err := b.recorded(ctx, uuid)
	switch {
	case errors.Is(err, hypervisor.ErrNoMachine):
		return nil
	case err != nil:
		return err
	case !vm.State.Known():
		return fmt.Errorf("delete %s, which is %q: %w", vm.Name, vm.State, hypervisor.ErrState)
	}
	if _, err := b.call(ctx, "delete", uuid); err != nil {
		return err
	}
	return b.await(ctx, uuid, hypervisor.Missing)
}

// free checks that nobody has the name, in any case, or the address of a VM to
// be made.
func (b memory) free(rows []row, o hypervisor.Octet) error {
	network, _ := b.Network(context.Background())
	for _, r := range rows {
		if strings.EqualFold(r.Name, o.VMName()) || r.Addr == o.In(network.Addr()) {
			return fmt.Errorf("%s (%s at %s): %w", r.Name, r.UUID, r.Addr, hypervisor.ErrTaken)
		}
	}
	return nil
}

func (b memory) CanClone(ctx context.Context, spec hypervisor.CloneSpec) error {
	_, err := b.source(ctx, spec)
	return err
}

// source is the template of a clone that can be made.
func (b memory) source(ctx context.Context, spec hypervisor.CloneSpec) (row, error) {
	rows, err := b.list(ctx)
	if err == nil {
		err = b.free(rows, spec.Octet)
	}
	if err != nil {
		return row{}, fmt.Errorf("clone %s: %w", spec.Octet.VMName(), err)
	}
	var names []string
	for _, r := range rows {
		if r.Template && r.Name == spec.Template {
			return r, nil
		}
		if r.Template {
			names = append(names, r.Name)
		}
	}
	return row{}, fmt.Errorf("clone %q: %w, only %q", spec.Template, hypervisor.ErrNoTemplate, names)
}

func (b memory) Clone(ctx context.Context, spec hypervisor.CloneSpec, progress func(string)) (made hypervisor.Made, err error) {
	from, err := b.source(ctx, spec)
	if err != nil {
		return made, err
	}
	if progress != nil {
		progress("copying " + from.Name)
	}
	name := spec.Octet.VMName()
	if _, err := b.call(ctx, "clone", from.UUID, name); err != nil {
		return made, err
	}
	made.Name = name
	if made.Machine, err = b.Locate(ctx, hypervisor.Query{Octet: spec.Octet}); err != nil {
		made.Name = name
		return made, err
	}
	if spec.RAM != 0 || spec.Disk != 0 {
		if _, err := b.call(ctx, "set", made.UUID, size(spec.RAM, from.RAM), size(spec.Disk, from.Disk)); err != nil {
			made.Warnings = append(made.Warnings, err.Error())
		}
	}
	return made, nil
}

func (b memory) Resize(ctx context.Context, uuid string, spec hypervisor.CloneSpec, _ func(string)) ([]string, error) {
	rows, err := b.list(ctx)
	if err != nil || spec.RAM == 0 && spec.Disk == 0 {
		return nil, err
	}
	i := slices.IndexFunc(rows, func(r row) bool { return r.UUID == uuid })
	if i < 0 {
		return nil, fmt.Errorf("resize %s: %w", uuid, hypervisor.ErrNoMachine)
	}
	has := rows[i]
	if cmp.Or(spec.RAM, has.RAM) == has.RAM && cmp.Or(spec.Disk, has.Disk) == has.Disk {
		return nil, nil
	}
	if _, err := b.call(ctx, "set", uuid, size(spec.RAM, has.RAM), size(spec.Disk, has.Disk)); err != nil {
		return []string{err.Error()}, nil
	}
	return nil, nil
}

func size(want, otherwise hypervisor.Size) string {
	if want == 0 {
		want = otherwise
	}
	return strconv.FormatInt(int64(want), 10)
}

func (b memory) Adopted(ctx context.Context, o hypervisor.Octet, m hypervisor.Machine) error {
	rows, err := b.list(ctx)
	if err != nil {
		return fmt.Errorf("rename %s: %w", m.UUID, err)
	}
	for _, r := range rows {
		switch {
		case r.UUID == m.UUID && r.Name == o.VMName():
			return nil
		case r.UUID != m.UUID && strings.EqualFold(r.Name, o.VMName()):
			return fmt.Errorf("%s has the name %s: %w", r.UUID, r.Name, hypervisor.ErrDrift)
		}
	}
	_, err = b.call(ctx, "rename", m.UUID, o.VMName())
	return err
}
