package emu

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestTake(t *testing.T) {
	type armed = Armed[string]
	for _, tt := range []struct {
		name  string
		armed []armed
		calls string // a verb and its arguments, separated by commas
		want  string // the faults that they meet
		left  int
	}{
		{"none", nil, "list", "-", 0},
		{"once", []armed{{Match{}, "a"}}, "list, list", "a -", 0},
		{"twice", []armed{{Match{Times: 2}, "a"}}, "list, start, list", "a a -", 0},
		{"always", []armed{{Match{Times: -1}, "a"}}, "list, list, list", "a a a", 1},
		{"verb", []armed{{Match{Verb: "start"}, "a"}}, "list, start, start", "- a -", 0},
		{"no argument is a verb", []armed{{Match{Verb: "start"}, "a"}}, "list start", "-", 1},
		{"argument", []armed{{Match{Has: "-j"}, "a"}}, "list -a, list -a -j", "- a", 0},
		{"no verb is an argument", []armed{{Match{Has: "list"}, "a"}}, "list", "-", 1},
		{"verb and argument", []armed{{Match{Verb: "list", Has: "-j"}, "a"}}, "start -j, list, list -j", "- - a", 0},
		{"skip", []armed{{Match{Verb: "list", Skip: 2}, "a"}}, "list, start, list, list, list", "- - - a -", 0},
		{"skip and times", []armed{{Match{Skip: 1, Times: 2}, "a"}}, "list, list, list, list", "- a a -", 0},
		{"skip and always", []armed{{Match{Skip: 1, Times: -1}, "a"}}, "list, list, list", "- a a", 1},
		{"in their order", []armed{{Match{Times: 2}, "a"}, {Match{}, "b"}}, "list, list, list, list", "a a b -", 0},
		{"the first that fits", []armed{{Match{Verb: "start"}, "a"}, {Match{}, "b"}}, "list, start", "b a", 0},
		{"a skipped call meets no other", []armed{{Match{Skip: 1}, "a"}, {Match{}, "b"}}, "list, list, list", "- a b", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Record[string]
			for _, a := range tt.armed {
				r.Arm(a.Match, a.Fault)
			}
			var met []string
			for _, line := range strings.Split(tt.calls, ", ") {
				words := strings.Fields(line)
				fault, ok := r.Take(words[0], words[1:])
				switch {
				case !ok && fault != "":
					t.Errorf("%s: %q beside none", line, fault)
				case !ok:
					fault = "-"
				}
				met = append(met, fault)
			}
			if got := strings.Join(met, " "); got != tt.want || len(r.Faults) != tt.left {
				t.Errorf("%s met %s, want %s; %d left, want %d", tt.calls, got, tt.want, len(r.Faults), tt.left)
			}
		})
	}
}

func TestCalled(t *testing.T) {
	var r Record[string]
	argv := []string{"prlctl", "list"}
	r.Called(argv)
	argv[1] = "start"
	r.Called(argv)
	if got := fmt.Sprint(r.Calls); got != "[[prlctl list] [prlctl start]]" {
		t.Errorf("calls %s", got)
	}
}

// What goes through a file and back counts on.
func TestRecordJSON(t *testing.T) {
	type state struct {
		Record[Match]
		N int
	}
	var before, after state
	before.Called([]string{"tool", "\u00e4"})
	before.Arm(Match{Verb: "list", Has: "-j", Skip: 1, Times: 3}, Match{Verb: "fault"})
	before.Arm(Match{}, Match{})
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &after); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%v\n%s\nis %+v", err, text, after)
	}
}
