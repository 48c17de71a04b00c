package hypervisortest

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// chosen is the environment variable that says which mistake a child of this
// test binary makes.
const chosen = "HYPERVISORTEST_MISTAKE"

// TestMistakeChild runs the suite on a wrong backend, where it must fail: only
// a process of its own can fail without failing this one.
func TestMistakeChild(t *testing.T) {
	name := os.Getenv(chosen)
	switch {
	case name == "":
		t.Skip("a child of TestMistakes")
	case name == halfName:
		Run(t, Harness{New: func(*testing.T) World {
			tool := &memtool{}
			return tool.world(half{memory{tool}})
		}})
		return
	}
	all := mistakes()
	i := slices.IndexFunc(all, func(m mistake) bool { return m.name == name })
	if i < 0 {
		t.Skip("no such mistake")
	}
	Run(t, harness(all[i].make))
}

// half is a backend that starts VMs and is no Lifecycle.
type half struct{ hypervisor.Hypervisor }

const halfName = "half a capability"

func (half) Start(context.Context, string) error { return nil }

// TestMistakes: each mistake fails the cases that are there for it, and each
// case fails with some mistake, so none is empty.
func TestMistakes(t *testing.T) {
	var mu sync.Mutex
	failed := map[string]bool{}
	t.Run("each", func(t *testing.T) {
		for _, m := range append(mistakes(), mistake{name: halfName, fails: []string{"Hypervisor/capabilities"}}) {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				found := m.failures(t)
				for _, want := range m.fails {
					if !slices.ContainsFunc(found, func(got string) bool { return matches(want, got) }) {
						t.Errorf("%q did not fail, only %q", want, found)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				for _, name := range found {
					failed[name] = true
				}
			})
		}
	})
	h := harness(nil)
	for _, g := range groups() {
		for _, tc := range g.cases(h) {
			if name := g.name + "/" + tc.name; !failed[underscored(name)] {
				t.Errorf("no mistake fails the case %q", name)
			}
		}
	}
}

func underscored(s string) string { return strings.ReplaceAll(s, " ", "_") }

func matches(want, got string) bool {
	want = underscored(want)
	if begin, ok := strings.CutSuffix(want, "*"); ok {
		return strings.HasPrefix(got, begin)
	}
	return want == got
}

var failure = regexp.MustCompile(`(?m)^ +--- FAIL: TestMistakeChild/([^/\n]+/.+) \(`)

// failures are the cases that fail with the mistake. Each must quote a
// sentence, as Fatal alone does not.
func (m mistake) failures(t *testing.T) (names []string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var groups []string // the other ones would only take time
	for _, name := range m.fails {
		group, _, _ := strings.Cut(name, "/")
		groups = append(groups, group)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestMistakeChild$/^("+strings.Join(groups, "|")+")$")
	cmd.Env = append(os.Environ(), chosen+"="+m.name)
	out, err := cmd.CombinedOutput()
	if err == nil || strings.Contains(string(out), "panic:") {
		t.Fatalf("with the mistake: %v\n%s", err, out)
	}
	for _, hit := range failure.FindAllStringSubmatch(string(out), -1) {
		names = append(names, hit[1])
	}
	if !strings.Contains(string(out), "The contract: ") {
		t.Errorf("the failure quotes no sentence:\n%s", out)
	}
	return names
}
