package sshconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// action is what a plan does to a file.
type action int

const (
	keep action = iota
	replace
	remove
)

// plan is the difference between what is and what shall be.
type plan struct {
	Files
	ours, user         action
	oursData, userData []byte
	was                *statefile.Snapshot // the user's file when the plan was made
}

func (f Files) plan(vms []VM) (*plan, error) {
	p := &plan{Files: f}
	if err := p.planOurs(vms); err != nil {
		return nil, fmt.Errorf("ssh entries: %w", err)
	}
	if err := p.planUser(len(vms) > 0); err != nil {
		return nil, fmt.Errorf("ssh entries: %w", err)
	}
	return p, nil
}

func (p *plan) planOurs(vms []VM) error {
	// Through a link in the place of our folder, removing would reach a file
	// that is not ours.
	if err := p.In.CheckDir(filepath.Dir(p.Ours)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := p.In.Read(p.Ours, maxSize)
	exists := !errors.Is(err, fs.ErrNotExist)
	if err != nil && exists && !errors.Is(err, statefile.ErrTooBig) {
		return hint.Wrap(err, "move "+p.Ours+" away, then run the command again")
	}
	if len(vms) == 0 {
		if exists {
			p.ours = remove
		}
		return nil
	}
	if p.oursData, err = Render(vms); err != nil {
		return err
	}
	if exists && bytes.Equal(data, p.oursData) {
		// A mode that is not ours is repaired like a text that is not: ssh
		// refuses settings that others can write.
		info, err := p.In.Lstat(p.Ours)
		if err != nil {
			return err
		}
		if info.Mode().Perm() == 0o600 {
			return nil
		}
	}
	p.ours = replace
	return nil
}

func (p *plan) planUser(wanted bool) error {
	if err := checkFolder(filepath.Dir(p.User)); err != nil {
		return err
	}
	was, err := p.In.Snap(p.User, maxSize)
	if err != nil {
		return err
	}
	p.was = was
	if wanted {
		p.userData, err = addInclude(was.Data, p.Ours, !was.Exists)
		if err != nil {
			return err
		}
	} else if p.userData, err = p.withoutLine(); err != nil {
		return err
	}
	if p.user == keep && !bytes.Equal(p.userData, was.Data) {
		p.user = replace
	}
	return nil
}

// withoutLine returns the user's text without our line, and plans to remove
// the file if it is ours to remove. A link is never removed: someone has made
// it since.
func (p *plan) withoutLine() ([]byte, error) {
	lines, err := ownLines(p.Ours)
	if err != nil {
		return p.was.Data, nil // such a line was never written
	}
	found := lines.find(p.was.Data)
	if found.made && len(found.rest) == 0 {
		info, err := p.In.Lstat(p.User)
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			p.user = remove
		}
	}
	return found.rest, nil
}

// clean removes what a run that was killed while it wrote left behind. The
// lock that the caller holds is the one under which both folders are written.
func (p *plan) clean() error {
	return errors.Join(
		p.In.RemoveTemps(filepath.Dir(p.Ours)),
		p.In.RemoveTemps(filepath.Dir(p.was.Target)))
}

func (p *plan) run(write writer) (changed bool, err error) {
	if p.ours == replace {
		if err := p.In.EnsureDir(filepath.Dir(p.Ours)); err != nil {
			return false, err
		}
		if err := p.In.Write(p.Ours, p.oursData, 0o600); err != nil {
			return false, err
		}
		changed = true
	}
	if p.user != keep {
		if err := p.runUser(write); err != nil {
			return changed, err
		}
		changed = true
	}
	if p.ours == remove {
		if err := p.In.Remove(p.Ours); err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

func (p *plan) runUser(write writer) error {
	if p.user == remove {
		// Looked at once more, so that an editor that has just saved loses
		// nothing; emptying the file first would lose the mark if we died.
		now, err := p.In.Snap(p.User, maxSize)
		if err != nil {
			return err
		}
		if !now.Exists || !bytes.Equal(now.Data, p.was.Data) {
			return statefile.ErrChanged
		}
		return p.In.Remove(p.User)
	}
	if err := p.In.Mkdir(filepath.Dir(p.User)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return write(p.User, p.userData, 0o600, p.was)
}

// checkFolder names what stands in the place of ~/.ssh, unless it is a
// folder, a link to one, or nothing.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(dir); err == nil {
			return hint.Wrap(fmt.Errorf("%s is a symbolic link to nothing", dir), "create the folder that it names, or remove it")
		}
		return nil
	}
	if err == nil && !info.IsDir() {
		return hint.Wrap(fmt.Errorf("%s is not a folder", dir), "move it away; ssh keeps its settings in a folder of that name")
	}
	return err
}
