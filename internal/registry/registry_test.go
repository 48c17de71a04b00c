package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

func entry(o hypervisor.Octet) Entry {
	return Entry{Octet: o, Backend: "general", Addr: o.In(netip.MustParseAddr("192.168.64.1")), User: "dev"}
}

func entryText(t testing.TB, o hypervisor.Octet) []byte {
	t.Helper()
	env := new(statefile.Env)
	if err := entry(o).encode(env); err != nil {
		t.Fatal(err)
	}
	return env.Bytes()
}

// plant writes an env file as it is.
func plant(t testing.TB, r *Registry, o hypervisor.Octet, data []byte) {
	t.Helper()
	if err := os.MkdirAll(r.Dir(o), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.EnvFile(o), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func perm(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestPaths(t *testing.T) {
	r := Open("/s")
	got := []string{r.Dir(150), r.EnvFile(150), r.KnownHosts(150), r.LogDir(150), r.LockFile(150), r.SharedLockFile()}
	want := "[/s/150 /s/150/env /s/150/known_hosts /s/150/logs /s/.lock-150 /s/.lock]"
	if fmt.Sprint(got) != want {
		t.Errorf("paths %v, want %s", got, want)
	}
}

func TestSaveLoad(t *testing.T) {
	r := Open(filepath.Join(t.TempDir(), "state"))
	if _, err := r.Load(150); !errors.Is(err, ErrNotRegistered) {
		t.Errorf("Load before all = %v, want ErrNotRegistered", err)
	}
	for _, want := range []Entry{full(), entry(100), entry(254)} {
		if err := r.Save(want); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Load(want.Octet); err != nil || got != want {
			t.Errorf("Load = %+v, %v, want %+v", got, err, want)
		}
	}
	if full().Name() != "mpd-150" {
		t.Errorf("Name = %s", full().Name())
	}
	for path, want := range map[string]fs.FileMode{r.root: 0o700, r.Dir(150): 0o700, r.EnvFile(150): 0o600} {
		if got := perm(t, path); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
	}
	for _, o := range []hypervisor.Octet{0, 99, 255, 151} {
		if _, err := r.Load(o); !errors.Is(err, ErrNotRegistered) {
			t.Errorf("Load(%d) = %v, want ErrNotRegistered", o, err)
		}
	}
}

func TestSaveRefuses(t *testing.T) {
	tests := []struct {
		name string
		spot func(*Entry)
	}{
		{"no octet", func(e *Entry) { e.Octet = 0 }},
		{"no backend", func(e *Entry) { e.Backend = "" }},
		{"second key in the backend", func(e *Entry) { e.Backend = "utm\nMPD_VM_IP=1.2.3.4" }},
		{"no address", func(e *Entry) { e.Addr = netip.Addr{} }},
		{"IPv6", func(e *Entry) { e.Addr = netip.MustParseAddr("fd00::1") }},
		{"no user", func(e *Entry) { e.User = "" }},
		{"second key in the user", func(e *Entry) { e.User = "dev\nMPD_VM_IP=1.2.3.4" }},
		{"UUID with more behind", func(e *Entry) { e.UUID += "\nX=1" }},
		{"odd disk", func(e *Entry) { e.Disk++ }},
		{"negative RAM", func(e *Entry) { e.RAM = -hypervisor.GiB }},
		{"tiny RAM", func(e *Entry) { e.RAM = 1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "state")
			e := full()
			tt.spot(&e)
			if err := Open(root).Save(e); err == nil {
				t.Errorf("Save(%+v) worked", e)
			}
			if _, err := os.Lstat(root); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a refused Save left a trace")
			}
		})
	}
}

func TestSaveChangesOnlyItsKeys(t *testing.T) {
	r := Open(t.TempDir())
	plant(t, r, 150, []byte("# mine\nNOTE='$keep' # me\nMPD_VM_OCTET=150\nMPD_VM_NAME=mpd-150\nMPD_VM_BACKEND=utm # old\n"+
		"MPD_VM_IP=192.168.64.150\nMPD_VM_USER=dev\nMPD_VM_DISK=64G\n"))
	e := full()
	e.Disk = 0
	if err := r.Save(e); err != nil {
		t.Fatal(err)
	}
	want := "# mine\nNOTE='$keep' # me\nMPD_VM_OCTET=150\nMPD_VM_NAME=mpd-150\nMPD_VM_BACKEND=parallels # old\n" +
		"MPD_VM_IP=10.211.55.150\nMPD_VM_USER=dev\nMPD_VM_UUID={0f4b5e1c-93d2-4a7f-8b60-1c2d3e4f5a6b}\nMPD_VM_RAM=8G\n"
	if got, _ := os.ReadFile(r.EnvFile(150)); string(got) != want {
		t.Errorf("file is\n%s\nwant\n%s", got, want)
	}
}

func TestSaveSameWritesNothing(t *testing.T) {
	r := Open(t.TempDir())
	var before, after fs.FileInfo
	for _, info := range []*fs.FileInfo{&before, &after} {
		err := r.Save(full())
		if err == nil {
			*info, err = os.Lstat(r.EnvFile(150))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !os.SameFile(before, after) {
		t.Error("the file was written again")
	}
}

// F88: what is no readable text file is broken too, and never hidden.
func TestListIrregular(t *testing.T) {
	r := Open(t.TempDir())
	outside := t.TempDir()
	plant(t, r, 100, entryText(t, 100))
	plant(t, r, 101, []byte(strings.Repeat("# x\n", 1<<18))) // 1 MB
	link(t, r.Dir(100), r.Dir(102))
	link(t, "nowhere", r.Dir(103))
	if err := os.WriteFile(r.Dir(104), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{r.EnvFile(105), r.Dir(106), r.Dir(107), r.Dir(99), filepath.Join(r.root, "conf"), filepath.Join(r.root, "0150")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link(t, filepath.Join(outside, "env"), r.EnvFile(107))

	items, err := r.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range items {
		msg := "good"
		var broken *EntryError
		switch {
		case it.Unfinished:
			msg = "unfinished"
		case errors.As(it.Err, &broken):
			msg = strings.TrimPrefix(broken.File, r.root) + " " + broken.Msg
		}
		got = append(got, it.Entry.Octet.String()+" "+msg)
	}
	want := []string{
		"100 good",
		"101 /101/env more than 65536 bytes",
		"102 /102 is a symbolic link, not a folder",
		"103 /103 is a symbolic link, not a folder",
		"104 /104 is a file, not a folder",
		"105 /105/env is a folder, not a file",
		"106 unfinished",
		"107 /107/env is a symbolic link, not a file",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("List is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := r.Load(106); !errors.Is(err, ErrNotRegistered) {
		t.Errorf("Load of an unfinished entry = %v, want ErrNotRegistered", err)
	}
	for _, o := range []hypervisor.Octet{101, 102, 104, 105, 107} { // F96
		if err := r.Save(entry(o)); err == nil {
			t.Errorf("Save(%s) worked", o)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("outside was written: %v", left)
	}
}

func TestUnreadableEntry(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	r := Open(t.TempDir())
	plant(t, r, 150, entryText(t, 150))
	if err := os.Chmod(r.EnvFile(150), 0); err != nil {
		t.Fatal(err)
	}
	var broken *EntryError
	if _, err := r.Load(150); !errors.As(err, &broken) || !errors.Is(err, fs.ErrPermission) || broken.Msg != "permission denied" {
		t.Errorf("Load = %v, want an *EntryError", err)
	}
}

// F86: what is not our folder is refused by readers and writers; a mode that
// is too wide is repaired by the next writer.
func TestRoot(t *testing.T) {
	top := t.TempDir()
	file, folder, sym := filepath.Join(top, "file"), filepath.Join(top, "folder"), filepath.Join(top, "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Mkdir(folder, 0o700), os.Chmod(folder, 0o777)); err != nil {
		t.Fatal(err)
	}
	link(t, folder, sym)
	for _, root := range []string{file, sym} {
		r := Open(root)
		_, listErr := r.List()
		_, loadErr := r.Load(150)
		_, backendErr := r.DefaultBackend()
		for verb, err := range map[string]error{
			"List": listErr, "Load": loadErr, "DefaultBackend": backendErr,
			"Save": r.Save(full()), "SetDefaultBackend": r.SetDefaultBackend("utm"), "Remove": r.Remove(150),
		} {
			var kind *statefile.KindError
			if !errors.As(err, &kind) || kind.Path != root {
				t.Errorf("%s with %s = %v, want a *KindError", verb, root, err)
			}
		}
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("written through the link: %v", left)
	}
	if err := Open(folder).Save(full()); err != nil || perm(t, folder) != 0o700 {
		t.Errorf("Save below a folder of mode 0777 = %v, mode is now %v", err, perm(t, folder))
	}
	if items, err := Open(filepath.Join(top, "none")).List(); err != nil || len(items) != 0 {
		t.Errorf("List without a folder = %v, %v", items, err)
	}
}

// F98: readers work below a folder that nobody may write, and change nothing.
func TestReadOnly(t *testing.T) {
	r := Open(t.TempDir())
	if err := errors.Join(r.Save(full()), r.SetDefaultBackend("utm")); err != nil {
		t.Fatal(err)
	}
	dirs := []string{r.root, r.Dir(150), filepath.Dir(r.backendFile())}
	for _, d := range dirs {
		if err := os.Chmod(d, 0o500); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(d, 0o700)
	}
	if items, err := r.List(); err != nil || len(items) != 1 || items[0].Entry != full() {
		t.Errorf("List = %+v, %v", items, err)
	}
	if e, err := r.Load(150); err != nil || e != full() {
		t.Errorf("Load = %+v, %v", e, err)
	}
	if name, err := r.DefaultBackend(); err != nil || name != "utm" {
		t.Errorf("DefaultBackend = %q, %v", name, err)
	}
	for _, d := range dirs {
		if got := perm(t, d); got != 0o500 {
			t.Errorf("a reader changed %s to mode %v", d, got)
		}
	}
}

func TestRemove(t *testing.T) {
	r := Open(t.TempDir())
	outside := t.TempDir()
	if err := errors.Join(r.Save(full()), r.Save(entry(151)), os.Mkdir(r.LogDir(150), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "victim"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link(t, outside, filepath.Join(r.LogDir(150), "link"))
	link(t, outside, r.Dir(152))
	for range 2 {
		if err := r.Remove(150); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Remove(152); err == nil { // F96
		t.Error("a link in place of the folder was removed")
	}
	if err := r.Remove(0); err == nil {
		t.Error("Remove(0) worked")
	}
	items, err := r.List()
	if err != nil || len(items) != 2 || items[0].Entry.Octet != 151 || items[1].Entry.Octet != 152 {
		t.Errorf("List = %+v, %v, want 151 and 152", items, err)
	}
	if _, err := os.Lstat(filepath.Join(outside, "victim")); err != nil {
		t.Errorf("something outside was removed: %v", err)
	}
	if err := Open(filepath.Join(r.root, "none")).Remove(150); err != nil {
		t.Errorf("Remove without a registry: %v", err)
	}
}

// F102: readers beside a writer see the old or the new state and no error.
func TestListBesideWriters(t *testing.T) {
	r := Open(t.TempDir())
	if err := r.Save(entry(150)); err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := range 30 {
			e := entry(150)
			e.RAM = hypervisor.Size(i+1) * hypervisor.GiB
			if err := errors.Join(r.Save(e), r.Save(entry(151)), r.Remove(151)); err != nil {
				t.Error(err)
			}
		}
	})
	for range 100 {
		items, err := r.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			if it.Err != nil || it.Unfinished && it.Entry.Octet == 150 {
				t.Errorf("List has %+v", it)
			}
		}
	}
	writer.Wait()
}

func TestErrorsSayWhatNext(t *testing.T) {
	r := Open(t.TempDir())
	plant(t, r, 150, []byte("MPD_VM_OCTET=151\n"))
	_, err := r.Load(150)
	want := fmt.Sprintf(`registry entry of mpd-150 is broken: %s:1: MPD_VM_OCTET: "151", but the folder is that of 150`, r.EnvFile(150))
	if err == nil || err.Error() != want || hint.Of(err) == "" {
		t.Errorf("Load = %v (hint %q), want %s", err, hint.Of(err), want)
	}
}
