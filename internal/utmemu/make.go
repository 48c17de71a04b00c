package utmemu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// make makes a VM from name, architecture, memory in MiB, cores, MAC, disk and
// seed. C: the name is checked before a disk is converted, and in its exact
// letters; the drives that are given replace UTM's own.
func (c *call) make() error {
	if len(c.args) != 7 {
		return said(textParameter)
	}
	name, arch, disk, seed := c.args[0], c.args[1], c.args[5], c.args[6]
	ram, err := strconv.Atoi(c.args[2])
	cores, err2 := strconv.Atoi(c.args[3])
	if err != nil || err2 != nil {
		return &failure{-1700, "Can\u2019t make " + c.args[2] + " into type integer."}
	}
	if name == "" {
		return said("No name specified in the configuration.")
	}
	if err := c.change(func(st *state, _ time.Time) error { return exists(st, name) }); err != nil {
		return err
	}
	if err := c.wait(c.set.scaled(makeTime)); err != nil {
		return err
	}
	return c.change(func(st *state, _ time.Time) error {
		if err := exists(st, name); err != nil {
			return err
		}
		v := &VM{UUID: st.uuid(), Name: name, State: stopped, Arch: arch, RAM: ram, Cores: cores, MAC: c.args[4]}
		c.network(v)
		if c.says("virtio-balloon-pci") {
			v.Args = []string{"-device", "virtio-balloon-pci,free-page-reporting=on"}
		}
		for _, file := range []string{disk, seed} {
			d, err := c.drive(st, v, file)
			if err != nil {
				return err
			}
			v.Drives = append(v.Drives, d)
		}
		st.VMs = append(st.VMs, v)
		if hook := c.e.opts.Hooks.Made; hook != nil {
			made := v.clone()
			c.after.Add(func() { hook(made) })
		}
		fmt.Fprintf(&c.out, "virtual machine id %s", v.UUID) // R
		return nil
	})
}

func exists(st *state, name string) error {
	if slices.ContainsFunc(st.VMs, func(v *VM) bool { return v.Name == name }) {
		return said(textExists)
	}
	return nil
}

// network: without a word the card differs by machine. C
func (c *call) network(v *VM) {
	v.NIC, v.Mode = "virtio-net-pci", "shared"
	if v.Arch == "x86_64" && !c.says(`hardware:"virtio-net-pci"`) {
		v.NIC = "e1000"
	}
	if c.says("mode:host") {
		v.Mode = "host"
	}
}

// drive copies a disk into the bundle, with a number if its name is taken there;
// a removable one stays where it is. C
func (c *call) drive(st *state, v *VM, file string) (Drive, error) {
	info, err := os.Stat(file)
	if err != nil {
		return Drive{}, &failure{-10000, "The file \u201c" + filepath.Base(file) + "\u201d couldn\u2019t be opened because there is no such file."}
	}
	d := Drive{ID: st.uuid(), Interface: "VirtIO", HostSize: int(info.Size() >> 20), Source: file}
	if v.Arch == "x86_64" && !c.says("interface:VirtIO") {
		d.Interface = "IDE"
	}
	if c.says("removable:true") && len(v.Drives) > 0 {
		d.Removable, d.File = true, file
		return d, nil
	}
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	for n := 1; ; n++ {
		d.File = fmt.Sprintf("%s/Data/%s.qcow2", bundle(v.Name), base)
		if n > 1 {
			d.File = fmt.Sprintf("%s/Data/%s-%d.qcow2", bundle(v.Name), base, n)
		}
		if !slices.Contains(st.Files, d.File) {
			break
		}
	}
	st.Files = append(st.Files, d.File)
	return d, nil
}

// drives prints ID, whether it is removable, and the size of each.
func (c *call) drives() error {
	return c.vm(func(_ *state, v *VM, _ time.Time) error {
		c.table("drives", len(v.Drives), func(i int) []string {
			d := v.Drives[i]
			return []string{d.ID, strconv.FormatBool(d.Removable), strconv.Itoa(d.HostSize)}
		})
		return nil
	})
}

// detach writes the list of drives back with only those kept that are named
// behind the first; the file of each other is deleted. C for what a list that is
// written back does; the script's own check comes before.
func (c *call) detach() error {
	return c.vm(func(st *state, v *VM, now time.Time) error {
		if len(c.args) < 3 {
			return said(textParameter)
		}
		var have []string
		for _, d := range v.Drives {
			have = append(have, d.ID)
		}
		if want := slices.Sorted(slices.Values(c.args[1:])); c.says("error ") && !slices.Equal(slices.Sorted(slices.Values(have)), want) {
			return &failure{9001, "The drives are not those that were read."}
		}
		if v.State != stopped {
			return said(textNotStopped)
		}
		for _, id := range c.args[2:] {
			if !slices.Contains(have, id) {
				return said("Identifier \u2018" + id + "\u2019 cannot be found.")
			}
		}
		v.Drives = slices.DeleteFunc(v.Drives, func(d Drive) bool {
			gone := !slices.Contains(c.args[2:], d.ID)
			if hook := c.e.opts.Hooks.Detached; gone && hook != nil {
				uuid, d := v.UUID, d
				c.after.Add(func() { hook(uuid, d) })
			}
			if gone {
				st.drop(d)
			}
			return gone
		})
		if c.set.Delay > 0 { // R: stale or -609 for about a second
			st.Arm(emu.Match{Times: 1}, Fault{Kind: FaultEvent, Number: -609, Text: "Connection is invalid."})
		}
		return nil
	})
}
