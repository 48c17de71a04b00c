package statefile

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets the test binary be the process that dies: childVar says how.
func TestMain(m *testing.M) {
	if how := os.Getenv(childVar); how != "" {
		os.Exit(children[how](os.Getenv(childVar + "_PATH")))
	}
	os.Exit(m.Run())
}

const childVar = "STATEFILE_TEST_CHILD"

// children are bodies of child processes; they return the exit status.
var children = map[string]func(path string) int{
	"hold lock": holdLock,
	"full disk": writeToFullDisk,
}

func child(how, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+how, childVar+"_PATH="+path)
	return cmd
}

// The places at which a child kills itself while it writes.
func init() {
	die := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }
	disks := map[string]disk{
		"kill before sync": {sync: func(*os.File) error { die(); return nil }},
		"kill before rename": {sync: realDisk.sync,
			rename: func(*os.Root, string, string) error { die(); return nil }},
		"kill after rename": {sync: realDisk.sync, rename: realDisk.rename,
			syncDir: func(*os.Root) error { die(); return nil }},
	}
	for name, d := range disks {
		children[name] = func(path string) int {
			_ = d.write(path, []byte("new"), 0o600)
			return 1
		}
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func put(t *testing.T, path, text string, perm fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), perm); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, perm); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestWrite(t *testing.T) {
	tests := []struct {
		name string
		old  fs.FileMode // 0: no file
		perm fs.FileMode
	}{
		{"new secret", 0, 0o600},
		{"new public", 0, 0o644},
		{"narrows an old file", 0o644, 0o600},
		{"widens an old file", 0o600, 0o644},
		{"old file not writable", 0o400, 0o600},
		{"not writable afterwards", 0o600, 0o400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if tt.old != 0 {
				put(t, path, "old", tt.old)
			}
			if err := Write(path, []byte("new"), tt.perm); err != nil {
				t.Fatal(err)
			}
			if got := content(t, path); got != "new" {
				t.Errorf("content %q, want %q", got, "new")
			}
			if got := mode(t, path); got != tt.perm {
				t.Errorf("mode %v, want %v", got, tt.perm)
			}
			if got := names(t, dir); got != "f" {
				t.Errorf("folder holds %q, want only f", got)
			}
		})
	}
}

// F96: whatever is planted at the path or its folder is refused, and nothing
// outside is written.
func TestWriteRefuses(t *testing.T) {
	plant := map[string]func(t *testing.T, dir, outside string) (path string){
		"link to a file": func(t *testing.T, dir, outside string) string {
			link(t, filepath.Join(outside, "victim"), filepath.Join(dir, "f"))
			return filepath.Join(dir, "f")
		},
		"link to nothing": func(t *testing.T, dir, outside string) string {
			link(t, filepath.Join(outside, "not there"), filepath.Join(dir, "f"))
			return filepath.Join(dir, "f")
		},
		"folder is a link": func(t *testing.T, dir, outside string) string {
			link(t, outside, filepath.Join(dir, "sub"))
			return filepath.Join(dir, "sub", "victim")
		},
		"folder is a file": func(t *testing.T, dir, outside string) string {
			put(t, filepath.Join(dir, "sub"), "", 0o600)
			return filepath.Join(dir, "sub", "f")
		},
		"path is a folder": func(t *testing.T, dir, outside string) string {
			return dir
		},
		"path is a pipe": func(t *testing.T, dir, outside string) string {
			if err := syscall.Mkfifo(filepath.Join(dir, "f"), 0o600); err != nil {
				t.Skip(err)
			}
			return filepath.Join(dir, "f")
		},
	}
	for name, plant := range plant {
		t.Run(name, func(t *testing.T) {
			dir, outside := t.TempDir(), t.TempDir()
			put(t, filepath.Join(outside, "victim"), "old", 0o600)
			path := plant(t, dir, outside)
			before := names(t, dir)
			var kind *KindError
			if err := Write(path, []byte("new"), 0o600); !errors.As(err, &kind) {
				t.Errorf("Write = %v, want a *KindError", err)
			}
			if got := names(t, outside) + content(t, filepath.Join(outside, "victim")); got != "victimold" {
				t.Errorf("outside is now %q", got)
			}
			if got := names(t, dir); got != before {
				t.Errorf("folder held %q, holds %q", before, got)
			}
		})
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestWriteNoFolder(t *testing.T) {
	if err := Write(filepath.Join(t.TempDir(), "a", "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Write below a missing folder = %v, want fs.ErrNotExist", err)
	}
}

// A call that fails before the rename leaves the old file and no other.
func TestWriteFailure(t *testing.T) {
	fault := errors.New("input/output error")
	noSync, noRename, noSyncDir := realDisk, realDisk, realDisk
	noSync.sync = func(*os.File) error { return fault }
	noRename.rename = func(*os.Root, string, string) error { return fault }
	noSyncDir.syncDir = func(*os.Root) error { return fault }
	tests := []struct {
		name string
		disk disk
		want string
	}{
		{"sync", noSync, "old"},
		{"rename", noRename, "old"},
		{"sync of the folder", noSyncDir, "new"}, // in place, but not known to be on the disk
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			put(t, path, "old", 0o600)
			if err := tt.disk.write(path, []byte("new"), 0o600); !errors.Is(err, fault) {
				t.Errorf("write = %v, want the fault", err)
			}
			if got := content(t, path); got != tt.want {
				t.Errorf("content %q, want %q", got, tt.want)
			}
			if got := names(t, dir); got != "f" {
				t.Errorf("folder holds %q, want only f", got)
			}
		})
	}
}

func TestWriteReadOnlyFolder(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "f"), "old", 0o600)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if err := Write(filepath.Join(dir, "f"), []byte("new"), 0o600); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Write = %v, want fs.ErrPermission", err)
	}
	if got := content(t, filepath.Join(dir, "f")); got != "old" {
		t.Errorf("content %q, want old", got)
	}
}

// F3, F93: killed at any point, the file is the old or the new one, and what
// is left over goes with RemoveTemps.
func TestWriteKilled(t *testing.T) {
	for how, want := range map[string]string{
		"kill before sync": "old", "kill before rename": "old", "kill after rename": "new",
	} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			put(t, path, "old", 0o600)
			if out, err := child(how, path).CombinedOutput(); err == nil {
				t.Fatalf("the child lives: %s", out)
			}
			if got := content(t, path); got != want {
				t.Errorf("content %q, want %q", got, want)
			}
			if err := RemoveTemps(dir); err != nil {
				t.Fatal(err)
			}
			if got := names(t, dir); got != "f" {
				t.Errorf("folder holds %q, want only f", got)
			}
		})
	}
}

// The name of a temporary file means nothing to who reads the error.
func TestTempsAreNotNamed(t *testing.T) {
	dir := t.TempDir()
	for _, cause := range []error{
		&fs.PathError{Op: "write", Path: ".mpd-virt-X.tmp", Err: syscall.ENOSPC},
		&os.LinkError{Op: "renameat", Old: ".mpd-virt-X.tmp", New: "f", Err: syscall.ENOSPC},
	} {
		d := realDisk
		d.rename = func(*os.Root, string, string) error { return cause }
		err := d.write(filepath.Join(dir, "f"), nil, 0o600)
		if want := "write " + filepath.Join(dir, "f") + ": no space left on device"; err == nil || err.Error() != want || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// F93, F96: RemoveTemps takes our temporary files and nothing else.
func TestRemoveTemps(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, ".mpd-virt-ABC.tmp"), "x", 0o600)
	put(t, filepath.Join(dir, ".mpd-virt-ABC"), "x", 0o600)
	put(t, filepath.Join(dir, "x.tmp"), "x", 0o600)
	link(t, filepath.Join(dir, "x.tmp"), filepath.Join(dir, ".mpd-virt-L.tmp"))
	if err := os.Mkdir(filepath.Join(dir, ".mpd-virt-D.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := RemoveTemps(dir + "/"); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, dir), ".mpd-virt-ABC .mpd-virt-D.tmp .mpd-virt-L.tmp x.tmp"; got != want {
		t.Errorf("left %q, want %q", got, want)
	}
	if err := RemoveTemps(filepath.Join(dir, "none")); err != nil {
		t.Errorf("missing folder: %v", err)
	}
	link(t, dir, filepath.Join(dir, "link"))
	if err := RemoveTemps(filepath.Join(dir, "link")); err == nil {
		t.Error("a link in place of the folder was followed")
	}
}

// ready starts the child and waits for its first line. The child ends with the
// test at the latest.
func ready(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q (%v)", line, err)
	}
}
