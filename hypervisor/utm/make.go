package utm

import (
	"context"
	"errors"
	"fmt"
	"net"
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

// MakeSpec says what VM Make makes. There are no defaults.
type MakeSpec struct {
	Name  string           // of the VM, like mpd-150
	Arch  string           // "aarch64" or "x86_64": the Mac's own, since UTM emulates another one slowly
	RAM   hypervisor.Size  // whole MiB
	Cores int              // from 1
	MAC   net.HardwareAddr // six bytes, of one machine
	// Disk and Seed are absolute paths of files, raw or qcow2. UTM copies both:
	// they may be deleted when Make has returned. The disk has the size of the
	// file; to have a larger one, make the file larger before.
	Disk, Seed string
}

// check refuses what UTM would take and do something else with.
func (s MakeSpec) check() error {
	bad := func(kind, text, rule string) error { return &hypervisor.ValueError{Kind: kind, Text: text, Rule: rule} }
	switch {
	case s.Name == "" || len(s.Name) > 100 || bounded(s.Name) != s.Name || strings.ContainsAny(s.Name, `,/:\?%*|"<>`) || s.Name[0] == '-':
		return bad("name", s.Name, `at most 100 bytes, none of ,/:\?%*|"<> and no control characters`)
	case s.Arch != "aarch64" && s.Arch != "x86_64":
		return bad("architecture", s.Arch, "aarch64 or x86_64")
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

// Make makes a VM with a virtio disk, a virtio network card in UTM's shared
// network, a seed as a second virtio disk, a serial console and a memory balloon,
// and leaves it stopped. The VM has no display. ErrTaken if a VM has the name, also
// in other letters, since the Mac's file system does not tell them apart; that is
// known before anything is copied. A *hypervisor.ValueError for a spec that is not
// valid.
//
// If UTM does not answer in time, or is cut off, the list decides whether the VM
// was made. Beside an error the Machine has a UUID if the VM is there all the same:
// it is the caller's to delete. A UTM that quits in the middle may leave a bundle
// that is no VM; the error's hint says where. When ctx ends, UTM may go on, and
// what it makes is the caller's to find by Locate.
func (b *Backend) Make(ctx context.Context, spec MakeSpec) (hypervisor.Machine, error) {
	m, err := b.makeVM(ctx, spec)
	if err != nil {
		return m, fmt.Errorf("make %s: %w", bounded(spec.Name), err)
	}
	return m, nil
}

func (b *Backend) makeVM(ctx context.Context, spec MakeSpec) (hypervisor.Machine, error) {
	if err := spec.check(); err != nil {
		return hypervisor.Machine{}, err
	}
	vms, err := b.list(ctx)
	if err != nil {
		return hypervisor.Machine{}, err
	}
	if same := which(vms, func(m hypervisor.Machine) bool { return strings.EqualFold(m.Name, spec.Name) }); len(same) > 0 {
		return hypervisor.Machine{}, fmt.Errorf("the name is %w: %s", hypervisor.ErrTaken, each(same))
	}
	out, failed := b.script(ctx, argvMake(spec), scriptMake, makeLimit)
	if failed != nil {
		return b.remains(ctx, spec.Name, failed)
	}
	uuid, failed := decodeMade(out)
	if failed != nil {
		return b.remains(ctx, spec.Name, failed)
	}
	m, err := b.appear(ctx, appearLimit, func(m hypervisor.Machine) bool { return sameUUID(m.UUID, uuid) && m.Name == spec.Name })
	switch {
	case err != nil:
		return hypervisor.Machine{UUID: uuid, Name: spec.Name}, err
	case m.UUID == "":
		return hypervisor.Machine{}, errors.New("UTM says that it made the VM " + uuid + ", but does not list it")
	case m.State != hypervisor.Stopped:
		return m, fmt.Errorf("the new VM is %s: %w", m.State, hypervisor.ErrState)
	}
	return m, nil
}

// remains is what a make left that failed. After an error that tells nothing
// about the outcome, a VM of the name that is there was made: the name was free
// before.
func (b *Backend) remains(ctx context.Context, name string, failed error) (hypervisor.Machine, error) {
	if ctx.Err() != nil {
		return hypervisor.Machine{}, failed
	}
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
