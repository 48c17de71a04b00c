package hypervisortest

import (
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// Run checks the backend of h, with one subtest for each capability and below
// it one for each case. Capabilities that the backend does not have are
// skipped. Cases run one after the other. A Harness without New, or a World without
// what is needed, ends t with a message that says so.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("hypervisortest: Harness.New is not set")
	}
	var probed hypervisor.Hypervisor
	bubble(t, h, func(t *testing.T) { probed = newWorld(t, h).Backend })
	dir := t.TempDir()
	for _, g := range groups() {
		t.Run(g.name, func(t *testing.T) {
			if why := g.absent(probed, h); why != "" {
				t.Skip(why)
			}
			for _, tc := range g.cases(h) {
				t.Run(tc.name, func(t *testing.T) { tc.check(t, h, dir) })
			}
		})
	}
}

// group is the cases of one interface.
type group struct {
	name string
	// absent says why a backend is not checked, "" if it is.
	absent func(b hypervisor.Hypervisor, h Harness) string
	cases  func(h Harness) []testCase
}

func groups() []group {
	return []group{
		{"Hypervisor", func(hypervisor.Hypervisor, Harness) string { return "" }, coreCases},
		{"Locate", func(hypervisor.Hypervisor, Harness) string { return "" }, locateCases},
		{"States", func(hypervisor.Hypervisor, Harness) string { return "" }, stateCases},
		{"Lifecycle", absent[hypervisor.Lifecycle], lifecycleCases},
		{"Cloner", absent[hypervisor.Cloner], clonerCases},
		{"Resizer", absent[hypervisor.Resizer], resizerCases},
		{"Addresser", absent[hypervisor.Addresser], addresserCases},
		{"Creator", absent[hypervisor.Creator], creatorCases},
		{"Adopter", absent[hypervisor.Adopter], adopterCases},
		{"Rehearser", absent[hypervisor.Rehearser], rehearserCases},
	}
}

func absent[Capability any](b hypervisor.Hypervisor, h Harness) string {
	if _, ok := b.(Capability); !ok {
		return "the backend does not have this capability"
	}
	if h.Stateless {
		return "the harness says that the backend has nobody to ask"
	}
	return ""
}

// testCase checks one sentence of the contract.
type testCase struct {
	name string
	rule string // the sentence
	run  func(c *check)
}

func (tc testCase) check(t *testing.T, h Harness, dir string) {
	bubble(t, h, func(t *testing.T) {
		c := &check{T: t, h: h, dir: dir, rule: tc.rule, w: newWorld(t, h)}
		tc.run(c)
	})
}

// bubble runs f on fake time, if the harness allows it.
func bubble(t *testing.T, h Harness, f func(t *testing.T)) {
	if h.RealTime {
		f(t)
		return
	}
	skipped := false
	synctest.Test(t, func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		f(t)
	})
	if skipped { // what is said inside a bubble of that does not reach t
		t.SkipNow()
	}
}

func newWorld(t *testing.T, h Harness) World {
	t.Helper()
	w := h.New(t)
	if w.Backend == nil {
		t.Fatal("hypervisortest: World.Backend is not set")
	}
	if !h.Stateless && (w.Add == nil || w.Look == nil) {
		t.Fatal("hypervisortest: World.Add and World.Look are needed, unless Harness.Stateless")
	}
	return w
}
