package statefile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// most bounds what is read of a file to show what it was.
const most = 4 << 20

func (d *draft) write(path string, data []byte, perm fs.FileMode, opaque bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	if err := d.checkFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return d.put(path, path, data, perm, opaque)
}

// put gives the file at a new content; the change is told of the name path.
func (d *draft) put(path, at string, data []byte, perm fs.FileMode, opaque bool) error {
	c := Change{Kind: Written, Path: path, Perm: perm, Opaque: opaque}
	info, err := d.look(at)
	if err == nil {
		err = checkKind(at, info, wantFile)
		c.Existed = true
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !opaque {
		c.Before, err = d.content(at, most)
		switch {
		case errors.Is(err, ErrTooBig):
			c.Opaque = true // nobody reads that, but it is replaced like any other
		case err != nil && c.Existed:
			return fmt.Errorf("write %s: %w", path, err)
		default:
			c.After = slices.Clone(data)
		}
	}
	d.nodes[at] = node{mode: perm.Perm(), data: slices.Clone(data)}
	switch {
	case c.Opaque || !c.Existed || !bytes.Equal(c.Before, data):
	case info.Mode().Perm() == perm.Perm():
		return nil // it stays what it is
	default:
		c = Change{Kind: Narrowed, Path: path, Perm: perm, Existed: true}
	}
	d.tell(c)
	return nil
}

func (d *draft) writeThrough(path string, data []byte, defaultPerm fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	target, err := d.follow(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := d.checkFolder(filepath.Dir(target)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	perm := defaultPerm
	if info, err := d.look(target); err == nil {
		perm = info.Mode().Perm()
	}
	return d.put(behind(path, target), filepath.Clean(target), data, perm, false)
}

// behind is the name of the file that changes if it is written through path:
// path itself or, if that is a symbolic link, what it leads to, which is target
// in a form that has no links above it either.
func behind(path, target string) string {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return filepath.Clean(path)
	}
	to, err := os.Readlink(path)
	if err == nil && !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(path), to)
	}
	if real, evalErr := filepath.EvalSymlinks(to); err == nil && evalErr == nil && real == target {
		return filepath.Clean(to) // as people write it
	}
	return target
}

func (d *draft) ensureDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	if err := d.makeLevels(path); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	if err := d.checkFolder(path); err != nil {
		return err
	}
	if info, err := d.look(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		d.chmod(path, info.Mode().Perm()&^0o077)
	}
	return nil
}

func (d *draft) makeLevels(path string) error {
	_, err := d.look(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if above := filepath.Dir(path); above != path {
		if err := d.makeLevels(above); err != nil {
			return err
		}
	}
	d.make(path)
	return nil
}

func (d *draft) make(path string) {
	d.nodes[path] = node{mode: fs.ModeDir | 0o700}
	d.tell(Change{Kind: MadeFolder, Path: path, Perm: 0o700})
}

func (d *draft) mkdir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	above, err := d.look(filepath.Dir(path))
	if err == nil && above.Mode()&fs.ModeSymlink != 0 {
		above, err = os.Stat(filepath.Dir(path))
	}
	switch {
	case err != nil:
		return err
	case !above.IsDir():
		return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	if _, err := d.look(path); err == nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: fs.ErrExist}
	}
	d.make(path)
	return nil
}

func (d *draft) chmod(path string, perm fs.FileMode) {
	if n, ok := d.nodes[path]; ok {
		n.mode = n.mode.Type() | perm
		d.nodes[path] = n
	} else {
		d.narrow[path] = perm
	}
	d.tell(Change{Kind: Narrowed, Path: path, Perm: perm, Existed: true})
}

func (d *draft) tighten(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	info, err := d.look(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	if err := checkKind(path, info, wantFile); err != nil {
		return err
	}
	d.chmod(path, secretPerm)
	return nil
}

func (d *draft) remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	info, err := d.look(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if all, err := d.list(path); err != nil || len(all) > 0 {
			return errors.Join(err, &fs.PathError{Op: "remove", Path: path, Err: syscall.ENOTEMPTY})
		}
	}
	d.forget(path)
	return nil
}

func (d *draft) removeDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	path = filepath.Clean(path)
	err := d.checkFolder(filepath.Dir(path))
	if err == nil {
		err = d.checkFolder(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	d.forget(path)
	return nil
}

// forget takes path away, with all that is below it.
func (d *draft) forget(path string) {
	for at := range d.nodes {
		if strings.HasPrefix(at, path+string(filepath.Separator)) {
			delete(d.nodes, at)
		}
	}
	d.nodes[path] = node{gone: true}
	d.tell(Change{Kind: Removed, Path: path, Existed: true})
}

func (d *draft) removeTemps(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []fs.DirEntry
	err := d.checkFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove temporary files: %w", err)
	}
	if all, err = d.list(dir); err != nil {
		return fmt.Errorf("remove temporary files in %s: %w", dir, err)
	}
	for _, e := range all {
		if IsTemp(e.Name()) && e.Type().IsRegular() {
			d.forget(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// acquire waits as Acquire does, since who waited would go on then.
func (d *draft) acquire(ctx context.Context, path string, wait time.Duration) error {
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("lock %s: %w", path, err)
		}
		held, err := Holder(path)
		switch {
		case err != nil:
			return err
		case held == nil:
			return nil
		case wait <= 0:
			return held
		}
		select {
		case <-ctx.Done():
		case <-over.C:
			return held
		case <-time.After(pollInterval):
		}
	}
}
