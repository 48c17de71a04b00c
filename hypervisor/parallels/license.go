package parallels

import (
	"context"
	"fmt"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

const licenseHint = "mpd-virt needs Parallels Desktop Pro, Business or Enterprise with a licence that has not expired"

// LicenseError says that the licence of Parallels Desktop does not allow what
// mpd-virt does. It is hypervisor.ErrLicense.
type LicenseError struct {
	Edition string // like "standard"; empty if there is no licence
	Status  string // the tool's word, like "ACTIVE"; empty if there is no licence
}

func (e *LicenseError) Error() string {
	if *e == (LicenseError{}) {
		return "Parallels Desktop has no licence on this Mac"
	}
	return fmt.Sprintf("the licence of Parallels Desktop does not suffice: edition %q, status %q", plaintext.Short(e.Edition), plaintext.Short(e.Status))
}

// Unwrap is hypervisor.ErrLicense.
func (e *LicenseError) Unwrap() error { return hypervisor.ErrLicense }

// licensed says whether the licence is one with which VMs can be cloned and
// started. A licence that the tool does not tell readably is none of its
// errors: the answer differs between releases, and a licence that will not do is
// refused again by each verb.
func (b *Backend) licensed(ctx context.Context) error {
	out, err := b.ask(ctx, argvLicense())
	switch {
	case final(ctx, err), hung(err):
		return fmt.Errorf("look at the licence: %w", err)
	case err != nil:
		return nil
	}
	l, err := decodeLicense(out)
	if err != nil {
		return nil
	}
	return l.refuses()
}

// license is what prlsrvctl says of the licence.
type license struct{ Status, Edition string }

// decodeLicense reads the answer of prlsrvctl info --license; an empty object
// is the answer of one that has none.
func decodeLicense(out []byte) (license, error) {
	var l license
	err := decodeObject(out, &l)
	switch {
	case err == nil:
		return l, nil
	case meaning(string(out)) == expired: // the plain form's "No licenses installed"
		return license{}, nil
	}
	return license{}, fmt.Errorf("prlsrvctl info: its answer cannot be read: %w", err)
}

// refuses is nil unless it is certain that the licence does not do: words that
// are not known pass.
func (l license) refuses() error {
	standard := strings.EqualFold(l.Edition, "standard")
	if l == (license{}) || standard || strings.Contains(strings.ToLower(l.Status), "expired") {
		return advised(&LicenseError{Edition: l.Edition, Status: l.Status})
	}
	return nil
}
