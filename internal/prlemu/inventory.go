package prlemu

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AddVM puts a VM or a template on the Mac, whose empty fields get defaults,
// and returns it as it is then. Names may be there twice, as in reality.
func (e *Emulator) AddVM(v VM) (VM, error) {
	err := e.tx(func(st *state, now time.Time) error {
		n := v.clone()
		n.UUID = bare(n.UUID)
		if n.UUID != "" && slices.ContainsFunc(st.VMs, func(o *VM) bool { return bare(o.UUID) == n.UUID }) {
			return fmt.Errorf("prlemu: add %s: its UUID is taken", n.Name)
		}
		st.fill(&n)
		var err error
		if n.State == running && n.Since.IsZero() {
			n.Since = now.Add(-st.Settings.scaled(time.Hour))
			if !n.IP.IsValid() && e.opts.Hooks.Addr == nil {
				n.Leased, err = st.lease(n.MAC, now)
			}
		}
		st.VMs = append(st.VMs, &n)
		v = n.clone()
		return err
	})
	return v, err
}

// VM returns the VM with a UUID or name as it is now; ok says whether there is
// one.
func (e *Emulator) VM(id string) (v VM, ok bool) {
	err := e.tx(func(st *state, _ time.Time) error {
		if found := st.find(id); found != nil {
			v, ok = found.clone(), true
		}
		return nil
	})
	return v, ok && err == nil
}

// VMs are all VMs and templates, by name.
func (e *Emulator) VMs() ([]VM, error) {
	vms, _, err := e.look()
	return vms, err
}

// Calls are the command lines of all calls so far, the tool first. Their number
// is that of the processes on a Mac.
func (e *Emulator) Calls() ([]string, error) {
	var lines []string
	err := e.tx(func(st *state, _ time.Time) error {
		for _, argv := range st.Calls {
			lines = append(lines, strings.Join(argv, " "))
		}
		return nil
	})
	return lines, err
}

// ForgetCalls makes Calls empty.
func (e *Emulator) ForgetCalls() error {
	return e.tx(func(st *state, _ time.Time) error {
		st.Calls = nil
		return nil
	})
}

// Bundles are the folders in ~/Parallels, those without a VM included.
func (e *Emulator) Bundles() (folders []string, err error) {
	err = e.tx(func(st *state, _ time.Time) error {
		folders = slices.Clone(st.Halves)
		for _, v := range st.VMs {
			if v.State != invalid {
				folders = append(folders, v.Bundle)
			}
		}
		slices.Sort(folders)
		return nil
	})
	return folders, err
}

// RemoveBundle removes a folder without a VM, as a person does in the Finder.
func (e *Emulator) RemoveBundle(folder string) error {
	return e.tx(func(st *state, _ time.Time) error {
		st.Halves = slices.DeleteFunc(st.Halves, func(half string) bool { return half == folder })
		return nil
	})
}

// Change changes the settings.
func (e *Emulator) Change(f func(s *Settings)) error {
	return e.tx(func(st *state, _ time.Time) error {
		f(&st.Settings)
		return nil
	})
}

// Edit changes a VM behind the back of everybody, without a hook; any word can
// be a state.
func (e *Emulator) Edit(id string, f func(v *VM)) error {
	return e.tx(func(st *state, _ time.Time) error {
		v := st.find(id)
		if v == nil {
			return fmt.Errorf("prlemu: no VM %s", id)
		}
		f(v)
		return nil
	})
}

// SetState puts a VM in a state at once, without a hook. The word may be one
// that nobody knows.
func (e *Emulator) SetState(id, word string) error {
	return e.Edit(id, func(v *VM) { v.State, v.Next, v.Until = word, "", time.Time{} })
}

// Rename gives a VM another name, as a person does in the window.
func (e *Emulator) Rename(id, name string) error {
	uuid := ""
	err := e.Edit(id, func(v *VM) { v.Name, uuid = name, v.UUID })
	if hook := e.opts.Hooks.Renamed; hook != nil && err == nil {
		hook(uuid, name)
	}
	return err
}

// Remove deletes a VM in whatever state, as a person does in the window.
func (e *Emulator) Remove(id string) error {
	uuid := ""
	err := e.tx(func(st *state, _ time.Time) error {
		v := st.find(id)
		if v == nil {
			return fmt.Errorf("prlemu: no VM %s", id)
		}
		uuid = v.UUID
		st.remove(v)
		return nil
	})
	if hook := e.opts.Hooks.Deleted; hook != nil && err == nil {
		hook(uuid)
	}
	return err
}

// Replace deletes a VM and makes a new one, stopped, with the same name and
// another UUID.
func (e *Emulator) Replace(id string) (VM, error) {
	old, ok := e.VM(id)
	if !ok {
		return VM{}, fmt.Errorf("prlemu: no VM %s", id)
	}
	if err := e.Remove(old.UUID); err != nil {
		return VM{}, err
	}
	return e.AddVM(VM{Name: old.Name, CPUs: old.CPUs, RAM: old.RAM, Disk: old.Disk})
}

// behind does what a fault does after the call.
func (c *call) behind() (err error) {
	f := c.fault
	switch f.Kind {
	case FaultRenameBehind:
		err = c.e.Rename(f.VM, f.Name)
	case FaultDeleteBehind:
		err = c.e.Remove(f.VM)
	case FaultReplaceBehind:
		_, err = c.e.Replace(f.VM)
	case FaultStateBehind:
		err = c.e.SetState(f.VM, f.Name)
	}
	if err != nil {
		return errors.Join(errors.New("a fault behind the call"), err)
	}
	return nil
}
