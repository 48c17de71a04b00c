package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Image is a file that the user brought.
type Image struct {
	Path   string // absolute, without links
	Packed bool   // a .tar.xz, for Raw; else a raw disk, for Place
}

// Local looks at a file of the user, which may be a link, and tells by its
// content what it is. The error is ErrFormat if it is nothing that a VM could
// be made of; a file that only looks right is found out later. Nobody vouches
// for such a file but the user.
func Local(path string) (Image, error) {
	path, err := resolve(path)
	if err != nil {
		return Image{}, fmt.Errorf("image: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return Image{}, fmt.Errorf("image: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Image{}, fmt.Errorf("image %s: not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Image{}, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Image{}, fmt.Errorf("read image %s: %w", path, err)
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return Image{Path: path, Packed: true}, nil
	case bytes.HasPrefix(head, []byte("QFI\xfb")):
		return Image{}, hint.Wrap(fmt.Errorf("image %s is a qcow2 disk: %w", path, ErrFormat), "Debian offers the same build as .tar.xz and .raw")
	}
	if err := checkDisk(head, info.Size()); err != nil {
		return Image{}, fmt.Errorf("image %s: %w: %w", path, ErrFormat, err)
	}
	return Image{Path: path}, nil
}

func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// The sizes that a disk may have. Debian's has 3 GiB, and no Mac has a disk
// beyond some TiB.
const (
	minDisk = 1 * hypervisor.MiB
	maxDisk = 16 << 10 * hypervisor.GiB
)

// checkDisk says why something is no disk to boot from. head is its first
// sector: with MBR and with GPT, it ends in the same two bytes.
func checkDisk(head []byte, size int64) error {
	switch {
	case size < int64(minDisk) || size > int64(maxDisk) || size%512 != 0:
		return fmt.Errorf("%d bytes is no size of a disk", size)
	case len(head) < 512 || head[510] != 0x55 || head[511] != 0xaa:
		return errors.New("it has no partition table")
	}
	return nil
}
