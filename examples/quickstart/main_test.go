package main

import (
	"context"
	"fmt"
	"os"
)

func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ok      ssh
	// ok      sudo
	// ok      guest
	// ok      address
	// ok      identity
	// ok      10-passwordless-sudo
	// ok      20-git-clone
	// ok      push
	// ok      30-networking
	// ok      register
	// ok      40-install-software
	// ok      50-build
	// ok      60-wireguard
	// ok      mpd-setup
	// ok      diag
	// mpd-150 is at 10.211.55.150
	// which VM answers: mpd-150 (its own DNS says so).
}
