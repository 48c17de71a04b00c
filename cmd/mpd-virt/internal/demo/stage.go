package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mutms/mpd-virt-macos/cmd/mpd-virt/internal/cli"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// stage runs command lines in a world. After the first thing that is not as
// expected it does nothing more; err says what that was.
type stage struct {
	ctx     context.Context
	world   *mpdvirttest.World
	out     io.Writer
	environ []string
	err     error
}

// says tells what happens besides the commands.
func (s *stage) says(format string, args ...any) {
	if s.err == nil {
		fmt.Fprintf(s.out, "# "+format+"\n\n", args...)
	}
}

// types shows a command line and runs it; it must end with the given code.
func (s *stage) types(line string, want int) {
	if s.err != nil {
		return
	}
	fmt.Fprintf(s.out, "%% %s\n", line)
	// One stream for both, so that the order is that of a terminal.
	s.run(line, want, s.out, s.out)
	fmt.Fprintln(s.out)
}

func (s *stage) run(line string, want int, stdout, stderr io.Writer) {
	code := cli.Run(s.ctx, cli.Env{
		Args:    strings.Fields(line)[1:],
		Stdout:  stdout,
		Stderr:  stderr,
		Environ: s.environ,
		Config:  s.world.Config(),
	})
	if s.err == nil && s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
	}
	if s.err == nil && code != want {
		s.err = fmt.Errorf("%s: exit code %d, expected %d", line, code, want)
	}
}

// finds runs diag once more, for the program, and compares a finding.
func (s *stage) finds(octet, check string, status mpdvirt.Status, vm string) {
	if s.err != nil {
		return
	}
	var out bytes.Buffer
	s.run("mpd-virt diag "+octet+" --json", 0, &out, io.Discard)
	var r mpdvirt.Report
	if s.err == nil {
		s.err = json.Unmarshal(out.Bytes(), &r)
	}
	if c := r.Check(check); s.err == nil && (c.Status != status || c.Facts["vm"] != vm) {
		s.err = fmt.Errorf("diag %s: %s is %s (%s), expected %s from %s", octet, check, c.Status, c.Summary, status, vm)
	}
}

// expects wants a condition of the world.
func (s *stage) expects(what string, ok bool) {
	if s.err == nil && !ok {
		s.err = fmt.Errorf("not as expected: %s", what)
	}
}
