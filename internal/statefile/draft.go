package statefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// draft is what differs from the disk, by path.
type draft struct {
	tell func(Change)

	mu     sync.Mutex
	nodes  map[string]node
	narrow map[string]fs.FileMode // the new mode of what is still on the disk
}

// node stands for a path that was changed. In a folder that was made, what is
// on the disk below its name does not count.
type node struct {
	mode  fs.FileMode // fs.ModeDir is a folder
	data  []byte
	gone  bool
	below bool // gone, because what is above it is a file
}

// NewDraft returns Files that changes nothing on the disk. Whoever works on it
// reads what it wrote before. tell gets each change, in order and one at a time;
// it must not call f.
//
// What would fail on the disk alone, such as a lack of space or of rights, does
// not fail here, and a symbolic link leads where it leads on the disk.
func NewDraft(tell func(Change)) *Files {
	return &Files{draft: &draft{tell: tell, nodes: map[string]node{}, narrow: map[string]fs.FileMode{}}}
}

// find is the node that decides about path; false if the disk does.
func (d *draft) find(path string) (node, bool) {
	path = filepath.Clean(path)
	if n, ok := d.nodes[path]; ok {
		return n, true
	}
	for at := filepath.Dir(path); at != filepath.Dir(at); at = filepath.Dir(at) {
		if n, ok := d.nodes[at]; ok { // gone, made anew, or a file
			return node{gone: true, below: !n.gone && !n.mode.IsDir()}, true
		}
	}
	return node{}, false
}

// missing is the error of a call on a path of which n says that it is gone.
func (n node) missing(op, path string) error {
	if n.below {
		return &fs.PathError{Op: op, Path: path, Err: syscall.ENOTDIR}
	}
	return &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
}

func (d *draft) changed(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.find(path)
	return ok
}

func (d *draft) lstat(path string) (fs.FileInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.look(path)
}

func (d *draft) look(path string) (fs.FileInfo, error) {
	n, ok := d.find(path)
	switch {
	case !ok:
		info, err := os.Lstat(path)
		if perm, ok := d.narrow[filepath.Clean(path)]; ok && err == nil {
			info = narrowed{info, info.Mode().Type() | perm}
		}
		return info, err
	case n.gone:
		return nil, n.missing("lstat", path)
	}
	return nodeInfo{filepath.Base(path), n}, nil
}

// nodeInfo is an fs.FileInfo.
type nodeInfo struct {
	name string
	node node
}

func (i nodeInfo) Name() string       { return i.name }
func (i nodeInfo) Size() int64        { return int64(len(i.node.data)) }
func (i nodeInfo) Mode() fs.FileMode  { return i.node.mode }
func (i nodeInfo) ModTime() time.Time { return time.Time{} }
func (i nodeInfo) IsDir() bool        { return i.node.mode.IsDir() }
func (i nodeInfo) Sys() any           { return nil }

// narrowed is an fs.FileInfo with another mode.
type narrowed struct {
	fs.FileInfo
	mode fs.FileMode
}

func (i narrowed) Mode() fs.FileMode { return i.mode }

func (d *draft) read(path string, max int64) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.content(path, max)
}

func (d *draft) content(path string, max int64) ([]byte, error) {
	n, ok := d.find(path)
	switch {
	case !ok:
		return Read(path, max)
	case n.gone:
		return nil, n.missing("open", path)
	case n.mode.IsDir():
		return nil, &KindError{Path: path, Got: wantFolder, Want: wantFile}
	case int64(len(n.data)) > max:
		return nil, fmt.Errorf("read %s: %w: more than %d bytes", path, ErrTooBig, max)
	}
	return slices.Clone(n.data), nil
}

func (d *draft) readDir(path string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list(path)
}

func (d *draft) list(path string) ([]fs.DirEntry, error) {
	path = filepath.Clean(path)
	var all []fs.DirEntry
	switch n, ok := d.find(path); {
	case !ok:
		var err error
		if all, err = os.ReadDir(path); err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(e fs.DirEntry) bool {
			_, ok := d.nodes[filepath.Join(path, e.Name())]
			return ok
		})
	case n.gone:
		return nil, n.missing("open", path)
	case !n.mode.IsDir():
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
	}
	for at, n := range d.nodes {
		if filepath.Dir(at) == path && at != path && !n.gone {
			all = append(all, fs.FileInfoToDirEntry(nodeInfo{filepath.Base(at), n}))
		}
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

func (d *draft) checkDir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.checkFolder(path)
}

func (d *draft) checkFolder(path string) error {
	path = filepath.Clean(path)
	n, ok := d.find(path)
	switch {
	case !ok:
		return CheckDir(path)
	case n.gone:
		return n.missing("lstat", path)
	}
	return checkKind(path, nodeInfo{filepath.Base(path), n}, wantFolder)
}

func (d *draft) snap(path string, max int64) (*Snapshot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	target, err := d.follow(path)
	if err != nil {
		return nil, err
	}
	if _, ok := d.find(target); !ok {
		return Snap(path, max)
	}
	data, err := d.content(target, max)
	if errors.Is(err, fs.ErrNotExist) {
		return &Snapshot{Target: target}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Snapshot{Data: data, Exists: true, Target: target}, nil
}

// follow is resolve for what is still on the disk; a draft makes no links.
func (d *draft) follow(path string) (string, error) {
	if _, ok := d.find(path); ok {
		return path, nil
	}
	return resolve(path)
}
