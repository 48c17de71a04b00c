package sshconfig

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// quote writes s as one argument of a setting, in double quotes, within which
// only the quote and the backslash need a backslash (ssh_config(5); measured
// with OpenSSH 9.2).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// expandedPath writes path as the value of a setting in which ssh expands
// tokens, such as UserKnownHostsFile.
func expandedPath(path string) (string, error) {
	if err := checkPath(path); err != nil {
		return "", err
	}
	return quote(strings.ReplaceAll(path, "%", "%%")), nil
}

// includePath writes path as the argument of Include, which is a pattern in
// which a backslash makes the next character ordinary.
func includePath(path string) (string, error) {
	if err := checkPath(path); err != nil {
		return "", err
	}
	// Until some version after 9.3 a '%' stands for itself here, from then on
	// it starts a token: no text means the same to all of them.
	if strings.Contains(path, "%") {
		return "", unwritable(path, "'%'")
	}
	pattern := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
	return quote(pattern), nil
}

// checkPath refuses what no quoting can write. A relative path would be taken
// from the folder in which ssh is started; "${" starts the name of a variable
// and nothing takes that meaning away.
func checkPath(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("path %+q is not absolute", path)
	}
	for _, c := range []byte(path) {
		if c < ' ' || c == 0x7f {
			return unwritable(path, "a control character")
		}
	}
	if strings.Contains(path, "${") {
		return unwritable(path, `"${"`)
	}
	return nil
}

func unwritable(path, what string) error {
	return hint.Wrap(fmt.Errorf("path %+q holds %s, which SSH settings cannot express", path, what),
		"use a home folder without such characters")
}
