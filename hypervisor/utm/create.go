package utm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

const (
	// makeLimit is for the conversion of a disk of tens of gigabytes; the script
	// itself waits a minute less.
	makeLimit = 30 * time.Minute
	// appearLimit is how long a new VM may take to be in the list, and after an
	// error whose outcome is not known, lateLimit.
	appearLimit = 10 * time.Second
	lateLimit   = 5 * time.Minute
)

// archWord is UTM's word for an architecture, empty if it has none.
func archWord(arch string) string {
	switch arch {
	case "arm64":
		return "aarch64"
	case "amd64":
		return "x86_64"
	}
	return ""
}

// check refuses what UTM would take and do something else with.
func check(s hypervisor.CreateSpec) error {
	bad := func(kind, text, rule string) error { return &hypervisor.ValueError{Kind: kind, Text: text, Rule: rule} }
	switch {
	case !s.Octet.Valid():
		return bad("octet", fmt.Sprint(uint8(s.Octet)), "100 to 254")
	case archWord(s.Arch) == "":
		return bad("architecture", s.Arch, "arm64 or amd64")
	case s.RAM < 128*hypervisor.MiB || s.RAM%hypervisor.MiB != 0 || s.RAM > 1<<20*hypervisor.MiB:
		return bad("size", fmt.Sprint(int64(s.RAM)), "memory in whole MiB, at least 128M")
	case s.Cores < 1 || s.Cores > 1024:
		return bad("number of cores", fmt.Sprint(s.Cores), "1 to 1024")
	case len(s.MAC) != 6 || s.MAC[0]&1 != 0:
		return bad("MAC", s.MAC.String(), "six bytes, the lowest bit of the first not set")
	}
	for _, path := range []string{s.Disk, s.Seed} {
		if !filepath.IsAbs(path) || !utf8.ValidString(path) || strings.ContainsFunc(path, func(r rune) bool { return r == 0 || r == unicode.ReplacementChar }) {
			return bad("path", path, "an absolute path in UTF-8")
		}
	}
	return nil
}

// CanCreate costs three processes, and starts UTM if it does not run: whether the
// name is taken only UTM knows. ErrTaken also if the name differs in its letters'
// case alone, since the Mac's file system does not tell such bundles apart.
//
// Over a release that may not tell states (see Inspect) it is a *VersionError,
// unless the state of some VM can be read: a VM in a state that is not known could
// be neither started nor taken away again.
func (b *Backend) CanCreate(ctx context.Context, o hypervisor.Octet) error {
	if err := b.canCreate(ctx, o); err != nil {
		return fmt.Errorf("create %s: %w", o.VMName(), err)
	}
	return nil
}

func (b *Backend) canCreate(ctx context.Context, o hypervisor.Octet) error {
	version, err := b.available(ctx)
	if err != nil {
		return err
	}
	vms, err := b.list(ctx)
	if err != nil {
		return err
	}
	name := o.VMName()
	if same := which(vms, func(m hypervisor.Machine) bool { return strings.EqualFold(m.Name, name) }); len(same) > 0 {
		return fmt.Errorf("the name is %w: %s", hypervisor.ErrTaken, each(same))
	}
	if told := which(vms, func(m hypervisor.Machine) bool { return m.State.Known() }); len(told) == 0 {
		return mute(version)
	}
	return nil
}

// Create makes a VM with a virtio disk, a virtio network card in UTM's shared
// network, a seed as a second virtio disk, a serial console and a memory balloon.
// The VM has no display. A *hypervisor.ValueError for a spec that is not valid.
// UTM's own format of disk is made from both files, so that they may be qcow2, too.
//
// If UTM does not answer in time, or is cut off, the list decides whether the VM
// was made. Beside an error Made has a UUID if the VM is there all the same: it is
// the caller's to delete. A UTM that quits in the middle may leave a bundle that is
// no VM; the error's hint says where. When ctx ends, UTM may go on with what it was
// asked for.
func (b *Backend) Create(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
	if err := check(spec); err != nil {
		return hypervisor.Made{}, fmt.Errorf("create %s: %w", spec.Octet.VMName(), err)
	}
	if progress == nil {
		progress = func(string) {}
	}
	err := b.canCreate(ctx, spec.Octet)
	var m hypervisor.Machine
	if err == nil {
		m, err = b.create(ctx, spec, progress)
	}
	if err != nil {
		err = fmt.Errorf("create %s: %w", spec.Octet.VMName(), err)
	}
	return hypervisor.Made{Machine: m}, err
}

// create asks UTM for the VM. The name is free.
func (b *Backend) create(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Machine, error) {
	name := spec.Octet.VMName()
	progress("UTM copies the disk into the new VM " + name + ", which takes a minute or more")
	if b.draft.on() {
		return b.draft.make(spec), nil
	}
	out, failed := b.script(ctx, argvMake(spec), scriptMake, makeLimit)
	if failed != nil {
		return b.remains(ctx, name, failed, progress)
	}
	uuid, failed := decodeMade(out)
	if failed != nil {
		return b.remains(ctx, name, failed, progress)
	}
	m, err := b.appear(ctx, appearLimit, func(m hypervisor.Machine) bool { return sameUUID(m.UUID, uuid) && m.Name == name })
	switch {
	case err != nil:
		return hypervisor.Machine{UUID: uuid, Name: name}, err
	case m.UUID == "":
		return hypervisor.Machine{}, errors.New("UTM says that it made the VM " + uuid + ", but does not list it")
	case m.State != hypervisor.Stopped:
		return m, fmt.Errorf("the new VM is %s: %w", m.State, hypervisor.ErrState)
	}
	progress("UTM made " + name)
	return m, nil
}

// remains is what a make left that failed. After an error that tells nothing
// about the outcome, a VM of the name that is there was made: the name was free
// before.
func (b *Backend) remains(ctx context.Context, name string, failed error, progress func(string)) (hypervisor.Machine, error) {
	if ctx.Err() != nil {
		return hypervisor.Machine{}, failed
	}
	progress("UTM did not say that it made " + name + ": looking for it")
	limit := appearLimit
	late := numberOf(failed) == TimedOut
	if late || hung(failed) {
		limit = lateLimit
	}
	m, err := b.appear(ctx, limit, func(m hypervisor.Machine) bool { return m.Name == name })
	switch {
	case err == nil && late && m.State == hypervisor.Stopped:
		return m, nil // a VM is in the list only once it is whole
	case err == nil && m.UUID != "":
		return m, fmt.Errorf("%s is there, but perhaps not whole: %w", title(m), failed)
	}
	if numberOf(failed) != ConnectionCut {
		return hypervisor.Machine{}, failed
	}
	return hypervisor.Machine{}, hint.Wrap(failed, "open UTM again; if there is a folder "+name+".utm in ~/Library/Containers/com.utmapp.UTM/Data/Documents\n"+
		"and no such VM in UTM, it is left over from this attempt; remove it")
}

// appear waits for a VM in the list; the zero Machine if none comes.
func (b *Backend) appear(ctx context.Context, limit time.Duration, fits func(hypervisor.Machine) bool) (hypervisor.Machine, error) {
	for begin, pause := time.Now(), firstLook; ; pause = min(lastLook, 2*pause) {
		vms, err := b.list(ctx)
		if err == nil {
			if found := which(vms, fits); len(found) == 1 {
				return found[0], nil
			} else if len(found) > 1 {
				return hypervisor.Machine{}, fmt.Errorf("%w: %s", hypervisor.ErrAmbiguous, each(found))
			}
		}
		if time.Since(begin) >= limit || final(ctx, err) {
			return hypervisor.Machine{}, err
		}
		if err := wait(ctx, pause); err != nil {
			return hypervisor.Machine{}, err
		}
	}
}
