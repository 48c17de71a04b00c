package mpdvirttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The one file in the world's archive, a raw disk: small, and mostly holes.
const (
	diskMember = "disk.raw"
	diskSize   = 4 << 20
)

// tar plays two forms of tar on the world's archive, of which it knows the bytes:
// -tJf A, and -xJSf A -C DIR disk.raw. It reads and writes real files. The words
// and statuses are GNU tar's.
func (w *World) tar(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	args := c.Argv[1:]
	list := len(args) == 2 && args[0] == "-tJf"
	if !list && !(len(args) == 5 && args[0] == "-xJSf" && args[2] == "-C") {
		return tarFailed("tar: not played by mpdvirttest: %q", args)
	}
	data, err := os.ReadFile(args[1])
	whole := w.images.archive()
	switch {
	case err != nil:
		return tarFailed("tar (child): %s: Cannot open: %s\ntar (child): Error is not recoverable: exiting now\ntar: Child returned status 2", args[1], errorText(err))
	case len(data) < 6 || !bytes.Equal(data[:6], whole[:6]):
		return tarFailed("xz: (stdin): File format not recognized\ntar: Child returned status 1")
	case len(data) < len(whole) && bytes.HasPrefix(whole, data):
		return tarFailed("xz: (stdin): Unexpected end of input\ntar: Unexpected EOF in archive")
	case !bytes.Equal(data, whole):
		return tarFailed("xz: (stdin): Compressed data is corrupt\ntar: Child returned status 1")
	case list:
		return hypervisor.Result{Stdout: []byte(diskMember + "\n")}, nil
	case args[4] != diskMember:
		return tarFailed("tar: %s: Not found in archive\ntar: Exiting with failure status due to previous errors", args[4])
	case ctx.Err() != nil:
		return hypervisor.Result{}, ctx.Err()
	}
	if err := writeDisk(filepath.Join(args[3], diskMember)); err != nil {
		return tarFailed("tar: %s: Cannot open: %s", diskMember, errorText(err))
	}
	return hypervisor.Result{}, nil
}

func tarFailed(format string, a ...any) (hypervisor.Result, error) {
	text := fmt.Sprintf(format, a...) + "\ntar: Error is not recoverable: exiting now\n"
	return hypervisor.Result{Stderr: []byte(text), Status: 2}, nil
}

// errorText is what the system says, without the path.
func errorText(err error) string {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		err = e.Err
	}
	return err.Error()
}

// writeDisk makes the raw disk of a Debian that was never booted: the two
// sectors of a partition table, something in the file systems, and holes.
func writeDisk(name string) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(diskSize); err != nil {
		return err
	}
	mbr := make([]byte, 512)
	mbr[450], mbr[510], mbr[511] = 0xee, 0x55, 0xaa // a protective partition
	for at, data := range map[int64][]byte{
		0:       slices.Concat(mbr, []byte("EFI PART\x00\x00\x01\x00")),
		1 << 20: bytes.Repeat([]byte("Debian 13 "), 1<<10),
		3 << 20: bytes.Repeat([]byte("trixie "), 1<<10),
	} {
		if _, err := f.WriteAt(data, at); err != nil {
			return err
		}
	}
	return nil
}
