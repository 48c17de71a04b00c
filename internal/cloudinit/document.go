package cloudinit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The documents as cloud-init 25.1 wants them; `cloud-init schema` accepts
// each. What Debian's image does by default is written only where we depend
// on it.

// header must be the first line of user-data, or cloud-init reads it as
// something else.
const header = "#cloud-config\n"

type userData struct {
	HostName string `json:"hostname"`
	// A list without "default" in it: the image's own account is not made.
	Users []account `json:"users"`
	// No login with a password, for anybody.
	PasswordLogin bool      `json:"ssh_pwauth"`
	HostKeys      hostKeys  `json:"ssh_keys"`
	Grow          partition `json:"growpart"`
}

type account struct {
	Name  string   `json:"name"`
	Sudo  string   `json:"sudo"`
	Shell string   `json:"shell"`
	Lock  bool     `json:"lock_passwd"`
	Keys  []string `json:"ssh_authorized_keys"`
}

// hostKeys replaces the image's keys; those of other types are then not made.
type hostKeys struct {
	Private string `json:"ed25519_private"`
	Public  string `json:"ed25519_public"`
}

type partition struct {
	Mode    string   `json:"mode"`
	Devices []string `json:"devices"`
}

type metaData struct {
	InstanceID string `json:"instance-id"`
	HostName   string `json:"local-hostname"`
}

type network struct {
	Version   int                 `json:"version"`
	Ethernets map[string]ethernet `json:"ethernets"`
}

// card is the key of the one network card. It is no interface name: that is
// left alone, since renaming races with the start of the network.
const card = "primary"

type ethernet struct {
	Match       match       `json:"match"`
	DHCP4       bool        `json:"dhcp4"`
	Addresses   []string    `json:"addresses"`
	Routes      []route     `json:"routes"`
	NameServers nameServers `json:"nameservers"`
}

type match struct {
	MAC string `json:"macaddress"`
}

type route struct {
	To  string `json:"to"`
	Via string `json:"via"`
}

type nameServers struct {
	Addresses []string `json:"addresses"`
}

const (
	allCommands = "ALL=(ALL) NOPASSWD:ALL"
	shell       = "/bin/bash"
	// everywhere: "default" is understood by the netplan renderer alone.
	everywhere = "0.0.0.0/0"
)

// documents are the files of the seed, sorted by name.
func (s Seed) documents() ([]file, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	key, err := ParsePublicKey([]byte(s.PublicKey))
	if err != nil {
		return nil, err
	}
	if key != s.PublicKey {
		return nil, fmt.Errorf("public key %.40q is not as ParsePublicKey makes it", s.PublicKey)
	}
	private, public, err := readHostKey(s.HostKey)
	if err != nil {
		return nil, err
	}
	gateway := s.Gateway.String()
	return encode(userData{
		HostName: s.HostName,
		Users:    []account{{Name: string(s.User), Sudo: allCommands, Shell: shell, Lock: true, Keys: []string{key}}},
		HostKeys: hostKeys{Private: private, Public: public},
		Grow:     partition{Mode: "auto", Devices: []string{"/"}},
	}, metaData{InstanceID: s.InstanceID, HostName: s.HostName}, network{
		Version: 2,
		Ethernets: map[string]ethernet{card: {
			Match:       match{MAC: s.MAC.String()},
			Addresses:   []string{s.Addr.String()},
			Routes:      []route{{To: everywhere, Via: gateway}},
			NameServers: nameServers{Addresses: []string{gateway}},
		}},
	})
}

func encode(u userData, m metaData, n network) ([]file, error) {
	var files []file
	for _, d := range []struct {
		name, head string
		value      any
	}{{metaDataName, "", m}, {networkName, "", n}, {userDataName, header, u}} {
		text, err := json.MarshalIndent(d.value, "", "  ")
		if err != nil {
			return nil, err
		}
		text = append(append([]byte(d.head), text...), '\n')
		// JSON allows what YAML does not, DEL for one. Nothing that gets
		// here holds it.
		if i := bytes.IndexFunc(text, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
			return nil, fmt.Errorf("%s would hold a byte that is not printable ASCII", d.name)
		}
		files = append(files, file{d.name, text})
	}
	return files, nil
}

// Read returns the Seed that an image made by [Seed.ISO] holds, and an error
// for every other image. It reads the names of the files as Linux does.
func Read(image []byte) (Seed, error) {
	s, err := readSeed(image)
	if err != nil {
		return Seed{}, fmt.Errorf("read cloud-init seed: %w", err)
	}
	return s, nil
}

func readSeed(image []byte) (Seed, error) {
	got, files, err := Files(image)
	if err != nil {
		return Seed{}, err
	}
	if got != label {
		return Seed{}, fmt.Errorf("the label is %+q, not %s", got, label)
	}
	text, ok := bytes.CutPrefix(files[userDataName], []byte(header))
	if !ok {
		return Seed{}, fmt.Errorf("%s does not begin with %q", userDataName, header)
	}
	var u userData
	var m metaData
	var n network
	for name, d := range map[string]struct {
		text []byte
		into any
	}{userDataName: {text, &u}, metaDataName: {files[metaDataName], &m}, networkName: {files[networkName], &n}} {
		if err := decode(d.text, d.into); err != nil {
			return Seed{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	s, err := fromDocuments(u, m, n)
	if err != nil {
		return Seed{}, err
	}
	// Whatever differs from what we would write is not ours to explain.
	again, err := s.documents()
	if err != nil {
		return Seed{}, err
	}
	for _, f := range again {
		if !bytes.Equal(files[f.name], f.data) {
			return Seed{}, fmt.Errorf("%s is not as this program writes it", f.name)
		}
	}
	return s, nil
}

func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the document")
	}
	return nil
}

func fromDocuments(u userData, m metaData, n network) (Seed, error) {
	e := n.Ethernets[card]
	if len(u.Users) != 1 || len(u.Users[0].Keys) != 1 || len(e.Addresses) != 1 || len(e.Routes) != 1 {
		return Seed{}, fmt.Errorf("one user with one key and one network card with one address and one route are wanted")
	}
	s := Seed{
		InstanceID: m.InstanceID, HostName: u.HostName,
		User: hypervisor.User(u.Users[0].Name), PublicKey: u.Users[0].Keys[0],
		HostKey: []byte(u.HostKeys.Private),
	}
	var err error
	if s.MAC, err = net.ParseMAC(e.Match.MAC); err != nil {
		return Seed{}, err
	}
	if s.Addr, err = netip.ParsePrefix(e.Addresses[0]); err != nil {
		return Seed{}, err
	}
	s.Gateway, err = netip.ParseAddr(e.Routes[0].Via)
	return s, err
}
