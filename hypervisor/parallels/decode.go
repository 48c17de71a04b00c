package parallels

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// vm is what a list says of one VM or template.
type vm struct {
	uuid  string // without braces, in the tool's case
	name  string
	state hypervisor.State // hypervisor.Missing if it is not in the list
	// addrs are those IPv4 addresses in the Shared network that the guest
	// tells, and none unless it runs: Parallels keeps old ones.
	addrs []netip.Addr
}

func (v vm) machine() hypervisor.Machine {
	return hypervisor.Machine{UUID: v.uuid, Name: v.name, State: v.state}
}

// detail is what `list -i` says of one VM.
type detail struct {
	vm
	ram, disk hypervisor.Size // zero: not told
	macs      []string        // of its network cards: twelve hexadecimal digits, lower case
	// silent says that this release tells no addresses in the long form, which
	// is so at least up to 16.
	silent bool
}

// entry is one VM in the JSON of a list. The short form has the keys uuid,
// status and ip_configured, the long one ID, State and Network; package json
// takes keys in any case.
type entry struct {
	UUID, ID      string
	Status, State string
	Name          *string
	Addresses     string `json:"ip_configured"`
	// What is in these is not needed of every VM, so that an odd one does not
	// spoil the list.
	Network, Hardware json.RawMessage
}

var (
	uuidText    = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	versionText = regexp.MustCompile(`(?m)^prlctl version ([0-9]+(\.[0-9]+)+)`)
	sizeText    = regexp.MustCompile(`^([1-9][0-9]{0,11})\s*M[bB]$`)
	cardText    = regexp.MustCompile(`^net[0-9]+$`)
	macText     = regexp.MustCompile(`^[0-9a-f]{12}$`)
)

// decodeList reads the VMs of a list that has states.
func decodeList(out []byte) ([]vm, error) { return decodeVMs(out, true) }

// decodeTemplates reads a list of templates. Only UUID and name are certain to
// be there.
func decodeTemplates(out []byte) ([]vm, error) { return decodeVMs(out, false) }

func decodeVMs(out []byte, states bool) ([]vm, error) {
	entries, err := decodeEntries(out)
	if err != nil {
		return nil, err
	}
	vms := make([]vm, len(entries))
	seen := map[string]bool{}
	for i, e := range entries {
		if vms[i], err = e.vm(states); err != nil {
			return nil, unreadable("list", fmt.Errorf("entry %d: %w", i+1, err))
		}
		id := plainUUID(vms[i].uuid)
		if seen[id] {
			return nil, unreadable("list", fmt.Errorf("%s is there twice", vms[i].uuid))
		}
		seen[id] = true
	}
	return vms, nil
}

// decodeDetail reads the long form of the VM uuid alone.
func decodeDetail(out []byte, uuid string) (detail, error) {
	entries, err := decodeEntries(out)
	if err != nil {
		return detail{}, err
	}
	if len(entries) != 1 {
		return detail{}, unreadable("list -i", fmt.Errorf("%d VMs instead of one", len(entries)))
	}
	v, err := entries[0].vm(true)
	if err == nil && !sameUUID(v.uuid, uuid) {
		err = fmt.Errorf("%s instead of %s", v.uuid, uuid)
	}
	if err != nil {
		return detail{}, unreadable("list -i", err)
	}
	d := detail{vm: v, silent: entries[0].Network == nil}
	d.ram, d.disk, d.macs = entries[0].hardware()
	return d, nil
}

func decodeEntries(out []byte) ([]entry, error) {
	var entries []entry
	if err := decodeArray(out, &entries); err != nil {
		return nil, unreadable("list", err)
	}
	return entries, nil
}

func (e entry) vm(state bool) (vm, error) {
	v := vm{uuid: strings.Trim(e.UUID+e.ID, "{}")}
	if !uuidText.MatchString(v.uuid) {
		return vm{}, fmt.Errorf("%.60q is no UUID", e.UUID+e.ID)
	}
	if e.Name == nil {
		return vm{}, errors.New("there is no name")
	}
	v.name = *e.Name
	if word := e.Status + e.State; word != "" {
		v.state = parseState(word)
	} else if state {
		return vm{}, errors.New("there is no state")
	}
	if v.state == hypervisor.Running {
		v.addrs = addresses(append(strings.Fields(e.Addresses), e.guest()...))
	}
	return v, nil
}

// guest is what the guest told of its addresses, in the long form.
func (e entry) guest() (out []string) {
	var network struct {
		Addresses []struct{ IP string } `json:"ipAddresses"`
	}
	if json.Unmarshal(e.Network, &network) == nil {
		for _, a := range network.Addresses {
			out = append(out, a.IP)
		}
	}
	return out
}

// hardware reads sizes and network cards. What cannot be read is left out: it
// is missing where it is needed, and in the way nowhere else.
func (e entry) hardware() (ram, disk hypervisor.Size, macs []string) {
	var devices map[string]json.RawMessage
	if json.Unmarshal(e.Hardware, &devices) != nil {
		return 0, 0, nil
	}
	for key, raw := range devices {
		var device struct{ Size, MAC string }
		if json.Unmarshal(raw, &device) != nil {
			continue
		}
		mac := strings.ToLower(strings.ReplaceAll(device.MAC, ":", ""))
		switch {
		case key == "memory":
			ram = parseSize(device.Size)
		case key == "hdd0":
			disk = parseSize(device.Size)
		case cardText.MatchString(key) && macText.MatchString(mac):
			macs = append(macs, mac)
		}
	}
	slices.Sort(macs)
	return ram, disk, macs
}

// parseSize reads a size as the long form has it, like 8192Mb; zero if it is
// none.
func parseSize(s string) hypervisor.Size {
	m := sizeText.FindStringSubmatch(s)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0
	}
	return hypervisor.Size(n) * hypervisor.MiB
}

// decodeVersion reads the answer of prlctl --version.
func decodeVersion(out []byte) (string, error) {
	m := versionText.FindSubmatch(out)
	if m == nil {
		return "", unreadable("--version", fmt.Errorf("%q is no version", plaintext.Short(string(out))))
	}
	return string(m[1]), nil
}

// addresses keeps of the texts those that are an address of a VM in the Shared
// network: guests tell anything, IPv6 and 169.254 before the real one. A mask
// behind the address is tolerated.
func addresses(texts []string) (out []netip.Addr) {
	for _, text := range texts {
		text, mask, masked := strings.Cut(text, "/")
		if masked && !isMask(mask) {
			continue
		}
		a, err := hypervisor.ParseAddr(text)
		if err == nil && sharedNetwork().Contains(a) && a != gateway() && a != host() {
			out = append(out, a)
		}
	}
	return out
}

func isMask(s string) bool {
	if n, err := strconv.Atoi(s); err == nil {
		return n >= 0 && n <= 32
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

// plainUUID is the form in which UUIDs are compared.
func plainUUID(s string) string { return strings.ToLower(strings.Trim(s, "{}")) }

func sameUUID(a, b string) bool { return plainUUID(a) == plainUUID(b) }

// unreadable is an answer of the tool that is not what it should be.
func unreadable(verb string, err error) error {
	return fmt.Errorf("prlctl %s: its answer cannot be read: %w", verb, err)
}
