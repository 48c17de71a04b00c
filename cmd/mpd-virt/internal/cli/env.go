package cli

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

// The environment: HOME (unless the Config has one), MPD_REPO and MPD_BRANCH,
// NO_COLOR, TERM, and LC_ALL, LC_CTYPE, LANG are all that is read.

// get is a variable's value, "" if it is not set. The last one counts, as for
// the programs that this one starts.
func (e Env) get(name string) string {
	for i := len(e.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(e.Environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// home is the folder that is shown as ~, "" if none.
func (e Env) home() string {
	home := e.Config.Home
	if home == "" {
		home = e.get("HOME")
	}
	home = filepath.Clean(home)
	if !filepath.IsAbs(home) || home == "/" {
		return ""
	}
	return home
}

// utf8 says whether text may have more than ASCII. Source: POSIX, the order in
// which locale variables count.
func (e Env) utf8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := e.get(name); v != "" {
			v = strings.ToUpper(v)
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return false
}

// plainWanted says whether the person or the terminal asks for plain text.
func (e Env) plainWanted() bool {
	t := e.get("TERM")
	return e.get("NO_COLOR") != "" || t == "" || t == "dumb"
}

// terminalOf is the file descriptor of a terminal, or false for everything else.
func terminalOf(stream any) (int, bool) {
	f, ok := stream.(*os.File)
	if !ok || f == nil {
		return 0, false
	}
	fd := int(f.Fd())
	return fd, term.IsTerminal(fd)
}

// widthOf is the width of a terminal in columns, 0 if it is not known.
func widthOf(fd int) int {
	w, _, err := term.GetSize(fd)
	if err != nil {
		return 0
	}
	return w
}
