package mpdvirt_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// withPerson is adoptedByExample with somebody at the terminal, where sudo asks
// for the password. (A program has a Prompter of its own.)
func withPerson() (*mpdvirttest.World, *mpdvirt.Manager) {
	world, config := played()
	config.Prompter = yes
	m, err := mpdvirt.New(config)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.Setup(context.Background(), adoption); err != nil { // makes the CA
		log.Fatal(err)
	}
	return world, m
}

func ExampleManager_Doctor() {
	world, m := adoptedByExample()
	defer world.Close()
	if err := os.Chmod(world.Home()+"/.mpd-virt/conf", 0o755); err != nil { // somebody has been careless
		log.Fatal(err)
	}
	report, err := m.Doctor(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	c := report.Check("permissions")
	fmt.Println(c.Status, strings.ReplaceAll(c.Summary, world.Home(), "~"))
	fmt.Println("healthy:", report.Healthy())
	// Output:
	// warn a folder that others may enter: ~/.mpd-virt/conf
	// healthy: true
}

func ExampleManager_Trust() {
	world, m := withPerson()
	defer world.Close()
	for _, req := range []mpdvirt.TrustRequest{{Yes: true}, {Yes: true}, {Yes: true, Remove: true}} {
		res, err := m.Trust(context.Background(), req)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("changed:", res.Changed)
	}
	// Output:
	// changed: true
	// changed: false
	// changed: true
}

func ExampleManager_CARotate() {
	world, m := withPerson()
	defer world.Close()
	if _, err := m.Trust(context.Background(), mpdvirt.TrustRequest{Yes: true}); err != nil {
		log.Fatal(err)
	}
	res, err := m.CARotate(context.Background(), mpdvirt.CARotateRequest{Yes: true})
	if err != nil {
		log.Fatal(err)
	}
	for _, move := range res.VMs {
		fmt.Println(move.Name, move.Status)
	}
	// Output:
	// mpd-150 moved
}

func ExampleManager_Uninstall() {
	world, m := withPerson()
	defer world.Close()
	if _, err := m.Delete(context.Background(), mpdvirt.DeleteRequest{Octet: 150, Yes: true}); err != nil {
		log.Fatal(err)
	}
	if _, err := m.Uninstall(context.Background(), mpdvirt.UninstallRequest{Yes: true}); err != nil {
		log.Fatal(err)
	}
	_, err := os.Stat(world.Home() + "/.mpd-virt")
	fmt.Println("all gone:", errors.Is(err, os.ErrNotExist))
	// Output:
	// all gone: true
}

func ExampleManager_Backends() {
	world, m := adoptedByExample()
	defer world.Close()
	backends, err := m.Backends(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, b := range backends {
		fmt.Println(b.Name, b.Available, b.Verbs)
	}
	// Output:
	// general true [setup diag update delete]
	// parallels false [setup diag update delete clone start stop]
	// utm false [setup diag update delete create start stop]
}

func ExampleManager_SetDefaultBackend() {
	world, config := played()
	defer world.Close()
	m, err := mpdvirt.New(config)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.SetDefaultBackend(context.Background(), "general"); err != nil {
		log.Fatal(err)
	}
	res, err := m.Setup(context.Background(), mpdvirt.SetupRequest{
		Octet: 150, Addr: netip.MustParseAddr("10.211.55.37"), User: "dev",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.VM.Backend)
	// Output:
	// general
}

// Two of the lines that "mpd-virt setup --events=FILE" writes.
func ExampleEventWriter() {
	world, config := played()
	defer world.Close()
	events := mpdvirt.NewEventWriter(os.Stdout)
	config.Observer = func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.VerbStarted || e.Step == "30-networking" && e.Kind == mpdvirt.StepStarted {
			events.Observe(e)
		}
	}
	m, err := mpdvirt.New(config)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.Setup(context.Background(), adoption); err != nil {
		log.Fatal(err)
	}
	if err := events.Err(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// {"schema":"mpd-virt/event/1","kind":"verb-started","time":"2026-11-21T19:04:11Z","verb":"setup","octet":150,"text":"mpd-150 on general, dev@10.211.55.37"}
	// {"schema":"mpd-virt/event/1","kind":"step-started","time":"2026-11-21T19:04:11Z","verb":"setup","octet":150,"step":"30-networking"}
}

// An error says what failed on what; its class and its fields are for programs.
func ExampleError() {
	world, m := adoptedByExample()
	defer world.Close()
	_, err := m.Update(context.Background(), mpdvirt.UpdateRequest{Octet: 151})
	fmt.Println(err)
	fmt.Println(errors.Is(err, mpdvirt.ErrNotRegistered))
	if e := (*mpdvirt.Error)(nil); errors.As(err, &e) {
		fmt.Println("next:", e.Hint)
	}
	// Output:
	// update mpd-151: not registered
	// true
	// next: mpd-virt setup 151 --backend=general --ip=ADDRESS --username=NAME
}
