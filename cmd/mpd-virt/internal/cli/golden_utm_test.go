package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/utmemu"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// utmCommands change and show a script's UTM:
//
//	utm [set WHAT [VALUE...]]              installs it, like that
//	utm vm NAME [N]                        a VM that runs, at 192.168.64.N
//	utm set WHAT [VALUE...]                what it is like: see utmSet
//	utm fault VERB KIND [NUMBER] [TEXT...] the next call for VERB goes wrong; a blank in KIND is a dash
//	utm rename|state|remove ...            what a person does in its window
//	utm list                               its VMs
//	utm drives NAME                        how many drives a VM has
//	utm calls                              what its tools were told to do since the last time
//	image KIND [N]|ok                      all downloads of the disk image go wrong; a blank in KIND is a dash
//	image save FILE                        the disk image as a file in the Mac's home folder
func (g *golden) utmCommands() map[string]func(args []string) (string, error) {
	return map[string]func(args []string) (string, error){
		"utm":   g.utmDo,
		"image": g.image,
	}
}

func (g *golden) installUTM() (err error) {
	g.utm, err = g.world.AddUTM(mpdvirttest.UTMOptions{})
	g.called = 0
	return err
}

func (g *golden) utmDo(args []string) (string, error) {
	if g.utm == nil {
		if err := g.installUTM(); err != nil || len(args) == 0 {
			return "", err
		}
	}
	u, words := g.utm, args[1:]
	switch args[0] {
	case "vm":
		o := mpdvirttest.VMOptions{}
		if len(words) > 1 {
			o.Addr = netip.MustParseAddr("192.168.64." + words[1])
		}
		vm, err := u.AddVM(words[0], o)
		g.vms[words[0]] = vm
		return "", err
	case "set":
		return "", g.utmSet(words)
	case "fault":
		return "", g.utmFault(words)
	case "rename":
		return "", u.Rename(words[0], words[1])
	case "state":
		return "", u.SetState(words[0], words[1])
	case "remove":
		return "", u.Remove(words[0])
	case "list":
		machines, err := u.Machines()
		return machineLines(machines), err
	case "drives":
		v, ok := u.Emulator().VM(words[0])
		if !ok {
			return "", fmt.Errorf("there is no VM %s", words[0])
		}
		return fmt.Sprintln(len(v.Drives)), nil
	case "calls":
		return g.utmCalls()
	}
	return "", fmt.Errorf("unknown %s", args[0])
}

// macAddress is one that is made with real randomness.
var macAddress = regexp.MustCompile(`\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`)

// utmCalls leaves out the questions, of which there are many.
func (g *golden) utmCalls() (string, error) {
	calls, err := g.utm.Emulator().Calls()
	var b strings.Builder
	for _, argv := range calls[min(g.called, len(calls)):] {
		switch toolVerb(argv) {
		case "list", "running", "drives", "defaults", "ifconfig":
		default:
			fmt.Fprintln(&b, path.Base(argv[0]), strings.Join(argv[1:], " "))
		}
	}
	g.called = len(calls)
	return macAddress.ReplaceAllString(b.String(), "02:00:00:00:00:00"), err
}

// utmFault injects VERB KIND [NUMBER] [TEXT...].
func (g *golden) utmFault(words []string) (err error) {
	f := mpdvirttest.UTMFault{Verb: words[0], Kind: utmemu.FaultKind(spaced(words[1]))}
	if len(words) > 2 {
		f.Number, err = strconv.Atoi(words[2])
		f.Text = strings.Join(words[3:], " ")
	}
	return errors.Join(err, g.utm.Inject(f))
}

func (g *golden) utmSet(words []string) (err error) {
	value := strings.Join(words[1:], " ")
	switch words[0] {
	case "network":
		network, err := netip.ParsePrefix(value)
		return errors.Join(err, g.utm.SetNetwork(network))
	case "cloud-init":
		g.utm.SetCloudInit(mpdvirttest.CloudInit(strings.TrimPrefix(value, "done")))
		return nil
	}
	change := g.utm.Change(func(s *mpdvirttest.UTMSettings) {
		switch words[0] {
		case "app":
			s.Absent = value == "absent"
		case "control":
			s.Denied = value == "denied"
		case "session":
			s.NotRunning = value == "ssh"
		case "version":
			s.Version = value
		case "states":
			s.StatusBroken = value == "broken"
		case "recorded":
			s.Recorded = value
		default:
			err = fmt.Errorf("unknown %s", words[0])
		}
	})
	return errors.Join(err, change)
}

// image makes downloads of the disk image go wrong from now on.
func (g *golden) image(args []string) (_ string, err error) {
	g.world.ClearImage()
	switch args[0] {
	case "ok":
		return "", nil
	case "save":
		return "", os.WriteFile(filepath.Join(g.world.Home(), args[1]), g.world.Archive(), 0o600)
	}
	f := mpdvirttest.ImageFault{Kind: mpdvirttest.ImageKind(spaced(args[0])), Times: -1}
	if len(args) > 1 {
		f.N, err = strconv.ParseInt(args[1], 10, 64)
	}
	g.world.FailImage(f)
	return "", err
}

// hideHostKeys replaces the host keys of VMs that were created, which are made
// with real randomness.
func (g *golden) hideHostKeys(out []byte) []byte {
	if g.utm == nil {
		return out
	}
	machines, err := g.utm.Machines()
	if err != nil {
		g.t.Error(err)
	}
	text := string(out)
	for _, m := range machines {
		vm := g.utm.VM(m.UUID)
		if vm == nil || g.vms[m.Name] == vm { // a person's VM has the same keys in each run
			continue
		}
		if key, ok := strings.CutPrefix(vm.HostKeyFingerprint(), "SHA256:"); ok {
			none := strings.Repeat("0", len(key))
			text = strings.ReplaceAll(text, key, none)
			text = strings.ReplaceAll(text, key[:4]+"…"+key[len(key)-4:], none[:4]+"…"+none[:4])
		}
	}
	return []byte(text)
}
