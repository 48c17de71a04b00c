package emu_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// fault is what goes wrong with sw_vers: Text in the place of an answer.
type fault struct{ Text string }

type state struct {
	emu.Record[fault]
	Version string
}

// swVers plays sw_vers, which prints the release of macOS.
type swVers struct{ store emu.Store[state] }

func (e *swVers) play(_ context.Context, c *emu.Call) (int, error) {
	if c.Argv[0] != "sw_vers" {
		return 0, emu.Missing(c.Argv[0])
	}
	text := ""
	err := e.store.Do(func(st *state, _ time.Time) error {
		st.Called(c.Argv)
		text = st.Version
		if f, met := st.Take("", c.Argv[1:]); met {
			text = f.Text
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintln(c.Stdout, text)
	return 0, err
}

// A whole emulator: one program, one kind of fault, met by the second call.
func Example() {
	e := &swVers{emu.Store[state]{Name: "swemu", First: state{Version: "26.6.2"}}}
	run := emu.Runner(e.play)
	err := e.store.Do(func(st *state, _ time.Time) error {
		st.Arm(emu.Match{Has: "-productVersion", Skip: 1}, fault{"Killed: 9"})
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	for range 3 {
		r, err := run(context.Background(), hypervisor.Command{Argv: []string{"sw_vers", "-productVersion"}})
		fmt.Println(strings.TrimSpace(string(r.Stdout)), err)
	}
	_, err = run(context.Background(), hypervisor.Command{Argv: []string{"csrutil"}})
	fmt.Println(err)
	// Output:
	// 26.6.2 <nil>
	// Killed: 9 <nil>
	// 26.6.2 <nil>
	// run csrutil: tool not installed
}
