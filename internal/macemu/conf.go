package macemu

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Conf is a configuration as WireGuard.app reads it. The zero value is none.
type Conf struct {
	PrivateKey string // base64; a secret
	ListenPort uint16 // 0 is any
	Address    []netip.Prefix
	DNS        []netip.Addr // asked for all names while the tunnel is up
	Search     []string     // names of the DNS lines: search domains, and nothing more
	MTU        uint16       // 0 is that of the way, less 80
	Peers      []Peer
}

// Peer is the other end of a tunnel.
type Peer struct {
	PublicKey, PresharedKey string // base64; the second is a secret, "" for none
	AllowedIPs              []netip.Prefix
	Endpoint                string // host:port, "" for none
	PersistentKeepalive     uint16 // seconds, 0 for none
}

// confError is a configuration that the app refuses. It never holds a value.
type confError struct {
	line int
	text string
}

func (e *confError) Error() string {
	if e.line == 0 {
		return "macemu: WireGuard.app refuses the configuration: " + e.text
	}
	return fmt.Sprintf("macemu: WireGuard.app refuses the configuration: line %d: %s", e.line, e.text)
}

// confReader is how far the reading of a configuration is.
type confReader struct {
	conf       Conf
	section    string // "", "interface" or "peer"
	interfaces int
	keys       map[string]bool // of this section
}

// ParseConf reads a configuration and refuses what WireGuard.app refuses on
// import: keys that it does not know, though wg-quick does, keys that stand twice
// where a list would not, and values out of their form. C
func ParseConf(text string) (Conf, error) {
	r := &confReader{keys: map[string]bool{}}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := r.line(line); err != nil {
			return Conf{}, &confError{number, err.Error()}
		}
	}
	if err := r.end(); err != nil {
		return Conf{}, &confError{0, err.Error()}
	}
	return r.conf, nil
}

func (r *confReader) line(line string) error {
	switch section := strings.ToLower(line); section {
	case "[interface]", "[peer]":
		if err := r.endSection(); err != nil {
			return err
		}
		r.section, r.keys = strings.Trim(section, "[]"), map[string]bool{}
		if r.section == "peer" {
			r.conf.Peers = append(r.conf.Peers, Peer{})
		} else if r.interfaces++; r.interfaces > 1 {
			return errors.New("there is more than one interface")
		}
		return nil
	}
	key, value, found := strings.Cut(line, "=")
	key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
	switch {
	case !found:
		return errors.New("neither a section nor a key with a value")
	case r.section == "": // C: ignored
		return nil
	case value == "":
		return fmt.Errorf("%s has no value", key)
	case r.keys[key] && key != "address" && key != "allowedips" && key != "dns":
		return fmt.Errorf("multiple entries for key %s", key)
	}
	r.keys[key] = true
	set := r.ofInterface
	if r.section == "peer" {
		set = r.ofPeer
	}
	if err := set(key, value); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func (r *confReader) ofInterface(key, value string) (err error) {
	c := &r.conf
	switch key {
	case "privatekey":
		c.PrivateKey, err = wgKey(value)
	case "listenport":
		c.ListenPort, err = number(value)
	case "mtu":
		c.MTU, err = number(value)
	case "address":
		c.Address, err = prefixes(c.Address, value)
	case "dns":
		for _, word := range list(value) {
			addr, bad := netip.ParseAddr(word)
			switch {
			case word == "": // A
				return errors.New("a place in the list is empty")
			case bad == nil:
				c.DNS = append(c.DNS, addr)
			default:
				c.Search = append(c.Search, word)
			}
		}
	default:
		return errors.New("not a key that the app knows of an interface")
	}
	return err
}

func (r *confReader) ofPeer(key, value string) (err error) {
	p := &r.conf.Peers[len(r.conf.Peers)-1]
	switch key {
	case "publickey":
		p.PublicKey, err = wgKey(value)
	case "presharedkey":
		p.PresharedKey, err = wgKey(value)
	case "persistentkeepalive": // C: "off" is none
		p.PersistentKeepalive, err = number(value)
	case "allowedips":
		p.AllowedIPs, err = prefixes(p.AllowedIPs, value)
	case "endpoint":
		p.Endpoint, err = endpoint(value)
	default:
		return errors.New("not a key that the app knows of a peer")
	}
	return err
}

// endSection says what the section that ends lacks.
func (r *confReader) endSection() error {
	switch {
	case r.section == "interface" && r.conf.PrivateKey == "":
		return errors.New("the interface has no private key")
	case r.section == "peer" && r.conf.Peers[len(r.conf.Peers)-1].PublicKey == "":
		return errors.New("a peer has no public key")
	}
	return nil
}

func (r *confReader) end() error {
	if err := r.endSection(); err != nil {
		return err
	}
	if r.interfaces == 0 {
		return errors.New("there is no interface")
	}
	for i, p := range r.conf.Peers {
		if slices.ContainsFunc(r.conf.Peers[:i], func(q Peer) bool { return q.PublicKey == p.PublicKey }) {
			return errors.New("two peers have one key")
		}
	}
	return nil
}

// wgKey is 32 bytes in the one base64 form that they have. C
func wgKey(text string) (string, error) {
	if b, err := base64.StdEncoding.Strict().DecodeString(text); err != nil || len(b) != 32 || len(text) != 44 {
		return "", errors.New("not a key")
	}
	return text, nil
}

func number(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, errors.New("not a number from 0 to 65535")
	}
	return uint16(n), nil
}

func list(value string) (out []string) {
	for word := range strings.SplitSeq(value, ",") {
		out = append(out, strings.TrimSpace(word))
	}
	return out
}

// prefixes reads addresses, those without a length as of one machine. Bits of
// the host are kept, as the app does. C
func prefixes(out []netip.Prefix, value string) ([]netip.Prefix, error) {
	for _, word := range list(value) {
		p, err := netip.ParsePrefix(word)
		if addr, bad := netip.ParseAddr(word); err != nil && bad == nil && addr.Zone() == "" {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, errors.New("not an address")
		}
		out = append(out, p)
	}
	return out, nil
}

func endpoint(text string) (string, error) {
	bad := errors.New("not host:port")
	at := strings.LastIndexByte(text, ':')
	if at <= 0 {
		return "", bad
	}
	host, port := text[:at], text[at+1:]
	if _, err := number(port); err != nil {
		return "", bad
	}
	if inside, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inside, "]"))
		if err != nil || !addr.Is6() || !strings.HasSuffix(inside, "]") {
			return "", bad
		}
	} else if strings.ContainsAny(host, ":[] \t") {
		return "", bad
	}
	return text, nil
}
