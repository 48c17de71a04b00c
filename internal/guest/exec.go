package guest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Bounds of one command.
const (
	openLimit    = 10 * time.Second       // until the VM takes the command
	lingerLimit  = 5 * time.Second        // after the exit status, without more output
	lingerMost   = time.Minute            // the same, with output of those left behind
	reactLimit   = 500 * time.Millisecond // for the VM to end a command that we gave up
	causeLimit   = 200 * time.Millisecond // to learn whether the whole connection is gone
	defaultQuiet = 30 * time.Minute
)

// exit is how a command ended.
type exit struct {
	status int
	signal string
}

// command is one command under way on a channel of its own.
type command struct {
	conn     *Conn
	name     string
	channel  ssh.Channel
	requests <-chan *ssh.Request

	exited chan exit     // gets the status when the VM tells it, at most once
	done   chan struct{} // closed when all is read and the channel is closed

	quiet *time.Timer // fires when nothing moved for too long
	mu    sync.Mutex
	bound time.Duration // how long that is
}

// exec runs a command line to its end. An error says that there is no status:
// the context's, a *TimeoutError or a *LostError.
func (c *Conn) exec(ctx context.Context, s Script, line string, stdout, stderr io.Writer) (exit, error) {
	if err := ctx.Err(); err != nil {
		return exit{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	c.opts.debug("ssh: %s: run %s", c.opts.Addr, s.Name)
	channel, requests, err := c.open(ctx, s.Name, line)
	if err != nil {
		return exit{}, err
	}
	r := &command{conn: c, name: s.Name, channel: channel, requests: requests,
		exited: make(chan exit, 1), done: make(chan struct{})}
	if s.Idle == 0 {
		s.Idle = defaultQuiet
	}
	r.bound, r.quiet = s.Idle, time.NewTimer(s.Idle)
	defer r.quiet.Stop()
	r.start(s.Stdin, stdout, stderr)
	return r.wait(ctx, s)
}

// alive says that something moved.
func (r *command) alive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quiet.Reset(r.bound)
}

// within changes how long nothing may move, from now on. The lock keeps a
// reader from winding the timer to the old bound afterwards.
func (r *command) within(bound time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bound = bound
	r.quiet.Reset(bound)
}

// open gets a channel on which the VM has taken the command.
func (c *Conn) open(ctx context.Context, name, line string) (ssh.Channel, <-chan *ssh.Request, error) {
	type opened struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	result := make(chan opened, 1)
	go func() {
		channel, requests, err := c.peer.OpenChannel("session", nil)
		if err == nil {
			var taken bool
			taken, err = channel.SendRequest("exec", true, ssh.Marshal(struct{ Line string }{line}))
			if err == nil && !taken {
				channel.Close()
				err = errors.New("the VM does not run commands for us")
			}
		}
		result <- opened{channel, requests, err}
	}()
	limit := time.NewTimer(openLimit)
	defer limit.Stop()
	select {
	case r := <-result:
		if r.err != nil {
			return nil, nil, &LostError{name, c.why(r.err)}
		}
		return r.channel, r.requests, nil
	case <-c.ended:
		return nil, nil, &LostError{name, c.lost()}
	case <-ctx.Done():
		c.fail(ctx.Err()) // ends the goroutine too
		return nil, nil, fmt.Errorf("%s: %w", name, ctx.Err())
	case <-limit.C:
		c.fail(fmt.Errorf("the VM did not take a command within %v", openLimit))
		return nil, nil, &LostError{name, c.lost()}
	}
}

// why is the reason for the end of the connection if it ended, else err.
func (c *Conn) why(err error) error {
	limit := time.NewTimer(causeLimit)
	defer limit.Stop()
	select {
	case <-c.ended:
		return c.lost()
	case <-limit.C:
	}
	return errors.New(plaintext.Clean(err.Error()))
}

// start moves all streams. Output is read by two goroutines into writers of
// their own.
func (r *command) start(stdin []byte, stdout, stderr io.Writer) {
	var all sync.WaitGroup
	all.Go(func() { r.send(stdin) })
	all.Go(func() { io.Copy(stdout, r.moving(r.channel)) })
	all.Go(func() { io.Copy(stderr, r.moving(r.channel.Stderr())) })
	all.Go(r.serve)
	go func() {
		all.Wait()
		close(r.done)
	}()
}

// sendChunk is how much input is under way at a time. On a slow link more of
// it would keep the answers to keep-alives waiting until we take the VM for
// dead.
const sendChunk = 2 << 10

// send feeds the command. That it does not want all of it is no error of ours.
func (r *command) send(stdin []byte) {
	defer r.channel.CloseWrite()
	for len(stdin) > 0 {
		n, err := r.channel.Write(stdin[:min(len(stdin), sendChunk)])
		if err != nil {
			return
		}
		r.alive()
		if stdin = stdin[n:]; len(stdin) == 0 {
			return
		}
		// The answer, whatever it is, comes after the VM has read the chunk.
		if _, err := r.channel.SendRequest("keepalive@openssh.com", true, nil); err != nil {
			return
		}
	}
}

type reader func([]byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

// moving is from, every byte of which is a sign of life.
func (r *command) moving(from io.Reader) io.Reader {
	return reader(func(p []byte) (int, error) {
		n, err := from.Read(p)
		if n > 0 {
			r.alive()
		}
		return n, err
	})
}

// serve takes what the VM says about the command, until the channel closes.
// The first status counts; one that is cut short is none.
func (r *command) serve() {
	told := false
	for request := range r.requests {
		var e exit
		switch request.Type {
		case "exit-status":
			if len(request.Payload) != 4 {
				continue
			}
			e.status = int(binary.BigEndian.Uint32(request.Payload))
		case "exit-signal":
			var signal struct {
				Name string
				Rest []byte `ssh:"rest"`
			}
			if ssh.Unmarshal(request.Payload, &signal) != nil {
				continue
			}
			e = signalled(signal.Name)
		default:
			if request.WantReply {
				request.Reply(false, nil)
			}
			continue
		}
		if !told {
			told = true
			r.exited <- e
		}
	}
}

// signalled is what a shell makes of an end by signal.
func signalled(name string) exit {
	numbers := map[string]int{
		"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8,
		"KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15,
	}
	if numbers[name] == 0 {
		name = firstLine(name)
	}
	if name == "" {
		name = "?"
	}
	return exit{128 + numbers[name], name}
}

// wait is for the end of the command, or of patience.
func (r *command) wait(ctx context.Context, s Script) (exit, error) {
	var over <-chan time.Time
	if s.Limit > 0 {
		t := time.NewTimer(s.Limit)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-r.done:
	case e := <-r.exited:
		r.linger(ctx)
		return r.result(e)
	case <-ctx.Done():
		r.giveUp()
		return exit{}, fmt.Errorf("%s: %w", r.name, ctx.Err())
	case <-over:
		r.giveUp()
		return exit{}, &TimeoutError{Name: r.name, Limit: s.Limit}
	case <-r.quiet.C:
		r.giveUp()
		return exit{}, &TimeoutError{Name: r.name, Limit: s.Idle, Idle: true}
	}
	select {
	case e := <-r.exited:
		return r.result(e)
	default:
		return exit{}, &LostError{r.name, r.conn.why(errors.New("it ended without an exit status"))}
	}
}

// linger waits, after the status, for the rest of the output. Somebody whom the
// command left behind may hold it open for ever, silent or not; that is cut
// off.
func (r *command) linger(ctx context.Context) {
	r.within(lingerLimit)
	most := time.NewTimer(lingerMost)
	defer most.Stop()
	select {
	case <-r.done:
		return
	case <-ctx.Done():
	case <-r.quiet.C:
	case <-most.C:
	}
	r.giveUp()
}

// result is the status, unless the connection broke before the end of the
// output: what was read may then be cut. The tap knows of it before any
// channel is closed for it.
func (r *command) result(e exit) (exit, error) {
	if r.conn.lost() != nil || r.conn.tap.broke() {
		return exit{}, &LostError{r.name, r.conn.why(errClosed)}
	}
	return e, nil
}

// giveUp asks the VM to end the command and returns when nothing of it is left
// here. A VM that does not react loses the connection.
func (r *command) giveUp() {
	told := make(chan struct{})
	go func() { // can block as long as the connection is stuck
		defer close(told)
		r.channel.SendRequest("signal", false, ssh.Marshal(struct{ Name string }{"TERM"}))
		r.channel.Close()
	}()
	limit := time.NewTimer(reactLimit)
	defer limit.Stop()
	select {
	case <-r.done:
	case <-limit.C:
		r.conn.fail(fmt.Errorf("the VM did not end %s", r.name))
	}
	<-r.done
	<-told
}
