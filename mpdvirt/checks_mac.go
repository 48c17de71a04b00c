package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
)

// The questions about this Mac's way to the VM. What cannot be told is a
// warning, never a failure; a machine that is no Mac is not asked.

// onMac asks only a Mac.
func onMac(x *examination, ask func() Check) Check {
	if !x.isMac() {
		return Check{Status: Skipped, Summary: "not asked: this is no Mac"}
	}
	return ask()
}

// unclear is a question that macOS's tools left open.
func unclear(err error) Check { return Check{Status: Warn, Summary: err.Error()} }

// askTunnel asks for the Mac's end of a tunnel. All VMs' tunnels have the same
// address: that one is up does not say whose it is, nor does its name, which
// somebody gave it.
func askTunnel(ctx context.Context, x *examination) Check {
	return onMac(x, func() Check {
		iface, up, err := x.mac.WithAddr(ctx, identity.MacTunnelAddr())
		if err != nil {
			return unclear(err)
		}
		tunnels, _ := x.mac.Tunnels(ctx) // what macOS does not list is not missing
		if !up {
			return x.noTunnel(ctx, tunnels)
		}
		c := Check{Status: OK, Summary: fmt.Sprintf("%s has %s", iface, identity.MacTunnelAddr()), Facts: map[string]string{"interface": iface}}
		i := slices.IndexFunc(tunnels, func(t macos.Tunnel) bool { return t.State == macos.TunnelConnected })
		if i < 0 {
			return c
		}
		name := tunnels[i].Name
		c.Facts["connected"] = name
		c.Summary += ", and " + name + " is connected"
		if o := tunnels[i].Octet; o != 0 && o != x.entry.Octet {
			c.Status = Warn
			c.Summary += ", not " + x.entry.Name()
			c.Fixes = fixesOf(macos.StartTunnelCommand(x.entry.Name()))
		}
		return c
	})
}

// noTunnel is what it means that no interface has the tunnel's address.
func (x *examination) noTunnel(ctx context.Context, tunnels []macos.Tunnel) Check {
	if route, err := x.mac.RouteTo(ctx, identity.DNSServer()); err == nil && route.Gateway == x.entry.Addr {
		return Check{Status: Warn, Summary: "no tunnel is up; a static route leads to the containers through " + x.entry.Addr.String(), Facts: map[string]string{"gateway": route.Gateway.String()}}
	}
	c := Check{Status: Fail, Summary: fmt.Sprintf("no tunnel to a VM is up: no interface has %s", identity.MacTunnelAddr())}
	if slices.ContainsFunc(tunnels, func(t macos.Tunnel) bool { return t.Name == x.entry.Name() }) {
		c.Fixes = fixesOf(macos.StartTunnelCommand(x.entry.Name()))
		return c
	}
	c.Fixes = []Fix{x.importTunnel()}
	return c
}

// importTunnel is how the VM's tunnel gets into the WireGuard app.
func (x *examination) importTunnel() Fix {
	o := x.entry.Octet
	return Fix{
		Text: fmt.Sprintf("turn %s on in WireGuard. If it is not there, open the profile (and approve it in System Settings > General > Device Management), or import %s in the app", x.entry.Name(), x.m.keys.ImportFile(o)),
		Open: x.m.keys.ProfileFile(o), Copy: x.m.keys.ImportFile(o),
	}
}

// askRoute asks where packets to the containers go.
func askRoute(ctx context.Context, x *examination) Check {
	return onMac(x, func() Check {
		route, err := x.mac.RouteTo(ctx, identity.DNSServer())
		iface, _, ifaceErr := x.mac.WithAddr(ctx, identity.MacTunnelAddr())
		net := identity.ContainerNet()
		again := Fix{Text: "turn the tunnel off and on; another VPN may have to be off meanwhile"}
		switch {
		case errors.Is(err, macos.ErrNoRoute):
			return Check{Status: Fail, Summary: fmt.Sprintf("nothing leads to %s", net), Fixes: []Fix{again}}
		case err != nil:
			return unclear(err)
		case ifaceErr != nil:
			return unclear(ifaceErr)
		}
		c := Check{Status: OK, Summary: fmt.Sprintf("%s through %s", net, route.Interface), Facts: map[string]string{"interface": route.Interface}}
		switch {
		case route.Interface == iface && iface != "":
			return c
		case route.Gateway.IsValid() && !route.Default:
			c.Facts["gateway"] = route.Gateway.String()
			c.Summary = fmt.Sprintf("%s through %s by a static route", net, route.Gateway)
			if iface == "" { // it does what the tunnel would
				c.Status = Warn
				return c
			}
			c.Status, c.Fixes = Fail, fixesOf(macos.DeleteRouteCommand(route.Dest, route.Gateway))
		case route.Default:
			c.Status, c.Fixes = Fail, []Fix{again}
			c.Summary = fmt.Sprintf("%s has no route of its own and goes out through %s", net, route.Interface)
		default:
			c.Status, c.Fixes = Fail, []Fix{again}
			c.Summary = fmt.Sprintf("%s goes through %s, which is not the tunnel (%s)", net, route.Interface, iface)
		}
		return c
	})
}

// keyText prints the public key of the VM's end of the tunnel, as the kernel has
// it now.
const keyText = `timeout 5 sudo -n wg show mpd0 public-key </dev/null`

// askKey compares the VM's own key with the one that this Mac's tunnel expects:
// a tunnel to another key is connected for ever and carries nothing.
func askKey(ctx context.Context, x *examination) Check {
	conn, err := x.connect()
	if err != nil {
		return found(err)
	}
	again := mpdVirt("setup", x.entry.Octet.String(), "--from=push")
	out, err := conn.Query(ctx, guest.Script{Name: "wireguard key", Text: keyText, Limit: 10 * time.Second})
	if err != nil {
		return Check{Status: Fail, Summary: fmt.Sprintf("%s shows no WireGuard key: %v", x.entry.Name(), err), Fixes: []Fix{again}}
	}
	match, err := x.m.keys.CompareServerKey(x.entry.Octet, string(out))
	if err != nil {
		return found(err)
	}
	switch match.Verdict {
	case identity.KeySame:
		return Check{Status: OK, Summary: "the VM's key is the one that this Mac's tunnel expects"}
	case identity.KeyAbsent:
		return Check{Status: Fail, Summary: "the VM's end of the tunnel has no key", Fixes: []Fix{again}}
	}
	return Check{Status: Fail, Summary: "the VM's key is not the one in client.conf: no packet can go through this tunnel", Fixes: []Fix{again}}
}

// askScope asks which names macOS asks the VM for.
func askScope(ctx context.Context, x *examination) Check {
	return onMac(x, func() Check {
		all, err := x.mac.SystemDNS(ctx)
		if err != nil {
			return unclear(err)
		}
		claims, err := macos.ResolverClaims(x.m.system(macos.ResolverDir))
		if err != nil {
			return unclear(err)
		}
		asks := func(r macos.Resolver) bool { return slices.Contains(r.Nameservers, identity.DNSServer()) }
		ours := slices.ContainsFunc(macos.ResolversFor(all, identity.VMHost), asks)
		c := Check{Status: OK}
		switch {
		case !ours:
			c.Facts = map[string]string{"scope": "none"}
			c.Status, c.Summary = Fail, fmt.Sprintf("macOS does not ask %s for names of mpd.test", identity.DNSServer())
			c.Fixes = append([]Fix{{Text: "the tunnel's DNS line makes macOS ask there: turn the tunnel off and on, or let macOS ask there for mpd.test alone:"}},
				fixesOf(macos.ResolverFileCommands()...)...)
		case slices.ContainsFunc(macos.ResolversFor(all, "example.com"), asks):
			c.Facts = map[string]string{"scope": "all names"}
			c.Summary = "while the tunnel is on, all names that this Mac looks up go to the VM; " +
				"with " + macos.OurResolver + " and without DNS in the tunnel it would be those of mpd.test alone"
		default:
			c.Facts = map[string]string{"scope": identity.Domain}
			c.Summary = "names of mpd.test go to the VM, all others do not"
		}
		c.claimed(claims, x.m.cfg.SystemRoot)
		return c
	})
}

// claimed names the files of others that have a say about the VMs' names. Where
// one takes them away, it is the other's to keep or the person's to remove.
func (c *Check) claimed(claims []macos.ResolverClaim, root string) {
	for _, claim := range claims {
		if claim.Owner != macos.Foreign {
			continue
		}
		path := strings.TrimPrefix(claim.Path, root)
		c.Summary += fmt.Sprintf("; %s, which is not of this program, is about %s", path, claim.Domain)
		if c.Status = worse(c.Status, Warn); c.Status == Fail {
			c.Fixes = []Fix{{Text: "look at " + path + ", and remove it if nothing else needs it"}}
		}
	}
}

// worse is the worse of two statuses.
func worse(a, b Status) Status {
	order := []Status{OK, Skipped, Warn, Fail}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}

// private says whether macOS seems to keep us from the local network.
func (x *examination) private(ctx context.Context, err error, took time.Duration) bool {
	return private(ctx, x.mac, err, took, x.entry.Addr)
}

// private says whether an attempt to reach addr failed as it does when macOS
// keeps this program out of the local network.
func private(ctx context.Context, mac *macos.Mac, err error, took time.Duration, addr netip.Addr) bool {
	version, unknown := mac.Version(ctx)
	if unknown != nil || !macos.LooksLikePrivacy(err, took, version) {
		return false
	}
	route, err := mac.RouteTo(ctx, addr)
	return err == nil && route.OnLink()
}

// privacy is what to do then.
func privacy() Fix {
	return Fix{Text: macos.PrivacyText + "\n" + macos.PrivacyFix, Open: macos.PrivacyPane}
}

// missingTool says whether an error is only that this machine lacks a tool.
func missingTool(err error) bool { return errors.Is(err, hypervisor.ErrToolMissing) }

// short is the head of a fingerprint, for people.
func short(fingerprint string) string {
	return strings.ToLower(fingerprint[:min(8, len(fingerprint))]) + "…"
}
