package parallels

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// play turns the lines of a test into calls:
//
//	list WORD…       VM u150 is in state WORD, or "gone"; "as NAME" renames it, "and NAME" adds another VM
//	templates …      "none", or "it" if u150 is one
//	VERB RESULT      ok, busy, no, hang, expired, down, lies (status 0, error text) for a verb on u150
//
// A line may be repeated with "×N".
func play(t *testing.T, lines ...string) (out []call) {
	t.Helper()
	results := map[string]call{
		"ok": {stdout: "done\n"}, "busy": {stderr: saysBusy, status: 255}, "no": {stderr: saysOther, status: 255},
		"hang": {err: context.DeadlineExceeded}, "expired": {stderr: saysExpired, status: 255},
		"down": {stderr: saysDown, status: 253}, "login": {stderr: saysLogin, status: 255}, "lies": {stderr: saysBusy},
		"mutters": {stderr: saysOther},
	}
	for _, line := range lines {
		line, times, repeated := strings.Cut(line, " ×")
		n := 1
		if repeated {
			var err error
			if n, err = strconv.Atoi(times); err != nil {
				t.Fatal(err)
			}
		}
		f := strings.Fields(line)
		var c call
		switch f[0] {
		case "list":
			c = listed(f[1:])
		case "templates":
			if c = templates(); f[1] == "it" {
				c = templates(u150 + " stopped - mpd-150")
			}
		default:
			c = results[f[len(f)-1]]
			c.argv = strings.Join(verb(strings.Join(f[:len(f)-1], " ")).argv(u150), " ")
			if f[0] == "rename" {
				c.argv = "prlctl set " + u150 + " --name mpd-150"
			}
		}
		for range n {
			out = append(out, c)
		}
	}
	return out
}

func listed(f []string) call {
	name, others := "mpd-150", []string{}
	word := f[0]
	for i := 1; i+1 < len(f); i += 2 {
		if f[i] == "as" {
			name = f[i+1]
		} else {
			others = append(others, u151+" stopped - "+f[i+1])
		}
	}
	if word != "gone" {
		others = append(others, u150+" "+word+" - "+name)
	}
	return list(others...)
}

func TestLifecycle(t *testing.T) {
	verbs := map[string]func(*Backend, context.Context, string) error{
		"Start": (*Backend).Start, "Suspend": (*Backend).Suspend, "Kill": (*Backend).Kill, "Delete": (*Backend).Delete,
	}
	for _, tc := range []struct {
		verb, name string
		lines      []string
		err        error         // nil and says "": success
		says       string        // in the error
		most       time.Duration // fake time
	}{
		{"Start", "stopped", []string{"list stopped", "start ok", "list starting", "list running"}, nil, "", time.Second},
		{"Start", "running", []string{"list running"}, nil, "", 0},
		{"Start", "suspended", []string{"list suspended", "resume ok", "list resuming", "list running"}, nil, "", time.Second},
		{"Start", "paused", []string{"list paused", "resume ok", "list running"}, nil, "", 0},
		{"Start", "starting already", []string{"list starting", "list starting", "list running"}, nil, "", time.Second},
		{"Start", "resume turns out as stopped", []string{"list suspended", "resume no", "list stopped", "start ok", "list running"}, nil, "", 0},
		{"Start", "the tool says no, and yet it runs", []string{"list stopped", "start no", "list running"}, nil, "", 0},
		{"Start", "F54: the tool says no, and it starts", []string{"list stopped", "start no", "list stopped", "list starting", "list running"}, nil, "", 2 * time.Second},
		{"Start", "F62: busy, then well", []string{"list stopped", "start busy", "list stopped ×4", "start ok", "list running"}, nil, "", 2 * time.Second},
		{"Start", "F62: busy for ever", []string{"list stopped", "start busy", "list stopped ×4", "start busy", "list stopped ×4", "start busy", "list stopped ×4",
			"start busy", "list stopped ×4", "start busy", "list stopped ×4", "start busy", "list stopped ×4"}, nil, "busy", 12 * time.Second},
		{"Start", "refused", []string{"list stopped", "start no", "list stopped ×4"}, nil, saysOther, 2 * time.Second},
		{"Start", "F54: says yes with an unknown error, and starts late", []string{"list stopped", "start mutters", "list stopped ×6", "list running"}, nil, "", 10 * time.Second},
		{"Start", "F54: says yes with an unknown error", []string{"list stopped", "start mutters", "list stopped ×63"}, nil, saysOther, 120 * time.Second},
		{"Start", "F57: licence expired", []string{"list stopped", "start expired"}, hypervisor.ErrLicense, "has now expired", 0},
		{"Start", "the service goes down", []string{"list stopped", "start down"}, hypervisor.ErrService, "", 0},
		{"Start", "F56: login failed twice", []string{"list stopped", "start login ×2", "start ok", "list running"}, nil, "", 4 * time.Second},
		{"Start", "F56: login always fails", []string{"list stopped", "start login ×6"}, hypervisor.ErrService, "Login failed", 10 * time.Second},
		{"Start", "F53: the tool hangs", []string{"list stopped", "start hang", "list stopped ×4"}, context.DeadlineExceeded, "", 2 * time.Second},
		{"Start", "F53: it hangs, but the VM runs", []string{"list stopped", "start hang", "list running"}, nil, "", 0},
		{"Start", "gone", []string{"list gone", "templates none"}, hypervisor.ErrNoMachine, u150, 0},
		{"Start", "a template now", []string{"list gone", "templates it"}, hypervisor.ErrState, "is a template", 0},
		{"Start", "gone behind our back", []string{"list stopped", "start ok", "list gone"}, hypervisor.ErrNoMachine, "", 0},
		{"Start", "F61: mounted", []string{"list mounted"}, hypervisor.ErrState, `"mounted"`, 0},
		{"Start", "F61: unknown word", []string{"list Frobnicated"}, hypervisor.ErrState, `"Frobnicated"`, 0},
		{"Start", "F61: invalid", []string{"list invalid"}, hypervisor.ErrState, `"invalid"`, 0},
		{"Start", "F61: unknown word afterwards", []string{"list stopped", "start ok", "list mounted"}, hypervisor.ErrState, `"mounted"`, 0},
		{"Start", "F59: two of the name", []string{"list stopped and MPD-150"}, hypervisor.ErrDrift, u151, 0},
		{"Start", "F67: kept its name when it was adopted, and there are others of ours", []string{"list stopped as Debian and mpd-151", "start ok", "list running as Debian and mpd-151"}, nil, "", 0},
		{"Start", "another name, nobody else in question", []string{"list stopped as Debian and Windows", "start ok", "list running as Debian and Windows"}, nil, "", 0},
		{"Start", "renamed meanwhile", []string{"list stopped", "start ok", "list running as trixie"}, nil, "", 0},
		{"Start", "F61: a dash for a state", []string{"list stopped", "start ok", "list -"}, hypervisor.ErrState, "", 0},

		{"Suspend", "running", []string{"list running", "suspend ok", "list suspending", "list suspended"}, nil, "", time.Second},
		{"Suspend", "stopped", []string{"list stopped"}, nil, "", 0},
		{"Suspend", "suspended", []string{"list suspended"}, nil, "", 0},
		{"Suspend", "paused", []string{"list paused", "resume ok", "list running", "suspend ok", "list suspended"}, nil, "", 0},
		{"Suspend", "resuming", []string{"list resuming", "list resuming", "list running", "suspend ok", "list suspended"}, nil, "", time.Second},
		{"Suspend", "refused", []string{"list running", "suspend no", "list running ×4"}, nil, saysOther, 2 * time.Second},

		{"Kill", "running", []string{"list running", "stop --kill ok", "list running", "list stopped"}, nil, "", time.Second},
		{"Kill", "stopped", []string{"list stopped"}, nil, "", 0},
		{"Kill", "suspended", []string{"list suspended", "stop --drop-state ok", "list stopped"}, nil, "", 0},
		{"Kill", "suspended, state not dropped", []string{"list suspended", "stop --drop-state no", "list suspended ×4", "stop --kill ok", "list stopped"}, nil, "", 2 * time.Second},
		{"Kill", "F61: paused", []string{"list paused", "stop --kill ok", "list stopped"}, nil, "", 0},
		{"Kill", "F61: paused, refused", []string{"list paused", "stop --kill no", "list paused ×8", "resume ok", "list running", "stop --kill ok", "list stopped"}, nil, "", 10 * time.Second},
		{"Kill", "the tool says no, but it stops", []string{"list running", "stop --kill no", "list running", "list stopped"}, nil, "", time.Second},
		{"Kill", "renamed meanwhile", []string{"list running", "stop --kill ok", "list running as precious"}, hypervisor.ErrDrift, "precious", 0},

		{"Delete", "stopped", []string{"list stopped", "delete ok", "list gone"}, nil, "", 0},
		{"Delete", "gone", []string{"list gone", "templates none"}, nil, "", 0},
		{"Delete", "gone, another has the name", []string{"list gone and mpd-150", "templates none"}, nil, "", 0},
		{"Delete", "a template now", []string{"list gone", "templates it"}, hypervisor.ErrState, "is a template", 0},
		{"Delete", "running", []string{"list running", "stop --kill ok", "list running", "list stopped", "delete ok", "list gone"}, nil, "", time.Second},
		{"Delete", "running, the kill says no", []string{"list running", "stop --kill no", "list stopped", "delete ok", "list gone"}, nil, "", 0},
		{"Delete", "busy after the kill", []string{"list running", "stop --kill ok", "list stopped", "delete busy", "list stopped ×4", "delete ok", "list gone"}, nil, "", 2 * time.Second},
		{"Delete", "suspended", []string{"list suspended", "delete ok", "list gone"}, nil, "", 0},
		{"Delete", "suspended, refused", []string{"list suspended", "delete no", "list suspended ×4", "stop --drop-state ok", "list stopped", "delete ok", "list gone"}, nil, "", 2 * time.Second},
		{"Delete", "suspended, refused twice", []string{"list suspended", "delete no", "list suspended ×4", "stop --drop-state no", "list suspended ×4",
			"stop --kill ok", "list stopped", "delete ok", "list gone"}, nil, "", 4 * time.Second},
		{"Delete", "F61: paused", []string{"list paused", "stop --kill no", "list paused ×8", "resume ok", "list running", "stop --kill ok", "list stopped", "delete ok", "list gone"}, nil, "", 10 * time.Second},
		{"Delete", "F54: done, says no", []string{"list stopped", "delete no", "list gone"}, nil, "", 0},
		{"Delete", "F54: says yes with an error", []string{"list stopped", "delete lies", "list stopped ×4", "delete ok", "list gone"}, nil, "", 2 * time.Second},
		{"Delete", "protected", []string{"list stopped", "delete no", "list stopped ×4"}, nil, saysOther, 2 * time.Second},
		{"Delete", "F61: unknown word", []string{"list compressing"}, hypervisor.ErrState, `"compressing"`, 0},
		{"Delete", "F61: invalid", []string{"list invalid"}, hypervisor.ErrState, `"invalid"`, 0},
		{"Delete", "F61: unknown word after the kill", []string{"list running", "stop --kill ok", "list mounted"}, hypervisor.ErrState, `"mounted"`, 0},
		{"Delete", "renamed before the delete", []string{"list running", "stop --kill ok", "list stopped as precious"}, hypervisor.ErrDrift, "precious", 0},
		{"Delete", "a twin before the delete", []string{"list running", "stop --kill ok", "list stopped and mpd-150"}, hypervisor.ErrDrift, u151, 0},
		{"Delete", "its name went to another", []string{"list stopped as precious and mpd-150"}, hypervisor.ErrDrift, u151, 0},
	} {
		t.Run(tc.verb+" "+tc.name, func(t *testing.T) {
			calls := play(t, tc.lines...)
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				err := verbs[tc.verb](backend(t, calls...), t.Context(), "{"+strings.ToUpper(u150)+"}")
				if (err == nil) != (tc.err == nil && tc.says == "") || tc.err != nil && !errors.Is(err, tc.err) {
					t.Fatalf("%s = %v, want %v", tc.verb, err, tc.err)
				}
				if err != nil && !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%s = %v, want one that says %q", tc.verb, err, tc.says)
				}
				if took := time.Since(begin); took > tc.most {
					t.Errorf("it took %v, want at most %v", took, tc.most)
				}
			})
		})
	}
}

// The tool says that all is well, and nothing happens: each wait has its bound.
func TestLifecycleBounds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		do    func(*Backend, context.Context, string) error
		state string
		least time.Duration
		most  time.Duration
	}{
		{"start", (*Backend).Start, "stopped", 120 * time.Second, 120 * time.Second},
		{"starting for ever", (*Backend).Start, "starting", 120 * time.Second, 120 * time.Second},
		{"migrating for ever", (*Backend).Delete, "migrating", 60 * time.Second, 60 * time.Second},
		{"suspend", (*Backend).Suspend, "running", 120 * time.Second, 120 * time.Second},
		{"kill", (*Backend).Kill, "running", 60 * time.Second, 60 * time.Second},
		{"kill one that stops for ever", (*Backend).Kill, "stopping", 60 * time.Second, 180 * time.Second},
		{"delete", (*Backend).Delete, "stopped", 60 * time.Second, 60 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lists := 0
				b := New(Config{Run: func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
					if c.String() == "prlctl list -a -j" {
						lists++
					}
					return hypervisor.Result{Stdout: []byte(brief(u150 + " " + tc.state + " - mpd-150"))}, nil
				}})
				begin := time.Now()
				err := tc.do(b, t.Context(), u150)
				if took := time.Since(begin); !errors.Is(err, hypervisor.ErrState) || took < tc.least || took > tc.most {
					t.Errorf("%v after %v, want ErrState after %v to %v", err, took, tc.least, tc.most)
				}
				if most := int(tc.most.Seconds())/2 + 8; lists > most {
					t.Errorf("%d looks at the VM, want at most %d", lists, most)
				}
			})
		})
	}
}

func TestLifecycleEndsWithContext(t *testing.T) {
	for _, state := range []string{"stopped", "starting"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			b := New(Config{Run: func(context.Context, hypervisor.Command) (hypervisor.Result, error) {
				return hypervisor.Result{Stdout: []byte(brief(u150 + " " + state + " - mpd-150"))}, nil
			}})
			begin := time.Now()
			if err := b.Start(ctx, u150); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Start = %v", err)
			}
			if took := time.Since(begin); took != 3*time.Second {
				t.Errorf("Start of a %s VM took %v", state, took)
			}
		})
	}
}

// A text that is no UUID must never reach a tool that takes names, and is never
// "already gone".
func TestNoUUID(t *testing.T) {
	for _, uuid := range []string{"", "mpd-150", "-a", u150 + "x", "{}"} {
		b := backend(t)
		for _, do := range []func(context.Context, string) error{b.Start, b.Suspend, b.Kill, b.Delete} {
			if err := do(t.Context(), uuid); !errors.Is(err, hypervisor.ErrNoMachine) {
				t.Errorf("%q: %v", uuid, err)
			}
		}
	}
}
