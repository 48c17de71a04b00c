package image

import (
	"bytes"
	"os"
	"path/filepath"
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
