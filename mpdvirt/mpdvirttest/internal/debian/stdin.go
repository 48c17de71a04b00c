package debian

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// The interpreter hands input to programs as *os.File only, and connects
// pipelines by pipes of the operating system. Who waits in the kernel for such
// a pipe is not durably blocked in the sense of testing/synctest, so that the
// clock of a bubble would stand still, and with it everybody who waits for that
// clock. Hence three measures: the input of a shell is an empty pipe that only
// stands for the real reader, programs read and write pipes without waiting in
// the kernel, and before a builtin reads a pipe we wait until it has something.
// What remains in a bubble are builtins that write more than a pipe holds, 64
// KiB, and lines that are written in two parts with a wait between.

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
			io.Copy(&pipeWriter{context.Background(), in.feed}, in.real) // an error ends the input, as it should
			in.feed.Close()
		}()
	})
}

// isOwn says whether f is the shell's own input.
func (in *input) isOwn(f io.Reader) bool {
	file, ok := f.(*os.File)
	return ok && file == in.stand
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

// nap waits for a moment that gets longer from one call to the next.
type nap time.Duration

const longestNap = nap(5 * time.Millisecond)

func (n *nap) take(ctx context.Context) error {
	*n = min(max(2**n, nap(10*time.Microsecond)), longestNap)
	select {
	case <-time.After(time.Duration(*n)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again says whether a call on a pipe has to be made once more.
func again(err error) bool { return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) }

// pipeReader reads a pipe by looking again and again.
type pipeReader struct {
	ctx  context.Context
	file *os.File
}

func (r *pipeReader) Read(b []byte) (int, error) {
	raw, err := r.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	for pause := nap(0); ; {
		var n int
		var readErr error
		err := raw.Read(func(fd uintptr) bool {
			n, readErr = syscall.Read(int(fd), b)
			return true
		})
		switch {
		case err != nil:
			return 0, io.EOF // closed
		case again(readErr):
			if err := pause.take(r.ctx); err != nil {
				return 0, err
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

// pipeWriter writes a pipe by trying again and again.
type pipeWriter struct {
	ctx  context.Context
	file *os.File
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	done := 0
	for pause := nap(0); done < len(b); {
		var n int
		var writeErr error
		err := raw.Write(func(fd uintptr) bool {
			n, writeErr = syscall.Write(int(fd), b[done:])
			return true
		})
		switch {
		case err != nil:
			return done, err
		case again(writeErr):
			if err := pause.take(w.ctx); err != nil {
				return done, err
			}
		case writeErr != nil:
			return done, writeErr
		default:
			done += n
			pause = 0
		}
	}
	return done, nil
}

// patient is w, or if that is a pipe, a writer that does not wait in the kernel.
func patient(ctx context.Context, w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok {
		return &pipeWriter{ctx, file}
	}
	return w
}

// await waits until a builtin that reads f would not wait in the kernel: there
// is something to read, or, with end, the other side is closed.
func await(ctx context.Context, f io.Reader, end bool) {
	file, ok := f.(*os.File)
	if !ok || file == nil {
		return
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	want := int16(unix.POLLIN | unix.POLLHUP)
	if end {
		want = unix.POLLHUP
	}
	for pause := nap(0); ; {
		ready := false
		err := raw.Control(func(fd uintptr) {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			_, pollErr := unix.Poll(fds, 0)
			ready = pollErr != nil && !again(pollErr) || fds[0].Revents&(want|unix.POLLERR|unix.POLLNVAL) != 0
		})
		if ready || err != nil || pause.take(ctx) != nil {
			return
		}
	}
}

// opened is a file that the shell opened. The interpreter copies it into a pipe
// when it is somebody's input.
type opened struct{ *memfs.File }

// WriteTo is what io.Copy calls.
func (o opened) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(patient(context.Background(), w), o.File)
}
