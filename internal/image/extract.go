package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// DebianSize is the size of the disk in Debian's archives. Its holes are kept,
// so that it takes less space.
const DebianSize = 3 * hypervisor.GiB

const (
	// member is the one thing in Debian's archives.
	member = "disk.raw"
	// extractLimit bounds one run of tar, which takes half a minute.
	extractLimit = 30 * time.Minute
	// freshPrefix begins the names of the folders in which tar works.
	freshPrefix = ".extract-"
)

// Extract unpacks the raw disk that is in archive, a .tar.xz, to the file dst,
// with its holes. Both paths are absolute. The system's tar does it, through
// run. dst is there in whole, or as it was; a kill can leave a folder
// ".extract-*" beside it, which Raw removes.
//
// An archive that holds anything but the one file disk.raw is ErrArchive, and
// nothing else of it is ever written: tar is told the one name that it may
// make, in a fresh folder.
func Extract(ctx context.Context, run hypervisor.Runner, archive, dst string) error {
	if err := extract(ctx, run, archive, dst); err != nil {
		return fmt.Errorf("unpack %s: %w", archive, err)
	}
	return nil
}

func extract(ctx context.Context, run hypervisor.Runner, archive, dst string) (err error) {
	if !filepath.IsAbs(archive) || !filepath.IsAbs(dst) {
		return errors.New("absolute paths are wanted") // tar takes -x and host:x for other things
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dst), freshPrefix)
	if err != nil {
		return noSpace(dst, int64(DebianSize), err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	if err := unpack(ctx, run, archive, fresh); err != nil {
		return noSpace(dst, int64(DebianSize), err)
	}
	got := filepath.Join(fresh, member)
	if err := checkFresh(fresh, got); err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if err := os.Chmod(got, 0o600); err != nil {
		return err
	}
	return noSpace(dst, int64(DebianSize), settle(got, dst))
}

// unpack lists the archive and unpacks the disk at the same time: the archive
// must be read to its end for a list, and one after the other would take twice
// as long. What fails first ends the other.
func unpack(outer context.Context, run hypervisor.Runner, archive, fresh string) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	listed := make(chan struct{})
	go func() {
		defer close(listed)
		if err := checkList(ctx, run, archive); err != nil {
			cancel(err)
		}
	}()
	_, err := runTar(ctx, run, unpackArgs(archive, fresh)...)
	if err != nil {
		cancel(err)
	}
	<-listed
	if err := outer.Err(); err != nil {
		return err // and not its cause, which is the caller's own affair
	}
	return context.Cause(ctx)
}

// checkList is nil if the archive holds one thing, under the right name.
func checkList(ctx context.Context, run hypervisor.Runner, archive string) error {
	list, err := runTar(ctx, run, "-tJf", archive)
	if err != nil {
		return err
	}
	if list != member+"\n" {
		first, _, _ := strings.Cut(list, "\n")
		return fmt.Errorf("%w: it holds %d names, the first is %.60q, where %q alone is wanted", ErrArchive, strings.Count(list, "\n"), first, member)
	}
	return nil
}

const tarTool = "tar"

func unpackArgs(archive, fresh string) []string {
	return []string{"-xJSf", archive, "-C", fresh, member}
}

// runTar runs the system's tar. -J says what GNU tar guesses only from a file's
// name. -S lets bsdtar make holes where the archive has none; those that it has,
// as Debian's, both keep.
func runTar(ctx context.Context, run hypervisor.Runner, args ...string) (string, error) {
	res, err := run(ctx, hypervisor.Command{Argv: append([]string{tarTool}, args...), Limit: extractLimit})
	if err != nil {
		return "", err
	}
	if res.Status != 0 {
		text := strings.TrimSpace(plaintext.Clean(string(res.Stderr)))
		err := fmt.Errorf("tar ended with status %d: %.300s", res.Status, text)
		// GNU tar has other words for a write that did not fit in whole.
		if strings.Contains(text, "No space left") || strings.Contains(text, "Wrote only ") {
			return "", fmt.Errorf("%w: %w", err, syscall.ENOSPC)
		}
		return "", err
	}
	return string(res.Stdout), nil
}

// checkFresh says what is wrong with what tar made.
func checkFresh(folder, disk string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	if len(entries) != 1 || entries[0].Name() != member || !entries[0].Type().IsRegular() {
		return fmt.Errorf("%s is no plain file, or not alone", member)
	}
	f, info, err := openRead(disk)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 512)
	if _, err := io.ReadFull(f, head); err != nil {
		return err
	}
	return checkDisk(head, info.Size())
}
