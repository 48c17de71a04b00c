package memfs

import (
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

// Info describes a file; it is a fs.FileInfo.
type Info struct {
	name    string
	size    int64
	mode    fs.FileMode
	changed time.Time
	// UID is the owner's number, Ino the inode's.
	UID int
	Ino uint64
}

func (n *node) info(name string) Info {
	size := len(n.target)
	if n.mode.IsRegular() {
		size = len(n.content())
	}
	return Info{name: name, size: int64(size), mode: n.mode, changed: n.changed, UID: n.uid, Ino: n.ino}
}

// Name is the last element of the path that was asked for.
func (i Info) Name() string { return i.name }

// Size is the content's length in bytes; of a link, its target's.
func (i Info) Size() int64 { return i.size }

// Mode is the type and the permissions.
func (i Info) Mode() fs.FileMode { return i.mode }

// ModTime is when the content was last written.
func (i Info) ModTime() time.Time { return i.changed }

// IsDir says whether it is a folder.
func (i Info) IsDir() bool { return i.mode.IsDir() }

// Sys is nil: there is no other file system below this one.
func (i Info) Sys() any { return nil }

// File is an open file. It may be used by one goroutine at a time.
type File struct {
	user   User
	name   string
	node   *node
	flag   int
	offset int
	read   []byte // what a generated file held when it was opened
}

// Open opens a file with the flags of package os: one of O_RDONLY, O_WRONLY
// and O_RDWR, and O_CREATE, O_EXCL, O_TRUNC, O_APPEND.
func (u User) Open(name string, flag int, perm fs.FileMode) (*File, error) {
	file := &File{user: u, name: name, flag: flag}
	err := u.do("open", name, func() error {
		p, err := u.fs.find(u.uid, name, flag&os.O_EXCL == 0)
		if err != nil {
			return err
		}
		writes := flag&(os.O_WRONLY|os.O_RDWR) != 0
		switch n := p.node; {
		case n == nil && flag&os.O_CREATE == 0:
			return syscall.ENOENT
		case n == nil:
			return u.create(file, p, perm)
		case flag&os.O_EXCL != 0 && flag&os.O_CREATE != 0:
			return syscall.EEXIST
		case n.mode.Type() == fs.ModeSymlink:
			return syscall.ELOOP
		case n.mode.IsDir() && writes:
			return syscall.EISDIR
		case writes && !may(u.uid, n, 2), flag&os.O_WRONLY == 0 && !may(u.uid, n, 4):
			return syscall.EACCES
		}
		file.node = p.node
		if file.node.made != nil {
			file.read = file.node.made()
		}
		if flag&os.O_TRUNC != 0 {
			file.node.data = nil
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

// create makes the file that Open found missing. u.fs.mu is held.
func (u User) create(file *File, p place, perm fs.FileMode) error {
	switch {
	case !may(u.uid, p.dir, 2):
		return syscall.EACCES
	case u.fs.full:
		return syscall.ENOSPC
	}
	file.node = u.fs.node(perm.Perm(), u.uid)
	p.dir.entries[p.name] = file.node
	return nil
}

// Read reads what the file holds now.
func (f *File) Read(b []byte) (n int, err error) {
	f.user.fs.mu.Lock()
	defer f.user.fs.mu.Unlock()
	data := f.node.data
	switch {
	case f.node.mode.IsDir():
		return 0, failed("read", f.name, syscall.EISDIR)
	case f.flag&os.O_WRONLY != 0:
		return 0, failed("read", f.name, syscall.EBADF)
	case f.node.made != nil:
		data = f.read
	}
	if f.offset >= len(data) {
		return 0, io.EOF
	}
	n = copy(b, data[f.offset:])
	f.offset += n
	return n, nil
}

// Write writes at the offset, or at the end if the file was opened with
// O_APPEND. What is written to a generated file is dropped, as in /dev/null.
func (f *File) Write(b []byte) (int, error) {
	f.user.fs.mu.Lock()
	defer f.user.fs.mu.Unlock()
	switch n := f.node; {
	case f.flag&(os.O_WRONLY|os.O_RDWR) == 0:
		return 0, failed("write", f.name, syscall.EBADF)
	case n.made != nil:
		return len(b), nil
	case f.user.fs.full && len(b) > 0:
		return 0, failed("write", f.name, syscall.ENOSPC)
	}
	if f.flag&os.O_APPEND != 0 {
		f.offset = len(f.node.data)
	}
	if gap := f.offset - len(f.node.data); gap > 0 {
		f.node.data = append(f.node.data, make([]byte, gap)...)
	}
	kept := copy(f.node.data[f.offset:], b)
	f.node.data = append(f.node.data, b[kept:]...)
	f.offset += len(b)
	f.node.changed = f.user.fs.now()
	return len(b), nil
}

// Close does nothing: an unlinked file lives as long as somebody holds it.
func (f *File) Close() error { return nil }

// ReadFile reads a whole file.
func (u User) ReadFile(name string) ([]byte, error) {
	f, err := u.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

// WriteFile writes a whole file, and sets its permissions whether it is new or
// not. Missing folders above it are made.
func (u User) WriteFile(name string, data []byte, perm fs.FileMode) error {
	if err := u.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := u.Open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return u.Chmod(name, perm)
}

// Generate puts a file at name whose content is made at each opening. made is
// called with the file system locked and must not use it.
func (f *FS) Generate(name string, perm fs.FileMode, made func() []byte) error {
	u := f.As(Root)
	if err := u.WriteFile(name, nil, perm); err != nil {
		return err
	}
	return u.own("generate", name, func(n *node) { n.made = made })
}

// Mode makes a fs.FileMode of the permission bits of a Unix mode.
func Mode(bits uint32) fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	for unix, bit := range special {
		if bits&unix != 0 {
			m |= bit
		}
	}
	return m
}

// Bits are the permission bits of a Unix mode.
func Bits(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for unix, bit := range special {
		if m&bit != 0 {
			bits |= unix
		}
	}
	return bits
}

var special = map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky}
