package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// runTool is a Runner as internal/command makes it, counted.
func runTool(count *int) hypervisor.Runner {
	return func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		if count != nil && c.Argv[1] == "-xJSf" {
			*count++
		}
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) && ctx.Err() == nil {
			return hypervisor.Result{Stdout: out.Bytes(), Stderr: errs.Bytes(), Status: exit.ExitCode()}, nil
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return hypervisor.Result{Stdout: out.Bytes(), Stderr: errs.Bytes()}, err
	}
}

func needTools(t testing.TB) {
	t.Helper()
	for _, tool := range []string{"tar", "xz"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
}

// disk is a small disk: a partition table, a hole, and some data.
func disk() []byte {
	b := make([]byte, 4<<20)
	b[510], b[511] = 0x55, 0xaa
	copy(b[3<<20:], content(100<<10))
	return b
}

// xz packs a tar file, and names the archive.
func xz(t testing.TB, tarFile []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a b'.tar.xz")
	cmd := exec.Command("xz", "-1c")
	cmd.Stdin = bytes.NewReader(tarFile)
	out, err := cmd.Output()
	must(t, err)
	must(t, os.WriteFile(path, out, 0o600))
	return path
}

type part struct {
	name string
	kind byte
	link string
	data []byte
}

func pack(t testing.TB, parts ...part) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range parts {
		h := &tar.Header{Name: p.name, Typeflag: p.kind, Linkname: p.link, Size: int64(len(p.data)), Mode: 0o644}
		must(t, w.WriteHeader(h))
		_, err := w.Write(p.data)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

// piece is what is in a sparse file at one place.
type piece struct {
	at   uint64
	data []byte
}

// sparseTar is an archive as `tar --sparse` of GNU makes it: one member that
// says to be of the given size, and its pieces, at most three. bsdtar makes no
// such archives, so it is put together here.
func sparseTar(t testing.TB, size uint64, pieces ...piece) []byte {
	t.Helper()
	var data []byte
	for _, p := range pieces {
		data = append(data, p.data...)
	}
	b := pack(t, part{member, tar.TypeReg, "", data})
	h := b[:512]
	copy(h[257:], "ustar  \x00")
	h[156] = 'S'
	number := func(at int, n uint64) {
		h[at] = 0x80
		for i := 11; i > 3; i-- {
			h[at+i] = byte(n)
			n >>= 8
		}
	}
	for i, p := range append(pieces, piece{at: size}) {
		number(386+24*i, p.at)
		number(398+24*i, uint64(len(p.data)))
	}
	number(483, size)
	copy(h[148:156], "        ")
	total := 0
	for _, c := range h {
		total += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", total))
	return b
}

// start is the first sector of a disk.
func start() piece { return piece{0, disk()[:512]} }

func allocated(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

func TestExtract(t *testing.T) {
	needTools(t)
	want := disk()
	for name, archive := range map[string][]byte{
		"plain":  pack(t, part{member, tar.TypeReg, "", want}),
		"sparse": sparseTar(t, uint64(len(want)), start(), piece{3 << 20, want[3<<20:]}),
	} {
		t.Run(name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "x.raw")
			must(t, Extract(t.Context(), runTool(nil), xz(t, archive), dst))
			got, err := os.ReadFile(dst)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("another disk came out (%v)", err)
			}
			if n := allocated(t, dst); name == "sparse" && n > 2<<20 { // GNU tar makes no holes where the archive has none
				t.Errorf("takes %d bytes: the holes are gone", n)
			}
			info, err := os.Stat(dst)
			if err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v", info.Mode())
			}
			alone(t, dst)
		})
	}
}

// alone: nothing but the wanted file is in its folder, and that only if there
// is one.
func alone(t testing.TB, dst string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(dst))
	must(t, err)
	for _, e := range entries {
		if e.Name() != filepath.Base(dst) {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// F84.
func TestExtractRefuses(t *testing.T) {
	needTools(t)
	good := part{member, tar.TypeReg, "", disk()}
	outside := filepath.Join(t.TempDir(), "outside")
	for _, tc := range []struct {
		name    string
		archive []byte
		want    error // nil: any
	}{
		{"empty", pack(t), nil},
		{"no tar", []byte("hello"), nil},
		{"cut", pack(t, good)[:2<<20], nil},
		{"path upward", pack(t, good, part{"../" + filepath.Base(outside), tar.TypeReg, "", []byte("x")}), ErrArchive},
		{"only a path upward", pack(t, part{"../disk.raw", tar.TypeReg, "", disk()}), nil},
		{"absolute path", pack(t, good, part{outside, tar.TypeReg, "", []byte("x")}), ErrArchive},
		{"symbolic link", pack(t, part{member, tar.TypeSymlink, "/etc/passwd", nil}), ErrArchive},
		{"hard link", pack(t, part{member, tar.TypeLink, "/etc/passwd", nil}), nil},
		{"folder", pack(t, part{member + "/", tar.TypeDir, "", nil}), ErrArchive},
		{"pipe", pack(t, part{member, tar.TypeFifo, "", nil}), ErrArchive},
		{"link, then through it", pack(t, part{member, tar.TypeSymlink, filepath.Dir(outside), nil}, part{member + "/outside", tar.TypeReg, "", []byte("x")}), nil},
		{"two disks", pack(t, good, part{"disk2.raw", tar.TypeReg, "", disk()}), ErrArchive},
		{"the same twice", pack(t, good, good), ErrArchive},
		{"other name", pack(t, part{"root.raw", tar.TypeReg, "", disk()}), nil},
		{"name of two lines", pack(t, part{"disk.raw\nx", tar.TypeReg, "", disk()}), nil},
		{"no disk in it", pack(t, part{member, tar.TypeReg, "", make([]byte, 2<<20)}), ErrArchive},
		{"too small", pack(t, part{member, tar.TypeReg, "", disk()[:512]}), ErrArchive},
		{"odd size", pack(t, part{member, tar.TypeReg, "", disk()[:3<<20+1]}), ErrArchive},
		{"sparse, 1 PB", sparseTar(t, 1<<50, start()), nil},
		{"sparse, 8 EB", sparseTar(t, 1<<63-1, start()), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "x.raw")
			err := Extract(t.Context(), runTool(nil), xz(t, tc.archive), dst)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("Extract = %v, want %v", err, tc.want)
			}
			if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
				t.Error("there is a disk")
			}
			if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
				t.Error("something was written elsewhere")
			}
			alone(t, dst)
		})
	}
	t.Run("sparse header is read", func(t *testing.T) {
		// So that the two above are refused for their size.
		dst := filepath.Join(t.TempDir(), "x.raw")
		must(t, Extract(t.Context(), runTool(nil), xz(t, sparseTar(t, 3<<30, start())), dst))
		if n := allocated(t, dst); n > 1<<20 {
			t.Errorf("takes %d bytes", n)
		}
	})
}

func TestExtractCommand(t *testing.T) {
	dir := t.TempDir()
	lists := make(chan []string, 1)
	run := func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		if c.Limit != extractLimit || c.Stdin != nil || c.Terminal {
			t.Errorf("%+v", c)
		}
		if c.Argv[1] == "-tJf" {
			lists <- c.Argv
			return hypervisor.Result{Stdout: []byte("disk.raw\n")}, nil
		}
		want := []string{"tar", "-xJSf", "/cache/a.tar.xz", "-C", c.Argv[4], "disk.raw"}
		if fmt.Sprint(c.Argv) != fmt.Sprint(want) || filepath.Dir(c.Argv[4]) != dir {
			t.Errorf("%q, want %q", c.Argv, want)
		}
		return hypervisor.Result{}, os.WriteFile(filepath.Join(c.Argv[4], member), disk(), 0o644)
	}
	must(t, Extract(t.Context(), run, "/cache/a.tar.xz", filepath.Join(dir, "x.raw")))
	if got := <-lists; fmt.Sprint(got) != "[tar -tJf /cache/a.tar.xz]" {
		t.Errorf("list: %q", got)
	}
	if err := Extract(t.Context(), run, "-x", filepath.Join(dir, "y.raw")); err == nil {
		t.Error("a relative path is accepted")
	}
}

func TestExtractFails(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		run  hypervisor.Runner
		want error
		text string
	}{
		{"no tar", func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{}, hypervisor.ErrToolMissing
		}, hypervisor.ErrToolMissing, ""},
		{"disk full", func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{Status: 2, Stderr: []byte("tar: disk.raw: Cannot write: No space left on device\n")}, nil
		}, syscall.ENOSPC, "3221225472 bytes"},
		{"escapes", func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{Status: 2, Stderr: []byte("\x1b[31mno\n")}, nil
		}, nil, "status 2"},
		{"the list fails, tar would go on", func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			if c.Argv[1] == "-tJf" {
				return hypervisor.Result{}, broken
			}
			<-ctx.Done()
			return hypervisor.Result{}, ctx.Err()
		}, broken, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "x.raw")
			err := Extract(t.Context(), tc.run, "/a.tar.xz", dst)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("Extract = %v", err)
			}
			alone(t, dst)
		})
	}
}

func TestRaw(t *testing.T) {
	needTools(t)
	archive := xz(t, pack(t, part{member, tar.TypeReg, "", disk()}))
	dir := filepath.Join(t.TempDir(), "cache")
	times := 0
	o := RawOptions{Dir: dir, Archive: archive, Run: runTool(&times)}
	use := func(want int) string {
		t.Helper()
		path, err := Raw(t.Context(), o)
		must(t, err)
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, disk()) {
			t.Errorf("another disk (%v)", err)
		}
		if times != want {
			t.Errorf("unpacked %d times, want %d", times, want)
		}
		return path
	}
	path := use(1)
	use(1)
	info, err := os.Stat(path)
	must(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{1}, 2<<20) // in the hole
	must(t, errors.Join(err, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime())))
	use(2)
	must(t, os.Truncate(path, 8<<20))
	use(3)
	must(t, os.WriteFile(path+".json", []byte("{}"), 0o600))
	use(4)
	must(t, os.Mkdir(filepath.Join(dir, ".extract-1"), 0o700)) // of a killed run
	must(t, os.Remove(path))
	use(5)
	if _, err := os.Stat(filepath.Join(dir, ".extract-1")); err == nil {
		t.Error("the folder of a killed run stays")
	}
	use(5)
	o.Archive = xz(t, pack(t, part{member, tar.TypeReg, "", disk()}, part{"more", tar.TypeReg, "", nil}))
	if path, err := Raw(t.Context(), o); !errors.Is(err, ErrArchive) || path != "" {
		t.Errorf("Raw = %q, %v", path, err)
	}
}
