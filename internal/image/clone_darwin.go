package image

import "golang.org/x/sys/unix"

// cloneFile makes the file to, which must not exist, share the blocks of from.
// APFS alone can. The owner of the copy is who makes it.
func cloneFile(from, to string) error {
	return unix.Clonefile(from, to, unix.CLONE_NOFOLLOW|unix.CLONE_NOOWNERCOPY)
}
