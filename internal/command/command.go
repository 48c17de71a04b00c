// Package command starts outside programs. It is the only package that does,
// so a test or an embedding program can stand in one place.
//
// Most callers need [Run], the [hypervisor.Runner] of the real machine, or
// [New] where the environment or the debug log is their own. [Exec] turns this
// process into another program and serves `mpd-virt ssh` alone.
//
// Programs are started from argument lists, never through a shell. Parsing
// what they print, and retrying, is the caller's business.
package command

import (
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// A Runner starts programs. The zero value finds only absolute paths and gives
// programs an empty environment; New makes the usual one. Its methods may be
// called at the same time, as long as nobody changes the fields.
type Runner struct {
	// Path is the list of folders, separated as in PATH, in which bare names
	// are looked for first. Empty and relative entries are skipped: what
	// stands in the current folder is never run by accident.
	Path string
	// Dirs are looked at after Path, in this order.
	Dirs []string
	// Env is the environment of the programs; nil is an empty one. Where
	// output is captured, LC_ALL=C is added, since callers parse it.
	Env []string
	// Debug, if set, is told the arguments of each program just before it
	// starts, from the goroutine that called Run; no input, no output and no
	// environment.
	Debug func(string)
}

// knownDirs is where macOS, Linux and Homebrew keep tools. A program started
// from the Dock or by launchd may have a PATH without them.
var knownDirs = [...]string{"/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/opt/homebrew/bin"}

// New returns the Runner for the environment env, which has the form of
// os.Environ: PATH is taken from it, then come the known places of the
// system's tools. The slice is kept, not copied.
func New(env []string) Runner {
	return Runner{Path: lookupEnv(env, "PATH"), Dirs: knownDirs[:], Env: env}
}

var _ hypervisor.Runner = Runner{}.Run

// lookupEnv returns the value that a started program would see: the last one
// wins, as in package os/exec.
func lookupEnv(env []string, key string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, _ := strings.Cut(env[i], "="); k == key {
			return v
		}
	}
	return ""
}

// show writes argv for the debug log. Arguments that are not plain words are
// quoted in Go's way, so a log line cannot be forged or end early.
func show(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = a
		if a == "" || strings.ContainsFunc(a, notPlain) {
			words[i] = strconv.QuoteToASCII(a)
		}
	}
	return strings.Join(words, " ")
}

func notPlain(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"'\\`", r)
}
