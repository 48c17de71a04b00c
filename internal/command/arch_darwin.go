package command

import (
	"errors"
	"syscall"
)

// wrongMachine: macOS says EBADARCH for a program of another processor where
// Rosetta does not help, and ENOEXEC for a file that is no program.
func wrongMachine(err error) bool {
	return errors.Is(err, syscall.EBADARCH) || errors.Is(err, syscall.ENOEXEC)
}
