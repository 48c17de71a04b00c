package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzCLI: no arguments and no input crash the command. Its exit code is one of
// the contract, a failure says something, there are no controls on stderr, and
// nothing outside of the home folder changes. The Mac knows a VM, a broken
// entry and an unfinished setup; no VM answers.
func FuzzCLI(f *testing.F) {
	for _, line := range []string{
		"", "list", "list --json", "setup 150", "setup 151 --backend=general --ip 10.0.0.9 --username=dev", "setup 153 --from=push",
		"setup 150 --accept-host-key=SHA256:" + strings.Repeat("A", 43), "setup 100 --mpd-branch ../x --debug", "diag 150 --json", "diag 152",
		"delete 150 --yes", "delete 153 --yes --keep-vm", "update 150 --verbose", "ssh 150 -- ls -l", "start 150", "stop 150 --kill",
		"create 154 --disk=80G --ram 8G", "clone 155 --template=x --linked", "show 150 --json", "backend set-default general", "backend list",
		"help setup", "version --json", "-- list", "--json", "setup １５０", "setup 150 --username=-oProxyCommand=x", "-\xff",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\x00"), "y\n")
	}
	f.Fuzz(func(t *testing.T, args, input string) {
		outside := quickDir(t)
		env := emptyMac(t, strings.Split(args, "\x00")...)
		env.Config.Home = filepath.Join(outside, "home")
		env.Stdin = strings.NewReader(input)
		here := filepath.Join(outside, "here")
		if err := os.Mkdir(here, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Chdir(here)
		furnish(t, filepath.Join(env.Config.Home, ".mpd-virt"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := runCtx(t, ctx, env)
		if got.code < exitDone || got.code > exitBusy || ctx.Err() != nil {
			t.Errorf("exit %d, %v", got.code, ctx.Err())
		}
		if got.code != exitDone && got.stderr == "" && got.stdout == "" {
			t.Errorf("exit %d without a word", got.code)
		}
		if strings.ContainsFunc(got.stderr, func(r rune) bool { return r < ' ' && r != '\n' || r == '\x7f' || r >= '\u0080' && r < '\u00a0' }) {
			t.Errorf("controls on stderr: %q", got.stderr)
		}
		if made := append(names(t, outside), names(t, here)...); !slices.Equal(made, []string{"here", "home"}) {
			t.Errorf("made outside of the home folder: %q", made)
		}
	})
}

// quickDir is a folder for one test, in memory where there is one: on a disk
// the atomic writes take so long that to shorten an input takes minutes.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mpd")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// names are the names in a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		out = append(out, f.Name())
	}
	return out
}

// furnish makes a state folder with a VM, a broken entry and an unfinished
// setup.
func furnish(t testing.TB, root string) {
	t.Helper()
	write := func(name, text string) {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("150/env", entryText(150))
	write("150/known_hosts", "mpd-150 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n")
	write("152/env", "MPD_VM_OCTET=152\nMPD_VM_IP=nowhere\n")
	write("153/journal.json", `{"schema":"mpd-virt/journal/1","octet":153,"backend":"general","first":"10.0.0.9","canonical":"10.0.0.153",`+
		`"user":"dev","source":{"repo":"https://example.test/mpd.git","branch":"main","base":"https://example.test"}}`)
}
