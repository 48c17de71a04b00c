package mpdvirt_test

import (
	"context"
	"fmt"
	"log"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// parallelsByExample is a world with Parallels Desktop and a template.
func parallelsByExample() (*mpdvirttest.World, *mpdvirt.Manager) {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	p, err := world.AddParallels(mpdvirttest.ParallelsOptions{Settings: mpdvirttest.ParallelsSettings{Delay: 0.005}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := p.AddTemplate("mpd-template-trixie", mpdvirttest.VMOptions{}); err != nil {
		log.Fatal(err)
	}
	config := world.Config()
	config.Backends = []hypervisor.Hypervisor{parallels.New(parallels.Config{
		Run: config.Runner, LeaseFile: world.Root() + parallels.DefaultLeaseFile,
	})}
	m, err := mpdvirt.New(config)
	if err != nil {
		log.Fatal(err)
	}
	return world, m
}

// clonedByExample is parallelsByExample with the VM mpd-150.
func clonedByExample() (*mpdvirttest.World, *mpdvirt.Manager) {
	world, m := parallelsByExample()
	if _, err := m.Clone(context.Background(), mpdvirt.CloneRequest{
		Octet: 150, Backend: "parallels", Template: "mpd-template-trixie", User: "dev",
	}); err != nil {
		log.Fatal(err)
	}
	return world, m
}

func ExampleManager_Clone() {
	world, m := parallelsByExample()
	defer world.Close()
	res, err := m.Clone(context.Background(), mpdvirt.CloneRequest{
		Octet: 150, Backend: "parallels", Template: "mpd-template-trixie", User: "dev", Linked: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.VM.Name, "is at", res.VM.Addr)
	fmt.Println("healthy:", res.Report.Healthy())
	// Output:
	// mpd-150 is at 10.211.55.150
	// healthy: true
}

func ExampleManager_Plan() {
	world, m := clonedByExample()
	defer world.Close()
	plan, err := m.Plan(context.Background(), mpdvirt.DeleteRequest{Octet: 150})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range plan.Steps {
		for _, action := range step.Actions {
			switch action.Kind {
			case mpdvirt.PlanQuestion:
				fmt.Println("ask:", action.Text)
			case mpdvirt.PlanCommand:
				fmt.Println("run:", action.Argv[:2])
			case mpdvirt.PlanFile:
				fmt.Println(action.File.Change, filepath.Base(action.File.Path))
			}
		}
	}
	// Output:
	// ask: Delete mpd-150 and its disk?
	// run: [prlctl stop]
	// run: [prlctl delete]
	// remove config
	// remove ssh_config
	// remove 150
}

func ExampleManager_Create() {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer world.Close()
	if _, err := world.AddUTM(mpdvirttest.UTMOptions{}); err != nil {
		log.Fatal(err)
	}
	m, err := mpdvirt.New(world.Config())
	if err != nil {
		log.Fatal(err)
	}
	res, err := m.Create(context.Background(), mpdvirt.CreateRequest{Octet: 170, Backend: "utm", User: "dev"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.VM.Name, "is at", res.VM.Addr)
	// Output:
	// mpd-170 is at 192.168.64.170
}

func ExampleManager_Stop() {
	world, m := clonedByExample()
	defer world.Close()
	if err := m.Stop(context.Background(), mpdvirt.StopRequest{Octet: 150}); err != nil {
		log.Fatal(err)
	}
	vm, err := m.Show(context.Background(), mpdvirt.ShowRequest{Octet: 150})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vm.Name, "is", vm.State)
	// Output:
	// mpd-150 is suspended
}

func ExampleManager_Start() {
	world, m := clonedByExample()
	defer world.Close()
	if err := m.Stop(context.Background(), mpdvirt.StopRequest{Octet: 150}); err != nil {
		log.Fatal(err)
	}
	report, err := m.Start(context.Background(), mpdvirt.StartRequest{Octet: 150})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("healthy:", report.Healthy())
	fmt.Println(report.Check("backend").Summary)
	// Output:
	// healthy: true
	// running, UUID as recorded
}

func ExampleManager_Show() {
	world, m := adoptedByExample()
	defer world.Close()
	vm, err := m.Show(context.Background(), mpdvirt.ShowRequest{Octet: 150})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ssh", vm.Alias)
	fmt.Println("answers:", vm.Answers)
	fmt.Println(strings.ReplaceAll(vm.ClientConf, world.Home(), "~"))
	// Output:
	// ssh mpd-150
	// answers: true
	// ~/.mpd-virt/conf/wireguard/150/mpd-150.conf
}

func ExampleManager_Update() {
	world, m := adoptedByExample()
	defer world.Close()
	res, err := m.Update(context.Background(), mpdvirt.UpdateRequest{Octet: 150, Branch: "main"})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range res.Steps {
		fmt.Println(step.Status, step.ID)
	}
	// Output:
	// ok 70-update
	// ok diag
}

func ExampleManager_SSHCommand() {
	world, m := adoptedByExample()
	defer world.Close()
	argv, err := m.SSHCommand(context.Background(), mpdvirt.SSHRequest{Octet: 150, Args: []string{"uname", "-a"}})
	if err != nil {
		log.Fatal(err)
	}
	// -F is there because the world's home folder is not the account's.
	fmt.Println(strings.ReplaceAll(strings.Join(argv, " "), world.Home(), "~"))
	// Output:
	// ssh -F ~/.ssh/config mpd-150 -- uname -a
}
