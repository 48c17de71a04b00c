package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-cmdtest"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// parallelsCommands change and show a script's Parallels Desktop:
//
//	parallels [TEMPLATE...]        installs it, with these templates
//	prl vm NAME [N]                a VM that runs, at 10.211.55.N
//	prl set WHAT [VALUE...]        what it is like: see prlSettings
//	prl fault VERB KIND [TEXT...]  the next prlctl VERB goes wrong; a blank in KIND is a dash
//	prl rename|state|remove ...    what a person does in its window
//	prl list                       its VMs and templates
//	prl calls                      the calls of its tools since the last time
//	prl forget                     the same without showing them
func (g *golden) parallelsCommands() map[string]func(args []string) (string, error) {
	return map[string]func(args []string) (string, error){
		"parallels": g.installParallels,
		"prl":       g.prl,
	}
}

func (g *golden) installParallels(templates []string) (string, error) {
	var err error
	if g.parallels, err = g.world.AddParallels(mpdvirttest.ParallelsOptions{}); err != nil {
		return "", err
	}
	for _, name := range templates {
		if _, err := g.parallels.AddTemplate(name, mpdvirttest.VMOptions{}); err != nil {
			return "", err
		}
	}
	g.called = 0
	return "", nil
}

func (g *golden) prl(args []string) (string, error) {
	p, words := g.parallels, args[1:]
	if p == nil {
		return "", errors.New("there is no Parallels")
	}
	switch args[0] {
	case "vm":
		o := mpdvirttest.VMOptions{}
		if len(words) > 1 {
			o.Addr = at(words[1])
		}
		vm, err := p.AddVM(words[0], o)
		g.vms[words[0]] = vm
		return "", err
	case "set":
		return "", g.prlSet(words)
	case "fault":
		return "", p.Inject(mpdvirttest.ParallelsFault{Verb: words[0], Kind: prlemu.FaultKind(spaced(words[1])), Text: strings.Join(words[2:], " ")})
	case "rename":
		return "", p.Rename(words[0], words[1])
	case "state":
		return "", p.SetState(words[0], words[1])
	case "remove":
		return "", p.Remove(words[0])
	case "list":
		return g.prlList()
	case "forget":
		calls, err := p.Calls()
		g.called = len(calls)
		return "", err
	case "calls":
		calls, err := p.Calls()
		since := calls[min(g.called, len(calls)):]
		g.called = len(calls)
		return strings.Join(append(since, ""), "\n"), err
	}
	return "", fmt.Errorf("unknown %s", args[0])
}

func (g *golden) prlList() (string, error) {
	machines, err := g.parallels.Machines()
	return machineLines(machines), err
}

// machineLines are a hypervisor's VMs, one on a line.
func machineLines(machines []hypervisor.Machine) string {
	var b strings.Builder
	for _, m := range machines {
		fmt.Fprintf(&b, "%s %s %s\n", m.UUID, m.Name, m.State)
	}
	if b.Len() == 0 {
		b.WriteString("none\n")
	}
	return b.String()
}

func (g *golden) prlSet(words []string) (err error) {
	value := strings.Join(words[1:], " ")
	change := g.parallels.Change(func(s *mpdvirttest.ParallelsSettings) {
		switch words[0] {
		case "service":
			s.ServiceDown = value == "down"
		case "edition":
			s.Edition = value
		case "license":
			s.License = value
		case "subnet":
			s.Subnet = value
		case "scope":
			s.ScopeStart, s.ScopeEnd = words[1], words[2]
		case "adapter":
			s.AdapterOff = value == "off"
		default:
			err = fmt.Errorf("unknown %s", words[0])
		}
	})
	return errors.Join(err, change)
}

func exitOfScript(code int) error {
	if code == 0 {
		return nil
	}
	return &cmdtest.ExitCodeErr{Msg: "exit", Code: code}
}
