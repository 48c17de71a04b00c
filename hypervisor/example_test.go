package hypervisor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// One number gives a VM its name and its address.
func ExampleParseOctet() {
	o, err := hypervisor.ParseOctet("150")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(o.VMName(), "is at", o.In(netip.MustParseAddr("192.168.64.37")))

	_, err = hypervisor.ParseOctet("99")
	var wrong *hypervisor.ValueError
	if errors.As(err, &wrong) {
		fmt.Printf("not an %s: %q\n", wrong.Kind, wrong.Text)
	}
	// Output:
	// mpd-150 is at 192.168.64.150
	// not an octet: "99"
}

func ExampleParseSize() {
	for _, text := range []string{"2048M", "80G", "80"} {
		size, err := hypervisor.ParseSize(text)
		fmt.Println(size, int64(size), err)
	}
	// Output:
	// 2G 2147483648 <nil>
	// 80G 85899345920 <nil>
	// 0G 0 "80" is not a valid size: a whole number with G or M (binary), like 80G or 81920M
}

// A test gives a backend a function that plays the outside tool.
func ExampleRunner() {
	var run hypervisor.Runner = func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		if c.Argv[0] != "virsh" {
			return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], hypervisor.ErrToolMissing)
		}
		return hypervisor.Result{Stderr: []byte("error: failed to connect to the hypervisor\n"), Status: 1}, nil
	}
	result, err := run(context.Background(), hypervisor.Command{Argv: []string{"virsh", "list"}})
	fmt.Println(result.Status, err) // a tool that fails is no error of the Runner

	_, err = run(context.Background(), hypervisor.Command{Argv: []string{"prlctl", "list"}})
	fmt.Println(errors.Is(err, hypervisor.ErrToolMissing))
	// Output:
	// 1 <nil>
	// true
}
