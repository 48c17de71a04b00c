package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// mostOutput bounds what is kept of a program's output.
const mostOutput = 16 << 20

// start is a hypervisor.Runner: it starts programs of this machine.
func start(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	limit := c.Limit
	if limit == 0 {
		limit = hypervisor.DefaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second // and then it is killed
	var stdout, stderr limited
	if c.Terminal {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	} else {
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Stdin), &stdout, &stderr
	}
	err := cmd.Run()
	res := hypervisor.Result{Stdout: stdout.kept.Bytes(), Stderr: stderr.kept.Bytes()}
	ended := (*exec.ExitError)(nil)
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], hypervisor.ErrToolMissing)
	case ctx.Err() != nil:
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], ctx.Err())
	case errors.As(err, &ended):
		res.Status = ended.ExitCode()
		if s, ok := ended.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			res.Status = 128 + int(s.Signal())
		}
		return res, nil
	case err != nil:
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], err)
	}
	return res, nil
}

// limited is a buffer that drops what is too much.
type limited struct{ kept bytes.Buffer }

// Write keeps what there is room for, and never fails: the program shall go on.
func (l *limited) Write(p []byte) (int, error) {
	l.kept.Write(p[:min(len(p), mostOutput-l.kept.Len())])
	return len(p), nil
}
