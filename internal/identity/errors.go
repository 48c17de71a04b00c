package identity

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// FileError says that a file of the identity is damaged, does not fit its
// other half, or is missing although its other half is there. It carries a
// hint that says how to restore it and what starting anew costs. It never
// holds any of the file's content.
type FileError struct {
	Path string // the file
	Msg  string // what is wrong with it, for people
}

func (e *FileError) Error() string { return e.Path + ": " + e.Msg }

// newCACost says what it means to delete the CA's two files.
const newCACost = "deleting both makes a new CA at the next setup, which must be trusted again on this Mac and pushed " +
	"again to each VM (mpd-virt setup NNN)"

// caFault is a FileError about one of the CA's two files.
func caFault(path, format string, args ...any) error {
	return hint.Wrap(&FileError{path, fmt.Sprintf(format, args...)}, fmt.Sprintf(
		"restore rootCA.pem and rootCA-key.pem in %s from a backup; %s", filepath.Dir(path), newCACost))
}

// clockFault is a FileError about a CA that is not valid at this time.
func clockFault(path, format string, args ...any) error {
	return hint.Wrap(&FileError{path, fmt.Sprintf(format, args...)}, fmt.Sprintf(
		"check the clock of this Mac; if it is right, mpd-virt ca rotate puts a new CA in the place of the one in %s", filepath.Dir(path)))
}

// publicFault is a FileError about a public key that does not follow from the
// private key beside it.
func publicFault(p pairFiles, format string, args ...any) error {
	return hint.Wrap(&FileError{p.public, fmt.Sprintf(format, args...)}, fmt.Sprintf(
		"if %s is the right one, delete %s: it is computed again; otherwise restore both from a backup",
		p.private, p.public))
}

// privateFault is a FileError about a private key that is damaged or gone.
func privateFault(p pairFiles, format string, args ...any) error {
	fault := &FileError{p.private, fmt.Sprintf(format, args...)}
	traces, err := p.store.present(slices.Concat([]string{p.private, p.public}, p.copies, p.users)...)
	if err != nil {
		return fault
	}
	return hint.Wrap(fault, fmt.Sprintf(
		"restore it from %s; deleting all that has to do with it (%s) makes a new key at the next setup, after which %s",
		p.restore(), strings.Join(traces, ", "), p.cost))
}
