package probe

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// Outputs in the form of macOS's ping (network_cmds) and Linux's (iputils).
const (
	darwinReply = `PING 10.211.55.150 (10.211.55.150): 56 data bytes
64 bytes from 10.211.55.150: icmp_seq=0 ttl=64 time=0.447 ms

--- 10.211.55.150 ping statistics ---
1 packets transmitted, 1 packets received, 0.0% packet loss
round-trip min/avg/max/stddev = 0.447/0.447/0.447/0.000 ms
`
	darwinLoss = `PING 10.211.55.150 (10.211.55.150): 56 data bytes

--- 10.211.55.150 ping statistics ---
1 packets transmitted, 0 packets received, 100.0% packet loss
`
	linuxReply = `PING 10.211.55.150 (10.211.55.150) 56(84) bytes of data.
64 bytes from 10.211.55.150: icmp_seq=1 ttl=64 time=1234 ms

--- 10.211.55.150 ping statistics ---
1 packets transmitted, 1 received, 0% packet loss, time 0ms
rtt min/avg/max/mdev = 1234.000/1234.000/1234.000/0.000 ms
`
	linuxLoss = `PING 10.211.55.150 (10.211.55.150) 56(84) bytes of data.

--- 10.211.55.150 ping statistics ---
1 packets transmitted, 0 received, 100% packet loss, time 0ms
`
	linuxUnreachable = `PING 10.211.55.150 (10.211.55.150) 56(84) bytes of data.
From 10.211.55.2 icmp_seq=1 Destination Host Unreachable

--- 10.211.55.150 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms
`
)

func TestPing(t *testing.T) {
	for _, tc := range []struct {
		name           string
		status         int
		stdout, stderr string
		took           time.Duration
		reason         string // of the *PingError; "" with took 0: another error
	}{
		{"macOS, there", 0, darwinReply, "", 447 * time.Microsecond, ""},
		{"macOS, nothing", 2, darwinLoss, "", 0, ReasonNoAnswer},
		{"macOS, no route", 2, darwinLoss, "ping: sendto: No route to host\n", 0, ReasonNoRoute},
		{"macOS, no such host in the network", 2, darwinLoss, "ping: sendto: Host is down\n", 0, ReasonHostDown},
		{"Linux, there", 0, linuxReply, "", 1234 * time.Millisecond, ""},
		{"Linux, nothing", 1, linuxLoss, "", 0, ReasonNoAnswer},
		{"Linux, no such host in the network", 1, linuxUnreachable, "", 0, ReasonHostDown},
		{"Linux, no route", 2, "", "ping: connect: Network is unreachable\n", 0, ReasonNoRoute},
		{"Linux, not allowed", 2, "", "ping: socktype: SOCK_RAW\nping: socket: Operation not permitted\n", 0, ""},
		{"wrong use", 64, "", "usage: ping [-AaDdfnoQqRrv]\n", 0, ""},
		{"exit 0 and nothing said", 0, "", "", 0, ""},
		{"exit 0 and nothing came", 0, linuxLoss, "", 0, ""},
		{"a reply and a failure", 1, linuxReply, "", 0, ""},
		{"a reply from another", 0, strings.ReplaceAll(linuxReply, ".150:", ".151:"), "", 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
				return hypervisor.Result{Stdout: []byte(tc.stdout), Stderr: []byte(tc.stderr), Status: tc.status}, nil
			}
			took, err := Ping(t.Context(), run, "darwin", vm)
			var failed *PingError
			errors.As(err, &failed)
			switch {
			case took != tc.took || (err == nil) != (tc.took != 0):
				t.Errorf("Ping = %v, %v; want %v", took, err, tc.took)
			case tc.reason != "" && (failed == nil || failed.Reason != tc.reason || failed.Addr != vm):
				t.Errorf("Ping: %v, want a PingError for %q", err, tc.reason)
			case tc.reason == "" && failed != nil:
				t.Errorf("Ping: %v, but nothing is known of the host", err)
			}
		})
	}
}

func TestPingCommand(t *testing.T) {
	for goos, want := range map[string][]string{
		"linux":  {"ping", "-n", "-c", "1", "-W", "2", "10.211.55.150"},
		"darwin": {"ping", "-n", "-c", "1", "-t", "2", "10.211.55.150"},
	} {
		t.Run(goos, func(t *testing.T) {
			_, _ = Ping(t.Context(), func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
				if !slices.Equal(c.Argv, want) || c.Limit != pingLimit || c.Terminal || c.Stdin != nil {
					t.Errorf("ran %+v, want %q", c, want)
				}
				return hypervisor.Result{}, nil
			}, goos, vm)
		})
	}
}

func TestPingRunnerErrors(t *testing.T) {
	fail := func(err error) hypervisor.Runner {
		return func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
			return hypervisor.Result{}, err
		}
	}
	var failed *PingError
	_, err := Ping(t.Context(), fail(context.DeadlineExceeded), "linux", vm)
	if !errors.As(err, &failed) || failed.Reason != ReasonNoAnswer {
		t.Errorf("ping hangs: %v, want no answer", err)
	}
	_, err = Ping(t.Context(), fail(hypervisor.ErrToolMissing), "linux", vm)
	if !errors.Is(err, hypervisor.ErrToolMissing) || hint.Of(err) == "" {
		t.Errorf("no ping: %v, hint %q", err, hint.Of(err))
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Ping(done, fail(context.Canceled), "linux", vm)
	if !errors.Is(err, context.Canceled) || errors.As(err, &failed) {
		t.Errorf("cancelled: %v", err)
	}
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("fd00::1")} {
		if _, err = Ping(t.Context(), nil, "linux", addr); err == nil {
			t.Errorf("%v: no error", addr)
		}
	}
}

func FuzzPingOutput(f *testing.F) {
	for _, s := range []string{darwinReply, darwinLoss, linuxReply, linuxLoss, linuxUnreachable} {
		f.Add(s, "", 0)
		f.Add(s, "ping: sendto: No route to host\n", 2)
	}
	f.Fuzz(func(t *testing.T, stdout, stderr string, status int) {
		took, err := pingResult(vm, hypervisor.Result{Stdout: []byte(stdout), Stderr: []byte(stderr), Status: status})
		if err == nil && (status != 0 || took < 0 || !strings.Contains(stdout, "bytes from 10.211.55.150: ")) {
			t.Errorf("an echo after %v out of status %d, %q", took, status, stdout)
		}
		if err != nil && (took != 0 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' })) {
			t.Errorf("time %v, error %q", took, err)
		}
	})
}
