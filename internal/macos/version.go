package macos

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Version is a version of macOS. The zero value means that it is not known.
// Versions are compared as numbers: 26 came after 15.
type Version struct{ Major, Minor, Patch int }

// String is the version as macOS writes it.
func (v Version) String() string {
	if v.Patch == 0 {
		return fmt.Sprintf("%d.%d", v.Major, v.Minor)
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// Compare is -1 if v is older than w, 1 if it is newer, and else 0.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

var versionText = regexp.MustCompile(`^([1-9][0-9]{0,3})(?:\.([0-9]{1,4}))?(?:\.([0-9]{1,4}))?$`)

// ParseVersion reads "26.6.2", "15.7" or "26".
func ParseVersion(text string) (Version, error) {
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return Version{}, fmt.Errorf("%q is not a version of macOS", plaintext.Short(text))
	}
	var n [3]int
	for i, digits := range m[1:] {
		if digits != "" {
			n[i], _ = strconv.Atoi(digits) // at most four digits
		}
	}
	return Version{n[0], n[1], n[2]}, nil
}

// Version returns the version of macOS that this Mac runs.
func (m *Mac) Version(ctx context.Context) (Version, error) {
	const what = "sw_vers"
	res, err := m.ask(ctx, swVersTool, "-productVersion")
	if err != nil {
		return Version{}, err
	}
	if res.Status != 0 {
		return Version{}, strange(what, res)
	}
	v, err := ParseVersion(strings.TrimSpace(string(res.Stdout)))
	if err != nil {
		return Version{}, unclear(what, "%v", err)
	}
	return v, nil
}
