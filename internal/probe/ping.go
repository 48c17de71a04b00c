package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Why no echo came, as PingError.Reason has it.
const (
	ReasonNoAnswer = "no answer"
	// ReasonNoRoute: this machine's, or a router's, word that there is no way
	// to the address. macOS says the same at once to a program that is not
	// allowed into the local network.
	ReasonNoRoute = "no route to host"
	// ReasonHostDown: nobody in the address's own network has the address.
	ReasonHostDown = "host is down"
)

// PingError says that ping ran, and that no echo came back.
type PingError struct {
	Addr   netip.Addr
	Reason string // one of the Reason constants
}

func (e *PingError) Error() string { return fmt.Sprintf("ping %v: %s", e.Addr, e.Reason) }

// Ping sends one echo to the IPv4 address addr, waits for at most Limit, and
// returns how long the way there and back took. goos is the system whose ping
// run will start, as runtime.GOOS has it: the options differ.
//
// A *PingError is the answer "not there"; hypervisor.ErrToolMissing, the end of
// ctx and all other errors are not: they say nothing of the VM.
func Ping(ctx context.Context, run hypervisor.Runner, goos string, addr netip.Addr) (time.Duration, error) {
	if !addr.Is4() {
		return 0, fmt.Errorf("ping %v: no IPv4 address", addr)
	}
	res, err := run(ctx, hypervisor.Command{Argv: pingArgv(goos, addr), Limit: pingLimit})
	switch {
	case err == nil:
		return pingResult(addr, res)
	case ctx.Err() != nil:
		return 0, fmt.Errorf("ping %v: %w", addr, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return 0, &PingError{addr, ReasonNoAnswer}
	case errors.Is(err, hypervisor.ErrToolMissing):
		return 0, hint.Wrap(fmt.Errorf("ping %v: %w", addr, err), "install ping (in Debian: sudo apt install iputils-ping)")
	}
	return 0, fmt.Errorf("ping %v: %w", addr, err)
}

// pingLimit lets ping itself say first that nothing came.
const pingLimit = Limit + 500*time.Millisecond

// pingArgv: -n asks no name server. The bound in seconds is -W for Linux's
// ping (iputils) and -t for macOS's, where -W has milliseconds and lets a
// failing send wait longer; -t is Linux's time to live.
func pingArgv(goos string, addr netip.Addr) []string {
	bound := "-W"
	if goos == "darwin" {
		bound = "-t"
	}
	return []string{"ping", "-n", "-c", "1", bound, strconv.Itoa(int(Limit / time.Second)), addr.String()}
}

// pingResult reads what ping left. Without a reply line, even exit 0 is no
// answer that could be believed.
func pingResult(addr netip.Addr, res hypervisor.Result) (time.Duration, error) {
	took, ok := echoTime(addr, res.Stdout)
	if ok && res.Status == 0 {
		return took, nil
	}
	said := string(res.Stdout) + "\n" + string(res.Stderr)
	switch {
	case has(said, "No route to host"), has(said, "Network is unreachable"),
		has(said, "Destination Net Unreachable"), has(said, "Network is down"):
		return 0, &PingError{addr, ReasonNoRoute}
	case has(said, "Host is down"), has(said, "Destination Host Unreachable"):
		return 0, &PingError{addr, ReasonHostDown}
	case res.Status != 0 && statistics.MatchString(said):
		return 0, &PingError{addr, ReasonNoAnswer}
	}
	return 0, fmt.Errorf("ping %v: exit status %d: cannot tell from %q", addr, res.Status, firstLine(res))
}

func has(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

// statistics is the line in which ping sums up that nothing came back:
// "1 packets transmitted, 0 packets received" (macOS), "1 packets transmitted,
// 0 received" (Linux).
var statistics = regexp.MustCompile(`(?m)^1 packets? transmitted, 0 (packets )?received`)

// replyLine is "64 bytes from 10.163.0.3: icmp_seq=0 ttl=64 time=0.447 ms",
// the same on both systems.
var replyLine = regexp.MustCompile(`(?m)^[0-9]+ bytes from ([0-9.]+): .*\btime[=<]([0-9]{1,6}(?:\.[0-9]{1,6})?) ms`)

// echoTime is the time of the first echo that came from addr itself.
func echoTime(addr netip.Addr, stdout []byte) (time.Duration, bool) {
	for _, m := range replyLine.FindAllSubmatch(stdout, -1) {
		if string(m[1]) != addr.String() {
			continue
		}
		if ms, err := strconv.ParseFloat(string(m[2]), 64); err == nil {
			return time.Duration(ms * float64(time.Millisecond)), true
		}
	}
	return 0, false
}

// firstLine is what ping complained about, or else said, first.
func firstLine(res hypervisor.Result) string {
	text := bytes.TrimSpace(res.Stderr)
	if len(text) == 0 {
		text = bytes.TrimSpace(res.Stdout)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return clip(string(line))
}
