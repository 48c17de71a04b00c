package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Place makes the file dst, the disk of a VM: a copy of raw that is grown to
// size without taking space. Zero keeps the size of raw; a smaller one is a
// *TooSmallError. On APFS, Btrfs and XFS the copy shares its blocks with raw
// and is made at once; elsewhere the blocks that are not all zero are copied.
//
// dst is made with mode 0600 in a folder that exists; if there is anything of
// that name already, the error is fs.ErrExist. After an error there is no dst.
// A kill can leave dst+".partial", which the next Place of the same dst takes
// away. Two calls for one dst must not run at the same time.
func Place(ctx context.Context, raw, dst string, size hypervisor.Size) error {
	return place(ctx, raw, dst, size, cloneFile)
}

func placeError(dst string, err error) error { return fmt.Errorf("make the disk %s: %w", dst, err) }

func place(ctx context.Context, raw, dst string, size hypervisor.Size, clone func(from, to string) error) error {
	src, info, err := openRead(raw)
	if err != nil {
		return placeError(dst, err)
	}
	defer src.Close()
	if size == 0 {
		size = hypervisor.Size(info.Size())
	}
	if err := fits(info, dst, size); err != nil {
		return err
	}
	if _, err := os.Lstat(dst); err == nil {
		return placeError(dst, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return placeError(dst, err)
	}
	partial := dst + ".partial"
	err = remove(partial)
	if err == nil {
		err = fillDisk(ctx, src, info.Size(), partial, int64(size), clone)
	}
	if err == nil {
		err = settle(partial, dst)
	}
	if err != nil {
		return placeError(dst, errors.Join(err, remove(partial)))
	}
	return nil
}

// fits is an error if a disk of that size cannot hold the image.
func fits(info fs.FileInfo, dst string, size hypervisor.Size) error {
	if size == 0 || int64(size) >= info.Size() {
		return nil
	}
	err := &TooSmallError{Want: size, Image: hypervisor.Size(info.Size())}
	return hint.Wrap(placeError(dst, err), "give a larger disk, like --vm-disk=80G")
}

// fillDisk makes the file path of src and grows it.
func fillDisk(ctx context.Context, src *os.File, length int64, path string, size int64, clone func(from, to string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Whatever keeps a clone from being made, another file system or another
	// disk, does not keep a copy from being made.
	cloneErr := clone(src.Name(), path)
	if cloneErr != nil {
		if err := remove(path); err != nil {
			return err
		}
	}
	flags := os.O_RDWR | syscall.O_NOFOLLOW
	if cloneErr != nil {
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return noSpace(path, length, err)
	}
	err = f.Chmod(0o600)
	if err == nil && cloneErr != nil {
		err = copySparse(ctx, f, src, length)
	}
	if err == nil {
		// Growing leaves a hole: it fails only where files cannot be so long.
		err = noSpace(path, size-length, f.Truncate(size))
	}
	return errors.Join(err, f.Close())
}

// copySparse copies what is not all zero. dst is empty.
func copySparse(ctx context.Context, dst, src *os.File, length int64) error {
	return eachBlock(ctx, src, func(at int64, b []byte) error {
		_, err := dst.WriteAt(b, at)
		return noSpace(dst.Name(), length-at, err)
	})
}
