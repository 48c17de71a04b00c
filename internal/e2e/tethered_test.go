//go:build e2e && linux

package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startTethered starts cmd, which the kernel kills when this process ends, in
// whatever way. For the kernel its parent is not the process but the thread that
// started it, and threads of this process do end: each that inNamespace used.
// So the one that starts cmd does nothing else until cmd has ended and ended is
// closed.
func startTethered(cmd *exec.Cmd, ended chan<- struct{}) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(ended)
		}
	}()
	return <-started
}

// What is tethered outlives the thread on which that was asked for.
func TestTethered(t *testing.T) {
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	hear, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hear.Close()
	cmd := exec.Command("cat")
	cmd.Stdin, cmd.Stdout = in, out
	ended, thread := make(chan struct{}), make(chan int)
	var begin func()
	begin = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		if unix.Gettid() == os.Getpid() {
			// But not the first one of a process. While it is held, the next
			// goroutine is on another.
			defer runtime.UnlockOSThread()
			go begin()
			<-ended
			return
		}
		err = startTethered(cmd, ended)
		thread <- unix.Gettid()
	}
	go begin()
	gone(t, <-thread)
	in.Close()
	out.Close()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(feed, "there?")
	if line, err := bufio.NewReader(hear).ReadString('\n'); err != nil {
		t.Errorf("cat says %q, %v", line, err)
	}
	feed.Close()
	<-ended
	if !cmd.ProcessState.Success() {
		t.Errorf("cat: %v", cmd.ProcessState)
	}
}

// gone waits until a thread of this process is no more.
func gone(t *testing.T, thread int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(10 * time.Second)
	for {
		if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread)); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("the thread %d does not end", thread)
		}
	}
}
