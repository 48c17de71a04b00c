package prlemu

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

func isJSON(arg string) bool { return arg == "-j" || arg == "--json" }

// info is "prlsrvctl info --license [--json]".
func (c *call) info() error {
	if !slices.Contains(c.args, "--license") {
		return c.usage("info is played with --license only")
	}
	text := ""
	if c.set.EditionNotice { // C (DEV): before the JSON, on standard output
		text = "This feature is not available in this edition of Parallels Desktop. \n"
	}
	json := slices.ContainsFunc(c.args, isJSON)
	switch {
	case c.set.License == "none" && json: // C (DEV)
		text += "{\n\n}\n"
	case c.set.License == "none": // C (DEV)
		text += "Searching for installed licenses...\nNo licenses installed.\n"
	case json:
		text += c.license()
	default: // A: nobody reads the plain form
		text += "Searching for installed licenses...\n\tedition=\"" + or(c.set.Edition, "pro") + "\"\n"
	}
	if json && c.set.Noise {
		text = noiseBefore + text + noiseBehind
	}
	_, err := io.WriteString(c.out, text)
	return err
}

// license is the JSON of a licence. C (DEV, VAG#485: release 20); A the word
// EXPIRED
func (c *call) license() string {
	status, until := "ACTIVE", "04/05/2099 09:16:59"
	if c.set.License == "expired" {
		status, until = "EXPIRED", "04/05/2020 09:16:59"
	}
	var b strings.Builder
	b.WriteString("{")
	for i, pair := range [][2]string{
		{"status", quote(status)}, {"serial", quote("W3WSRH-******-******-******-******")}, {"expiration", quote(until)},
		{"main_period_ends_at", quote(until)}, {"grace_period_ends_at", quote(until)}, {"cpu_total", "32"}, {"max_memory", "131072"},
		{"edition", quote(or(c.set.Edition, "pro"))}, {"is_volume", quote("no")}, {"is_trial", quote("no")},
		{"deferred_activation", quote("disabled")}, {"uuid", quote("3e6b8f5e-0c0e-4d44-8f6b-7b1c1b6a8f01")},
	} {
		fmt.Fprintf(&b, "%s\n\t\"%s\": %s", map[bool]string{true: "", false: ","}[i == 0], pair[0], pair[1])
	}
	return b.String() + "\n}\n"
}

// net is "prlsrvctl net info Shared [-j]" and "net set Shared".
func (c *call) net() error {
	rest := slices.DeleteFunc(slices.Clone(c.args), isJSON)
	json := len(rest) < len(c.args)
	switch {
	case len(rest) == 2 && rest[0] == "info" && rest[1] == "Shared" && json:
		text := c.sharedJSON()
		if c.set.Noise {
			text = noiseBefore + text + noiseBehind
		}
		_, err := io.WriteString(c.out, text)
		return err
	case len(rest) == 2 && rest[0] == "info" && rest[1] == "Shared":
		_, err := io.WriteString(c.out, c.sharedPlain())
		return err
	case len(rest) == 2 && rest[0] == "info": // A
		return refused("Failed to find the virtual network %s.", rest[1])
	case len(rest) > 2 && rest[0] == "set" && rest[1] == "Shared":
		return c.setNet(rest[2:])
	}
	return c.usage("net is played with info and set Shared only")
}

// sharedJSON is the Shared network. C (DEV, VAG); the defaults of the range are
// ours
func (c *call) sharedJSON() string {
	net, blocks := c.set.subnet(), []string{"\"Network ID\": \"Shared\"", "\"Type\": \"shared\""}
	first, last := c.set.scope()
	if !c.set.AdapterOff {
		blocks = append(blocks, fmt.Sprintf("\"Parallels adapter\": {\n\t\t\"IPv4 address\": \"%s.2\",\n\t\t\"IPv4 subnet mask\": \"255.255.255.0\",\n"+
			"\t\t\"IPv6 address\": \"fdb2:2c26:f4e4::1\",\n\t\t\"IPv6 subnet mask\": \"ffff:ffff:ffff:ffff::\"\n\t}", net))
	}
	if !c.set.NoDHCP {
		blocks = append(blocks, fmt.Sprintf("\"DHCPv4 server\": {\n\t\t\"Server address\": \"%s.1\",\n\t\t\"IP scope start address\": %s,\n"+
			"\t\t\"IP scope end address\": %s\n\t}", net, quote(first), quote(last)))
	}
	blocks = append(blocks, "\"NAT server\": {\n\t\t\"TCP rules\": {\n\t\t},\n\t\t\"UDP rules\": {\n\t\t}\n\t}")
	return "{\n\t" + strings.Join(blocks, ",\n\t") + "\n}\n"
}

// sharedPlain has the same keys as lines. C
func (c *call) sharedPlain() string {
	net := c.set.subnet()
	first, last := c.set.scope()
	text := "Network ID: Shared\nType: shared\n"
	if !c.set.AdapterOff {
		text += fmt.Sprintf("Parallels adapter:\n\tIPv4 address: %s.2\n\tIPv4 subnet mask: 255.255.255.0\n", net)
	}
	if !c.set.NoDHCP {
		text += fmt.Sprintf("DHCPv4 server:\n\tServer address: %s.1\n\tIP scope start address: %s\n\tIP scope end address: %s\n", net, first, last)
	}
	return text
}

// setNet changes the DHCP range. C that the options exist, A the rest
func (c *call) setNet(args []string) error {
	s := c.set
	for ; len(args) > 0; args = args[2:] {
		into := map[string]*string{"--ip-scope-start": &s.ScopeStart, "--ip-scope-end": &s.ScopeEnd}[args[0]]
		switch {
		case args[0] == "--connect-host-to-net" && len(args) > 1:
			s.AdapterOff = args[1] == "off"
			continue
		case into == nil || len(args) < 2:
			return c.usage("Unrecognized option " + args[0])
		}
		if _, err := netip.ParseAddr(args[1]); err != nil {
			return refused("Invalid IP address: %s", args[1])
		}
		*into = args[1]
	}
	return c.change(func(st *state, _ time.Time) error {
		st.Settings.ScopeStart, st.Settings.ScopeEnd, st.Settings.AdapterOff = s.ScopeStart, s.ScopeEnd, s.AdapterOff
		return nil
	})
}
