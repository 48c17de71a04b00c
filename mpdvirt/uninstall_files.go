package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/sshconfig"
)

// conf is the folder of the keys.
func (u *uninstall) conf() string { return filepath.Join(u.locks.root, "conf") }

// findFiles is what of this program is in the home folder, in the order in which
// it goes, and what of others is in ours. A symbolic link or a file in the place
// of a folder of ours is an error.
func (u *uninstall) findFiles() (found []trace, left []string, err error) {
	switch err := u.m.alias.Check(nil); {
	case errors.Is(err, sshconfig.ErrDiffers):
		found = append(found, trace{
			key: "ssh", text: "SSH entries, and our line in " + u.m.alias.User,
			remove: func() error { _, err := u.m.alias.Assert(nil); return err },
		})
	case err != nil:
		return nil, nil, foreignKind(err)
	}
	for _, it := range u.items {
		o := it.Entry.Octet
		folder, err := u.folder(u.m.state.Dir(o), "entry, pinned host key, journal, logs", func() error { return u.m.state.Remove(o) })
		if err != nil {
			return nil, nil, err
		}
		found = append(found, folder...)
	}
	// The keys come last: as long as anything is left, so is what proves that
	// it is ours.
	for _, f := range []struct{ dir, what, first string }{
		{u.m.cache(), "disk images", ".lock"},
		{u.conf(), "the CA and its key, WireGuard keys and confs, default backend", "backend.env"},
	} {
		folder, err := u.folder(f.dir, f.what, func() error { return u.m.files.RemoveDir(f.dir, f.first) })
		if err != nil {
			return nil, nil, err
		}
		found = append(found, folder...)
	}
	if left, err = u.strangers(); err != nil {
		return nil, nil, err
	}
	folder, err := u.stateFolder(left)
	return append(found, folder...), left, err
}

// folder is the trace of a folder of ours, if it is there.
func (u *uninstall) folder(path, what string, remove func() error) ([]trace, error) {
	err := u.m.files.CheckDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, foreignKind(err)
	}
	return []trace{{key: path, text: path + ": " + what, remove: remove}}, nil
}

// finder is what macOS's Finder leaves in each folder that it has shown.
const finder = ".DS_Store"

// strangers are what is in the state folder and not of this program.
func (u *uninstall) strangers() (left []string, err error) {
	names, err := u.m.files.ReadDir(u.locks.root)
	for _, n := range names {
		_, err := hypervisor.ParseOctet(n.Name())
		lock := strings.HasPrefix(n.Name(), lockPrefix)
		ours := []string{"conf", "cache", filepath.Base(u.m.alias.Ours), filepath.Base(u.m.state.SharedLockFile()), finder}
		if err != nil && !lock && !exported(n) && !slices.Contains(ours, n.Name()) {
			left = append(left, filepath.Join(u.locks.root, n.Name())+": not of this program")
		}
	}
	return left, err
}

// exported says whether n is a folder in which a killed run had macOS write its
// trust settings; see macos.Mac.AdminTrusted.
func exported(n fs.DirEntry) bool {
	number, ok := strings.CutPrefix(n.Name(), "trust-")
	return ok && n.IsDir() && strings.Trim(number, "0123456789") == ""
}

// exports are those folders.
func (u *uninstall) exports() (paths []string, err error) {
	names, err := u.m.files.ReadDir(u.locks.root)
	for _, n := range names {
		if exported(n) {
			paths = append(paths, filepath.Join(u.locks.root, n.Name()))
		}
	}
	return paths, err
}

// stateFolder is the trace of the state folder itself, or of what is ours in it
// if others have put something there.
func (u *uninstall) stateFolder(strangers []string) ([]trace, error) {
	exports, err := u.exports()
	switch {
	case err != nil:
		return nil, err
	case len(strangers) == 0 && !u.locks.made:
		return []trace{{key: u.locks.root, text: u.locks.root, remove: u.removeStateFolder}}, nil
	case u.locks.were(), len(exports) > 0:
		return []trace{{key: u.locks.root, text: "lock files in " + u.locks.root, remove: u.emptyStateFolder}}, nil
	}
	return nil, nil
}

// emptyStateFolder removes the lock files, which are held until then, and what
// killed runs have left.
func (u *uninstall) emptyStateFolder() error {
	exports, err := u.exports()
	for _, path := range exports {
		err = errors.Join(err, u.m.files.RemoveDir(path, "settings.plist"))
	}
	if err != nil {
		return err
	}
	return u.locks.remove(true)
}

// removeStateFolder removes the folder as well. Whatever is in it by now, like
// the beginnings of a VM, stays.
func (u *uninstall) removeStateFolder() error {
	if err := u.m.files.Remove(filepath.Join(u.locks.root, finder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := u.emptyStateFolder(); err != nil {
		return err
	}
	if err := u.m.files.Remove(u.locks.root); err != nil {
		return fmt.Errorf("something new is in it: %w", err)
	}
	return nil
}

// removeFiles removes the traces one by one and looks whether they are gone.
func (u *uninstall) removeFiles(ctx context.Context, p *plan) error {
	for i, t := range p.files {
		err := ctx.Err()
		if err == nil {
			err = foreignKind(t.remove())
		}
		if err == nil {
			err = u.gone(t)
		}
		if err != nil {
			u.leave(p.files[i:], "not removed")
			return err
		}
		u.res.Removed = append(u.res.Removed, t.text)
	}
	return nil
}

// gone is nil if the trace is not there any more.
func (u *uninstall) gone(t trace) error {
	if !filepath.IsAbs(t.key) { // the SSH entries
		return u.m.alias.Check(nil)
	}
	if t.key == u.locks.root { // it is empty or gone, else its removal has failed
		return nil
	}
	if _, err := u.m.files.Lstat(t.key); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", t.key)
	}
	return nil
}

// leftVMs are the VMs that this Mac will not know any more.
func (u *uninstall) leftVMs(ctx context.Context) []string {
	vms := make([]VM, len(u.items))
	for i, it := range u.items {
		vms[i] = u.m.view(it)
	}
	u.m.addStates(ctx, vms)
	var left []string
	for _, vm := range vms {
		if text := leftVM(vm); text != "" {
			left = append(left, text)
		}
	}
	return left
}

// leftVM says where a VM is left, "" if there is none.
func leftVM(vm VM) string {
	switch {
	case vm.State == Broken:
		return "the VM " + vm.Name + ", if there is one: its entry cannot be read, so where it is is not known"
	case vm.State == hypervisor.Missing:
		return ""
	case vm.State == Unfinished && vm.Backend == "":
		return ""
	}
	text := fmt.Sprintf("the VM %s on %s, at %s", vm.Name, vm.Backend, vm.Addr)
	if vm.UUID != "" {
		text += ", UUID " + vm.UUID
	}
	if vm.State == Unfinished {
		return text + ", as far as it was made"
	}
	if vm.State != "" {
		text += ", " + string(vm.State)
	}
	return text
}
