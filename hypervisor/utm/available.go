package utm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// VersionError says that the installed UTM cannot be used.
type VersionError struct {
	Version string // as UTM's bundle has it, safe to show
	Reason  string // for people
}

func (e *VersionError) Error() string { return "UTM " + e.Version + ": " + e.Reason }

// Available says why UTM cannot be used: ErrToolMissing, a *VersionError, a
// *ToolError that is fs.ErrPermission if the terminal may not control UTM, or
// ErrService. It costs two processes and does not start UTM; what only a UTM that
// runs can tell, such as the permission, is found out only if it does.
func (b *Backend) Available(ctx context.Context) error {
	if err := b.version(ctx); err != nil {
		return err
	}
	_, err := b.script(ctx, argvRunning(), scriptRunning, askLimit)
	return err
}

// version reads UTM's version from its bundle, which needs neither UTM nor a
// permission.
func (b *Backend) version(ctx context.Context) error {
	res, err := b.run(ctx, hypervisor.Command{Argv: argvVersion(b.app)})
	if err != nil {
		return advised(err)
	}
	if res.Status != 0 {
		return advised(fmt.Errorf("there is no %s: %w", bounded(b.app), hypervisor.ErrToolMissing))
	}
	return checkVersion(string(res.Stdout))
}

// checkVersion: scripts can do what is needed since 4.6.5; 4.7.1 and 4.7.2 do not
// tell states (utmapp/UTM issue 7360).
func checkVersion(text string) error {
	text = strings.TrimSpace(text)
	v, err := parseVersion(text)
	if err != nil {
		return fmt.Errorf("read the version of UTM: %w", err)
	}
	e := &VersionError{Version: text}
	switch {
	case slices.Compare(v, []int{4, 6, 5}) < 0:
		e.Reason = "4.6.5 or later is needed"
	case slices.Equal(v, []int{4, 7, 1}), slices.Equal(v, []int{4, 7, 2}):
		e.Reason = "this release does not tell the state of its VMs"
	default:
		return nil
	}
	return hint.Wrap(e, "update UTM, from where it was installed: brew upgrade --cask utm, the App Store, or https://mac.getutm.app")
}

// parseVersion reads 4.7 or 4.7.5, and what may stand behind it after a blank.
func parseVersion(text string) ([]int, error) {
	word, _, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	v := make([]int, len(parts))
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || i > 3 {
			return nil, fmt.Errorf("%.40q is no version", text)
		}
		v[i] = int(n)
	}
	return v, nil
}
