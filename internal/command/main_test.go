package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/term"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The test binary is also the outside tool: under the name fakeTool it does
// what its first argument says.
const fakeTool = "mpd-fake-tool"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == fakeTool {
		os.Exit(fake(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// report is what the fake tool saw of its start.
type report struct {
	Args, Env []string
	Stdin     string
}

func fake(args []string) int {
	switch args[0] {
	case "report":
		in, _ := io.ReadAll(os.Stdin)
		_ = json.NewEncoder(os.Stdout).Encode(report{os.Args, os.Environ(), string(in)})
		fmt.Fprint(os.Stderr, "on stderr")
	case "exit":
		fmt.Print("good answer")
		n, _ := strconv.Atoi(args[1])
		return n
	case "signal":
		n, _ := strconv.Atoi(args[1])
		_ = syscall.Kill(os.Getpid(), syscall.Signal(n))
		block()
	case "print":
		n, _ := strconv.Atoi(args[1])
		_, _ = io.CopyN(os.Stdout, endless{}, int64(n))
	case "flood":
		signal.Ignore(syscall.SIGTERM, syscall.SIGPIPE)
		_, _ = io.Copy(os.Stderr, endless{})
		block()
	case "stubborn": // ignores SIGTERM, as does its child; both hold the fifo
		signal.Ignore(syscall.SIGTERM)
		hold(args[1])
		start("stubborn-child", args[1])
		block()
	case "stubborn-child":
		signal.Ignore(syscall.SIGTERM)
		hold(args[1])
		block()
	case "polite": // ends at SIGTERM
		hold(args[1])
		block()
	case "leave": // ends well, and leaves a child that holds the output
		fmt.Print("done")
		start("linger", args[1], args[2])
	case "linger": // ends when the leash, another fifo, is let go
		out := hold(args[1])
		_, _ = os.ReadFile(args[2])
		_, _ = out.WriteString("x")
	case "become":
		fmt.Println(Exec(append([]string{fakeTool}, args[1:]...), os.Environ()))
		return 99
	case "terminal":
		before, _ := term.GetState(0)
		r, err := New(os.Environ()).Run(context.Background(),
			hypervisor.Command{Argv: append([]string{fakeTool}, args[1:]...), Terminal: true})
		after, _ := term.GetState(0)
		fmt.Printf("status %d, captured %t, error %v, terminal kept %t",
			r.Status, r.Stdout != nil || r.Stderr != nil, err, reflect.DeepEqual(before, after))
	case "raw":
		_, err := term.MakeRaw(0)
		fmt.Println("raw:", err)
	}
	return 0
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// block waits for a signal that nobody sends. Without Notify, the runtime would
// call it a deadlock.
func block() {
	signalled := make(chan os.Signal, 1)
	signal.Notify(signalled, syscall.SIGUSR1)
	<-signalled
}

// hold keeps the fifo open as long as this process lives, and says so.
func hold(fifo string) *os.File {
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	_, _ = f.WriteString("x")
	heldOpen = f
	return f
}

var heldOpen *os.File // so that the garbage collector does not close it

func start(args ...string) {
	c := exec.Command(os.Args[0], args...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		panic(err)
	}
}

// toolDir makes a folder that holds the fake tool.
func toolDir(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, fakeTool)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// quickEnd spares each fake tool the second that the race detector waits for
// late reports when a program ends.
const quickEnd = "GORACE=atexit_sleep_ms=0"

// tool is a Runner that finds the fake tool.
func tool(t *testing.T) Runner {
	t.Helper()
	return New([]string{"PATH=" + toolDir(t), quickEnd})
}

func argv(args ...string) hypervisor.Command {
	return hypervisor.Command{Argv: append([]string{fakeTool}, args...)}
}

// fifo makes a fifo. The returned functions wait until n processes hold it,
// and until nobody does any more.
func fifo(t *testing.T) (path string, held func(n int), released func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// Open it for writing too: else opening waits for the tool.
	both, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = both.Close(); _ = in.Close() })
	held = func(n int) {
		if got, err := io.ReadFull(in, make([]byte, n)); err != nil {
			t.Errorf("%d of %d processes hold the fifo: %v", got, n, err)
		}
	}
	released = func() {
		_ = both.Close()
		if rest, err := io.ReadAll(in); err != nil || strings.Trim(string(rest), "x") != "" {
			t.Errorf("reading to the end of the fifo: %q, %v", rest, err)
		}
	}
	return path, held, released
}
