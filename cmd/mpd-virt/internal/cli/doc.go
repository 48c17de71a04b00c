// Package cli is the command mpd-virt: it parses a command line, calls one
// method of mpdvirt.Manager and renders what comes back. It decides nothing
// about VMs.
//
// [Main] is the program; [Run] is one command line in a world that the caller
// gives, for tests and the demo. A verb is a value of type verb in a file of
// its own. How output looks is decided in look.go alone, exit codes in exit.go
// alone, and the environment is read in env.go alone.
package cli
