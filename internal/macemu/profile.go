package macemu

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

var uuidForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// dict reads the keys of a profile and remembers the first that is wrong.
type dict struct {
	values map[string]any
	err    *error
}

func (d dict) fail(key, why string) {
	if *d.err == nil {
		*d.err = fmt.Errorf("macemu: profile: %s %s", key, why)
	}
}

// text is a string that must not be empty and, if one is wanted, must be that.
func (d dict) text(key, want string) string {
	s, ok := d.values[key].(string)
	if !ok || s == "" || want != "" && s != want {
		d.fail(key, "is missing or not as it must be")
	}
	return s
}

func (d dict) inside(key string) dict {
	m, ok := d.values[key].(map[string]any)
	if !ok {
		d.fail(key, "is missing or no dictionary")
	}
	return dict{m, d.err}
}

// payload checks what each payload has, and returns its identifier.
func (d dict) payload(kind string) string {
	d.text("PayloadType", kind)
	d.text("PayloadDisplayName", "")
	if v, ok := d.values["PayloadVersion"].(int64); !ok || v != 1 {
		d.fail("PayloadVersion", "is not 1")
	}
	if !uuidForm.MatchString(d.text("PayloadUUID", "")) {
		d.fail("PayloadUUID", "is not a UUID")
	}
	return d.text("PayloadIdentifier", "")
}

// profileTunnels are the tunnels of a configuration profile and its identifier.
// C for the keys
func profileTunnels(data []byte) (id string, out []Tunnel, err error) {
	value, err := parsePlist(data)
	if err != nil {
		return "", nil, err
	}
	root, ok := value.(map[string]any)
	if !ok {
		return "", nil, errors.New("macemu: profile: no dictionary")
	}
	top := dict{root, &err}
	id = top.payload("Configuration")
	content, ok := root["PayloadContent"].([]any)
	if !ok || len(content) == 0 {
		top.fail("PayloadContent", "is missing, empty or no array")
	}
	seen := []string{id}
	for _, item := range content {
		values, _ := item.(map[string]any)
		vpn := dict{values, &err}
		own := vpn.payload("com.apple.vpn.managed")
		if slices.Contains(seen, own) {
			vpn.fail("PayloadIdentifier", "is there twice")
		}
		seen = append(seen, own)
		vpn.text("VPNType", "VPN")
		vpn.text("VPNSubType", wireGuard)
		vpn.inside("VPN").text("RemoteAddress", "")
		vpn.inside("VPN").text("AuthenticationMethod", "Password")
		t := Tunnel{Name: vpn.text("UserDefinedName", ""), App: wireGuard, Profile: id, State: Disconnected}
		t.Conf = vpn.inside("VendorConfig").text("WgQuickConfig", "")
		if _, refused := ParseConf(t.Conf); refused != nil && err == nil {
			err = refused
		}
		out = append(out, t)
	}
	if err != nil {
		return "", nil, err
	}
	return id, out, nil
}

// install takes a profile in the place of the one with the same identifier, which
// is the only import that replaces. C. A tunnel that is replaced goes down, and a
// name that a person imported may be there twice. A
func (e *Emulator) install(st *state, data []byte, later *emu.Later) error {
	id, tunnels, err := profileTunnels(data)
	if err != nil {
		return err
	}
	for i := range st.Tunnels {
		if st.Tunnels[i].Profile == id {
			e.down(&st.Tunnels[i], time.Time{}, later)
		}
	}
	st.Tunnels = slices.DeleteFunc(st.Tunnels, func(t Tunnel) bool { return t.Profile == id })
	for _, t := range tunnels {
		t.UUID = st.uuid()
		st.Tunnels = append(st.Tunnels, t)
	}
	return nil
}

// Install installs a profile, as a person does in System Settings after open. The
// error says why macOS or WireGuard.app does not take it.
func (e *Emulator) Install(profile []byte) error {
	return e.change(func(st *state, _ time.Time, later *emu.Later) error { return e.install(st, profile, later) })
}
