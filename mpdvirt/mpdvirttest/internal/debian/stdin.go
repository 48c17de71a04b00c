package debian

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// The interpreter hands input to programs as *os.File only, and connects
// pipelines by pipes of the operating system. A reader that waits in such a
// pipe is not durably blocked in the sense of testing/synctest, so that the
// clock of a bubble would stand still. Hence two measures: the input of a
// shell is an empty pipe that only stands for the real reader, and pipes are
// read without waiting in the kernel.

// input is the standard input of one shell.
type input struct {
	real  io.Reader
	stand *os.File // what the interpreter believes to be the input
	feed  *os.File // its other end

	once sync.Once
	mu   sync.Mutex
	fed  bool
}

func newInput(r io.Reader) (*input, error) {
	stand, feed, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if r == nil {
		r = eof{}
	}
	return &input{real: r, stand: stand, feed: feed}, nil
}

// pump feeds the pipe for the sake of the interpreter's own readers, such as
// the read builtin. From then on everybody reads from the pipe.
func (in *input) pump() {
	in.once.Do(func() {
		in.mu.Lock()
		in.fed = true
		in.mu.Unlock()
		go func() {
			io.Copy(in.feed, in.real) // an error ends the input, as it should
			in.feed.Close()
		}()
	})
}

// reader is what a program reads whose input the interpreter calls f.
func (in *input) reader(ctx context.Context, f io.Reader) io.Reader {
	file, ok := f.(*os.File)
	if !ok || file == nil {
		return eof{}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if file == in.stand && !in.fed {
		return in.real
	}
	return &pipeReader{ctx, file}
}

func (in *input) close() {
	in.stand.Close()
	in.feed.Close()
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// pipeReader reads a pipe by looking again and again.
type pipeReader struct {
	ctx  context.Context
	file *os.File
}

const longestNap = 5 * time.Millisecond

func (r *pipeReader) Read(b []byte) (int, error) {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	for nap := 10 * time.Microsecond; ; nap = min(2*nap, longestNap) {
		var n int
		var readErr error
		err := raw.Read(func(fd uintptr) bool {
			n, readErr = syscall.Read(int(fd), b)
			return true
		})
		switch {
		case err != nil:
			return 0, io.EOF // closed
		case errors.Is(readErr, syscall.EAGAIN), errors.Is(readErr, syscall.EINTR):
			select {
			case <-time.After(nap):
			case <-r.ctx.Done():
				return 0, r.ctx.Err()
			}
			continue
		case readErr != nil:
			return 0, readErr
		case n <= 0 && len(b) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
