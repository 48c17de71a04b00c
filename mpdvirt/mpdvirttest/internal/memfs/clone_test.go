package memfs

import (
	"testing"
	"time"
)

func TestClone(t *testing.T) {
	root, _ := newFS(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	made := "old"
	must(root.fs.Generate("/made", 0o444, func() []byte { return []byte(made) }))
	root.fs.SetFull(true)
	other := root.fs.Clone(func() time.Time { return time.Unix(7, 0) }).As(Root)
	root.fs.SetFull(false)

	before, err := root.Stat("/etc/secret")
	must(err)
	after, err := other.Stat("/link/secret")
	must(err)
	if before.Mode() != after.Mode() || before.Ino != after.Ino || before.UID != after.UID || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("%+v, want %+v", after, before)
	}
	must(other.WriteFile("/etc/secret", []byte("other"), 0o644))
	must(other.WriteFile("/etc/new", nil, 0o644))
	must(root.RemoveAll("/home"))
	must(other.fs.Generate("/made", 0o444, func() []byte { return []byte("new") }))
	for _, tt := range []struct {
		u          User
		name, want string
	}{
		{root, "/etc/secret", "s"}, {other, "/etc/secret", "other"}, {other, "/home/dev/full/file", "x"}, {root, "/made", "old"}, {other, "/made", "new"},
	} {
		if got, err := tt.u.ReadFile(tt.name); err != nil || string(got) != tt.want {
			t.Errorf("%s: %v %q, want %q", tt.name, err, got, tt.want)
		}
	}
	if _, err := root.Stat("/etc/new"); err == nil {
		t.Error("a file of the copy is in the original")
	}
	if info, err := other.Stat("/etc/new"); err != nil || info.ModTime().Unix() != 7 {
		t.Errorf("the copy has another clock: %v, %v", info.ModTime(), err)
	}
	if a, _ := other.Stat("/etc/new"); a.Ino == before.Ino {
		t.Error("an inode number was given twice")
	}
}
