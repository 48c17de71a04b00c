package macos

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// ResolverDir is where macOS looks for resolver files. Every file counts,
// copies that an editor left too: its name is its domain unless a line in it
// says otherwise.
const ResolverDir = "/etc/resolver"

// OurResolver is the resolver file for the VMs' domain.
const OurResolver = ResolverDir + "/" + identity.Domain

// OursResolverFile is the content of OurResolver as this program makes it.
func OursResolverFile() []byte {
	return fmt.Appendf(nil, "# made by mpd-virt\nnameserver %v\n", identity.DNSServer())
}

// ResolverFile is what macOS reads in a resolver file. The zero value is that
// of a file without effect.
type ResolverFile struct {
	Domain      string           // by a line in it, as Resolver.Domain; "" if its name is its domain
	Nameservers []netip.AddrPort // at most three; port 0 if none is given
	// Others are the further lines with a meaning, cleaned for people, and
	// those of nameservers and ports that macOS cannot read.
	Others []string
}

// Empty says whether the file has no effect.
func (f ResolverFile) Empty() bool {
	return f.Domain == "" && len(f.Nameservers) == 0 && len(f.Others) == 0
}

// ParseResolverFile reads a resolver file as macOS does, which differs from
// resolver(5): an indented line does not count, nor does a comment behind
// something else, and a CR at the end of a line is part of its last word.
func ParseResolverFile(data []byte) ResolverFile {
	var f ResolverFile
	port := uint16(0)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.ContainsAny(line[:1], " \t#;") {
			continue
		}
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		f.take(words, &port, plaintext.Short(line))
	}
	for i, s := range f.Nameservers {
		if s.Port() == 0 {
			f.Nameservers[i] = netip.AddrPortFrom(s.Addr(), port)
		}
	}
	return f
}

func (f *ResolverFile) take(words []string, port *uint16, line string) {
	value := ""
	if len(words) > 1 {
		value = words[1]
	}
	switch strings.ToLower(words[0]) {
	case "domain":
		f.Domain = plaintext.Short(plainName(value))
	case "nameserver":
		s, err := serverWithPort(value)
		if err != nil || len(f.Nameservers) == 3 {
			f.Others = append(f.Others, line)
			return
		}
		f.Nameservers = append(f.Nameservers, s)
	case "port":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			f.Others = append(f.Others, line)
			return
		}
		*port = uint16(n)
	case "flags", "interface", "options", "search", "search_order", "sortlist", "timeout":
		f.Others = append(f.Others, line)
	}
}

// portBehind is the last part of "10.163.0.3.5353" and "fd00::3.5353".
var portBehind = regexp.MustCompile(`^(.*)\.([0-9]+)$`)

// serverWithPort reads an address with or without ".port" behind it.
func serverWithPort(text string) (netip.AddrPort, error) {
	if a, err := parseServer(text); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	m := portBehind.FindStringSubmatch(text)
	if m == nil {
		return netip.AddrPort{}, errors.New("no address")
	}
	a, err := parseServer(m[1])
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(m[2], 10, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

// Owner says whose work a resolver file for the VMs' domain is.
type Owner string

// The owners.
const (
	// Ours: byte for byte what this program writes.
	Ours Owner = "ours"
	// SameAsOurs: it does the same, but somebody else wrote it.
	SameAsOurs Owner = "same as ours"
	// Foreign: it does something else; it is not ours to remove.
	Foreign Owner = "foreign"
)

// JudgeResolver says whose work the content of OurResolver is.
func JudgeResolver(data []byte) Owner {
	if bytes.Equal(data, OursResolverFile()) {
		return Ours
	}
	f, ours := ParseResolverFile(data), ParseResolverFile(OursResolverFile())
	if f.Domain == identity.Domain {
		f.Domain = ""
	}
	for i, s := range f.Nameservers {
		if s.Port() == 53 {
			f.Nameservers[i] = netip.AddrPortFrom(s.Addr(), 0)
		}
	}
	if f.Domain == ours.Domain && slices.Equal(f.Nameservers, ours.Nameservers) && len(f.Others) == 0 {
		return SameAsOurs
	}
	return Foreign
}

// ResolverClaim is a file that has a say about names of the VMs' domain.
type ResolverClaim struct {
	Path   string
	Domain string       // the domain that it is about: identity.Domain, or one above or below it
	File   ResolverFile // zero if Err is set
	Owner  Owner        // Foreign for all files but the one that this program writes
	Err    error        // why the file cannot be read; then ErrUnclear
}

// ResolverClaims returns the files of the folder dir, which is ResolverDir on a
// real Mac, that are about the VMs' domain, one below it, or one above it
// ("test"), in the order of their names. Of a file that cannot be read only the
// name counts. A folder that is not there holds none.
func ResolverClaims(dir string) ([]ResolverClaim, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnclear, err)
	}
	var claims []ResolverClaim
	for _, e := range entries {
		c := readClaim(filepath.Join(dir, e.Name()))
		if inDomain(identity.Domain, c.Domain) && c.Domain != "" || inDomain(c.Domain, identity.Domain) {
			claims = append(claims, c)
		}
	}
	return claims, nil
}

func readClaim(path string) ResolverClaim {
	name := filepath.Base(path)
	c := ResolverClaim{Path: path, Domain: plainName(name), Owner: Foreign}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a file", path)
	}
	var data []byte
	if err == nil {
		data, err = readSome(path)
	}
	if err != nil {
		c.Err = fmt.Errorf("%w: %w", ErrUnclear, err)
		return c
	}
	c.File = ParseResolverFile(data)
	switch {
	case c.File.Empty():
		c.Domain = "" // no say about anything
	case c.File.Domain != "":
		c.Domain = c.File.Domain
	}
	if name == identity.Domain {
		c.Owner = JudgeResolver(data)
	}
	if name == identity.Domain && c.File.Empty() {
		c.Domain = identity.Domain // without effect, but in our place
	}
	return c
}

// ResolverFileCommands write OurResolver, whatever stands there, and make macOS
// forget the answers that it has.
func ResolverFileCommands() []Command {
	return append([]Command{
		{Argv: []string{"/bin/mkdir", "-p", ResolverDir}, Root: true, Note: "makes macOS's folder for resolvers of one domain"},
		{
			Argv: []string{"/usr/bin/tee", OurResolver}, Stdin: OursResolverFile(), Root: true, After: true,
			Note: "sends names below " + identity.Domain + ", and only those, to the VM",
		},
		// Who keeps a strict umask would make a file that macOS's own
		// resolver, which is not root, cannot read.
		{Argv: []string{"/bin/chmod", "0644", OurResolver}, Root: true, After: true, Note: "lets macOS read it"},
	}, forgetCommands()...)
}

// RemoveResolverCommand removes OurResolver; a file that is not there is fine.
// The caller has judged before that it is ours.
func RemoveResolverCommand() Command {
	return Command{
		Argv: []string{"/bin/rm", "-f", OurResolver}, Root: true,
		Note: "ends the special way for names below " + identity.Domain,
	}
}

// forgetCommands: macOS sees the file by itself within about a second, but may
// remember for longer that a name did not exist.
func forgetCommands() []Command {
	const note = "makes macOS forget remembered names"
	return []Command{
		{Argv: []string{"/usr/bin/dscacheutil", "-flushcache"}, Root: true, After: true, Note: note},
		{Argv: []string{"/usr/bin/killall", "-HUP", "mDNSResponder"}, Root: true, After: true, Note: note},
	}
}
