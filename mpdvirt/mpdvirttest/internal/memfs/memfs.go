// Package memfs is a small Unix file system in memory: directories, regular
// files and symbolic links with owner, mode and inode number, and the checks
// that Linux makes on them. It is what the machines of mpdvirttest keep their
// files in.
//
// There are no hard links, no groups and no device files; what a machine makes
// up on the fly, as under /proc, is a file with a content function.
package memfs

import (
	"io/fs"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Root is the user who may do everything.
const Root = 0

// maxLinks is how many symbolic links one path may lead through, as on Linux.
const maxLinks = 40

// FS is a file system. Its methods may be called at the same time. The zero
// value is not usable; call [New].
type FS struct {
	mu   sync.Mutex
	now  func() time.Time
	root *node
	inos uint64
	full bool
}

// node is one inode. All of it is guarded by the file system's mutex.
type node struct {
	ino     uint64
	mode    fs.FileMode // type and permissions
	uid     int
	data    []byte
	target  string
	entries map[string]*node
	made    func() []byte // instead of data, if not nil
	changed time.Time
}

// New returns a file system that holds an empty root folder; now is its clock.
func New(now func() time.Time) *FS {
	f := &FS{now: now, inos: 1}
	f.root = f.node(fs.ModeDir|0o755, Root)
	return f
}

// node makes an inode. f.mu is held, or f is not yet shared.
func (f *FS) node(mode fs.FileMode, uid int) *node {
	f.inos++
	n := &node{ino: f.inos, mode: mode, uid: uid, changed: f.now()}
	if mode.IsDir() {
		n.entries = map[string]*node{}
	}
	return n
}

// SetFull says whether the disk is full: writes then fail with ENOSPC.
func (f *FS) SetFull(full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = full
}

// place is where a path leads: the folder that holds the last element, that
// element's name, and what is there, nil if nothing is.
type place struct {
	dir  *node
	name string
	node *node
}

// find follows an absolute path as the given user. The last element is
// followed too if it is a link and follow is set. f.mu is held.
func (f *FS) find(uid int, name string, follow bool) (place, error) {
	links := 0
	return f.walk(uid, f.root, nil, name, follow, &links)
}

func (f *FS) walk(uid int, at *node, above []*node, name string, follow bool, links *int) (place, error) {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	here := place{dir: at, name: ".", node: at}
	for i, part := range parts {
		if !at.mode.IsDir() {
			return place{}, syscall.ENOTDIR
		}
		if !may(uid, at, 1) {
			return place{}, syscall.EACCES
		}
		switch part {
		case ".":
			continue
		case "..":
			if len(above) > 0 {
				at, above = above[len(above)-1], above[:len(above)-1]
			}
			here = place{dir: at, name: ".", node: at}
			continue
		}
		next := at.entries[part]
		here = place{dir: at, name: part, node: next}
		last := i == len(parts)-1
		if next == nil {
			if last {
				return here, nil
			}
			return place{}, syscall.ENOENT
		}
		if next.mode.Type() == fs.ModeSymlink && (!last || follow || strings.HasSuffix(name, "/")) {
			if *links++; *links > maxLinks {
				return place{}, syscall.ELOOP
			}
			rest := next.target + "/" + strings.Join(parts[i+1:], "/")
			if last {
				rest = next.target
			}
			if path.IsAbs(rest) {
				return f.walk(uid, f.root, nil, rest, follow, links)
			}
			return f.walk(uid, at, above, rest, follow, links)
		}
		above, at = append(append([]*node(nil), above...), at), next
	}
	if strings.HasSuffix(name, "/") && here.node != nil && !here.node.mode.IsDir() {
		return place{}, syscall.ENOTDIR
	}
	return here, nil
}

// get is find for something that must exist. f.mu is held.
func (f *FS) get(uid int, name string, follow bool) (*node, error) {
	p, err := f.find(uid, name, follow)
	if err != nil {
		return nil, err
	}
	if p.node == nil {
		return nil, syscall.ENOENT
	}
	return p.node, nil
}

// may says whether a user may do what bits say (4 read, 2 write, 1 search or
// execute) to n.
func may(uid int, n *node, bits fs.FileMode) bool {
	perm := n.mode.Perm()
	switch {
	case uid == Root:
		return bits&1 == 0 || n.mode.IsDir() || perm&0o111 != 0
	case uid == n.uid:
		perm >>= 6
	}
	return perm&bits == bits
}

func (n *node) content() []byte {
	if n.made != nil {
		return n.made()
	}
	return n.data
}

func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
