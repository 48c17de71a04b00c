package parallels

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The VMs of the tests.
const (
	u150 = "bb586bcf-5a5c-4a1c-9d2e-0f3f7e0b6a11"
	u151 = "c2b8e1f4-0c52-4b0f-8a39-55c0b1f6f7aa"
	uTpl = "5b1f3c0e-88a4-4a2c-b0b5-2f6f1c0d9e77"
)

// Refusals, as the tool words them.
const (
	saysBusy    = "Failed to remove the VM: Unable to perform the action because the virtual machine is busy. The virtual machine is currently running. Please try again later."
	saysUnknown = "Failed to get VM config: The virtual machine could not be found. The virtual machine is not registered in the virtual machine directory on your Mac."
	saysLogin   = "Login failed: The server is too busy."
	saysDown    = "Login failed: Unable to connect to Parallels Service."
	saysExpired = "Failed to start the VM: This product was activated for a limited period of time that has now expired. Purchase a new activation key (URL) to continue using Parallels Desktop."
	saysOther   = "Operation failed. Failed to execute the operation."
)

// call is one start of the tool that a test expects, and what comes of it.
type call struct {
	argv   string // words with blanks between
	stdout string
	stderr string
	status int
	err    error // instead of the rest
	then   func()
}

// script is a Runner that expects exactly these calls in this order.
type script struct {
	t     *testing.T
	calls []call
	next  int
}

func (s *script) run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	s.t.Helper()
	if err := ctx.Err(); err != nil {
		return hypervisor.Result{}, fmt.Errorf("run %s: stopped: %w", c.Argv[0], err)
	}
	if s.next == len(s.calls) {
		s.t.Fatalf("call %d is %q, but no more were expected", s.next+1, c)
	}
	want := s.calls[s.next]
	s.next++
	if c.String() != want.argv {
		s.t.Fatalf("call %d is\n\t%q, want\n\t%q", s.next, c, want.argv)
	}
	if want.then != nil {
		want.then()
	}
	if want.err != nil {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], want.err)
	}
	return hypervisor.Result{Stdout: []byte(want.stdout), Stderr: []byte(want.stderr), Status: want.status}, nil
}

// backend is a Backend over the script, which must be played to its end.
func backend(t *testing.T, calls ...call) *Backend {
	t.Helper()
	s := &script{t: t, calls: calls}
	t.Cleanup(func() {
		if s.next != len(calls) && !t.Failed() {
			t.Errorf("only %d of %d calls came; the next would be %q", s.next, len(calls), calls[s.next].argv)
		}
	})
	return New(Config{Run: s.run, LeaseFile: filepath.Join(t.TempDir(), "none")})
}

// brief is the short JSON of VMs, each as "uuid state addresses name"; the
// addresses have commas instead of blanks.
func brief(vms ...string) string {
	var out []string
	for _, v := range vms {
		f := strings.SplitN(v, " ", 4)
		out = append(out, fmt.Sprintf("\t{\n\t\t\"uuid\": %q,\n\t\t\"status\": %q,\n\t\t\"ip_configured\": %q,\n\t\t\"name\": %q\n\t}",
			f[0], f[1], strings.ReplaceAll(f[2], ",", " "), f[3]))
	}
	return "[\n" + strings.Join(out, ",\n") + "\n]\n"
}

func list(vms ...string) call { return call{argv: "prlctl list -a -j", stdout: brief(vms...)} }

func full(vms ...string) call { return call{argv: "prlctl list -a -f -j", stdout: brief(vms...)} }

func templates(vms ...string) call {
	return call{argv: "prlctl list -t -o uuid,name -j", stdout: brief(vms...)}
}

// fixture is a recorded answer of the tool.
func fixture(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "prlctl", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// available are the calls of Available on a Mac where all is well.
func available(t *testing.T) []call {
	return []call{
		{argv: "prlctl --version", stdout: "prlctl version 26.4.1 (57516)\n"},
		{argv: "prlsrvctl info --license --json", stdout: fixture(t, "license-pro.json")},
		{argv: "prlsrvctl net info Shared -j", stdout: fixture(t, "network.json")},
	}
}

func join(lists ...[]call) []call { return slices.Concat(lists...) }
