// Progress shows what a long verb does, from the events of the SDK: each step
// with a mark, the last line that it printed, and how far a download is, how
// fast, and for how long still.
//
// It creates a VM on a UTM in an in-process world, so that it needs no Mac:
//
//	go run ./examples/progress
//
// On a terminal the view is drawn again with each event; elsewhere it is printed
// once, at the end. A GUI takes view.go as it is and draws the rows itself: an
// Observer is called on the goroutine that causes the event, so it takes the
// event in and returns, and whatever is slow happens elsewhere.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func main() {
	info, err := os.Stdout.Stat()
	live := err == nil && info.Mode()&os.ModeCharDevice != 0
	if err := run(context.Background(), os.Stdout, live); err != nil {
		fmt.Fprintln(os.Stderr, "progress:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, live bool) error {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		return err
	}
	defer world.Close()
	if _, err := world.AddUTM(mpdvirttest.UTMOptions{}); err != nil {
		return err
	}

	v := &view{}
	screen := screen{out: out}
	config := world.Config()
	config.Observer = v.observe
	if live {
		config.Observer = func(e mpdvirt.Event) {
			v.observe(e)
			screen.draw(v.String())
		}
	}
	m, err := mpdvirt.New(config)
	if err != nil {
		return err
	}
	_, err = m.Create(ctx, mpdvirt.CreateRequest{Octet: 150, Backend: "utm", User: "dev"})
	if !live {
		fmt.Fprint(out, v)
	}
	return err
}

// screen draws a text in the place of the one before.
type screen struct {
	out   io.Writer
	lines int // of the text that is there
}

func (s *screen) draw(text string) {
	if s.lines > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA", s.lines) // up
	}
	fmt.Fprint(s.out, strings.ReplaceAll(text, "\n", "\x1b[K\n")) // the rest of each line is cleared
	s.lines = strings.Count(text, "\n")
}
