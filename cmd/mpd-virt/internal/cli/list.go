package cli

import (
	"context"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func listVerb() verb {
	return verb{
		name:  "list",
		usage: "[flags]",
		short: "list the VMs that this Mac knows; what mpd-virt does without a verb",
		about: `One line for each registered VM, with the state that its backend tells. Entries that cannot be read
and setups that did not finish are listed as well, with what to do about them. No VM is contacted,
so it is quick.`,
		examples: []string{"mpd-virt list", "mpd-virt list --json"},
		define: func(*flags) action {
			return func(ctx context.Context, a *app) error {
				m, err := a.manager(noAsk)
				if err != nil {
					return err
				}
				vms, err := m.List(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.writeJSON(append([]mpdvirt.VM{}, vms...))
				}
				a.writeList(vms)
				return nil
			}
		},
	}
}

func (a *app) writeList(vms []mpdvirt.VM) {
	if len(vms) == 0 {
		a.hint("No VM is registered yet. To adopt one that answers SSH:",
			"mpd-virt setup 150 --backend=general --ip=ADDRESS --username=NAME")
		a.hint("To make one from nothing, with UTM:",
			"mpd-virt create 150 --backend=utm")
		a.hint("To make one from a template of Parallels Desktop:",
			"mpd-virt clone 150 --backend=parallels --template=NAME --username=NAME")
		a.hint("What they do, and other ways to begin:", "mpd-virt help")
		return
	}
	rows := [][]string{{"NNN", "NAME", "BACKEND", "IP", "USER", "STATE"}}
	for _, vm := range vms {
		rows = append(rows, []string{vm.Octet.String(), vm.Name, vm.Backend, addr(vm), string(vm.User), stateOf(vm)})
	}
	a.table(rows)
	for _, vm := range vms {
		if vm.Next != "" {
			a.hint(vm.Name+" is "+string(vm.State)+"; next:", vm.Next)
		}
	}
}

func addr(vm mpdvirt.VM) string {
	if !vm.Addr.IsValid() {
		return ""
	}
	return vm.Addr.String()
}

// stateOf is a VM's state with the reason, if there is one.
func stateOf(vm mpdvirt.VM) string {
	switch {
	case vm.Error == "":
		return string(vm.State)
	case vm.State == "":
		return "not known: " + vm.Error
	}
	return string(vm.State) + ": " + vm.Error
}
