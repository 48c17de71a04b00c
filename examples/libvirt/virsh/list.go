package virsh

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

const (
	// endMark is the last thing that virsh prints: without it, no VMs and no
	// answer would look alike.
	endMark = "end"
	// listLine asks for all VMs. Each line of the three answers is of a form of
	// its own.
	listLine = "list --all --uuid --name; list --all --with-managed-save --uuid; domstats --state; echo " + endMark
	// mostAsks is how often all is asked while VMs come, go and are renamed.
	mostAsks = 4
)

// uuidText is how libvirt writes UUIDs. Nothing else is ever handed to virsh as
// the name of a VM.
var uuidText = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// errMoving says that VMs changed between the questions.
var errMoving = errors.New("virsh list: the VMs change all the time")

// States costs one process, unless VMs change while it runs. It tells no
// addresses.
func (b *Backend) States(ctx context.Context) ([]hypervisor.Machine, error) {
	for try := 1; ; try++ {
		out, err := b.virsh(ctx, listLine)
		if err != nil {
			return nil, err
		}
		vms, err := decodeList(string(out))
		if !errors.Is(err, errMoving) || try == mostAsks {
			return vms, err
		}
	}
}

// stats is what domstats tells of a VM.
type stats struct{ state, reason string }

// decodeList reads the answers to listLine.
func decodeList(out string) ([]hypervisor.Machine, error) {
	var vms []hypervisor.Machine
	saved, told := map[string]bool{}, map[string]stats{}
	name, ended := "", false
	for line := range strings.SplitSeq(out, "\n") {
		key, value, _ := strings.Cut(line, "=")
		quoted, isName := strings.CutPrefix(line, "Domain: '")
		switch {
		case ended && line != "":
			return nil, fmt.Errorf("virsh list: %q behind the end", shown(line))
		case line == "":
		case line == endMark:
			ended = true
		case isName && strings.HasSuffix(quoted, "'"):
			name = strings.TrimSuffix(quoted, "'")
			told[name] = stats{}
		case key == "  state.state" && shown(value) != "":
			told[name] = stats{state: value}
		case key == "  state.reason":
			told[name] = stats{told[name].state, value}
		case uuidText.MatchString(line):
			saved[line] = true
		case len(line) > 37 && line[36] == ' ' && uuidText.MatchString(line[:36]):
			vms = append(vms, hypervisor.Machine{UUID: line[:36], Name: line[37:]})
		default:
			return nil, fmt.Errorf("virsh list: cannot read %q", shown(line))
		}
	}
	if !ended {
		return nil, errors.New("virsh list: the answer is not whole")
	}
	return joined(vms, saved, told)
}

// joined gives VMs their states. libvirt never has two VMs of one name.
func joined(vms []hypervisor.Machine, saved map[string]bool, told map[string]stats) ([]hypervisor.Machine, error) {
	if len(vms) != len(told) {
		return nil, errMoving
	}
	for i, vm := range vms {
		s, ok := told[vm.Name]
		switch {
		case !ok:
			return nil, errMoving
		case s.state == "":
			return nil, fmt.Errorf("virsh domstats: no state of VM %s", vm.UUID)
		}
		delete(told, vm.Name)
		if vms[i].State = s.known(); vms[i].State == hypervisor.Stopped && saved[vm.UUID] {
			vms[i].State = hypervisor.Suspended
		}
	}
	return vms, nil
}

// known translates virDomainState and its reasons, from libvirt's
// include/libvirt/libvirt-domain.h. A number that is not there is the state's
// word: nobody acts on it. So are 0 (none), 6 (crashed) and 7 (asleep by its own
// wish), of which this package does not know the way on.
func (s stats) known() hypervisor.State {
	switch s.state {
	case "1", "2": // running; waiting for a resource
		return hypervisor.Running
	case "3":
		switch s.reason {
		case "3": // VIR_DOMAIN_PAUSED_SAVE
			return hypervisor.Suspending
		case "8": // VIR_DOMAIN_PAUSED_SHUTTING_DOWN
			return hypervisor.Stopping
		case "11": // VIR_DOMAIN_PAUSED_STARTING_UP
			return hypervisor.Starting
		}
		return hypervisor.Paused
	case "4":
		return hypervisor.Stopping
	case "5":
		return hypervisor.Stopped
	case "0":
		return "no state"
	case "6":
		return "crashed"
	case "7":
		return "pmsuspended"
	}
	return hypervisor.State(shown(s.state))
}
