package sshconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// ErrDiffers says that the SSH entries are not what the registry asks for;
// [Files.Assert] makes them so.
var ErrDiffers = errors.New("SSH entries differ from the registry")

// maxSize bounds what is read of either file. The entries of all octets take
// a tenth of it.
const maxSize = 4 << 20

// Files names the two files by absolute paths. A Files may be used at the
// same time by many goroutines, but see Assert.
type Files struct {
	User string // the user's own: ~/.ssh/config
	Ours string // the one written here: ~/.mpd-virt/ssh_config
	// In is where both are; nil is the disk.
	In *statefile.Files
}

// Assert makes both files as vms asks and says whether it changed any. The
// caller holds the lock for shared files.
//
// With VMs, our file holds their entries, 0600, and the user's file holds our
// line, first. A missing ~/.ssh is created 0700, a missing file 0600; an
// existing one keeps its mode and, if it is a symbolic link, stays one.
//
// Without VMs, the line goes, then our file. ~/.ssh/config goes too if
// nothing is left in it and its line said that we had made it; a file that
// was there before, be it empty, stays. ~/.ssh stays.
//
// Anything but a regular file in the place of ours is a *statefile.KindError.
// If another program changes ~/.ssh/config in the middle, Assert starts anew
// once, and then fails with statefile.ErrChanged; what that program wrote is
// not lost. Our file is written before the line that names it and removed
// after it, so a run that is killed leaves settings that ssh accepts, and the
// next run finishes.
func (f Files) Assert(vms []VM) (changed bool, err error) {
	return f.assert(vms, f.In.WriteThrough)
}

// writer is statefile.WriteThrough, which tests delay.
type writer func(path string, data []byte, perm fs.FileMode, was *statefile.Snapshot) error

func (f Files) assert(vms []VM, write writer) (changed bool, err error) {
	for range 2 {
		p, err := f.plan(vms)
		if err != nil {
			return changed, err
		}
		if err := p.clean(); err != nil {
			return changed, fmt.Errorf("ssh entries: %w", err)
		}
		did, err := p.run(write)
		changed = changed || did
		if err == nil {
			return changed, nil
		}
		if !errors.Is(err, statefile.ErrChanged) {
			return changed, fmt.Errorf("ssh entries: %w", err)
		}
	}
	return changed, hint.Wrap(fmt.Errorf("ssh entries: %s: %w", f.User, statefile.ErrChanged),
		"see which program writes to "+f.User+", then run the command again")
}

// Check reads only: nil if Assert would change nothing, an ErrDiffers that
// names the file if it would, and another error if that cannot be told. It
// needs no lock.
func (f Files) Check(vms []VM) error {
	p, err := f.plan(vms)
	if err != nil {
		return err
	}
	differs := ""
	switch {
	case p.ours != keep:
		differs = f.Ours
	case p.user != keep:
		differs = f.User
	default:
		return nil
	}
	err = fmt.Errorf("%s: %w", differs, ErrDiffers)
	if len(vms) == 0 {
		return err
	}
	return hint.Wrap(err, "mpd-virt diag "+vms[0].Octet.String())
}

// Warnings says what ssh will hold against ~/.ssh and ~/.ssh/config, whose
// modes are the user's: they are never changed here. Each is one line for
// people; none if all is well or the files are not there.
func (f Files) Warnings() []string {
	var out []string
	for _, path := range []string{filepath.Dir(f.User), f.User} {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm()&0o022 != 0 {
			out = append(out, fmt.Sprintf("%s is writable by others than its owner (mode %04o): chmod go-w %s",
				path, info.Mode().Perm(), path))
		}
	}
	return out
}
