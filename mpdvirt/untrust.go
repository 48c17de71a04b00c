package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
)

// untrust takes CAs out of the system keychain and the administrators' trust
// settings, by their fingerprints.
func (m *Manager) untrust(ctx context.Context, r *run, cas []*identity.CA, yes bool) (*TrustResult, error) {
	mac := m.mac(r)
	if err := onlyMac(ctx, mac); err != nil {
		return nil, err
	}
	before, err := m.traces(ctx, mac, cas)
	if err != nil {
		return nil, err
	}
	res := before.result()
	commands := before.commands()
	if len(commands) == 0 {
		return res, before.stillTrusted()
	}
	ran, err := m.asRoot(ctx, r, fmt.Sprintf("Take the trust in %s, from this Mac?", before.names()), yes, commands)
	if !ran || ctx.Err() != nil {
		return res, err
	}
	after, unclear := m.traces(ctx, mac, cas)
	if unclear != nil {
		return res, fmt.Errorf("the commands have run, but what is left: %w", errors.Join(unclear, err))
	}
	res = after.result()
	left := after.commands()
	res.Changed = shownCommands(left) != shownCommands(commands)
	switch {
	case len(left) == 0 && err != nil:
		r.note("it is gone, although: %v", err)
	case len(left) > 0 && err == nil:
		err = errors.New("the commands ended without an error")
		fallthrough
	case len(left) > 0:
		return res, hint.Wrap(fmt.Errorf("this Mac still has %s: %w", after.names(), err), "run this in a terminal yourself:\n"+shownCommands(left))
	}
	return res, after.stillTrusted()
}

// traces are what a Mac has of CAs.
type traces struct {
	cas      []caTrace
	stranger []macos.Fingerprints // in the keychain, of a CA's name, and none of ours
	unclear  error                // why the trust records cannot be read
}

type caTrace struct {
	CATrust
	ca       *identity.CA
	keychain []macos.Fingerprints // empty: it is not there
	record   bool                 // the administrators' trust settings speak of it
}

func (t caTrace) there() bool { return len(t.keychain) > 0 || t.record }

// traces asks macOS for all that it has of the CAs. The verdict about each is only
// told, and stands in for the trust records where these cannot be read: where there
// are none, macOS says so in the language of the account. What else it cannot tell
// is an error.
func (m *Manager) traces(ctx context.Context, mac *macos.Mac, cas []*identity.CA) (*traces, error) {
	t := &traces{}
	if len(cas) == 0 {
		return t, nil
	}
	found, err := mac.Find(ctx, cas[0].X509.Subject.CommonName)
	if err != nil {
		return nil, err
	}
	records, err := mac.AdminTrusted(ctx, m.scratch(filepath.Dir(m.state.SharedLockFile())))
	if err != nil && !errors.Is(err, macos.ErrUnclear) {
		return nil, err
	}
	t.unclear = err
	ours, _ := m.keys.Roots() // whoever asks for damage has asked before
	for _, c := range cas {
		verdict, err := m.verify(ctx, mac, c)
		if err != nil && t.unclear != nil {
			return nil, t.unclear
		}
		trace := caTrace{ca: c, record: slices.Contains(records, c.SHA1())}
		trace.CATrust = trustIn(c, len(ours) > 0 && ours[0].Fingerprint == c.Fingerprint, verdict)
		for _, f := range found {
			if isOf(f, c) {
				trace.keychain = append(trace.keychain, f)
			}
		}
		if t.unclear != nil { // a record is what makes the difference, whoever's it is
			trace.record = verdict == macos.Trusted || verdict == macos.Denied
		}
		t.cas = append(t.cas, trace)
	}
	for _, f := range found {
		if !slices.ContainsFunc(ours, func(c *identity.CA) bool { return isOf(f, c) }) {
			t.stranger = append(t.stranger, f)
		}
	}
	return t, ctx.Err()
}

// isOf compares by SHA-1, which every version of macOS prints.
func isOf(f macos.Fingerprints, c *identity.CA) bool { return strings.EqualFold(f.SHA1, c.SHA1()) }

func inKeychain(found []macos.Fingerprints, c *identity.CA) bool {
	return slices.ContainsFunc(found, func(f macos.Fingerprints) bool { return isOf(f, c) })
}

func (t *traces) result() *TrustResult {
	res := &TrustResult{Schema: TrustSchema, CAs: []CATrust{}}
	for _, c := range t.cas {
		res.CAs = append(res.CAs, c.CATrust)
	}
	if t.unclear != nil {
		res.Left = append(res.Left, fmt.Sprintf("the trust records could not be read (%v); macOS's verdict counts instead", t.unclear))
	}
	for _, f := range t.stranger {
		res.Left = append(res.Left, fmt.Sprintf("%q in the system keychain (SHA-1 %s): it is not a CA of ~/.mpd-virt/conf", f.Label, f.SHA1))
	}
	return res
}

// commands take away what is there.
func (t *traces) commands() []macos.Command {
	var out []macos.Command
	for _, c := range t.cas {
		if c.there() {
			out = append(out, macos.UntrustCommands(c.keychain, c.ca.File)...)
		}
	}
	return out
}

// names are those of the CAs of which something is there.
func (t *traces) names() string {
	var out []string
	for _, c := range t.cas {
		if c.there() {
			out = append(out, c.ca.String())
		}
	}
	return strings.Join(out, " and ")
}

// stillTrusted is an error if macOS trusts one of the CAs although the system has
// nothing of it any more: then it is by the settings of the person's account, which
// root cannot reach.
func (t *traces) stillTrusted() error {
	for _, c := range t.cas {
		if c.Trust == string(macos.Trusted) && !c.there() {
			return hint.Wrap(fmt.Errorf("macOS still trusts %s, by the settings of your own account", c.ca),
				"remove it in Keychain Access, from the keychain \"login\"")
		}
	}
	return nil
}
