package image

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

var (
	// ErrRedirect: the server sends us where we do not go: to an address that
	// is not https, or on and on.
	ErrRedirect = errors.New("redirect refused")
	// ErrStalled: no byte came for half a minute.
	ErrStalled = errors.New("no data for 30 s")
	// ErrArchive: the archive does not hold one raw disk and nothing else.
	ErrArchive = errors.New("not an archive of one disk")
	// ErrFormat: a file is neither a raw disk nor an archive of one.
	ErrFormat = errors.New("neither a raw disk nor a .tar.xz of one")
)

// DigestError says that a file is not the one that was wanted. It was removed.
type DigestError struct {
	File      string // path in the cache, or the name of what was downloaded
	Want, Got string // SHA-512, hex
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s is not the file that was wanted: its SHA-512 is %s, not %s", e.File, e.Got, e.Want)
}

// StatusError is an answer of the server that holds no image.
type StatusError struct {
	URL  string
	Code int
}

func (e *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server answers %d %s", e.Code, http.StatusText(e.Code)))
}

// again says whether the same question may get another answer soon.
func (e *StatusError) again() bool {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Code >= 500
}

// SpaceError says that a disk is full. It wraps the system's error.
type SpaceError struct {
	Path string
	Need int64 // bytes that were still to be written, at most; 0 if not known
	Err  error
}

func (e *SpaceError) Error() string {
	if e.Need <= 0 {
		return fmt.Sprintf("write %s: the disk is full", e.Path)
	}
	return fmt.Sprintf("write %s: the disk is full, up to %d bytes more are needed", e.Path, e.Need)
}

func (e *SpaceError) Unwrap() error { return e.Err }

// noSpace makes a *SpaceError of the errors of a full disk or quota.
func noSpace(path string, need int64, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &SpaceError{Path: path, Need: need, Err: err}
	}
	return err
}

// TooSmallError says that a VM's disk was to be smaller than its image.
type TooSmallError struct {
	Want  hypervisor.Size
	Image hypervisor.Size
}

func (e *TooSmallError) Error() string {
	// Rounded up: an image of a little more than 3G must not read as 3G.
	image := (e.Image + hypervisor.MiB - 1) / hypervisor.MiB * hypervisor.MiB
	return fmt.Sprintf("a disk of %s is too small for the image of %s", e.Want, image)
}

// lasting says whether it is of no use to ask the server again.
func lasting(err error) bool {
	var status *StatusError
	var space *SpaceError
	var cert *tls.CertificateVerificationError
	return errors.As(err, &status) && !status.again() || errors.As(err, &space) || errors.As(err, &cert) ||
		errors.Is(err, ErrRedirect) || errors.Is(err, errLocal) || errors.Is(err, errHuge)
}

var (
	errLocal = errors.New("cannot use the cache")
	errHuge  = errors.New("far larger than any image")
	errCut   = errors.New("the server's answer ended early")
	errOther = errors.New("the server has another file by now")
)
