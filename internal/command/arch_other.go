//go:build !darwin

package command

import (
	"errors"
	"syscall"
)

// wrongMachine: Linux says ENOEXEC for a program of another processor and for
// a file that is no program.
func wrongMachine(err error) bool { return errors.Is(err, syscall.ENOEXEC) }
