package identity

import (
	"net/netip"
	"strconv"
	"strings"
)

// The model of WireGuard.app's import, stricter than the app where wg-quick is
// stricter: the keys that both know, the values that both accept.

type modelKey struct {
	list  bool // may be repeated and may have several values
	valid func(string) bool
}

var modelKeys = map[string]modelKey{
	"interface.privatekey":     {false, validKey},
	"interface.listenport":     {false, validUint16},
	"interface.mtu":            {false, validUint16},
	"interface.address":        {true, validPrefix},
	"interface.dns":            {true, validAddr},
	"peer.publickey":           {false, validKey},
	"peer.presharedkey":        {false, validKey},
	"peer.allowedips":          {true, validPrefix},
	"peer.endpoint":            {false, validEndpoint},
	"peer.persistentkeepalive": {false, validUint16},
}

func validKey(s string) bool      { _, err := parseKey(s); return err == nil }
func validUint16(s string) bool   { _, err := strconv.ParseUint(s, 10, 16); return err == nil }
func validPrefix(s string) bool   { _, err := netip.ParsePrefix(s); return err == nil }
func validAddr(s string) bool     { _, err := netip.ParseAddr(s); return err == nil }
func validEndpoint(s string) bool { _, err := netip.ParseAddrPort(s); return err == nil }

// parseAppConf reads a configuration with one interface and one peer into
// "section.key" and its values, in lower case.
func parseAppConf(text string) (map[string][]string, error) {
	values := map[string][]string{}
	section := ""
	for line := range strings.Lines(text) {
		if err := asciiLine(line); err != nil {
			return nil, err
		}
		line, _, _ = strings.Cut(strings.TrimSuffix(line, "\n"), "#")
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case line == "[Interface]" && section == "":
			section = "interface."
		case line == "[Peer]" && section == "interface.":
			section = "peer."
		default:
			if err := modelLine(values, section, line); err != nil {
				return nil, err
			}
		}
	}
	if values["interface.privatekey"] == nil || values["peer.publickey"] == nil {
		return nil, errModel("a key is missing")
	}
	return values, nil
}

func modelLine(values map[string][]string, section, line string) error {
	name, value, found := strings.Cut(line, "=")
	name = section + strings.ToLower(strings.TrimSpace(name))
	key, known := modelKeys[name]
	if !found || !known || !key.list && values[name] != nil {
		return errModel(line)
	}
	all := []string{value}
	if key.list {
		all = strings.Split(value, ",")
	}
	for _, v := range all {
		v = strings.TrimSpace(v)
		if !key.valid(v) {
			return errModel(line)
		}
		values[name] = append(values[name], v)
	}
	return nil
}

// asciiLine wants every line to be printable ASCII with a line feed.
func asciiLine(line string) error {
	body, ended := strings.CutSuffix(line, "\n")
	for _, c := range []byte(body) {
		if c < ' ' || c > '~' {
			ended = false
		}
	}
	if !ended {
		return errModel(strconv.Quote(line))
	}
	return nil
}
