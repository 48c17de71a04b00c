package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// RawOptions says what Raw unpacks.
type RawOptions struct {
	Dir     string            // the cache, made with mode 0700 if need be; absolute
	Archive string            // a .tar.xz: what Fetch returned, or a Local one; absolute
	Run     hypervisor.Runner // starts tar
	Waiting func()            // as in Options
}

// Raw returns the path of the raw disk that is in the archive. It is unpacked
// at the first call and kept in Dir, named for the SHA-512 of the archive.
// Later calls compute what the disk's blocks add up to, and unpack it again if
// that is not what they added up to at first: a disk in which a byte flipped,
// or that someone booted, is not used. The disk is for Place to copy; a VM that
// runs from it would spoil it.
func Raw(ctx context.Context, o RawOptions) (path string, err error) {
	if err := statefile.EnsureDir(o.Dir); err != nil {
		return "", err
	}
	lock, err := waitLock(ctx, filepath.Join(o.Dir, ".lock-extract"), "extract", o.Waiting)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	of, err := digest(ctx, o.Archive)
	if err != nil {
		return "", err
	}
	path = rawFile(o.Dir, of)
	if good, err := isWhole(ctx, path, of); err != nil || good {
		return path, err
	}
	if err := clearAway(o.Dir, path); err != nil {
		return "", err
	}
	if err := Extract(ctx, o.Run, o.Archive, path); err != nil {
		var space *SpaceError
		if errors.As(err, &space) {
			err = hint.Wrap(err, "make space on the disk and run it again")
		}
		return "", err
	}
	sum, err := contentSum(ctx, path)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(stamp{Archive: of, Content: sum})
	if err != nil {
		return "", err
	}
	return path, statefile.Write(stampFile(path), text, 0o600)
}

// stamp is what is known of an unpacked disk.
type stamp struct {
	Archive string `json:"archive"` // SHA-512 of the archive
	Content string `json:"content"` // as contentSum makes it
}

// rawFile is the disk of an archive with that SHA-512.
func rawFile(dir, sha512 string) string { return filepath.Join(dir, sha512[:32]+".raw") }

func stampFile(raw string) string { return raw + ".json" }

// isWhole says whether raw is as it was when it came out of the archive. A
// stamp that cannot be read is none; the error is that of the context alone.
func isWhole(ctx context.Context, raw, archive string) (bool, error) {
	text, err := statefile.Read(stampFile(raw), 4<<10)
	var s stamp
	if err != nil || json.Unmarshal(text, &s) != nil || s.Archive != archive {
		return false, nil
	}
	sum, err := contentSum(ctx, raw)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil && sum == s.Content, nil
}

// clearAway removes a disk that is not good and the folders that killed runs left.
// The lock is held, so nobody works in them.
func clearAway(dir, raw string) error {
	errs := []error{remove(stampFile(raw)), remove(raw)}
	left, err := leftFolders(dir)
	errs = append(errs, err)
	for _, path := range left {
		errs = append(errs, os.RemoveAll(path))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clear the cache: %w", err)
	}
	return nil
}

// leftFolders are those in which tars of killed runs have worked.
func leftFolders(dir string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), freshPrefix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}
