package cli

import (
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// savedTerminal returns what brings the terminal's settings back to what they
// are now. term.ReadPassword would change and restore them in one call, but
// then an interrupt leaves the echo off.
func savedTerminal(fd int) (restore func(), err error) {
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	// There is nobody left to tell if the terminal is gone meanwhile.
	return func() { _ = term.Restore(fd, before) }, nil
}

// echoOff stops the terminal from showing what is typed.
func echoOff(fd int) error {
	settings, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	settings.Lflag &^= unix.ECHO
	settings.Lflag |= unix.ICANON | unix.ISIG
	settings.Iflag |= unix.ICRNL
	return unix.IoctlSetTermios(fd, setTermios, settings)
}
