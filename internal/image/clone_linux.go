package image

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// cloneFile makes the file to, which must not exist, share the blocks of from.
// Btrfs, XFS and some others can.
func cloneFile(from, to string) error {
	src, _, err := openRead(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	err = unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
	return errors.Join(err, dst.Close())
}
