package statefile

import (
	"context"
	"io/fs"
	"os"
	"time"
)

// Files is where state files are read and written: nil is the disk, and
// [NewDraft] makes one that shows the disk but keeps what is written to itself.
// Its methods do what the functions of their names do, and may be called at the
// same time.
type Files struct {
	*draft
	opaque bool
}

// ChangeKind says what a [Change] does.
type ChangeKind string

// The kinds of changes.
const (
	Written    ChangeKind = "write"       // a file gets new content, or is made
	Removed    ChangeKind = "remove"      // a file, or a folder with all that is in it
	MadeFolder ChangeKind = "make-folder" // with mode Perm
	Narrowed   ChangeKind = "chmod"       // it gets the mode Perm
)

// Change is one thing that would have been done to the disk.
type Change struct {
	Kind ChangeKind
	Path string
	Perm fs.FileMode
	// Existed says that there was something of the name, of which Before is the
	// content, and After is the new one. Both are nil if Opaque is set: the
	// content is secret, or another one each time.
	Existed       bool
	Opaque        bool
	Before, After []byte
}

// Read is the function Read.
func (f *Files) Read(path string, max int64) ([]byte, error) {
	if f == nil {
		return Read(path, max)
	}
	return f.read(path, max)
}

// Lstat is os.Lstat.
func (f *Files) Lstat(path string) (fs.FileInfo, error) {
	if f == nil {
		return os.Lstat(path)
	}
	return f.lstat(path)
}

// ReadDir is os.ReadDir.
func (f *Files) ReadDir(path string) ([]fs.DirEntry, error) {
	if f == nil {
		return os.ReadDir(path)
	}
	return f.readDir(path)
}

// CheckDir is the function CheckDir.
func (f *Files) CheckDir(path string) error {
	if f == nil {
		return CheckDir(path)
	}
	return f.checkDir(path)
}

// Snap is the function Snap.
func (f *Files) Snap(path string, max int64) (*Snapshot, error) {
	if f == nil {
		return Snap(path, max)
	}
	return f.snap(path, max)
}

// Write is the function Write.
func (f *Files) Write(path string, data []byte, perm fs.FileMode) error {
	if f == nil {
		return Write(path, data, perm)
	}
	return f.write(path, data, perm, f.opaque)
}

// Opaque is f for content that a draft must not show, because it is secret or
// another one each time.
func (f *Files) Opaque() *Files {
	if f == nil {
		return nil
	}
	return &Files{draft: f.draft, opaque: true}
}

// WriteThrough is the function WriteThrough.
func (f *Files) WriteThrough(path string, data []byte, defaultPerm fs.FileMode, was *Snapshot) error {
	if f == nil {
		return WriteThrough(path, data, defaultPerm, was)
	}
	return f.writeThrough(path, data, defaultPerm)
}

// EnsureDir is the function EnsureDir.
func (f *Files) EnsureDir(path string) error {
	if f == nil {
		return EnsureDir(path)
	}
	return f.ensureDir(path)
}

// Mkdir is os.Mkdir with mode 0700.
func (f *Files) Mkdir(path string) error {
	if f == nil {
		return os.Mkdir(path, 0o700)
	}
	return f.mkdir(path)
}

// Remove is os.Remove.
func (f *Files) Remove(path string) error {
	if f == nil {
		return os.Remove(path)
	}
	return f.remove(path)
}

// RemoveDir is the function RemoveDir.
func (f *Files) RemoveDir(path, first string) error {
	if f == nil {
		return RemoveDir(path, first)
	}
	return f.removeDir(path)
}

// RemoveTemps is the function RemoveTemps.
func (f *Files) RemoveTemps(dir string) error {
	if f == nil {
		return RemoveTemps(dir)
	}
	return f.removeTemps(dir)
}

// Tighten is the function Tighten.
func (f *Files) Tighten(path string) error {
	if f == nil {
		return Tighten(path)
	}
	return f.tighten(path)
}

// Acquire is the function Acquire. A draft takes no lock, and its Lock is nil,
// which holds; it only waits until no other run has it.
func (f *Files) Acquire(ctx context.Context, path, verb string, wait time.Duration) (*Lock, error) {
	if f == nil {
		return Acquire(ctx, path, verb, wait)
	}
	return nil, f.acquire(ctx, path, wait)
}

// Pending says whether the content of the file path is another one in f than on
// the disk.
func (f *Files) Pending(path string) bool { return f != nil && f.changed(path) }
