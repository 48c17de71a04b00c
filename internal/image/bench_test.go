package image

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The size of the disks of the benchmarks: a third is data, as in Debian's.
const benchSize = 192 << 20

func benchDisk(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), member)
	f, err := os.Create(path)
	must(b, err)
	defer f.Close()
	head := make([]byte, 512)
	head[510], head[511] = 0x55, 0xaa
	_, err = f.WriteAt(head, 0)
	must(b, err)
	part := bytes.Repeat(content(4<<10), 256)
	for at := int64(1 << 20); at < benchSize; at += 3 << 20 {
		_, err := f.WriteAt(part, at)
		must(b, err)
	}
	must(b, f.Truncate(benchSize))
	return path
}

func BenchmarkPlace(b *testing.B) {
	for name, clone := range map[string]func(from, to string) error{"system": cloneFile, "copy": cloneHalf} {
		b.Run(name, func(b *testing.B) {
			src, dir := benchDisk(b), b.TempDir()
			b.SetBytes(benchSize)
			for i := 0; b.Loop(); i++ {
				dst := filepath.Join(dir, strconv.Itoa(i))
				must(b, place(b.Context(), src, dst, 80*hypervisor.GiB, clone))
				must(b, os.Remove(dst))
			}
		})
	}
}

// BenchmarkRaw is the second use of an image: what is there is verified.
func BenchmarkRaw(b *testing.B) {
	needTools(b)
	src := benchDisk(b)
	data, err := os.ReadFile(src)
	must(b, err)
	o := RawOptions{Dir: b.TempDir(), Archive: xz(b, pack(b, part{member, '0', "", data})), Run: runTool(nil)}
	_, err = Raw(b.Context(), o)
	must(b, err)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		_, err := Raw(b.Context(), o)
		must(b, err)
	}
}

// mostMemory is what this process may need for a disk of any size.
const mostMemory = 32 << 20

// BenchmarkMaterialize is the way from the archive to the disk of a VM, at the
// size of Debian's: the first one and the next ones, against tar alone, and
// against a copy that shares its blocks, where the file system can.
func BenchmarkMaterialize(b *testing.B) {
	needTools(b)
	archive := benchArchive(b)
	first := func(dir string, i int) {
		raw, err := Raw(b.Context(), RawOptions{Dir: dir, Archive: archive, Run: runTool(nil)})
		must(b, err)
		must(b, Place(b.Context(), raw, filepath.Join(dir, strconv.Itoa(i)), 80*hypervisor.GiB))
	}
	b.Run("tar", func(b *testing.B) {
		for b.Loop() {
			runBench(b, "tar", "-xJf", archive, "-C", b.TempDir())
		}
	})
	b.Run("first", func(b *testing.B) {
		resetPeak()
		for b.Loop() {
			first(b.TempDir(), 0)
		}
		reportPeak(b)
	})
	dir := b.TempDir()
	first(dir, 0)
	b.Run("next", func(b *testing.B) {
		resetPeak()
		for i := 1; b.Loop(); i++ {
			first(dir, i)
			must(b, os.Remove(filepath.Join(dir, strconv.Itoa(i))))
		}
		reportPeak(b)
	})
	b.Run("reflink", func(b *testing.B) {
		from, to := filepath.Join(dir, "0"), filepath.Join(dir, "cp")
		if out, err := exec.Command("cp", "--reflink=always", from, to).CombinedOutput(); err != nil {
			b.Skipf("%v: %s", err, out)
		}
		for b.Loop() {
			must(b, os.Remove(to))
			runBench(b, "cp", "--reflink=always", from, to)
		}
	})
}

// benchArchive is an archive like Debian's: a disk of 3 GiB, of which a twelfth is
// data that xz makes a quarter of.
func benchArchive(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, member))
	must(b, err)
	defer f.Close()
	random := rand.New(rand.NewPCG(1, 2))
	part := make([]byte, 1<<20)
	for i := range int64(256) {
		for k := range part {
			part[k] = "mpd."[random.Uint32()&3]
		}
		part[510], part[511] = 0x55, 0xaa
		_, err := f.WriteAt(part, i*12<<20)
		must(b, err)
	}
	must(b, f.Truncate(int64(DebianSize)))
	archive := filepath.Join(dir, "a.tar.xz")
	runBench(b, "tar", "-cSf", archive, "-I", "xz -0", "-C", dir, member)
	must(b, os.Remove(f.Name()))
	return archive
}

func runBench(b *testing.B, argv ...string) {
	b.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %v: %s", argv, err, out)
	}
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// resetPeak begins to measure the memory of this process, where Linux does that;
// see proc_pid_clear_refs(5).
func resetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// reportPeak tells the most that it had since then, the runtime and the code of
// the tests included.
func reportPeak(b *testing.B) {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	found := peakLine.FindSubmatch(status)
	if err != nil || found == nil {
		return // no Linux
	}
	var kib int64
	_, err = fmt.Sscan(string(found[1]), &kib)
	must(b, err)
	b.ReportMetric(float64(kib)/1024, "peak-MiB")
	if kib<<10 > mostMemory {
		b.Errorf("%d KiB of memory, and %d are enough", kib, mostMemory>>10)
	}
}
