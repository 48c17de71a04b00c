package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
)

// TrustRequest says what Trust does.
type TrustRequest struct {
	Remove bool // take the trust away instead
	Yes    bool // do not ask; sudo and macOS want their passwords all the same
}

// TrustSchema is the value of TrustResult.Schema for the layout of this version.
const TrustSchema = "mpd-virt/trust/1"

// TrustResult is what macOS thinks of this Mac's CAs after Trust.
type TrustResult struct {
	Schema  string    `json:"schema"`
	Changed bool      `json:"changed"` // it is not as it was before the call
	CAs     []CATrust `json:"cas"`     // the current one first; empty if there is none
	// Left is what was seen and not touched, and why; for people, one thing
	// each.
	Left []string `json:"left,omitempty"`
}

// CATrust is what macOS thinks of one CA.
type CATrust struct {
	SHA256   string    `json:"sha256"` // of the certificate, as security prints it: upper-case hexadecimal
	SHA1     string    `json:"sha1"`   // likewise; macOS files its trust records under it
	NotAfter time.Time `json:"not_after"`
	// Current: it signs for the VMs. Else it was replaced, and is kept until
	// every VM has the current one.
	Current bool `json:"current"`
	// Trust is "trusted", "not trusted", "expired", "denied" (a person said
	// never to trust it) or "cannot tell".
	Trust string `json:"trust"`
}

// Trust makes macOS trust the CA, for all users of the Mac, or with Remove
// takes all that this Mac knows of its CAs out of the system keychain and the
// trust settings. While a rotation is under way the CA before the current one
// is trusted, too.
//
// What is to be run as root is first told whole in one Note event and, unless
// the request says Yes, asked about; it then runs in one session of sudo, in
// which a person types a password on the terminal and answers macOS's own
// question on the screen. Without a Prompter nothing is run, and the hint of the
// error has the commands. Trust that is as wanted is left alone, so both
// directions may be repeated. Whether it went well is asked of macOS afterwards.
//
// A certificate that has the CA's name and is not one of this Mac's CAs is never
// touched; the result names it.
//
// The error is errors.ErrUnsupported if this machine is no Mac, fs.ErrNotExist
// if there is no CA to be trusted yet, and ErrDeclined if the person says no or
// nobody can be asked. The result is not nil once macOS has answered.
func (m *Manager) Trust(ctx context.Context, req TrustRequest) (*TrustResult, error) {
	r := m.begin("trust", 0)
	if req.Remove {
		cas, err := m.keys.Roots()
		if len(cas) == 0 && err != nil {
			return nil, r.fail(err)
		}
		res, failed := m.untrust(ctx, r, cas, req.Yes)
		return res, r.fail(errors.Join(failed, err)) // a damaged file hides a CA
	}
	ca, err := m.keys.CA()
	if err != nil {
		return nil, r.fail(err)
	}
	previous, err := m.keys.Previous()
	if err != nil {
		return nil, r.fail(err)
	}
	res, err := m.trust(ctx, r, ca, previous, req.Yes)
	return res, r.fail(err)
}

// trust makes macOS trust ca, which must succeed, and those before it, as far as
// they are of use.
func (m *Manager) trust(ctx context.Context, r *run, ca *identity.CA, previous []*identity.CA, yes bool) (*TrustResult, error) {
	mac := m.mac(r)
	if err := onlyMac(ctx, mac); err != nil {
		return nil, err
	}
	res := &TrustResult{Schema: TrustSchema, CAs: []CATrust{}}
	var commands []macos.Command
	for i, c := range append([]*identity.CA{ca}, previous...) {
		verdict, err := m.verify(ctx, mac, c)
		res.CAs = append(res.CAs, trustIn(c, i == 0, verdict))
		switch {
		case verdict == macos.Untrusted:
			commands = append(commands, macos.TrustCommands(c.File)...)
		case i > 0 && (err != nil || verdict == macos.Denied):
			res.Left = append(res.Left, fmt.Sprintf("the CA before this one, %s: %s", c, firstText(err, string(verdict))))
		case i == 0:
			if err := refusedTrust(c, verdict, err); err != nil {
				return res, err
			}
		}
	}
	if len(commands) == 0 {
		return res, nil
	}
	ran, err := m.asRoot(ctx, r, fmt.Sprintf("Trust %s, for all users of this Mac?", ca), yes, commands)
	if !ran || ctx.Err() != nil {
		return res, err
	}
	return res, m.trusted(ctx, r, mac, ca, previous, res, err)
}

// verify asks macOS whether it trusts a CA. One that is new in a rehearsal it does
// not know.
func (m *Manager) verify(ctx context.Context, mac *macos.Mac, c *identity.CA) (macos.Trust, error) {
	switch {
	case !m.files.Pending(c.File):
		return mac.Verify(ctx, c.File)
	case c.File == m.keys.CACertFile():
		return macos.Untrusted, nil
	}
	return macos.TrustUnclear, nil
}

// refusedTrust is why macOS cannot be made to trust a CA; nil if it does.
func refusedTrust(ca *identity.CA, verdict macos.Trust, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("whether macOS trusts %s: %w", ca, err)
	case verdict == macos.Denied:
		return hint.Wrap(fmt.Errorf("somebody told macOS never to trust %s", ca),
			"in Keychain Access, set the certificate to be trusted, or remove it and run mpd-virt trust")
	case verdict == macos.Expired:
		return hint.Wrap(fmt.Errorf("macOS says that %s has expired", ca),
			"mpd-virt ca rotate     (makes a new one; is this Mac's clock right?)")
	}
	return nil
}

// trusted asks macOS whether the commands did what they should. err is what sudo
// said; it counts only where macOS does not trust.
func (m *Manager) trusted(ctx context.Context, r *run, mac *macos.Mac, ca *identity.CA, previous []*identity.CA, res *TrustResult, err error) error {
	for i, c := range append([]*identity.CA{ca}, previous...) {
		verdict, unclear := mac.Verify(ctx, c.File)
		res.Changed = res.Changed || res.CAs[i].Trust != string(verdict)
		res.CAs[i].Trust = string(verdict)
		switch {
		case verdict == macos.Trusted, i > 0 && verdict == macos.Expired:
		case unclear != nil:
			return fmt.Errorf("the commands have run, but whether macOS trusts %s: %w", c, unclear)
		default:
			return notTrusted(ctx, mac, c, err)
		}
	}
	if err != nil {
		r.note("macOS trusts it, although: %v", err)
	}
	return nil
}

// notTrusted says how far it got. macOS puts the certificate into the keychain
// before it asks whether to trust it.
func notTrusted(ctx context.Context, mac *macos.Mac, ca *identity.CA, err error) error {
	text := fmt.Sprintf("macOS does not trust %s", ca)
	if found, _ := mac.Find(ctx, ca.X509.Subject.CommonName); inKeychain(found, ca) {
		text += "; the certificate is in the system keychain, which alone is of no use"
		if errors.As(err, new(*macos.CommandError)) {
			text += ": the question on the screen was refused, or nobody could see it"
		}
	}
	next := hint.Of(err)
	if next == "" {
		next = "mpd-virt trust     (at this Mac's own screen)"
	}
	if err == nil {
		return hint.Wrap(fmt.Errorf("%s, although the command ended without an error", text), next)
	}
	return hint.Wrap(fmt.Errorf("%s: %w", text, err), next)
}

// onlyMac is an error on a machine that is none.
func onlyMac(ctx context.Context, mac *macos.Mac) error {
	if isMac(ctx, mac) {
		return nil
	}
	err := errors.New("this is no Mac: it has no security, the tool that keeps what macOS trusts")
	return &classified{hint.Wrap(err, "trust ~/.mpd-virt/conf/caroot/rootCA.pem as this system does it"), errors.ErrUnsupported}
}

func trustIn(c *identity.CA, current bool, verdict macos.Trust) CATrust {
	return CATrust{SHA256: c.SHA256(), SHA1: c.SHA1(), NotAfter: c.NotAfter, Current: current, Trust: string(verdict)}
}

func firstText(err error, text string) string {
	if err != nil {
		return err.Error()
	}
	return text
}
