package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// longestAnswer is more than a terminal hands over as one line.
const longestAnswer = 4096

// readLine reads one line from a terminal, without its end; whole is false if
// the input ended first. It returns ctx's error as soon as ctx ends: a read
// cannot be taken back, so it only begins once there is something to read.
func readLine(ctx context.Context, f *os.File) (line []byte, whole bool, err error) {
	line = make([]byte, 0, longestAnswer) // never moved: the caller can clear it
	var b [1]byte
	for {
		if err := readable(ctx, f); err != nil {
			return line, false, err
		}
		n, err := unix.Read(int(f.Fd()), b[:])
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return line, false, fmt.Errorf("read the answer: %w", err)
		case n == 0:
			return line, false, nil
		case b[0] == '\n':
			return line, true, nil
		case len(line) < longestAnswer:
			line = append(line, b[0])
		}
	}
}

// readable waits until f has something to read or ctx ends. It uses select
// because poll does not work with terminals on macOS.
func readable(ctx context.Context, f *os.File) error {
	wake, wakeWriter, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("wait for the answer: %w", err)
	}
	defer wake.Close()
	stop := context.AfterFunc(ctx, func() { wakeWriter.Close() })
	defer func() {
		if stop() {
			wakeWriter.Close()
		}
	}()
	in, end := int(f.Fd()), int(wake.Fd())
	for {
		var set unix.FdSet
		set.Zero()
		set.Set(in)
		set.Set(end)
		_, err := unix.Select(max(in, end)+1, &set, nil, nil, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the answer: %w", err)
		case set.IsSet(end), ctx.Err() != nil:
			return ctx.Err()
		default:
			return nil
		}
	}
}
