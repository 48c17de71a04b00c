package utm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// drive is one drive of a VM.
type drive struct {
	ID        string // UTM's own; names the drive
	Removable bool   // its file is not UTM's
	// HostSize is what the file takes up, rounded down to MiB: 0 also for a seed
	// of some KiB. It does not tell drives apart.
	HostSize hypervisor.Size
}

// mostSeed is what a seed takes up at the most: one of this program is less than
// a MiB, an installed system hundreds.
const mostSeed = 64 * hypervisor.MiB

// Seed is the second of exactly two drives. It guesses nothing: with one drive there
// is an error, and with more, or with a second one that Create cannot have made
// since it is removable or large, one that is ErrAmbiguous.
func (b *Backend) Seed(ctx context.Context, uuid string) (string, error) {
	m, err := b.there(ctx, uuid)
	if err != nil {
		return "", fmt.Errorf("find the seed of VM %s: %w", plaintext.Short(uuid), err)
	}
	drives, err := b.drives(ctx, uuid)
	if err == nil {
		var d drive
		if d, err = seedOf(drives); err == nil {
			return d.ID, nil
		}
	}
	return "", fmt.Errorf("find the seed of %s: %w", title(m), err)
}

func seedOf(drives []drive) (drive, error) {
	unsure := func(text string) (drive, error) {
		return drive{}, hint.Wrap(&unsureError{text}, "look at the VM's drives in UTM: if one of them is the seed, which holds a private key, remove it there")
	}
	switch {
	case len(drives) < 2:
		return drive{}, errors.New("the VM has no second drive")
	case len(drives) > 2:
		return unsure(fmt.Sprintf("the VM has %d drives, and not a disk and a seed", len(drives)))
	case drives[1].Removable || drives[1].HostSize > mostSeed:
		return unsure("the VM's second drive is not the seed that was made")
	}
	return drives[1], nil
}

// unsureError says why no drive is certain to be the seed. It is ErrAmbiguous,
// without the text of that, which is about VMs.
type unsureError struct{ text string }

func (e *unsureError) Error() string { return e.text }
func (e *unsureError) Unwrap() error { return hypervisor.ErrAmbiguous }

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

func (b *Backend) drives(ctx context.Context, uuid string) ([]drive, error) {
	if told, ok := b.draft.drivesOf(uuid); ok {
		return told, nil
	}
	return ask(ctx, func() ([]drive, error) {
		out, err := b.script(ctx, argvDrives(uuid), scriptDrives, askLimit)
		if err != nil {
			return nil, err
		}
		return decodeDrives(out)
	})
}

// Detach deletes the drive's file, if it is UTM's own. The last drive of a VM is
// refused with ErrState. Success is the list of drives read back.
func (b *Backend) Detach(ctx context.Context, uuid, drive string) error {
	if drive == "" { // which would be gone already, whatever is attached
		return fmt.Errorf("detach a drive of VM %s: no drive is named", plaintext.Short(uuid))
	}
	m, err := b.there(ctx, uuid)
	if err != nil {
		return fmt.Errorf("detach a drive of VM %s: %w", plaintext.Short(uuid), err)
	}
	if err := b.detach(ctx, m, drive); err != nil {
		return fmt.Errorf("detach the drive %s of %s: %w", plaintext.Short(drive), title(m), err)
	}
	return nil
}

func (b *Backend) detach(ctx context.Context, m hypervisor.Machine, id string) error {
	for try := 1; ; try++ {
		before, err := b.drives(ctx, m.UUID)
		if err != nil {
			return err
		}
		keep := ids(slices.DeleteFunc(slices.Clone(before), func(d drive) bool { return d.ID == id }))
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
		if b.draft.on() {
			b.draft.detach(m, id, keep)
			return nil
		}
		_, failed := b.script(ctx, argvDetach(m.UUID, id, keep), scriptDetach, askLimit)
		if final(ctx, failed) {
			return failed
		}
		err = b.detached(ctx, m.UUID, id, keep, failed)
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

func ids(drives []drive) []string {
	out := make([]string, len(drives))
	for i, d := range drives {
		out[i] = d.ID
	}
	return out
}
