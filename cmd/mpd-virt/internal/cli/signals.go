package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// handleSignals returns a context that the first signal cancels; the cause is
// a signalError. The second signal ends the process at once, with the terminal
// as it was. stop ends the handling.
//
// SIGPIPE is caught as well and dropped: a write to a pipe that nobody reads
// is then an error like any other, not the sudden death of a verb that works
// on a VM. Catching, unlike ignoring, is not handed down to ssh.
func handleSignals(parent context.Context, live *liveTerminal) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		await(signals, done, cancel, func(s syscall.Signal) {
			live.undo()
			os.Exit(exitSignal + int(s))
		})
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		cancel(nil)
	}
}

// await cancels at the first signal and calls second at the second.
func await(signals <-chan os.Signal, done <-chan struct{}, cancel context.CancelCauseFunc, second func(syscall.Signal)) {
	for n := 1; ; n++ {
		select {
		case <-done:
			return
		case s := <-signals:
			sig, _ := s.(syscall.Signal)
			if n > 1 {
				second(sig)
				return
			}
			cancel(signalError{sig})
		}
	}
}
