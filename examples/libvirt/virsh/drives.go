package virsh

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// seedEnd ends the name of a volume with a seed.
const seedEnd = "-seed.raw"

// detachLimit is how long a detached drive may take to be gone.
const detachLimit = 10 * time.Second

// isGone says whether a VM, a volume or a pool was not found.
func isGone(err error) bool {
	var failed *ToolError
	return errors.Is(err, hypervisor.ErrNoMachine) || errors.As(err, &failed) && strings.Contains(failed.Reason, "Storage volume not found")
}

// disks are the drives of a VM as it will have them at its next start. The error
// is ErrNoMachine if it is not there.
func (b *Backend) disks(ctx context.Context, uuid string) ([]disk, error) {
	m, err := b.read(ctx, uuid)
	if err != nil {
		return nil, err
	}
	if m.State == hypervisor.Missing {
		return nil, fmt.Errorf("VM %s: %w", shown(uuid), hypervisor.ErrNoMachine)
	}
	out, err := b.virsh(ctx, "dumpxml", "--domain="+m.UUID, "--inactive")
	if err != nil {
		return nil, err
	}
	return decodeDisks(out, m.UUID)
}

func decodeDisks(out []byte, uuid string) ([]disk, error) {
	var d domain
	if err := xml.Unmarshal(out, &d); err != nil {
		return nil, fmt.Errorf("read the description of VM %s: %w", uuid, err)
	}
	if d.UUID != uuid {
		return nil, fmt.Errorf("read the description of VM %s: it is that of %q", uuid, shown(d.UUID))
	}
	return d.Devices.Disks, nil
}

// id names a drive: its volume, since targets like vdb are given away again. It
// is empty for a drive that is no volume of a pool.
func (d disk) id() string {
	if d.Source.Pool == "" || d.Source.Volume == "" {
		return ""
	}
	return d.Source.Pool + "/" + d.Source.Volume
}

// ownTargets are the drives that go with their VM.
func ownTargets(disks []disk) (targets []string) {
	for _, d := range disks {
		if d.id() != "" && d.Device == "disk" && d.ReadOnly == nil && d.Shareable == nil {
			targets = append(targets, d.Target.Dev)
		}
	}
	return targets
}

// Seed is the drive whose volume has the name that Create gave it.
func (b *Backend) Seed(ctx context.Context, uuid string) (string, error) {
	disks, err := b.disks(ctx, uuid)
	if err != nil {
		return "", fmt.Errorf("find the seed: %w", err)
	}
	i := slices.IndexFunc(disks, func(d disk) bool {
		return d.id() != "" && strings.HasSuffix(d.Source.Volume, strings.ToLower(uuid)+seedEnd)
	})
	if i < 0 {
		return "", fmt.Errorf("VM %s has no drive with a seed", uuid)
	}
	return disks[i].id(), nil
}

// Detach also deletes the volume, which it does even if an earlier call was
// stopped between the two.
func (b *Backend) Detach(ctx context.Context, uuid, drive string) error {
	if err := b.detach(ctx, uuid, drive); err != nil {
		return fmt.Errorf("detach %s: %w", shown(drive), err)
	}
	return nil
}

func (b *Backend) detach(ctx context.Context, uuid, drive string) error {
	pool, volume, ok := strings.Cut(drive, "/")
	if !ok {
		return errors.New("it is no drive of this backend")
	}
	m, err := b.read(ctx, uuid)
	if err != nil {
		return err
	}
	disks, err := b.disks(ctx, uuid)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(disks, func(d disk) bool { return d.id() == drive }); i >= 0 {
		if m.State != hypervisor.Stopped {
			return fmt.Errorf("the VM is %q: %w", m.State, hypervisor.ErrState)
		}
		if err := b.unplug(ctx, m, disks[i]); err != nil {
			return err
		}
	}
	if err := b.deleteVolume(ctx, pool, volume); !isGone(err) {
		return err
	}
	return nil
}

// unplug takes a drive out of a VM, and believes only the list that it reads
// afterwards.
func (b *Backend) unplug(ctx context.Context, m hypervisor.Machine, d disk) error {
	_, failed := b.virsh(ctx, "detach-disk", "--domain="+m.UUID, "--target="+d.Target.Dev, "--config")
	if failed != nil {
		return failed
	}
	gone, err := eventually(ctx, detachLimit, func() (bool, error) {
		now, err := b.disks(ctx, m.UUID)
		return !slices.ContainsFunc(now, func(x disk) bool { return x.id() == d.id() }), err
	}, func(gone bool) bool { return gone })
	if err == nil && !gone {
		err = errors.New("virsh says that it is done, but the drive is still there")
	}
	return err
}

func (b *Backend) deleteVolume(ctx context.Context, pool, volume string) error {
	_, err := b.virsh(ctx, "vol-delete", "--pool="+pool, "--vol="+volume)
	return err
}
