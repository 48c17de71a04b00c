package virsh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	// appearLimit is how long a VM may take to be listed once it is defined.
	appearLimit = 10 * time.Second
	// tidyLimit is for taking away the volumes of a VM that was not made, also
	// after the caller's context has ended.
	tidyLimit = 4 * time.Second
)

// CanCreate costs three processes.
func (b *Backend) CanCreate(ctx context.Context, o hypervisor.Octet) error {
	if err := b.canCreate(ctx, o); err != nil {
		return fmt.Errorf("create %s: %w", o.VMName(), err)
	}
	return nil
}

func (b *Backend) canCreate(ctx context.Context, o hypervisor.Octet) error {
	vms, err := b.States(ctx)
	if err != nil {
		return err
	}
	// libvirt itself tells mpd-150 and Mpd-150 apart, people do not.
	if same := which(vms, func(m hypervisor.Machine) bool { return strings.EqualFold(m.Name, o.VMName()) }); len(same) > 0 {
		return fmt.Errorf("the name is that of VM %s: %w", same[0].UUID, hypervisor.ErrTaken)
	}
	network, err := b.Network(ctx)
	if err != nil {
		return err
	}
	leases, err := b.virsh(ctx, "net-dhcp-leases", "--network="+b.cfg.Network)
	if err != nil {
		return err
	}
	if addr := o.In(network.Addr()); slices.Contains(decodeLeases(string(leases)), addr) {
		return fmt.Errorf("the DHCP server of network %q gave %s away: %w", b.cfg.Network, addr, hypervisor.ErrTaken)
	}
	return nil
}

// leaseWord finds the address of a lease: the words around it are its owner's.
var leaseWord = regexp.MustCompile(`(?m)^ *[0-9-]{10} +[0-9:]{8} +[0-9a-f:]{17} +ipv4 +([0-9.]+)/`)

func decodeLeases(out string) (addrs []netip.Addr) {
	for _, found := range leaseWord.FindAllStringSubmatch(out, -1) {
		if a, err := netip.ParseAddr(found[1]); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// check refuses what cannot be made, before anything is.
func check(s hypervisor.CreateSpec) error {
	bad := func(kind, text, rule string) error { return &hypervisor.ValueError{Kind: kind, Text: text, Rule: rule} }
	switch {
	case !s.Octet.Valid():
		return bad("octet", s.Octet.String(), "100 to 254")
	case s.Arch != "arm64" && s.Arch != "amd64":
		return bad("architecture", s.Arch, "arm64 or amd64")
	case s.RAM < hypervisor.MiB || s.RAM%hypervisor.MiB != 0:
		return bad("size", fmt.Sprint(int64(s.RAM)), "memory in whole MiB")
	case s.Cores < 1:
		return bad("number of cores", fmt.Sprint(s.Cores), "from 1")
	case len(s.MAC) != 6 || s.MAC[0]&1 != 0:
		return bad("MAC", s.MAC.String(), "six bytes, of one machine")
	case !filepath.IsAbs(s.Disk) || !filepath.IsAbs(s.Seed):
		return bad("path", s.Disk+", "+s.Seed, "absolute paths")
	}
	return nil
}

// Create copies the disk and the seed into volumes of the pool and then defines
// the VM over them, so that a VM that is listed is whole. Volumes have the VM's
// UUID in their names, which is new: an attempt never meets what another one
// left. A ValueError for a spec that is not valid.
func (b *Backend) Create(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Made, error) {
	if progress == nil {
		progress = func(string) {}
	}
	err := check(spec)
	if err == nil {
		err = b.canCreate(ctx, spec.Octet)
	}
	var made hypervisor.Machine
	if err == nil {
		made, err = b.create(ctx, spec, progress)
	}
	if err != nil {
		err = fmt.Errorf("create %s: %w", spec.Octet.VMName(), err)
	}
	return hypervisor.Made{Machine: made}, err
}

func (b *Backend) create(ctx context.Context, spec hypervisor.CreateSpec, progress func(string)) (hypervisor.Machine, error) {
	uuid := newUUID()
	stem := spec.Octet.VMName() + "-" + uuid
	volumes := [2]string{stem + ".raw", stem + seedEnd}
	text, err := b.describe(uuid, spec, volumes)
	if err != nil {
		return hypervisor.Machine{}, err
	}
	for i, file := range []string{spec.Disk, spec.Seed} {
		progress("copying " + file + " into the pool " + b.cfg.Pool)
		if err := b.upload(ctx, file, volumes[i]); err != nil {
			return hypervisor.Machine{}, b.tidied(ctx, volumes[:i+1], err)
		}
	}
	progress("defining the VM " + spec.Octet.VMName())
	_, failed := b.send(ctx, text, 0, "define", "--file=/dev/stdin")
	return b.defined(ctx, hypervisor.Machine{UUID: uuid, Name: spec.Octet.VMName()}, volumes[:], failed)
}

// defined looks for the VM m that virsh said it defined, or failed to.
func (b *Backend) defined(ctx context.Context, m hypervisor.Machine, volumes []string, failed error) (hypervisor.Machine, error) {
	look, limit := ctx, appearLimit
	if failed != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
		defer cancel()
		look, limit = late, 0
	}
	now, err := b.follow(look, m.UUID, limit, func(m hypervisor.Machine) bool { return m.State != hypervisor.Missing })
	switch {
	case err != nil && failed != nil:
		return hypervisor.Machine{}, fmt.Errorf("%w; and whether the VM is there, or only its volumes %q, cannot be told: %w", failed, volumes, err)
	case err != nil:
		return m, err
	case now.State == hypervisor.Missing && failed != nil:
		return hypervisor.Machine{}, b.tidied(ctx, volumes, failed)
	case now.State == hypervisor.Missing:
		return hypervisor.Machine{}, b.tidied(ctx, volumes, errors.New("virsh define says that it is done, but the VM is not listed"))
	case now.State != hypervisor.Stopped:
		return now, fmt.Errorf("the new VM is %q: %w", now.State, hypervisor.ErrState)
	}
	return now, failed
}

// upload makes a volume with the content of a file.
func (b *Backend) upload(ctx context.Context, file, volume string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if _, err := b.virsh(ctx, "vol-create-as", "--pool="+b.cfg.Pool, "--name="+volume, "--format=raw",
		fmt.Sprintf("--capacity=%d", info.Size()), "--allocation=0"); err != nil {
		return err
	}
	_, err = b.send(ctx, nil, copyLimit, "vol-upload", "--pool="+b.cfg.Pool, "--vol="+volume, "--file="+file, "--sparse")
	return err
}

// tidied takes volumes away because of an error, and says so in it if that does
// not work: a seed holds the private half of the VM's host key.
func (b *Backend) tidied(ctx context.Context, volumes []string, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	for _, volume := range volumes {
		if err := b.deleteVolume(ctx, b.cfg.Pool, volume); err != nil && !isGone(err) {
			failed = fmt.Errorf("%w; and the volume %s may be left in the pool %s: %w", failed, volume, b.cfg.Pool, err)
		}
	}
	return failed
}

// newUUID is a random one (RFC 9562, version 4).
func newUUID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // it never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
