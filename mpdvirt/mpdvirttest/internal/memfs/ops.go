package memfs

import (
	"io/fs"
	"path"
	"sort"
	"strings"
	"syscall"
)

// User is a view of a file system with the rights of one user. Paths are
// absolute. Errors are *fs.PathError around a syscall.Errno.
type User struct {
	fs  *FS
	uid int
}

// As is the file system as the user with the given number sees it.
func (f *FS) As(uid int) User { return User{f, uid} }

// UID is the number of the user.
func (u User) UID() int { return u.uid }

// do runs one operation alone.
func (u User) do(op, name string, f func() error) error {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	return failed(op, name, f())
}

// Stat says what a path leads to; links are followed.
func (u User) Stat(name string) (Info, error) { return u.stat("stat", name, true) }

// Lstat is Stat that does not follow a link in the last element.
func (u User) Lstat(name string) (Info, error) { return u.stat("lstat", name, false) }

func (u User) stat(op, name string, follow bool) (info Info, err error) {
	err = u.do(op, name, func() error {
		n, err := u.fs.get(u.uid, name, follow)
		if err == nil {
			info = n.info(path.Base(name))
		}
		return err
	})
	return info, err
}

// ReadDir lists a folder by name.
func (u User) ReadDir(name string) (list []fs.DirEntry, err error) {
	err = u.do("open", name, func() error {
		n, err := u.fs.get(u.uid, name, true)
		switch {
		case err != nil:
			return err
		case !n.mode.IsDir():
			return syscall.ENOTDIR
		case !may(u.uid, n, 4):
			return syscall.EACCES
		}
		for name, e := range n.entries {
			list = append(list, fs.FileInfoToDirEntry(e.info(name)))
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Name() < list[j].Name() })
		return nil
	})
	return list, err
}

// Mkdir makes a folder.
func (u User) Mkdir(name string, perm fs.FileMode) error {
	return u.do("mkdir", name, func() error {
		_, err := u.add(name, fs.ModeDir|perm.Perm())
		return err
	})
}

// MkdirAll makes a folder and those above it that are missing.
func (u User) MkdirAll(name string, perm fs.FileMode) error {
	if info, err := u.Stat(name); err == nil {
		if !info.IsDir() {
			return failed("mkdir", name, syscall.EEXIST)
		}
		return nil
	}
	if up := path.Dir(path.Clean(name)); up != "/" {
		if err := u.MkdirAll(up, perm); err != nil {
			return err
		}
	}
	return u.Mkdir(name, perm)
}

// Symlink makes a symbolic link.
func (u User) Symlink(target, name string) error {
	return u.do("symlink", name, func() error {
		n, err := u.add(name, fs.ModeSymlink|0o777)
		if err == nil {
			n.target = target
		}
		return err
	})
}

// add makes an inode at a path where nothing is. u.fs.mu is held.
func (u User) add(name string, mode fs.FileMode) (*node, error) {
	p, err := u.fs.find(u.uid, strings.TrimRight(name, "/"), false)
	switch {
	case err != nil:
		return nil, err
	case p.node != nil:
		return nil, syscall.EEXIST
	case !may(u.uid, p.dir, 2):
		return nil, syscall.EACCES
	case u.fs.full:
		return nil, syscall.ENOSPC
	}
	n := u.fs.node(mode, u.uid)
	p.dir.entries[p.name] = n
	return n, nil
}

// Readlink is what a symbolic link holds.
func (u User) Readlink(name string) (target string, err error) {
	err = u.do("readlink", name, func() error {
		n, err := u.fs.get(u.uid, name, false)
		if err == nil && n.mode.Type() != fs.ModeSymlink {
			return syscall.EINVAL
		}
		if err == nil {
			target = n.target
		}
		return err
	})
	return target, err
}

// Remove removes a file, a link or an empty folder.
func (u User) Remove(name string) error { return u.remove(name, false) }

// RemoveAll removes what is at a path, with all below it; nothing there is
// fine.
func (u User) RemoveAll(name string) error {
	if _, err := u.Lstat(name); err != nil {
		return nil
	}
	return u.remove(name, true)
}

func (u User) remove(name string, all bool) error {
	return u.do("remove", name, func() error {
		p, err := u.fs.find(u.uid, name, false)
		switch {
		case err != nil:
			return err
		case p.node == nil:
			return syscall.ENOENT
		case p.name == ".":
			return syscall.EBUSY
		case !may(u.uid, p.dir, 2) || sticky(u.uid, p):
			return syscall.EACCES
		case !all && len(p.node.entries) > 0:
			return syscall.ENOTEMPTY
		}
		delete(p.dir.entries, p.name)
		return nil
	})
}

// sticky says whether the folder's sticky bit forbids a user to touch an entry.
func sticky(uid int, p place) bool {
	return p.dir.mode&fs.ModeSticky != 0 && uid != Root && p.node != nil && p.node.uid != uid && p.dir.uid != uid
}

// Rename gives a file, link or folder another path. A file or link at the new
// path is replaced in one step; a folder there must be empty.
func (u User) Rename(from, to string) error {
	return u.do("rename", from, func() error {
		a, err := u.fs.find(u.uid, from, false)
		if err != nil {
			return err
		}
		b, err := u.fs.find(u.uid, to, false)
		switch {
		case err != nil:
			return err
		case a.node == nil:
			return syscall.ENOENT
		case !may(u.uid, a.dir, 2) || !may(u.uid, b.dir, 2) || sticky(u.uid, a) || sticky(u.uid, b):
			return syscall.EACCES
		case a.node == b.node:
			return nil
		case b.node != nil && b.node.mode.IsDir() && !a.node.mode.IsDir():
			return syscall.EISDIR
		case b.node != nil && !b.node.mode.IsDir() && a.node.mode.IsDir():
			return syscall.ENOTDIR
		case b.node != nil && len(b.node.entries) > 0:
			return syscall.ENOTEMPTY
		case within(a.node, b.dir):
			return syscall.EINVAL
		}
		delete(a.dir.entries, a.name)
		b.dir.entries[b.name] = a.node
		return nil
	})
}

// within says whether n is dir or below it.
func within(dir, n *node) bool {
	if dir == n {
		return true
	}
	for _, e := range dir.entries {
		if e.mode.IsDir() && within(e, n) {
			return true
		}
	}
	return false
}

// Chmod sets the permissions; links are followed.
func (u User) Chmod(name string, perm fs.FileMode) error {
	const settable = fs.ModePerm | fs.ModeSticky | fs.ModeSetuid | fs.ModeSetgid
	return u.own("chmod", name, func(n *node) { n.mode = n.mode&^settable | perm&settable })
}

// Chown gives a file to another user, which only root may do.
func (u User) Chown(name string, uid int) error {
	if u.uid != Root {
		return failed("chown", name, syscall.EPERM)
	}
	return u.own("chown", name, func(n *node) { n.uid = uid })
}

func (u User) own(op, name string, change func(*node)) error {
	return u.do(op, name, func() error {
		n, err := u.fs.get(u.uid, name, true)
		switch {
		case err != nil:
			return err
		case u.uid != Root && u.uid != n.uid:
			return syscall.EPERM
		}
		change(n)
		return nil
	})
}

// Access says whether the user may do what bits say: 4 read, 2 write, 1
// execute or search.
func (u User) Access(name string, bits uint32) error {
	return u.do("access", name, func() error {
		n, err := u.fs.get(u.uid, name, true)
		if err == nil && !may(u.uid, n, fs.FileMode(bits)) {
			return syscall.EACCES
		}
		return err
	})
}
