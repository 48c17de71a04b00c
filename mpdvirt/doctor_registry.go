package mpdvirt

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/registry"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// The questions about the registry and about other runs.

// askEntries wants each entry to be usable, and each VM to be registered once.
func (d *doctor) askEntries() Check {
	c := Check{}
	for _, it := range d.items {
		vm := d.m.view(it)
		switch {
		case it.Err != nil:
			c.finding(Fail, fmt.Sprintf("%s: %s", vm.Name, vm.Error), Fix{Text: vm.Next})
		case it.Unfinished && d.held(vm.Octet) == nil:
			c.finding(Warn, fmt.Sprintf("%s: not set up to its end", vm.Name), Fix{Text: vm.Next})
		}
	}
	for _, twins := range twice(d.entries(), func(e registry.Entry) string {
		if e.UUID == "" {
			return ""
		}
		return e.Backend + "'s VM " + strings.ToLower(e.UUID)
	}) {
		c.finding(Warn, twins, Fix{Text: "delete the wrong entry and leave the VM: mpd-virt delete NNN --keep-vm"})
	}
	for _, twins := range twice(d.entries(), func(e registry.Entry) string { return "the address " + e.Addr.String() }) {
		c.finding(Warn, twins, Fix{Text: "correct MPD_VM_IP in the env file of one of them"})
	}
	switch {
	case c.Status != "":
		return c
	case len(d.items) == 0:
		return Check{Status: OK, Summary: "no VM is registered"}
	}
	return Check{Status: OK, Summary: plural(len(d.items), "VM") + " registered"}
}

// twice names the entries that have the same value of something; "" counts as
// none.
func twice(entries []registry.Entry, of func(registry.Entry) string) (out []string) {
	names := map[string][]string{}
	for _, e := range entries {
		if value := of(e); value != "" {
			names[value] = append(names[value], e.Name())
		}
	}
	for _, value := range slices.Sorted(maps.Keys(names)) {
		if len(names[value]) > 1 {
			out = append(out, fmt.Sprintf("%s have %s", strings.Join(names[value], " and "), value))
		}
	}
	return out
}

// holder is a run that holds a lock.
type holder struct {
	*statefile.LockedError
	name string // of the lock's file
}

// holders are the runs that work now. Only a lock that is held counts: what a
// killed run leaves is free.
func (m *Manager) holders() ([]holder, error) {
	all, err := os.ReadDir(m.root())
	if err != nil {
		return nil, nil // state says what is wrong
	}
	var out []holder
	var errs []error
	for _, f := range all {
		if !strings.HasPrefix(f.Name(), ".lock") {
			continue
		}
		e, err := statefile.Holder(filepath.Join(m.root(), f.Name()))
		errs = append(errs, err)
		if e != nil {
			out = append(out, holder{e, f.Name()})
		}
	}
	return out, errors.Join(errs...)
}

// held is the run that works on a VM, nil if none does.
func (d *doctor) held(o Octet) *holder {
	for _, h := range d.holders {
		if h.name == filepath.Base(d.m.state.LockFile(o)) {
			return &h
		}
	}
	return nil
}

func (d *doctor) askLocks() Check {
	c := Check{}
	for _, h := range d.holders {
		what := strings.TrimPrefix(h.name, ".lock")
		if o, err := ParseOctet(strings.TrimPrefix(what, "-")); err == nil {
			what = " works on " + o.VMName()
		} else {
			what = " holds " + h.name
		}
		c.finding(Warn, fmt.Sprintf("%s (pid %d)%s", h.Verb, h.PID, what))
	}
	if c.Status == Warn {
		c.Fixes = []Fix{{Text: "what it changes may look wrong meanwhile: when it has ended, run mpd-virt doctor again"}}
	}
	if d.lockErr != nil {
		broken := found(d.lockErr)
		c.finding(Warn, broken.Summary, broken.Fixes...)
	}
	if c.Status == "" {
		return Check{Status: OK, Summary: "no other run is at work"}
	}
	return c
}

// askLeftovers looks for what killed runs left behind. While a run works, its
// own files would look the same.
func (d *doctor) askLeftovers() Check {
	if len(d.holders) > 0 {
		return Check{Status: Skipped, Summary: "not asked: another run is at work, see locks"}
	}
	var temps []string
	c := Check{}
	for _, f := range d.files() {
		path := filepath.Join(d.m.root(), f.name)
		o, err := ParseOctet(filepath.Dir(f.name))
		switch {
		case f.info != nil && f.info.Mode().IsRegular() && statefile.IsTemp(filepath.Base(f.name)):
			temps = append(temps, path)
		case f.dir() && filepath.Base(f.name) == makingName && err == nil:
			c.finding(Warn, o.VMName()+": what it was to be made from", d.unmade(o, path))
		}
	}
	temps = append(temps, tempsIn(filepath.Dir(d.m.alias.User))...)
	if len(temps) > 0 {
		c.finding(Warn, "temporary files of killed runs: "+some(temps), Fix{Argv: append([]string{"rm", "-f"}, temps...)})
	}
	if c.Status == "" {
		return Check{Status: OK, Summary: "killed runs left nothing behind"}
	}
	return c
}

// unmade is what to do with the disk of a VM whose making was stopped.
func (d *doctor) unmade(o Octet, path string) Fix {
	for _, it := range d.items {
		if it.Entry.Octet == o && it.Unfinished {
			return Fix{Text: fmt.Sprintf("mpd-virt delete %s     (or go on: %s)", o, d.m.unfinishedView(o).Next)}
		}
	}
	return Fix{Text: "nothing needs it any more", Argv: []string{"rm", "-r", path}}
}

func tempsIn(dir string) (out []string) {
	all, _ := os.ReadDir(dir) // no folder holds none
	for _, f := range all {
		if f.Type().IsRegular() && statefile.IsTemp(f.Name()) {
			out = append(out, filepath.Join(dir, f.Name()))
		}
	}
	return out
}
