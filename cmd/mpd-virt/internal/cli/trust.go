package cli

import (
	"context"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func trustVerb() verb {
	return verb{
		name: "trust", usage: "[flags]",
		short: "make this Mac trust the CA, or take the trust away",
		about: `The certificates of *.mpd.test are signed by a certificate authority of this Mac's own, which can
vouch for nothing else. Browsers take them once macOS trusts it.

The command to be run as root is shown before it runs. It wants a password twice: sudo's on the
terminal, and that of an administrator in a dialog on the screen, so it cannot be done over SSH.
Afterwards macOS is asked whether it trusts. All of this is safe to repeat.

--remove takes every CA of ~/.mpd-virt/conf out of the system keychain, by its fingerprint, with
its trust record. A certificate of the same name that is not one of them is left, and named.`,
		examples: []string{
			"mpd-virt trust",
			"mpd-virt trust --remove --yes",
		},
		plans: true,
		define: func(f *flags) action {
			var req mpdvirt.TrustRequest
			f.bool("remove", &req.Remove, "take the trust away")
			f.bool("yes", &req.Yes, "do not ask; sudo and macOS do all the same")
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(mayAsk)
				if err != nil {
					return err
				}
				if a.dryRun {
					return a.plan(ctx, m, req)
				}
				res, err := m.Trust(ctx, req)
				return a.writeTrust(req, res, err)
			}
		},
	}
}

func (a *app) writeTrust(req mpdvirt.TrustRequest, res *mpdvirt.TrustResult, err error) error {
	if res == nil || a.json {
		return asJSON(a, res, err)
	}
	if err == nil {
		a.say("%s", trustSaid(req, res))
	}
	for _, c := range res.CAs {
		a.field(c.Trust, "%s", caText(c))
	}
	a.removals(nil, res.Left)
	return err
}

// trustSaid is the outcome in a sentence.
func trustSaid(req mpdvirt.TrustRequest, res *mpdvirt.TrustResult) string {
	switch {
	case req.Remove && res.Changed:
		return "this Mac has no CA of mpd-virt any more"
	case req.Remove:
		return "this Mac has no CA of mpd-virt, nothing to do"
	case res.Changed:
		return "macOS trusts the CA now; browsers that are open may have to be restarted"
	}
	return "macOS trusts the CA already, nothing to do"
}

// caText tells one CA from another of its name.
func caText(c mpdvirt.CATrust) string {
	text := "CA " + lowerShort(c.SHA256) + ", valid until " + c.NotAfter.UTC().Format(time.DateOnly)
	if !c.Current {
		text += ", of before the last rotation"
	}
	return text
}
