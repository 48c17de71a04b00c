package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmdtest"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// worldCommand makes a command of the scripts.
func (g *golden) worldCommand(name string, run func(args []string) (string, error)) cmdtest.CommandFunc {
	return func(args []string, _ string) ([]byte, error) {
		out, err := run(args)
		if errors.As(err, new(*cmdtest.ExitCodeErr)) {
			return []byte(out), err
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
		}
		return []byte(out), nil
	}
}

// worldCommands change the world of a script and show it:
//
//	vm N [unauthorized|sudo-password]   a new VM at 10.211.55.N
//	adopted NNN N                       the same, its tunnel is on, and setup NNN went well with it
//	host N                              a machine at 10.211.55.N that is no VM
//	on N DO [ARGS]                      something happens to the VM N; see happen
//	tunnel N|off                        whose WireGuard tunnel the Mac has up
//	web FILE KIND                       the next download of FILE goes wrong
//	steps N                             which scripts the VM N ran since the last time
//	write FILE WORDS...                 a file in the Mac's home folder, one line
//	write-entry NNN BACKEND             a registry entry
//	show-file FILE                      shows it
//	files [DIR]                         shows what is in the home folder, without keys and logs
func (g *golden) worldCommands() map[string]func(args []string) (string, error) {
	shown := map[string]int{}
	return map[string]func(args []string) (string, error){
		"vm":      g.newVM,
		"adopted": g.adopted,
		"host":    func(args []string) (string, error) { g.world.AddHost(at(args[0])); return "", nil },
		"on": func(args []string) (string, error) {
			vm, err := g.vm(args[0])
			if err != nil {
				return "", err
			}
			return "", happen(vm, args[1], args[2:])
		},
		"tunnel": g.tunnel,
		"web": func(args []string) (string, error) {
			g.world.Web(mpdvirttest.WebFault{File: args[0], Kind: mpdvirttest.WebKind(args[1]), N: 100})
			return "", nil
		},
		"steps": func(args []string) (string, error) {
			vm, err := g.vm(args[0])
			if err != nil {
				return "", err
			}
			all := vm.Steps()
			key := g.world.Home() + args[0]
			since := all[min(shown[key], len(all)):]
			shown[key] = len(all)
			if len(since) == 0 {
				return "none\n", nil
			}
			return strings.Join(since, "\n") + "\n", nil
		},
		"write": func(args []string) (string, error) {
			name := filepath.Join(g.world.Home(), args[0])
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return "", err
			}
			return "", os.WriteFile(name, []byte(strings.Join(args[1:], " ")+"\n"), 0o600)
		},
		"write-entry": func(args []string) (string, error) {
			name := filepath.Join(g.world.Home(), ".mpd-virt", args[0], "env")
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				return "", err
			}
			o, err := strconv.Atoi(args[0])
			if err != nil {
				return "", err
			}
			return "", os.WriteFile(name, []byte(strings.ReplaceAll(entryText(o), "=general", "="+args[1])), 0o600)
		},
		"show-file": func(args []string) (string, error) {
			data, err := os.ReadFile(filepath.Join(g.world.Home(), args[0]))
			return string(data), err
		},
		"files": g.files,
	}
}

func at(n string) netip.Addr { return netip.MustParseAddr("10.211.55." + n) }

func (g *golden) newVM(args []string) (string, error) {
	o := mpdvirttest.VMOptions{Addr: at(args[0])}
	sudo := mpdvirttest.SudoFree
	for _, what := range args[1:] {
		switch what {
		case "unauthorized":
			o.Unauthorized = true
		case "sudo-password":
			sudo = mpdvirttest.SudoPassword
		default:
			return "", fmt.Errorf("unknown %s", what)
		}
	}
	vm, err := g.world.AddVM(o)
	if err != nil {
		return "", err
	}
	vm.SetSudo(sudo)
	g.vms[args[0]] = vm
	return "", nil
}

func (g *golden) adopted(args []string) (string, error) {
	octet, n := args[0], args[1]
	if _, err := g.newVM([]string{n}); err != nil {
		return "", err
	}
	if _, err := g.tunnel([]string{n}); err != nil {
		return "", err
	}
	out, err := g.mpdVirt([]string{"setup", octet, "--backend=general", "--ip=" + at(n).String(), "--username=dev"}, "")
	if err != nil {
		return string(out), err
	}
	return "", nil
}

func (g *golden) vm(n string) (*mpdvirttest.VM, error) {
	if vm := g.vms[n]; vm != nil {
		return vm, nil
	}
	if g.parallels != nil {
		if vm := g.parallels.VM(n); vm != nil {
			return vm, nil
		}
	}
	if g.utm != nil {
		if vm := g.utm.VM(n); vm != nil {
			return vm, nil
		}
	}
	return nil, fmt.Errorf("there is no VM %s", n)
}

func (g *golden) tunnel(args []string) (string, error) {
	if args[0] == "off" {
		g.world.Tunnel(nil)
		return "", nil
	}
	vm, err := g.vm(args[0])
	if err == nil {
		g.world.Tunnel(vm)
	}
	return "", err
}

// happen does something to a VM, in the words of package mpdvirttest.
func happen(vm *mpdvirttest.VM, what string, args []string) error {
	switch what {
	case "power-off":
		vm.PowerOff()
	case "power-on":
		return vm.PowerOn()
	case "new-host-keys":
		return vm.RotateHostKeys()
	case "hostname":
		return vm.SetHostname(args[0])
	case "os":
		return vm.SetOS(args[0], args[1])
	case "sudo":
		vm.SetSudo(mpdvirttest.Sudo(args[0]))
	case "server":
		return vm.SetServer(mpdvirttest.Server(args[0]))
	case "dns":
		vm.SetDNS(mpdvirttest.NameServer(spaced(args[0])))
	case "dns-record":
		vm.SetDNSRecord(at(args[0]))
	case "platform":
		return vm.WriteFile("/var/lib/mpd/conf/platform.env", []byte(strings.Join(args, "\n")+"\n"), 0o644)
	case "fault": // STEP KIND [STATUS] [TEXT...]; a blank in KIND is a dash
		return inject(vm, args)
	default:
		return fmt.Errorf("nothing called %s can happen", what)
	}
	return nil
}

// spaced is a word of a script with blanks in the place of dashes.
func spaced(word string) string { return strings.ReplaceAll(word, "-", " ") }

func inject(vm *mpdvirttest.VM, args []string) (err error) {
	f := mpdvirttest.Fault{Step: args[0], Kind: mpdvirttest.FaultKind(spaced(args[1])), After: 10 * time.Millisecond}
	if len(args) > 2 {
		f.Status, err = strconv.Atoi(args[2])
		f.Text = strings.Join(args[3:], " ")
	}
	vm.Inject(f)
	return err
}

// files lists a folder of the home folder with the modes of its files.
func (g *golden) files(args []string) (string, error) {
	root := g.world.Home()
	if len(args) > 0 {
		root = filepath.Join(root, args[0])
	}
	var lines []string
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(g.world.Home(), path)
		if err == nil && !info.IsDir() {
			lines = append(lines, fmt.Sprintf("%v %s", info.Mode(), name))
		}
		return err
	})
	if os.IsNotExist(err) || len(lines) == 0 {
		return "nothing\n", nil
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n", err
}
