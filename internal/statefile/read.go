package statefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Read returns the content of the regular file path, which may have at most
// max bytes (else ErrTooBig). A missing file is fs.ErrNotExist; a symbolic
// link, folder, pipe or device is a *KindError and is not read. It is meant
// for our own files; files of the user that may be links are read with Snap.
func Read(path string, max int64) ([]byte, error) {
	data, _, err := read(path, max)
	return data, err
}

func read(path string, max int64) ([]byte, fs.FileInfo, error) {
	// O_NONBLOCK: to open a pipe without a writer would wait for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, explainOpen(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := checkKind(path, info, wantFile); err != nil {
		return nil, nil, err
	}
	// The size is only a first guess: the file may grow while it is read.
	var buf bytes.Buffer
	buf.Grow(int(min(info.Size(), max)) + bytes.MinRead)
	if _, err := buf.ReadFrom(io.LimitReader(f, max+1)); err != nil {
		return nil, nil, err
	}
	if int64(buf.Len()) > max {
		return nil, nil, fmt.Errorf("read %s: %w: more than %d bytes", path, ErrTooBig, max)
	}
	return buf.Bytes(), info, nil
}

// explainOpen names what is in the way if a file could not be opened because
// it is none; each system has other words for that.
func explainOpen(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	info, statErr := os.Lstat(path)
	if statErr != nil {
		return err
	}
	if kindErr := checkKind(path, info, wantFile); kindErr != nil {
		return kindErr
	}
	return err
}
