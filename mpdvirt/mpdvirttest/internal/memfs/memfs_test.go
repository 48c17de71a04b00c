package memfs

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"
)

func newFS(t *testing.T) (root, user User) {
	t.Helper()
	f := New(func() time.Time { return time.Unix(0, 0) })
	root, user = f.As(Root), f.As(1000)
	for _, err := range []error{
		root.MkdirAll("/home/dev", 0o755), root.Chown("/home/dev", 1000),
		root.Mkdir("/tmp", 0o777|fs.ModeSticky), root.Chmod("/tmp", 0o777|fs.ModeSticky),
		root.WriteFile("/etc/secret", []byte("s"), 0o600), root.WriteFile("/etc/public", []byte("p"), 0o644),
		root.WriteFile("/tmp/roots", nil, 0o644), user.WriteFile("/home/dev/full/file", []byte("x"), 0o644),
		root.Symlink("/etc", "/link"), root.Symlink("loop", "/loop"), root.Symlink("../etc/public", "/home/up"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root, user
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name string
		do   func(root, user User) error
		want error
	}{
		{"missing", func(_, u User) error { _, err := u.ReadFile("/none"); return err }, fs.ErrNotExist},
		{"missing folder", func(_, u User) error { _, err := u.Stat("/none/x"); return err }, syscall.ENOENT},
		{"below a file", func(_, u User) error { _, err := u.Stat("/etc/public/x"); return err }, syscall.ENOTDIR},
		{"slash after a file", func(_, u User) error { _, err := u.Stat("/etc/public/"); return err }, syscall.ENOTDIR},
		{"not readable", func(_, u User) error { _, err := u.ReadFile("/etc/secret"); return err }, fs.ErrPermission},
		{"readable by root", func(r, _ User) error { _, err := r.ReadFile("/etc/secret"); return err }, nil},
		{"not writable", func(_, u User) error { return u.WriteFile("/etc/public", nil, 0o644) }, syscall.EACCES},
		{"folder not writable", func(_, u User) error { return u.Mkdir("/etc/x", 0o755) }, syscall.EACCES},
		{"folder exists", func(_, u User) error { return u.Mkdir("/home/dev/full", 0o755) }, syscall.EEXIST},
		{"file in the way", func(_, u User) error { return u.MkdirAll("/home/dev/full/file", 0o755) }, syscall.EEXIST},
		{"write a folder", func(_, u User) error { _, err := u.Open("/home/dev", os.O_WRONLY, 0); return err }, syscall.EISDIR},
		{"exclusive", func(_, u User) error {
			_, err := u.Open("/tmp/roots", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			return err
		}, fs.ErrExist},
		{"loop", func(_, u User) error { _, err := u.Stat("/loop"); return err }, syscall.ELOOP},
		{"loop itself", func(_, u User) error { _, err := u.Lstat("/loop"); return err }, nil},
		{"through a link", func(_, u User) error { _, err := u.ReadFile("/link/public"); return err }, nil},
		{"relative link", func(_, u User) error { _, err := u.ReadFile("/home/up"); return err }, nil},
		{"dots", func(_, u User) error { _, err := u.ReadFile("/home/dev/../../etc/./public"); return err }, nil},
		{"above the root", func(_, u User) error { _, err := u.ReadFile("/../../etc/public"); return err }, nil},
		{"folder not empty", func(_, u User) error { return u.Remove("/home/dev/full") }, syscall.ENOTEMPTY},
		{"whole folder", func(_, u User) error { return u.RemoveAll("/home/dev/full") }, nil},
		{"sticky", func(_, u User) error { return u.Remove("/tmp/roots") }, syscall.EACCES},
		{"onto a folder", func(_, u User) error {
			return errors.Join(u.WriteFile("/home/dev/f", nil, 0o644), u.Rename("/home/dev/f", "/home/dev/full"))
		}, syscall.EISDIR},
		{"into itself", func(_, u User) error { return u.Rename("/home/dev/full", "/home/dev/full/x") }, syscall.EINVAL},
		{"not the owner", func(_, u User) error { return u.Chmod("/etc/public", 0o777) }, syscall.EPERM},
		{"give away", func(_, u User) error { return u.Chown("/home/dev/full", Root) }, syscall.EPERM},
		{"full disk", func(r, u User) error { r.fs.SetFull(true); return u.WriteFile("/home/dev/y", nil, 0o644) }, syscall.ENOSPC},
		{"not a link", func(_, u User) error { _, err := u.Readlink("/etc/public"); return err }, syscall.EINVAL},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.do(newFS(t))
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			var named *fs.PathError
			if err != nil && !errors.As(err, &named) {
				t.Errorf("%T is no *fs.PathError", err)
			}
		})
	}
}

func TestRenameReplaces(t *testing.T) {
	_, u := newFS(t)
	if err := u.WriteFile("/home/dev/new", []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	open, err := u.Open("/home/dev/full/file", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Rename("/home/dev/new", "/home/dev/full/file"); err != nil {
		t.Fatal(err)
	}
	info, err := u.Stat("/home/dev/full/file")
	if err != nil || info.Mode() != 0o600 || info.Size() != 3 || info.UID != 1000 {
		t.Errorf("%v, %v", info, err)
	}
	b := make([]byte, 8)
	if n, _ := open.Read(b); string(b[:n]) != "x" {
		t.Errorf("who had it open reads %q", b[:n])
	}
}

func TestAppend(t *testing.T) {
	_, u := newFS(t)
	for _, text := range []string{"a", "b"} {
		f, err := u.Open("/home/dev/log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := u.ReadFile("/home/dev/log"); err != nil || string(data) != "ab" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestModeBits(t *testing.T) {
	for bits := uint32(0); bits < 0o10000; bits++ {
		if got := Bits(Mode(bits)); got != bits {
			t.Fatalf("Bits(Mode(%o)) = %o", bits, got)
		}
	}
}
