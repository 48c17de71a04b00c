package cli

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// interrupt runs mpd-virt with Ctrl-C at a call of a program:
//
//	interrupt VERB[:N] ARGS...    when the Nth call (the first) with VERB has done its work
//
// The command is kept from being told. VERB is as toolVerb names it, or
// "download" for the request of a disk image.
func (g *golden) interrupt(args []string) (string, error) {
	ctx, cancel := context.WithCancelCause(g.t.Context())
	defer cancel(nil)
	verb, number, counted := strings.Cut(args[0], ":")
	n := 1
	if counted {
		var err error
		if n, err = strconv.Atoi(number); err != nil {
			return "", err
		}
	}
	var mu sync.Mutex
	meant := func(got string) bool {
		mu.Lock()
		defer mu.Unlock()
		if got == verb {
			n--
		}
		return got == verb && n == 0
	}
	cut := func(call context.Context) error {
		cancel(signalError{syscall.SIGINT})
		<-call.Done()
		return call.Err()
	}
	g.configured = func(cfg *mpdvirt.Config) {
		run, fetch := cfg.Runner, cfg.Transport
		cfg.Runner = func(call context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			res, err := run(call, c)
			if meant(toolVerb(c.Argv)) {
				return hypervisor.Result{}, fmt.Errorf("%s: %w", path.Base(c.Argv[0]), cut(call))
			}
			return res, err
		}
		cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if meant("download") {
				return nil, cut(r.Context())
			}
			return fetch.RoundTrip(r)
		})
	}
	defer func() { g.configured = nil }()
	out, err := g.run(ctx, args[1:], "")
	return string(out), err
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// toolVerb is what a call of a hypervisor's tool is for: prlctl's verb,
// osascript's word, or that word's twin of utmctl, where stop is request or
// kill. Other programs have their name.
func toolVerb(argv []string) string {
	name := path.Base(argv[0])
	switch {
	case len(argv) > 2 && name == "osascript":
		return argv[2]
	case len(argv) > 3 && name == "utmctl" && argv[1] == "stop":
		return strings.TrimLeft(argv[3], "-")
	case len(argv) > 1 && (name == "utmctl" || name == "prlctl"):
		return argv[1]
	}
	return name
}
