package debian

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mutms/mpd-virt-macos/internal/shell"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// What is quoted for all shells must reach a program as it was, whichever login
// shell reads it: this tests both the quoter and the shells here.
func FuzzQuoting(f *testing.F) {
	for _, s := range []string{"", "a b", "it's", `back\slash`, "$(id) `id` $HOME", "\n\t", "é", "-n", "~", "a\"b", "#", "'\\''"} {
		f.Add(s, "x")
	}
	now := func() time.Time { return time.Unix(0, 0) }
	fsys := memfs.New(now)
	sys, err := New(fsys, now)
	if err != nil {
		f.Fatal(err)
	}
	show := func(_ context.Context, p *Process, args []string) int {
		p.Printf("%s", strings.Join(args[1:], "|"))
		return 0
	}
	if err := sys.Install("show", show); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsAny(a+b, "\x00\r") || !utf8.ValidString(a+" "+b) {
			t.Skip("no argument can hold a NUL, and see the limits in the package comment")
		}
		want := a + "|" + b
		for _, login := range []string{"/bin/bash", "/bin/dash", "/bin/zsh", "/bin/fish"} {
			var out, errs bytes.Buffer
			p := &Process{Sys: sys, FS: fsys.As(1000), Home: "/", Dir: "/", Env: map[string]string{}, Stdout: &out, Stderr: &errs}
			p.Login(t.Context(), login, shell.Join("show", a, b))
			if out.String() != want {
				t.Errorf("%s reads %s as %q, want %q; stderr %q", login, shell.Join("show", a, b), out.String(), want, errs.String())
			}
		}
	})
}

// fishWords never gives back more than it read, and refuses what it does not
// know.
func FuzzFish(f *testing.F) {
	for _, s := range []string{`bash -c 'a b' x`, `'it'\''s'`, `"a\"b"`, `a\`, `'`, "a;b", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) {
			t.Skip("no argument can hold a NUL")
		}
		words, err := fishWords(s)
		if err != nil && words != nil {
			t.Errorf("words %q with error %v", words, err)
		}
		if n := len(strings.Join(words, "")); n > len(s) {
			t.Errorf("%d bytes out of %d", n, len(s))
		}
		if err == nil {
			again, err := fishWords(shell.Join(words...))
			if err != nil || !slices.Equal(again, words) {
				t.Errorf("%q quoted and read again: %q, %v", words, again, err)
			}
		}
	})
}
