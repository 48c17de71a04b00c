//go:build !darwin && !linux

package image

import "errors"

// cloneFile is for file systems that share blocks; here none is known.
func cloneFile(from, to string) error { return errors.ErrUnsupported }
