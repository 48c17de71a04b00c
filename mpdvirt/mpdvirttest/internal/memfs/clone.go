package memfs

import (
	"maps"
	"slices"
	"time"
)

// Clone is a copy of the file system with another clock, as of a disk: inode
// numbers, owners and modes are the same, and nothing is shared. Generated files
// keep the function that makes their content until [FS.Generate] gives them
// another one. The copy is not full.
func (f *FS) Clone(now func() time.Time) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &FS{now: now, root: f.root.clone(), inos: f.inos}
}

func (n *node) clone() *node {
	c := *n
	c.data = slices.Clone(n.data)
	c.entries = maps.Clone(n.entries)
	for name, e := range c.entries {
		c.entries[name] = e.clone()
	}
	return &c
}
