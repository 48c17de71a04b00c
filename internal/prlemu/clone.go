package prlemu

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// cloning is what "prlctl clone" was asked for.
type cloning struct {
	src              string
	name, dst, id    string
	linked, template bool
	named            bool
}

func (c *call) cloneArgs() (o cloning, err error) {
	for args := c.args; len(args) > 0; args = args[1:] {
		value := map[string]*string{"--name": &o.name, "--dst": &o.dst, "--id": &o.id, "--detach-external-hdd": new(string)}[args[0]]
		switch arg := args[0]; {
		case value != nil && len(args) > 1:
			args = args[1:]
			*value, o.named = args[0], o.named || arg == "--name"
		case arg == "--linked":
			o.linked = true
		case arg == "--template":
			o.template = true
		case arg == "--regenerate-src-uuid":
		case o.src == "" && !strings.HasPrefix(arg, "-"):
			o.src = arg
		default:
			return o, c.usage("Unrecognized option " + arg)
		}
	}
	if o.src == "" {
		return o, c.usage("the ID or name is missing")
	}
	return o, nil
}

// bundle is the folder of the new VM.
func (o cloning) bundle() string {
	if o.dst != "" {
		return strings.TrimRight(o.dst, "/") + "/" + o.name + ".pvm"
	}
	return bundleOf(o.name)
}

func (c *call) clone() error {
	o, err := c.cloneArgs()
	if err != nil {
		return err
	}
	var src VM
	err = c.vm(o.src, func(_ *state, v *VM, _ time.Time) error {
		src = v.clone()
		return nil
	})
	switch {
	case err != nil:
		return err
	case !o.named: // S
		return &failure{"Failed to clone the VM; the --name option is not specified.\n", 1}
	}
	kind := map[bool]string{true: "template", false: "VM"}[o.template]
	if err := c.print("Clone the %s VM to %s %s...", src.Name, kind, o.name); err != nil {
		return err
	}
	took := copyTime
	if o.linked {
		took = linkedTime
	}
	if err := c.change(func(st *state, now time.Time) error { return c.reserve(st, o, src.UUID, now, took) }); err != nil {
		return err
	}
	if err := c.copy(o, took); err != nil {
		return errors.Join(err, c.abandon(o, src.UUID))
	}
	if err := c.change(func(st *state, now time.Time) error { return c.finish(st, o, src.UUID, now) }); err != nil {
		return err
	}
	return c.print("%s", wordsOf("clone").done)
}

// reserve refuses what cannot be, and takes the name and the source.
func (c *call) reserve(st *state, o cloning, src string, now time.Time, took time.Duration) error {
	why, v := "", st.find(src)
	switch {
	case v == nil, v.copying() && o.linked && v.LinkedCopy: // C: two linked clones at once
		why = whyUnknown
	case v.copying(), v.State == running, v.State == paused: // C
		why = whyBusy
	case transitional(v.State):
		why = whyState(v.Name, v.State)
	case v.State != stopped: // A
		why = whyNotStopped(v.Name)
	case slices.ContainsFunc(st.VMs, func(v *VM) bool { return strings.EqualFold(v.Name, o.name) }): // A: the Mac's disk folds case
		why = whyNameTaken
	case st.folder(o.bundle()):
		why = whyFolder(o.bundle(), o.name)
	}
	if why != "" {
		return refused("%s%s", wordsOf("clone").failed, why)
	}
	v.Copied, v.LinkedCopy = now.Add(c.set.scaled(took)), o.linked
	// The folder is there from now on, whatever becomes of this process.
	st.Halves = append(st.Halves, o.bundle())
	return nil
}

// folder says whether there is a bundle; the Mac's disk folds case.
func (st *state) folder(name string) bool {
	return slices.ContainsFunc(st.Halves, func(half string) bool { return strings.EqualFold(half, name) }) ||
		slices.ContainsFunc(st.VMs, func(v *VM) bool { return strings.EqualFold(v.Bundle, name) })
}

// copy lets the time pass, with the progress that goes to a pipe, too. S
func (c *call) copy(o cloning, took time.Duration) error {
	const parts = 10
	for i := range parts {
		if !o.linked {
			if _, err := fmt.Fprintf(c.out, "\rCopying hard disk 1 ... %d %%", i*100/parts); err != nil {
				return err
			}
		}
		if c.is(FaultNoSpace) && i == parts/2 {
			return refused("%s%s", wordsOf("clone").failed, whyNoSpace)
		}
		if err := c.spend(took / parts); err != nil {
			// What was interrupted says so, as far as anybody listens. S, A the text
			_, told := io.WriteString(c.errs, wordsOf("clone").failed+whyCanceled+"\n")
			return errors.Join(err, told)
		}
	}
	if o.linked {
		return nil
	}
	_, err := io.WriteString(c.out, "\rCopying hard disk 1 ... 100 %\n\n")
	return err
}

// abandon is a clone that was cut short: it leaves nothing, or a half bundle. A
func (c *call) abandon(o cloning, src string) error {
	return c.change(func(st *state, _ time.Time) error {
		if v := st.find(src); v != nil {
			v.Copied, v.LinkedCopy = time.Time{}, false
		}
		if !c.set.HalfBundle {
			st.Halves = slices.DeleteFunc(st.Halves, func(half string) bool { return half == o.bundle() })
		}
		return nil
	})
}

// finish makes the new VM: another UUID and MAC, and all of the guest the
// same: host name, host keys, machine-id and static address. C
func (c *call) finish(st *state, o cloning, src string, now time.Time) error {
	v := st.find(src)
	if v == nil {
		return refused("%s%s", wordsOf("clone").failed, whyUnknown)
	}
	v.Copied, v.LinkedCopy = time.Time{}, false
	st.Halves = slices.DeleteFunc(st.Halves, func(half string) bool { return half == o.bundle() })
	n := &VM{
		Name: o.name, Template: o.template, IP: v.IP, Reports: slices.Clone(v.Reports), NoTools: v.NoTools, Hostname: v.Hostname,
		CPUs: v.CPUs, RAM: v.RAM, Disk: v.Disk, Bundle: o.bundle(), Linked: o.linked,
	}
	if o.linked {
		n.Parent = v.UUID
		if o.id == "" { // C: Parallels makes one first
			st.Made++
			v.Snapshots = append(v.Snapshots, Snapshot{st.uuid("snapshot"), "Snapshot for linked clone", now})
		}
	}
	st.fill(n)
	st.VMs = append(st.VMs, n)
	if hook := c.e.opts.Hooks.Cloned; hook != nil {
		from, to := v.clone(), n.clone()
		c.after.Add(func() { hook(from, to) })
	}
	return nil
}
