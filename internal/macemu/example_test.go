package macemu_test

import (
	"context"
	"fmt"
	"os"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// A Mac on which sudo asks for nothing gets a name server for one domain.
func Example() {
	root, err := os.MkdirTemp("", "mac")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(root)
	mac, err := macemu.New(macemu.Options{Root: root, Settings: macemu.Settings{Sudo: macemu.SudoAsksNot}})
	if err != nil {
		fmt.Println(err)
		return
	}
	run := func(stdin string, argv ...string) {
		r, err := mac.Runner()(context.Background(), hypervisor.Command{Argv: argv, Stdin: []byte(stdin)})
		fmt.Printf("%d %s%s", r.Status, r.Stdout, r.Stderr)
		if err != nil {
			fmt.Println(err)
		}
	}
	run("", "sudo", "mkdir", "-p", "/etc/resolver")
	run("nameserver 10.163.0.3\n", "sudo", "tee", "/etc/resolver/mpd.test")
	run("", "sudo", "route", "-n", "delete", "-net", "10.163.0.0/24")
	// Output:
	// 0 0 nameserver 10.163.0.3
	// 0 delete net 10.163.0.0: not in table
	// route: writing to routing socket: not in table
}
