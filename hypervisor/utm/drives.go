package utm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Drive is one drive of a VM.
type Drive struct {
	ID        string // UTM's own; names the drive
	Removable bool   // its file is not UTM's
	// HostSize is what the file takes up, rounded down to MiB: 0 also for a seed
	// of some KiB. It does not tell drives apart.
	HostSize hypervisor.Size
}

// Drives are the drives of the VM uuid in their order: of a VM that Make made, the
// disk and then the seed. ErrNoMachine if there is no such VM.
func (b *Backend) Drives(ctx context.Context, uuid string) ([]Drive, error) {
	m, err := b.there(ctx, uuid)
	if err != nil {
		return nil, fmt.Errorf("list the drives of VM %s: %w", bounded(uuid), err)
	}
	drives, err := b.drives(ctx, uuid)
	if err != nil {
		return nil, fmt.Errorf("list the drives of %s: %w", title(m), err)
	}
	return drives, nil
}

func (b *Backend) there(ctx context.Context, uuid string) (hypervisor.Machine, error) {
	if !uuidText.MatchString(uuid) {
		return hypervisor.Machine{}, fmt.Errorf("%.60q is not the UUID of a VM of UTM: %w", uuid, hypervisor.ErrNoMachine)
	}
	m, err := b.read(ctx, uuid)
	if err == nil && m.State == hypervisor.Missing {
		err = hypervisor.ErrNoMachine
	}
	return m, err
}

func (b *Backend) drives(ctx context.Context, uuid string) ([]Drive, error) {
	return ask(ctx, func() ([]Drive, error) {
		out, err := b.script(ctx, argvDrives(uuid), scriptDrives, askLimit)
		if err != nil {
			return nil, err
		}
		return decodeDrives(out)
	})
}

// Detach takes exactly one drive from the VM uuid and deletes its file, if it is
// UTM's own; all other drives stay. The VM must be stopped: else ErrState. A drive
// that is gone already is fine; the last one is refused. Success is the list of
// drives read back. After an error the drive must be taken for attached: if it is a
// seed, with the keys that are in it.
func (b *Backend) Detach(ctx context.Context, uuid, drive string) error {
	m, err := b.there(ctx, uuid)
	if err != nil {
		return fmt.Errorf("detach a drive of VM %s: %w", bounded(uuid), err)
	}
	if err := b.detach(ctx, m, drive); err != nil {
		return fmt.Errorf("detach the drive %s of %s: %w", bounded(drive), title(m), err)
	}
	return nil
}

func (b *Backend) detach(ctx context.Context, m hypervisor.Machine, drive string) error {
	for try := 1; ; try++ {
		before, err := b.drives(ctx, m.UUID)
		if err != nil {
			return err
		}
		keep := ids(slices.DeleteFunc(slices.Clone(before), func(d Drive) bool { return d.ID == drive }))
		switch {
		case len(keep) == len(before):
			return nil
		case len(keep) == 0:
			return fmt.Errorf("it is the only drive: %w", hypervisor.ErrState)
		}
		if m, err = b.there(ctx, m.UUID); err != nil {
			return err
		}
		if m.State != hypervisor.Stopped {
			return hint.Wrap(fmt.Errorf("the VM is %s and must be stopped: %w", m.State, hypervisor.ErrState), "shut the VM down, and try again")
		}
		_, failed := b.script(ctx, argvDetach(m.UUID, drive, keep), scriptDetach, askLimit)
		if final(ctx, failed) {
			return failed
		}
		err = b.detached(ctx, m.UUID, drive, keep, failed)
		if numberOf(err) != ConnectionCut || try > repeats {
			return err
		}
		if err := wait(ctx, cutPause); err != nil {
			return err
		}
	}
}

// detached believes only the list that it reads afterwards, which may be an old
// one for about a second.
func (b *Backend) detached(ctx context.Context, uuid, drive string, keep []string, failed error) error {
	for begin := time.Now(); ; {
		now, err := b.drives(ctx, uuid)
		have := ids(now)
		switch {
		case err != nil && failed != nil:
			return fmt.Errorf("%w; and then: %w", failed, err)
		case err != nil:
			return err
		case slices.Equal(have, keep):
			return nil
		case !slices.Contains(have, drive):
			return fmt.Errorf("the drives are now %q and not %q", have, keep)
		case time.Since(begin) >= patience && failed != nil:
			return failed
		case time.Since(begin) >= patience:
			return fmt.Errorf("UTM took the change without a word, but the drive is still there: %w", hypervisor.ErrState)
		}
		if err := wait(ctx, firstLook); err != nil {
			return err
		}
	}
}

func ids(drives []Drive) []string {
	out := make([]string, len(drives))
	for i, d := range drives {
		out[i] = d.ID
	}
	return out
}
