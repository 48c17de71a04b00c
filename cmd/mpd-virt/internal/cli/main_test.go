package cli

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// result is what one command line left behind.
type result struct {
	code           int
	stdout, stderr string
}

// emptyMac is an environment with an empty home folder, no network and no
// tools.
func emptyMac(t testing.TB, args ...string) Env {
	t.Helper()
	home := t.TempDir()
	return Env{
		Args: args,
		// A locale in which every character of the output is as it was made.
		Environ: []string{"HOME=" + home, "LANG=C.UTF-8", "TERM=xterm"},
		Build:   Build{Version: "v1.2.3", Commit: "0123456789ab", Go: "go1.26", OS: "darwin", Arch: "arm64"},
		Exec:    func([]string, []string) error { return errors.New("no programs here") },
		Config: mpdvirt.Config{
			Home:        home,
			AgentSocket: "none",
			DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network here") },
			Resolve: func(context.Context, string, string) ([]netip.Addr, error) {
				return nil, errors.New("no resolver here")
			},
			LocalAddrs: func() ([]netip.Addr, error) { return nil, nil },
			Runner: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
				return hypervisor.Result{}, mpdvirt.ErrToolMissing
			},
		},
	}
}

func runIn(t testing.TB, env Env) result {
	t.Helper()
	return runCtx(t, t.Context(), env)
}

func runCtx(t testing.TB, ctx context.Context, env Env) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env.Stdout, env.Stderr = &stdout, &stderr
	code := Run(ctx, env)
	return result{code, stdout.String(), stderr.String()}
}

func runArgs(t testing.TB, args ...string) result {
	t.Helper()
	return runIn(t, emptyMac(t, args...))
}

// newTestApp is an app for renderers: plain, with /Users/dev as home.
func newTestApp(stdout, stderr *bytes.Buffer) *app {
	return newApp(Env{
		Stdout: stdout, Stderr: stderr,
		Environ: []string{"HOME=/Users/dev", "LANG=en_US.UTF-8", "TERM=xterm"},
	})
}

func contains(t *testing.T, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%s", what, want, got)
		}
	}
}
