package cli

import (
	"strings"
	"testing"
)

// Every verb is explained in the same way, and what help shows works.
func TestHelpOfEveryVerb(t *testing.T) {
	for _, v := range verbs() {
		t.Run(v.name, func(t *testing.T) {
			got := runArgs(t, append([]string{"help"}, strings.Fields(v.name)...)...)
			if got.code != 0 || got.stderr != "" {
				t.Fatalf("exit %d: %s", got.code, got.stderr)
			}
			contains(t, "help", got.stdout, "mpd-virt "+v.name+": "+v.short, "\n  mpd-virt "+v.name+" ", "\nFlags:\n", "\nExamples:\n", "--help")
			for _, line := range strings.Split(got.stdout, "\n") {
				if columns(line) >= 100 || strings.HasPrefix(line, "$") || strings.TrimRight(line, " ") != line {
					t.Errorf("%d columns: %q", columns(line), line)
				}
			}
			if len(v.examples) != 2 || strings.HasSuffix(v.short, ".") || v.about == "" {
				t.Errorf("%d examples, short %q, about %q", len(v.examples), v.short, v.about)
			}
			for _, ex := range v.examples {
				tryExample(t, ex)
			}
		})
	}
}

// tryExample checks that the arguments of an example are understood.
func tryExample(t *testing.T, example string) {
	t.Helper()
	args := strings.Fields(example)
	if args[0] != "mpd-virt" {
		t.Errorf("example %q does not begin with mpd-virt", example)
		return
	}
	v, n, err := findVerb(args[1:])
	if err != nil {
		t.Errorf("example %q: %v", example, err)
		return
	}
	f, _ := v.flagsOf(&app{})
	if err := f.parse(args[1+n:]); err != nil {
		t.Errorf("example %q: %v", example, err)
	}
}

func TestOverview(t *testing.T) {
	text := overview()
	for _, v := range verbs() {
		if !strings.Contains(text, "\n  "+v.name+" ") {
			t.Errorf("%s is not listed", v.name)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if columns(line) >= 100 || strings.HasPrefix(line, "$") {
			t.Errorf("%d columns: %s", columns(line), line)
		}
	}
}

// Nothing that somebody types after a verb changes what another run sees.
func TestVerbsHaveNoState(t *testing.T) {
	first := runArgs(t, "help", "setup").stdout
	runArgs(t, "setup", "150", "--json", "--verbose", "--from=nope")
	if again := runArgs(t, "help", "setup").stdout; again != first {
		t.Errorf("help changed:\n%s", again)
	}
}
