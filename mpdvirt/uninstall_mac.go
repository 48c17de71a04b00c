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

// caLabel is the name under which the keychain is searched. Others may use it,
// too: what is ours is told by fingerprint.
const caLabel = "mpd Root CA"

// findOnMac is what macOS itself has of this program, and what it has of others
// in these places. The error is for a trust in our CA that cannot be told:
// without an answer, its certificate must stay where it can be compared.
func (u *uninstall) findOnMac(ctx context.Context) (found []trace, left []string, err error) {
	mac := u.m.mac(u.r)
	if !isMac(ctx, mac) {
		return nil, []string{"keychain, resolver files, routes and tunnels: not looked at, this is no Mac"}, ctx.Err()
	}
	if found, left, err = u.findTrust(ctx, mac); err != nil {
		return nil, nil, err
	}
	for _, find := range []func(context.Context, *macos.Mac) ([]trace, []string){u.findResolver, u.findRoutes, findTunnels} {
		more, others := find(ctx, mac)
		found, left = append(found, more...), append(left, others...)
	}
	return found, left, ctx.Err()
}

// findTrust looks for the certificates of our CA, the current one and those
// before it, in the keychain and in the trust settings, which may outlive them.
func (u *uninstall) findTrust(ctx context.Context, mac *macos.Mac) (found []trace, left []string, err error) {
	roots, rootsErr := u.m.keys.Roots()
	certs, err := mac.Find(ctx, caLabel)
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case err != nil && rootsErr == nil && len(roots) == 0:
		return nil, []string{fmt.Sprintf("certificates of others called %q: %v", caLabel, err)}, nil
	case err != nil:
		return nil, nil, caUnclear(err)
	}
	for _, root := range roots {
		i := slices.IndexFunc(certs, func(f macos.Fingerprints) bool { return strings.EqualFold(f.SHA1, root.SHA1()) })
		if i >= 0 {
			found = append(found, trace{
				key: root.SHA1(), text: root.String() + ": certificate and macOS's trust in it",
				commands: macos.UntrustCommands(certs[i:i+1], ""),
			})
			certs = slices.Delete(certs, i, i+1)
			continue
		}
		recorded, own, err := u.stillTrusted(ctx, mac, root)
		if err != nil {
			return nil, nil, err
		}
		if recorded {
			found = append(found, trace{
				key: root.SHA1(), text: root.String() + ": macOS's trust in it; the certificate is gone",
				commands: macos.UntrustCommands(nil, root.File),
			})
		} else if own {
			left = append(left, root.String()+": macOS trusts it by a setting of your own account; Keychain Access shows it")
		}
	}
	if rootsErr != nil && len(certs) > 0 {
		return nil, nil, u.whoseCA(rootsErr, certs)
	}
	for _, f := range certs {
		left = append(left, fmt.Sprintf("a certificate called %q in the system keychain, SHA-1 %s: nothing here says that it is ours", caLabel, f.SHA1))
	}
	return found, left, nil
}

// stillTrusted says whether the administrator's trust settings have a record of
// a certificate that is not in the keychain, and if not, whether macOS trusts it
// all the same. Where the settings cannot be read, as where security speaks
// another language and there are none, macOS's verdict decides.
func (u *uninstall) stillTrusted(ctx context.Context, mac *macos.Mac, root *identity.CA) (recorded, own bool, err error) {
	records, err := mac.AdminTrusted(ctx, u.m.scratch(u.conf()))
	if ctx.Err() != nil {
		return false, false, ctx.Err()
	}
	if slices.Contains(records, root.SHA1()) {
		return true, false, nil
	}
	trust, verdictErr := mac.Verify(ctx, root.File)
	switch known := verdictErr == nil && (trust == macos.Trusted || trust == macos.Denied); {
	case ctx.Err() != nil:
		return false, false, ctx.Err()
	case err == nil:
		return false, known && trust == macos.Trusted, nil
	case verdictErr != nil:
		return false, false, caUnclear(errors.Join(err, verdictErr))
	default:
		return known, false, nil
	}
}

// caUnclear is the error where macOS does not say what it thinks of our CA.
func caUnclear(err error) error {
	return hint.Wrap(fmt.Errorf("nothing is removed, since macOS does not say whether it trusts the CA: %w", err),
		"run the command again; if it stays so, remove "+caLabel+" in Keychain Access and then the folder ~/.mpd-virt")
}

// whoseCA is the error where the keychain has certificates of our name, and a
// file that would tell whose they are cannot be read.
func (u *uninstall) whoseCA(err error, certs []macos.Fingerprints) error {
	err = fmt.Errorf("nothing is removed, since the keychain has certificates called %q that may be ours: %w", caLabel, err)
	return hint.Wrap(err, "restore the file from a backup; or, if these certificates are of this program, remove them:\n"+shownCommands(macos.UntrustCommands(certs, "")))
}

// findResolver looks for resolver files about mpd.test. Only one that has every
// byte of ours is ours.
func (u *uninstall) findResolver(context.Context, *macos.Mac) (found []trace, left []string) {
	claims, err := macos.ResolverClaims(u.m.system(macos.ResolverDir))
	if err != nil {
		return nil, []string{macos.ResolverDir + ": " + err.Error()}
	}
	for _, c := range claims {
		path := filepath.Join(macos.ResolverDir, filepath.Base(c.Path))
		switch {
		case c.Owner == macos.Ours:
			found = append(found, trace{key: path, text: path, commands: []macos.Command{macos.RemoveResolverCommand()}})
		case c.Err != nil:
			left = append(left, path+": it cannot be read")
		case c.Owner == macos.SameAsOurs:
			left = append(left, path+": it does what ours does, but this program did not write it")
		default:
			left = append(left, path+": its content is not of this program")
		}
	}
	return found, left
}

// findRoutes looks for static routes to the containers. Those of a tunnel go
// with it.
func (u *uninstall) findRoutes(ctx context.Context, mac *macos.Mac) (found []trace, left []string) {
	routes, err := mac.Routes(ctx)
	if err != nil {
		return nil, []string{fmt.Sprintf("static routes to %s: %v", identity.ContainerNet(), err)}
	}
	for _, route := range routes {
		text := fmt.Sprintf("static route to %s through %s", route.Dest, route.Gateway)
		switch {
		case !route.Static || !route.Gateway.IsValid() || !identity.ContainerNet().Overlaps(route.Dest):
		case route.Dest == identity.ContainerNet():
			found = append(found, trace{key: text, text: text, commands: []macos.Command{macos.DeleteRouteCommand(route.Dest, route.Gateway)}})
		case route.Dest.Bits() > identity.ContainerNet().Bits():
			left = append(left, text+": it is to a part of the containers' network only, which this program never sets")
		}
	}
	return found, left
}

// findTunnels names the tunnels in the WireGuard app, which has no way for
// others to remove one.
func findTunnels(ctx context.Context, mac *macos.Mac) (_ []trace, left []string) {
	tunnels, err := mac.Tunnels(ctx)
	if err != nil {
		return nil, []string{"tunnels in WireGuard: " + err.Error()}
	}
	for _, t := range tunnels {
		if t.Octet != 0 {
			left = append(left, "tunnel "+t.Name+" with its key: remove it in the WireGuard app")
		}
	}
	return nil, left
}

// needsScreen says whether a person must be there for the commands, and not for
// sudo's password alone.
func needsScreen(all []trace) bool {
	return slices.ContainsFunc(commandsOf(all), func(c macos.Command) bool { return c.Dialog })
}

// removeFromMac runs the commands, and asks macOS again. It returns what is left
// there of others; the error says that something of ours is.
func (u *uninstall) removeFromMac(ctx context.Context, p *plan) (left []string, err error) {
	if len(p.mac) == 0 {
		return p.left, nil
	}
	failed := u.m.runFixes(ctx, u.r, fixesOf(commandsOf(p.mac)...))
	if u.m.rehearsal != nil {
		return p.left, nil
	}
	if ctx.Err() != nil { // what has worked, the next run finds out
		u.leave(p.mac, "interrupted")
		return nil, errors.Join(failed, ctx.Err())
	}
	again, err := u.find(ctx)
	if err != nil {
		u.leave(p.mac, "not known")
		u.res.Commands = commandTexts(commandsOf(p.mac))
		return nil, err
	}
	for _, t := range p.mac {
		if !slices.ContainsFunc(again.mac, func(s trace) bool { return s.key == t.key }) {
			u.res.Removed = append(u.res.Removed, t.text)
		}
	}
	if len(again.mac) == 0 {
		return again.left, nil
	}
	u.leave(again.mac, "still there")
	u.res.Commands = commandTexts(commandsOf(again.mac))
	return nil, hint.Wrap(stillThere(failed), u.next(again.mac))
}

// stillThere is why something is, after the commands.
func stillThere(err error) error {
	var sudo *macos.SudoError
	switch {
	case errors.As(err, &sudo): // without its commands, which are told below it
		return fmt.Errorf("not all is removed: sudo: %w", sudo.Err)
	case err != nil:
		return fmt.Errorf("not all is removed: %w", err)
	}
	return errors.New("not all is removed, although the commands worked")
}
