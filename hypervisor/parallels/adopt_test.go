package parallels

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func TestAdopted(t *testing.T) {
	// The VM is called Debian until it is renamed.
	is := func(state string) string { return "list " + state + " as Debian" }
	for _, tc := range []struct {
		name  string
		lines []string
		err   error
		says  string // "": success
		most  time.Duration
	}{
		{"it has its name", []string{"list running"}, nil, "", 0},
		{"at once", []string{is("running"), "templates none", is("running"), "rename ok", "list running"}, nil, "", 0},
		{"other letters", []string{"list running as MPD-150", "templates none", "list running as MPD-150", "rename ok", "list running"}, nil, "", 0},
		{"said no, and done", []string{is("running"), "templates none", is("running"), "rename no", "list running"}, nil, "", 0},
		{"beside other VMs of ours", []string{is("running") + " and mpd-151", "templates none", is("running") + " and mpd-151", "rename busy", is("running") + " and mpd-151",
			is("running") + " and mpd-151", "stop ok", is("stopped") + " and mpd-151", is("stopped") + " and mpd-151", "rename ok", "list stopped and mpd-151",
			"list stopped and mpd-151", "start ok", "list running and mpd-151"}, nil, "", 0},
		{"stop, rename, start", []string{is("running"), "templates none", is("running"), "rename busy", is("running"),
			is("running"), "stop ok", is("stopping"), is("stopped"), is("stopped"), "rename ok", "list stopped",
			"list stopped", "start ok", "list starting", "list running"}, nil, "", time.Second},
		{"busy after the stop", []string{is("running"), "templates none", is("running"), "rename busy", is("running"),
			is("running"), "stop ok", is("stopped"), is("stopped"), "rename busy", is("stopped"), is("stopped"), "rename ok", "list stopped",
			"list stopped", "start ok", "list running"}, nil, "", 2 * time.Second},
		{"stopped", []string{is("stopped"), "templates none", is("stopped"), "rename ok", "list stopped"}, nil, "", 0},
		{"refused for another reason", []string{is("running"), "templates none", is("running"), "rename no", is("running")}, nil, saysOther, 0},
		{"F67: refused even when stopped, started again", []string{is("running"), "templates none", is("running"), "rename busy", is("running"),
			is("running"), "stop ok", is("stopped"), is("stopped"), "rename no", is("stopped"),
			is("stopped"), "start ok", is("running")}, nil, saysOther, 0},
		{"F67: the guest does not stop", []string{is("running"), "templates none", is("running"), "rename busy", is("running"),
			is("running"), "stop no", is("running") + " ×4"}, nil, "keeps its name", 2 * time.Second},
		{"not up again", []string{is("running"), "templates none", is("running"), "rename busy", is("running"),
			is("running"), "stop ok", is("stopped"), is("stopped"), "rename ok", "list stopped",
			"list stopped", "start no", "list stopped ×4"}, nil, "is not up again", 2 * time.Second},
		{"said to be done, and not", []string{is("running"), "templates none", is("running"), "rename ok", is("running")}, nil, "still", 0},
		{"F59: another has the name", []string{is("running") + " and mpd-150"}, hypervisor.ErrDrift, u151, 0},
		{"F59: another has it in other letters", []string{"list running and Mpd-150"}, hypervisor.ErrDrift, u151, 0},
		{"gone", []string{"list gone"}, hypervisor.ErrNoMachine, u150, 0},
		{"gone, another has the name", []string{"list gone and mpd-150"}, hypervisor.ErrDrift, u151, 0},
		{"renamed by another in between", []string{is("running"), "templates none", "list running as precious"}, hypervisor.ErrDrift, "precious", 0},
		{"the service goes down", []string{is("running"), "templates none", is("running"), "rename down"}, hypervisor.ErrService, "Service", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calls := play(t, tc.lines...)
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				err := backend(t, calls...).Adopted(t.Context(), 150, hypervisor.Machine{UUID: u150, Name: "mpd-150"})
				if (err == nil) != (tc.says == "") || tc.err != nil && !errors.Is(err, tc.err) || err != nil && !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("Adopted = %v, want %v that says %q", err, tc.err, tc.says)
				}
				if took := time.Since(begin); took > tc.most {
					t.Errorf("it took %v, want at most %v", took, tc.most)
				}
			})
		})
	}
}

func TestAdoptedTemplateHasTheName(t *testing.T) {
	b := backend(t, list(u150+" running - Debian"), templates(uTpl+" stopped - MPD-150"))
	err := b.Adopted(t.Context(), 150, hypervisor.Machine{UUID: u150})
	if !errors.Is(err, hypervisor.ErrDrift) || !strings.Contains(err.Error(), uTpl) || !strings.Contains(err.Error(), u150) {
		t.Errorf("Adopted = %v", err)
	}
}

func TestAdoptedWithoutUUID(t *testing.T) {
	vm := u150 + " running 10.211.55.150 Debian"
	b := backend(t, full(vm), list(vm), templates(), list(vm), call{argv: "prlctl set " + u150 + " --name mpd-150"}, list(u150+" running - mpd-150"))
	if err := b.Adopted(t.Context(), 150, hypervisor.Machine{Addr: addrs("10.211.55.150")[0]}); err != nil {
		t.Error(err)
	}
}

// F67: a stop that never takes effect ends with its bound, and the VM is not
// killed.
func TestAdoptedBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var verbs []string
		b := New(Config{Run: func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			switch c.Argv[1] {
			case "list":
				if slices.Contains(c.Argv, "-t") {
					return hypervisor.Result{Stdout: []byte("[\n\n]\n")}, nil
				}
				return hypervisor.Result{Stdout: []byte(brief(u150 + " running - Debian"))}, nil
			case "set":
				return hypervisor.Result{Stderr: []byte(saysBusy), Status: 255}, nil
			}
			verbs = append(verbs, c.String())
			return hypervisor.Result{}, nil
		}})
		begin := time.Now()
		err := b.Adopted(t.Context(), 150, hypervisor.Machine{UUID: u150})
		if took := time.Since(begin); err == nil || took != 120*time.Second {
			t.Errorf("Adopted = %v after %v", err, took)
		}
		if want := []string{"prlctl stop " + u150}; !slices.Equal(verbs, want) {
			t.Errorf("verbs %q, want %q", verbs, want)
		}
	})
}
