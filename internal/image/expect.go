package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Fetching is what Fetch would do.
type Fetching struct {
	Path   string   // where the archive is then
	There  bool     // it is there and right; else it is downloaded
	Remove []string // what is left of a download, of which it makes use or not
}

// ExpectFetch says what Fetch would do, without doing it.
func ExpectFetch(ctx context.Context, dir string, s Source) (Fetching, error) {
	if err := s.check(); err != nil {
		return Fetching{}, err
	}
	f := Fetching{Path: filepath.Join(dir, s.name())}
	d := &download{final: f.Path}
	for _, path := range []string{d.partial(), d.noteFile()} {
		if _, err := os.Lstat(path); err == nil {
			f.Remove = append(f.Remove, path)
		}
	}
	err := verify(ctx, f.Path, s.SHA512)
	f.There = err == nil
	if errors.As(err, new(*DigestError)) || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return Fetching{}, fmt.Errorf("image in the cache: %w", err)
	}
	return f, nil
}

// Unpacking is what Raw would do.
type Unpacking struct {
	Raw, Stamp string   // the files that it would make
	Argv       []string // of tar; nil if the disk is there already
	Remove     []string // folders that killed runs left
}

// ExpectRaw says what Raw would do in o.Dir with an archive of that SHA-512. If
// it is "", the archive is there: its digest is computed, and o.Run lists it if
// it is to be unpacked. Into which folder tar would unpack is random.
func ExpectRaw(ctx context.Context, o RawOptions, sha512 string) (Unpacking, error) {
	unknown := sha512 == ""
	if unknown {
		var err error
		if sha512, err = digest(ctx, o.Archive); err != nil {
			return Unpacking{}, err
		}
	}
	raw := rawFile(o.Dir, sha512)
	u := Unpacking{Raw: raw, Stamp: stampFile(raw)}
	if good, err := isWhole(ctx, raw, sha512); err != nil || good {
		return u, err
	}
	if unknown {
		if err := checkList(ctx, o.Run, o.Archive); err != nil {
			return Unpacking{}, fmt.Errorf("unpack %s: %w", o.Archive, err)
		}
	}
	var err error
	if u.Remove, err = leftFolders(o.Dir); err != nil {
		return Unpacking{}, fmt.Errorf("clear the cache: %w", err)
	}
	u.Argv = append([]string{tarTool}, unpackArgs(o.Archive, filepath.Join(o.Dir, StandinFolder))...)
	return u, nil
}

// StandinFolder stands for the folder that tar unpacks into.
const StandinFolder = freshPrefix + "RANDOM"

// ExpectPlace is the error with which Place would refuse a size of a disk that
// is there.
func ExpectPlace(raw, dst string, size hypervisor.Size) error {
	src, info, err := openRead(raw)
	if err != nil {
		return placeError(dst, err)
	}
	return errors.Join(fits(info, dst, size), src.Close())
}
