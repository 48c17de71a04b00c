package macemu

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// resolver is one set of name servers of the Mac.
type resolver struct {
	domain  string
	search  []string
	servers []netip.Addr
	port    int
	timeout string
	order   string
	options string
	index   string // of the interface, as "22 (utun4)"
	flags   string
	reach   string
}

// server is the address and port that are asked first; ok is false if there is
// none.
func (r resolver) server() (netip.AddrPort, bool) {
	if len(r.servers) == 0 {
		return netip.AddrPort{}, false
	}
	port := r.port
	if port == 0 {
		port = 53
	}
	return netip.AddrPortFrom(r.servers[0], uint16(port)), true // parsed as 16 bits
}

// parseResolver reads a file of /etc/resolver, whose name is the domain if none
// is in it; ok is false if it says nothing. Every word is of resolver(5): the
// first of a line is what it is about, in any case, and a line that starts with a
// blank says nothing. C
func parseResolver(name, text string) (r resolver, ok bool) {
	r.domain = name
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.ContainsRune("#; \t", rune(line[0])) {
			continue
		}
		words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
		value := ""
		if len(words) > 1 {
			value = words[1]
		}
		switch strings.ToLower(words[0]) {
		case "domain":
			r.domain = or(value, r.domain)
		case "nameserver":
			r.nameserver(value)
		case "port":
			if n, err := strconv.ParseUint(value, 10, 16); err == nil {
				r.port = int(n)
			}
		case "search":
			r.search = words[1:]
		case "timeout":
			r.timeout = value
		case "search_order":
			r.order = value
		case "options":
			r.options = strings.Join(words[1:], " ")
		case "flags", "interface", "sortlist":
		default:
			continue
		}
		ok = true
	}
	r.domain = strings.ToLower(strings.TrimSuffix(r.domain, "."))
	return r, ok
}

// nameserver adds one, of which three count; a fifth number is the port. C
func (r *resolver) nameserver(value string) {
	addr, err := netip.ParseAddr(value)
	if at := strings.LastIndexByte(value, '.'); err != nil && at > 0 {
		port, bad := strconv.ParseUint(value[at+1:], 10, 16)
		if addr, err = netip.ParseAddr(value[:at]); err == nil && bad == nil {
			r.port = int(port)
		}
	}
	if err == nil && len(r.servers) < 3 {
		r.servers = append(r.servers, addr)
	}
}

// resolverFiles are all files of /etc/resolver, whatever their name, that
// everybody can read. C
func (e *Emulator) resolverFiles() (out []resolver) {
	if e.opts.Root == "" {
		return nil
	}
	dir, _ := e.mapped(resolverDir)
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o004 == 0 {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue
		}
		if r, ok := parseResolver(entry.Name(), string(data)); ok {
			out = append(out, r)
		}
	}
	return out
}

// hosts is the address of a name in /etc/hosts.
func (e *Emulator) hosts(name string) (netip.Addr, bool) {
	if e.opts.Root == "" {
		return netip.Addr{}, false
	}
	data, err := os.ReadFile(filepath.Join(e.opts.Root, "etc", "hosts"))
	if err != nil {
		return netip.Addr{}, false
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(strings.ToLower(line))
		if len(words) < 2 || !slices.Contains(words[1:], name) {
			continue
		}
		if addr, err := netip.ParseAddr(words[0]); err == nil && addr.Is4() {
			return addr, true
		}
	}
	return netip.Addr{}, false
}
