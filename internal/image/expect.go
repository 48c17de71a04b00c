package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// ExpectFetch says, without doing it, where Fetch would put the archive, and
// whether there is one already, which it would verify.
func ExpectFetch(dir string, s Source) (path string, there bool, err error) {
	if err := s.check(); err != nil {
		return "", false, err
	}
	path = filepath.Join(dir, s.name())
	_, err = os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, false, nil
	}
	return path, err == nil, err
}

// Unpacking is what Raw would do.
type Unpacking struct {
	Raw, Stamp string   // the files that it would make
	Argv       []string // of tar; nil if the disk is there already
}

// ExpectRaw says what Raw would do in dir with an archive of that SHA-512, which
// is computed if it is "". Into which folder tar would unpack is random.
func ExpectRaw(ctx context.Context, dir, archive, sha512 string) (Unpacking, error) {
	if sha512 == "" {
		var err error
		if sha512, err = digest(ctx, archive); err != nil {
			return Unpacking{}, err
		}
	}
	raw := rawFile(dir, sha512)
	u := Unpacking{Raw: raw, Stamp: stampFile(raw)}
	if good, err := isWhole(ctx, raw, sha512); err != nil || good {
		return u, err
	}
	u.Argv = append([]string{tarTool}, unpackArgs(archive, filepath.Join(dir, StandinFolder))...)
	return u, nil
}

// StandinFolder stands for the folder that tar unpacks into.
const StandinFolder = freshPrefix + "RANDOM"
