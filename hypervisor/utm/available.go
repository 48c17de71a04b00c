package utm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// VersionError says that the installed UTM cannot be used, or not for this. It is
// none of package hypervisor's errors.
type VersionError struct {
	Version string // as UTM's bundle has it, safe to show
	Reason  string // for people
}

func (e *VersionError) Error() string { return "UTM " + e.Version + ": " + e.Reason }

// Available says why UTM cannot be used: ErrToolMissing, a *VersionError, a
// *ToolError that is fs.ErrPermission if the terminal may not control UTM, or
// ErrService. It costs two processes and does not start UTM; what only a UTM that
// runs can tell, such as the permission, is found out only if it does.
//
// A release that may not tell states is available: its VMs can be found and
// listed, and what needs a state refuses by itself. See Inspect and CanCreate.
func (b *Backend) Available(ctx context.Context) error {
	_, err := b.available(ctx)
	return err
}

// available is Available, and the version of UTM.
func (b *Backend) available(ctx context.Context) (string, error) {
	version, err := b.version(ctx)
	if err != nil {
		return "", err
	}
	_, err = b.script(ctx, argvRunning(), scriptRunning, askLimit)
	return version, err
}

// Inspect finds a UTM that may not tell the states of its VMs. It costs one
// process. Its errors are those of Available about the tool and its version.
func (b *Backend) Inspect(ctx context.Context) ([]hypervisor.Finding, error) {
	version, err := b.version(ctx)
	if err != nil {
		return nil, err
	}
	if err := mute(version); err != nil {
		return []hypervisor.Finding{{Text: err.Error(), Advice: updateHint}}, nil
	}
	return nil, nil
}

const updateHint = "update UTM, from where it was installed: brew upgrade --cask utm, the App Store, or https://mac.getutm.app"

// version reads UTM's version from its bundle, which needs neither UTM nor a
// permission.
func (b *Backend) version(ctx context.Context) (string, error) {
	res, err := b.run(ctx, hypervisor.Command{Argv: argvVersion(b.app)})
	if errors.Is(err, hypervisor.ErrToolMissing) {
		return "", fmt.Errorf("UTM needs macOS (%w)", err)
	}
	if err != nil {
		return "", advised(err)
	}
	if res.Status != 0 {
		return "", advised(fmt.Errorf("there is no %s: %w", plaintext.Short(b.app), hypervisor.ErrToolMissing))
	}
	version := strings.TrimSpace(string(res.Stdout))
	return version, checkVersion(version)
}

// checkVersion: scripts can do what is needed since 4.6.5.
func checkVersion(text string) error {
	v, err := parseVersion(text)
	if err != nil {
		return fmt.Errorf("read the version of UTM: %w", err)
	}
	if slices.Compare(v, []int{4, 6, 5}) < 0 {
		return hint.Wrap(&VersionError{Version: text, Reason: "4.6.5 or later is needed"}, updateHint)
	}
	return nil
}

// mute says whether a release may not tell the states of its VMs: the test
// releases 4.7.1 and 4.7.2 (utmapp/UTM issue 7360, of the second alone).
func mute(version string) error {
	v, err := parseVersion(version)
	if err != nil || !slices.Equal(v, []int{4, 7, 1}) && !slices.Equal(v, []int{4, 7, 2}) {
		return nil
	}
	return hint.Wrap(&VersionError{Version: version, Reason: "this test release may not tell the state of its VMs, and without it they are not touched"}, updateHint)
}

// parseVersion reads 4.7 or 4.7.5, and what may stand behind it after a blank.
func parseVersion(text string) ([]int, error) {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
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
