package mpdvirt

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/internal/probe"
)

// The questions about macOS and about its ways to the containers.

// probeLimit bounds a program that only has to say that it is there.
const probeLimit = 2 * time.Second

// macTools are questions that more than one check needs, asked once.
type macTools struct {
	iface   func() (tunnelEnd, error)
	tunnels func() ([]macos.Tunnel, error)
	routes  func() ([]macos.Route, error)
	way     func() (macos.Route, error) // to the containers
}

// tunnelEnd is the interface with the Mac's address in the tunnel, "" for none.
type tunnelEnd string

func macToolsOf(ctx context.Context, mac *macos.Mac) macTools {
	return macTools{
		iface: lazily(func() (tunnelEnd, error) {
			name, up, err := mac.WithAddr(ctx, identity.MacTunnelAddr())
			if !up {
				name = ""
			}
			return tunnelEnd(name), err
		}),
		tunnels: lazily(func() ([]macos.Tunnel, error) { return mac.Tunnels(ctx) }),
		routes:  lazily(func() ([]macos.Route, error) { return mac.Routes(ctx) }),
		way:     lazily(func() (macos.Route, error) { return mac.RouteTo(ctx, identity.DNSServer()) }),
	}
}

func (d *doctor) askVersion(ctx context.Context) Check {
	return onMac(d.examination, func() Check {
		v, err := d.mac.Version(ctx)
		if err != nil {
			return unclear(err)
		}
		return Check{Status: OK, Summary: "macOS " + v.String(), Facts: map[string]string{"version": v.String()}}
	})
}

// tool is a program of the system, and a question that needs it.
type tool struct {
	name string
	ask  func() error
}

// systemTools are those that the questions need.
func (d *doctor) systemTools(ctx context.Context) []tool {
	list := []tool{{"ping", func() error {
		ctx, cancel := context.WithTimeout(ctx, pingLimit)
		defer cancel()
		_, err := probe.Ping(ctx, d.r.runner(), goos, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		return err
	}}}
	if !d.isMac() {
		return list
	}
	return append(list,
		tool{"security", func() error { _, err := d.mac.Find(ctx, caName); return err }},
		tool{"scutil", func() error { _, err := d.tools.tunnels(); return err }},
		tool{"ifconfig", func() error { _, err := d.tools.iface(); return err }},
		tool{"netstat", func() error { _, err := d.tools.routes(); return err }},
		tool{"route", func() error { _, err := d.tools.way(); return err }},
	)
}

// askTools wants the system's programs to be there; whether they work is for
// those to say who ask them.
func (d *doctor) askTools(ctx context.Context) Check {
	ask := d.systemTools(ctx)
	missing := make([]string, len(ask))
	var wg sync.WaitGroup
	for i, tool := range ask {
		wg.Go(func() {
			if missingTool(tool.ask()) {
				missing[i] = tool.name
			}
		})
	}
	wg.Wait()
	missing = slices.DeleteFunc(missing, func(name string) bool { return name == "" })
	if len(missing) > 0 {
		return Check{Status: Warn, Summary: "not on this machine: " + strings.Join(missing, ", ") + "; what they tell is not known",
			Fixes: []Fix{{Text: "they are part of the system: look whether /sbin, /usr/sbin and /usr/bin are whole"}}}
	}
	var names []string
	for _, tool := range ask {
		names = append(names, tool.name)
	}
	return Check{Status: OK, Summary: strings.Join(names, ", ")}
}

// caName is the name of all our CAs, by which security looks for certificates.
const caName = "mpd Root CA"

// askTunnelUp says which tunnel is up. The VM behind it says itself who it is,
// which is the only proof; the tunnel's name is what somebody called it.
func (d *doctor) askTunnelUp(ctx context.Context) Check {
	return onMac(d.examination, func() Check {
		end, err := d.tools.iface()
		if err != nil {
			return unclear(err)
		}
		tunnels, _ := d.tools.tunnels() // what macOS does not list is not missing
		c := Check{Status: OK, Summary: "no tunnel to a VM is up", Facts: map[string]string{}}
		if end != "" {
			c.Facts["interface"] = string(end)
			c.Summary = fmt.Sprintf("%s has %s", end, identity.MacTunnelAddr())
		}
		var strays []string
		for _, t := range tunnels {
			if t.State == macos.TunnelConnected {
				c.Facts["connected"] = t.Name
				c.Summary += ", " + t.Name + " is connected"
			}
			if t.Octet != 0 && !d.knows(t.Octet) {
				strays = append(strays, t.Name)
			}
		}
		if end != "" {
			d.behind(ctx, &c)
		}
		if len(strays) > 0 {
			c.Status = worse(c.Status, Warn)
			c.Summary += "; of no registered VM: " + some(strays)
			c.Fixes = append(c.Fixes, Fix{Text: "remove the tunnels of VMs that are gone, in WireGuard"})
		}
		return c
	})
}

// behind adds who answers through the tunnel.
func (d *doctor) behind(ctx context.Context, c *Check) {
	a := probe.QueryA(ctx, d.m.cfg.DialContext, d.m.cfg.DNSServer, identity.VMHost)
	c.Facts["answer"] = string(a.Kind)
	if a.Kind != probe.Address {
		c.Status = Warn
		c.Summary += fmt.Sprintf("; no VM answers behind it (%s)", a.Kind)
		c.Fixes = append(c.Fixes, Fix{Text: "start the VM that it leads to, or turn the tunnel off: names of *.mpd.test, and perhaps all others, are looked up there"})
		return
	}
	c.Facts["address"] = a.Addr.String()
	for _, e := range d.entries() {
		if e.Addr == a.Addr {
			c.Facts["vm"] = e.Name()
			c.Summary += "; " + e.Name() + " answers"
			return
		}
	}
	c.Status = Warn
	c.Summary += fmt.Sprintf("; a VM at %s answers that is not registered here", a.Addr)
}

func (d *doctor) knows(o Octet) bool {
	for _, it := range d.items {
		if it.Entry.Octet == o {
			return true
		}
	}
	return false
}

// askStaticRoutes looks for routes to the containers that no tunnel made. They
// are left of a time without tunnel, and compete with it.
func (d *doctor) askStaticRoutes(context.Context) Check {
	return onMac(d.examination, func() Check {
		routes, err := d.tools.routes()
		if err != nil {
			return unclear(err)
		}
		end, _ := d.tools.iface()
		c := Check{}
		for _, r := range routes {
			if r.Default || r.Tunnel() || !r.Gateway.IsValid() || !r.Dest.Overlaps(identity.ContainerNet()) || r.Dest.Bits() < 16 {
				continue
			}
			status, why := Warn, "by a static route"
			if end != "" {
				status, why = Fail, "by a static route, beside the tunnel"
			}
			c.finding(status, fmt.Sprintf("%s goes through %s %s", r.Dest, r.Gateway, why), fixesOf(macos.DeleteRouteCommand(r.Dest, r.Gateway))...)
		}
		if c.Status == "" {
			return Check{Status: OK, Summary: fmt.Sprintf("no static route leads to %s", identity.ContainerNet())}
		}
		return c
	})
}

// askResolverFiles looks for files that tell macOS where to look names of
// mpd.test up.
func (d *doctor) askResolverFiles(context.Context) Check {
	return onMac(d.examination, func() Check {
		claims, err := macos.ResolverClaims(d.m.system(macos.ResolverDir))
		if err != nil {
			return unclear(err)
		}
		c := Check{}
		var ours []string
		for _, claim := range claims {
			switch {
			case claim.Err != nil:
				c.finding(Warn, claim.Err.Error())
			case claim.Owner == macos.Foreign:
				c.finding(Warn, fmt.Sprintf("%s is about %s, too, and not of this program", claim.Path, claim.Domain),
					Fix{Text: "it is not touched: whoever made it knows whether it is still needed"})
			case len(d.items) == 0 && claim.Owner == macos.Ours:
				c.finding(Warn, claim.Path+" is left over: there is no VM", fixesOf(macos.RemoveResolverCommand())...)
			default:
				ours = append(ours, claim.Path)
			}
		}
		switch {
		case c.Status != "":
			return c
		case len(ours) > 0:
			return Check{Status: OK, Summary: fmt.Sprintf("%s sends names of %s to %s", strings.Join(ours, ", "), identity.Domain, identity.DNSServer())}
		}
		return Check{Status: OK, Summary: fmt.Sprintf("no file in %s is about %s", macos.ResolverDir, identity.Domain)}
	})
}
