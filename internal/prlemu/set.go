package prlemu

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// configure is "prlctl set": one commit, of which nothing is done if one part
// fails. A
func (c *call) configure() error {
	if len(c.args) < 2 || strings.HasPrefix(c.args[0], "-") {
		return c.usage("set takes an ID or name and options")
	}
	options := map[string]string{}
	for rest := c.args[1:]; len(rest) > 0; rest = rest[2:] {
		known := slices.Contains([]string{"--name", "--memsize", "--cpus", "--device-set", "--size", "--template", "--sync-vm-hostname"}, rest[0])
		if !known || len(rest) < 2 {
			return c.usage("Unrecognized option " + rest[0])
		}
		options[rest[0]] = rest[1]
	}
	var said []string
	err := c.vm(c.args[0], func(st *state, v *VM, _ time.Time) error {
		changed := v.clone()
		lines, why := c.changes(st, &changed, options)
		said = lines
		if why != "" {
			return refused("%s\n%s", why, textNotConfigured)
		}
		if changed.Name != v.Name {
			c.renamed(&changed)
		}
		*v = changed
		return nil
	})
	for _, line := range said {
		if err := c.print("%s", line); err != nil {
			return err
		}
	}
	if err == nil {
		err = c.spend(configureTime)
	}
	if err != nil {
		return err
	}
	return c.print("%s", wordsOf("set").done)
}

// changes makes the changes in v, or says why not.
func (c *call) changes(st *state, v *VM, options map[string]string) (said []string, why string) {
	switch {
	case v.State == suspended: // C that it is refused
		return nil, whySuspended
	case v.State == running, v.State == paused, v.copying(): // C (DEV, SW)
		return nil, whyBusy
	case v.State == invalid:
		return nil, whyGeneric
	case v.State != stopped:
		return nil, whyState(v.Name, v.State)
	}
	if name, ok := options["--name"]; ok {
		taken := slices.ContainsFunc(st.VMs, func(o *VM) bool { return o.UUID != v.UUID && strings.EqualFold(o.Name, name) })
		if taken || name == "" { // A
			return nil, whyNameTaken
		}
		said = append(said, fmt.Sprintf("Set name of VM to '%s'\n", name)) // S: and an empty line
		v.Name = name
	}
	if size, ok := options["--memsize"]; ok {
		n, ok := megabytes(size)
		if !ok || n < 128 { // A
			return said, "Invalid value of the memsize parameter: " + size
		}
		said = append(said, fmt.Sprintf("Set the memsize parameter to %dMb.", n)) // C
		v.RAM = n
	}
	if cpus, ok := options["--cpus"]; ok {
		n, err := strconv.Atoi(cpus)
		if err != nil || n < 1 {
			return said, "Invalid value of the cpus parameter: " + cpus // A
		}
		v.CPUs = n
	}
	if word, ok := options["--template"]; ok { // C that it leaves and enters "list -a"
		v.Template = word == "on" || word == "yes"
	}
	if word, ok := options["--sync-vm-hostname"]; ok { // A
		st.Settings.HostnameSync = word == "on"
	}
	if options["--device-set"] != "" || options["--size"] != "" {
		line, why := resize(st, v, options["--device-set"], options["--size"])
		return append(said, line...), why
	}
	return said, ""
}

// resize grows the disk. Snapshots block it, and so do linked clones, on both
// sides. C
func resize(st *state, v *VM, device, size string) (said []string, why string) {
	n, ok := megabytes(size)
	if device != "hdd0" || !ok {
		return nil, "Failed to resize: " + whyGeneric // A
	}
	said = []string{fmt.Sprintf("Resize disk image '%s/harddisk1.hdd' up to %d", v.Bundle, n)}
	children := slices.ContainsFunc(st.VMs, func(o *VM) bool { return o.Linked && o.Parent == v.UUID })
	switch {
	case len(v.Snapshots) > 0, v.Linked, children:
		return said, "Failed to resize: " + whySnapshots
	case n < v.Disk: // A
		return said, "Failed to resize: " + whyTooSmall
	}
	v.Disk = n
	return said, ""
}

// megabytes reads a size: a number of MB, or with G of GB. C
func megabytes(s string) (int, bool) {
	factor := 1
	if digits, ok := strings.CutSuffix(s, "G"); ok {
		s, factor = digits, 1024
	} else {
		s = strings.TrimSuffix(s, "M")
	}
	n, err := strconv.Atoi(s)
	return n * factor, err == nil && n > 0 && n < 1<<30
}

// renamed is what follows a new name.
func (c *call) renamed(v *VM) {
	if c.set.RenameMovesBundle {
		v.Bundle = v.Bundle[:strings.LastIndex(v.Bundle, "/")+1] + v.Name + ".pvm"
	}
	if hook := c.e.opts.Hooks.Renamed; hook != nil {
		uuid, name := v.UUID, v.Name
		c.after.Add(func() { hook(uuid, name) })
	}
}

// remove is "prlctl delete": no question, and the bundle goes, too. C
func (c *call) remove() error {
	v, _, err := c.one()
	if err != nil {
		return err
	}
	return c.act(v, removeTime, "", func(v *VM, st *state, _ time.Time) (string, error) {
		switch {
		case v.State == running, v.State == paused: // C; A for a paused one
			return whyBusy, nil
		case v.State == suspended && c.set.KeepsSuspended:
			return whySuspended, nil
		case v.State == invalid:
			return whyGeneric, nil
		case v.State != stopped && v.State != suspended:
			return whyState(v.Name, v.State), nil
		case slices.ContainsFunc(st.VMs, func(o *VM) bool { return o.Linked && o.Parent == v.UUID }): // A
			return whyParent, nil
		}
		st.remove(v)
		c.tell(c.e.opts.Hooks.Deleted, v.UUID)
		return "", nil
	})
}

// unregister forgets the VM and keeps its folder. C
func (c *call) unregister() error {
	v, _, err := c.one()
	if err != nil {
		return err
	}
	return c.act(v, 0, "", func(v *VM, st *state, _ time.Time) (string, error) {
		switch {
		case v.State == running, v.State == paused: // A
			return whyBusy, nil
		case transitional(v.State):
			return whyState(v.Name, v.State), nil
		case v.State != invalid: // which has none
			st.Halves = append(st.Halves, v.Bundle)
		}
		st.remove(v)
		c.tell(c.e.opts.Hooks.Deleted, v.UUID)
		return "", nil
	})
}
