package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// find returns the file to start for name: a bare name or an absolute path.
// A name with a folder in front would depend on the current folder, so it is
// refused.
func (r Runner) find(name string) (string, error) {
	switch {
	case filepath.IsAbs(name):
		if err := runnable(name); err != nil {
			return "", fmt.Errorf("run %s: %w", name, err)
		}
		return name, nil
	case name == "", name == ".", name == "..", strings.Contains(name, "/"):
		return "", fmt.Errorf("run %q: neither a bare name nor an absolute path", name)
	}
	return r.search(name)
}

// search looks for a bare name. As in a shell, the first file that can run
// wins; one that cannot is remembered, because "not installed" would be the
// wrong thing to say.
func (r Runner) search(name string) (string, error) {
	var unusable error
	for _, dir := range append(filepath.SplitList(r.Path), r.Dirs...) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, name)
		err := runnable(file)
		if err == nil {
			return file, nil
		}
		if unusable == nil && errors.Is(err, fs.ErrPermission) && isFile(file) {
			unusable = fmt.Errorf("run %s: %s: %w", name, file, err)
		}
	}
	if unusable != nil {
		return "", unusable
	}
	return "", fmt.Errorf("run %s: %w", name, hypervisor.ErrToolMissing)
}

// runnable is nil for a file that this user may execute. What is not there,
// or is a folder, is ErrToolMissing.
func runnable(file string) error {
	// With a slash in the name, LookPath only looks at that file; it knows
	// the systems' ways to ask for the right to execute.
	_, err := exec.LookPath(file)
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return hypervisor.ErrToolMissing
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("a folder, not a program: %w", hypervisor.ErrToolMissing)
	}
	return fmt.Errorf("cannot be executed: %w", err)
}

func isFile(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
