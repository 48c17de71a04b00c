package bootstrap

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The texts that run on a VM, tried with this machine's bash: each with the
// paths of the VM moved into a folder of the test and with played tools first
// on PATH.

// needBash skips where the texts cannot work: they are made for Debian's tools.
func needBash(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"bash", "timeout", "sha256sum", "base64", "mktemp"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	if err := exec.CommandContext(t.Context(), "bash", "-c", "stat -c %a / && base64 -w0 </dev/null && uname -n").Run(); err != nil {
		t.Skipf("the tools here are not those of Debian: %v", err)
	}
}

// vm is a folder that stands for a VM's root.
type vm struct {
	t    *testing.T
	root string
}

func newVM(t *testing.T) *vm {
	needBash(t)
	v := &vm{t, t.TempDir()}
	for _, dir := range []string{"bin", "tmp", "etc", "proc"} {
		v.mkdir(dir)
	}
	return v
}

func (v *vm) mkdir(name string) {
	v.t.Helper()
	if err := os.MkdirAll(filepath.Join(v.root, name), 0o755); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vm) file(name, text string) string {
	v.t.Helper()
	v.mkdir(filepath.Dir(name))
	path := filepath.Join(v.root, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		v.t.Fatal(err)
	}
	return path
}

// tool plays a program.
func (v *vm) tool(name, text string) {
	v.t.Helper()
	if err := os.Chmod(v.file("bin/"+name, "#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		v.t.Fatal(err)
	}
}

// here is text with the VM's paths in the root of v.
func (v *vm) here(text string) string {
	return strings.NewReplacer(
		"/tmp/mpd-virt.", v.root+"/tmp/mpd-virt.", "/etc/", v.root+"/etc/", "/opt/mpd", v.root+"/opt/mpd",
		"/var/lib/", v.root+"/var/lib/", "/proc/locks", v.root+"/proc/locks").Replace(text)
}

type result struct {
	stdout, stderr string
	status         int
}

// run runs text with v's tools before those of the system, or with nothing
// but v's.
func (v *vm) run(text string, onlyOwn bool, args ...string) result {
	v.t.Helper()
	return v.bash(v.here(text), onlyOwn, args)
}

// bash runs text as it stands.
func (v *vm) bash(text string, onlyOwn bool, args []string) result {
	v.t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		v.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bash, append([]string{"--norc", "-c", text, "test"}, args...)...)
	path := v.root + "/bin"
	if !onlyOwn {
		path += ":" + os.Getenv("PATH")
	}
	cmd.Env = []string{"PATH=" + path, "LC_ALL=C", "HOME=" + v.root}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		v.t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// temps are the files in the VM's /tmp.
func (v *vm) temps() []string {
	v.t.Helper()
	files, err := filepath.Glob(v.root + "/tmp/*")
	if err != nil {
		v.t.Fatal(err)
	}
	return files
}

func TestRemoteTextsParse(t *testing.T) {
	needBash(t)
	for name, text := range map[string]string{
		"survey": surveyText, "fetch": fetchText, "run fetched": runFetchedText, "lock": lockText,
		"platform": platformText, "clone script": cloneScript(StepNetwork, nil, "150").Text,
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "bash", "-n")
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("bash -n: %v\n%s", err, out)
			}
			if strings.Contains(text, "\x00") || len(text) > 16<<10 {
				t.Errorf("%d bytes, or a NUL: not fit for an argument", len(text))
			}
		})
	}
}

// wget and curl as they are called: the URL last, the file after -O or -o.
const (
	playWget = `url= file= ; while [ $# -gt 0 ]; do case $1 in -O) file=$2; shift;; -*) ;; *) url=$1;; esac; shift; done; `
	playCurl = `url= file= ; while [ $# -gt 0 ]; do case $1 in -o) file=$2; shift;; --max-time) shift;; -*) ;; *) url=$1;; esac; shift; done; `
)

func TestFetch(t *testing.T) {
	const good = "#!/usr/bin/env bash\\nset -euo pipefail\\necho hello\\n"
	tests := []struct {
		name, play string
		status     int
		last       string // in stderr, if status is not 0
	}{
		{"good", `printf '` + good + `' >"$file"`, 0, ""},
		{"no env", `printf '#!/bin/bash\n' >"$file"`, 0, ""},
		{"talks while it works", `echo loud; echo louder >&2; printf '` + good + `' >"$file"`, 0, ""},
		{"no such host", `exit 4`, 91, "ended with status 4"},
		{"server error with a page", `echo '<html>404' >"$file"; exit 8`, 91, "ended with status 8"},
		{"cut, and the tool knows", `printf '#!/bin/bash\nrm -rf ' >"$file"; exit 1`, 91, "ended with status 1"},
		{"killed", `kill -9 $$`, 91, "ended with status 137"},
		{"empty", `: >"$file"`, 92, "the download is empty"},
		{"nothing was written", `exit 0`, 92, "the download is empty"},
		{"page", `printf '<!DOCTYPE html>\n<html>bash</html>\n' >"$file"`, 92, "not a bash script"},
		{"page after an empty line", `printf '\n#!/bin/bash\n' >"$file"`, 92, "not a bash script"},
		{"script for sh", `printf '#!/bin/sh\necho hello\n' >"$file"`, 92, "not a bash script"},
		{"JSON", `printf '{"message":"Not Found"}\n' >"$file"`, 92, "not a bash script"},
		{"binary", `printf '\177ELF\000\001\n' >"$file"`, 92, "not a bash script"},
		{"cut in a line", `printf '#!/bin/bash\necho hello\nrm -rf /opt' >"$file"`, 92, "its last line has no end"},
		{"cut in the first line", `printf '#!/usr/bin/env bash' >"$file"`, 92, "its last line has no end"},
		{"cut between lines", `printf '#!/bin/bash\nif true; then\n  echo hello\n' >"$file"`, 92, "bash cannot parse it"},
		{"cut in a quote", `printf "#!/bin/bash\necho 'hello\n" >"$file"`, 92, "bash cannot parse it"},
		{"cut in a function", `printf '#!/bin/bash\nmain() {\necho hello\n' >"$file"`, 92, "bash cannot parse it"},
		{"merge conflict", `printf '#!/bin/bash\n<<<<<<< HEAD\n)\n' >"$file"`, 92, "bash cannot parse it"},
	}
	for tool, play := range map[string]string{"wget": playWget, "curl": playCurl} {
		for _, tt := range tests {
			t.Run(tool+"/"+tt.name, func(t *testing.T) {
				v := newVM(t)
				v.linkTools("mktemp", "rm", "head", "tail", "bash", "sh", "cat", "env")
				v.tool(tool, play+tt.play)
				v.checkFetch(v.run(fetchText, true, "https://example.org/x.sh"), tt.status, tt.last)
			})
		}
	}
}

// linkTools gives the VM some of this machine's programs.
func (v *vm) linkTools(names ...string) {
	v.t.Helper()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			v.t.Skip(err)
		}
		if err := os.Symlink(path, filepath.Join(v.root, "bin", name)); err != nil {
			v.t.Fatal(err)
		}
	}
}

func (v *vm) checkFetch(got result, status int, last string) {
	v.t.Helper()
	if got.status != status {
		v.t.Fatalf("status %d, want %d: %+v", got.status, status, got)
	}
	if status != 0 {
		if lines := strings.Split(strings.TrimSpace(got.stderr), "\n"); !strings.Contains(lines[len(lines)-1], last) {
			v.t.Errorf("stderr %q, want it to end with %q", got.stderr, last)
		}
		if got.stdout != "" || len(v.temps()) != 0 {
			v.t.Errorf("stdout %q, files left: %q", got.stdout, v.temps())
		}
		return
	}
	name := strings.TrimSuffix(got.stdout, "\n")
	if files := v.temps(); len(files) != 1 || files[0] != name {
		v.t.Fatalf("stdout %q, files %q", got.stdout, files)
	}
	if !tempName.MatchString(strings.TrimPrefix(name, v.root)) {
		v.t.Errorf("%q is not a name that the step accepts", name)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		v.t.Errorf("%v, %v, want mode 0600", info, err)
	}
}

func TestFetchTools(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		v := newVM(t)
		v.linkTools("mktemp", "rm")
		v.checkFetch(v.run(fetchText, true, "https://example.org/x.sh"), 90, "neither wget nor curl")
	})
	t.Run("wget before curl", func(t *testing.T) {
		v := newVM(t)
		v.tool("wget", playWget+`printf '#!/bin/bash\n# wget %s\n' "$url" >"$file"`)
		v.tool("curl", "exit 2")
		got := v.run(fetchText, false, "https://example.org/a'b.sh")
		v.checkFetch(got, 0, "")
		if text, _ := os.ReadFile(strings.TrimSpace(got.stdout)); string(text) != "#!/bin/bash\n# wget https://example.org/a'b.sh\n" {
			t.Errorf("fetched %q", text)
		}
	})
	t.Run("no room for the file", func(t *testing.T) {
		v := newVM(t)
		v.tool("mktemp", "echo 'mktemp: No space left on device' >&2; exit 1")
		v.checkFetch(v.run(fetchText, false, "https://example.org/x.sh"), 1, "No space left")
	})
	t.Run("nothing of it is run", func(t *testing.T) {
		v := newVM(t)
		v.tool("wget", playWget+`printf '#!/bin/bash\ntouch `+v.root+`/ran\n' >"$file"`)
		v.checkFetch(v.run(fetchText, false, "https://example.org/x.sh"), 0, "")
		if _, err := os.Stat(v.root + "/ran"); err == nil {
			t.Error("the script was run")
		}
	})
}

func TestRunFetched(t *testing.T) {
	tests := []struct {
		name, script string
		status       int
		stdout       string
	}{
		{"good", `echo "$MPD_REPO|$MPD_BRANCH|$#"`, 0, "it's a repo|$(id)|0\n"},
		{"fails", "exit 7", 7, ""},
		{"killed", "kill -9 $$", 137, ""},
		{"asks", "read -r x; echo \"<$x>\"", 0, "<>\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVM(t)
			file := v.file("tmp/mpd-virt.abc", "#!/bin/bash\n"+tt.script+"\n")
			got := v.run(runFetchedText, false, file, "it's a repo", "$(id)")
			if got.status != tt.status || got.stdout != tt.stdout {
				t.Errorf("%+v, want status %d and %q", got, tt.status, tt.stdout)
			}
			if left := v.temps(); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestTempName(t *testing.T) {
	for name, want := range map[string]bool{
		"/tmp/mpd-virt.aB3": true, "": false, "/tmp/mpd-virt.": false, "/tmp/mpd-virt.a/../x": false,
		"/tmp/mpd-virt.a b": false, "/tmp/mpd-virt.a\n/etc": false, "x/tmp/mpd-virt.a": false, "/etc/passwd": false, "-rf": false,
	} {
		if got := tempName.MatchString(name); got != want {
			t.Errorf("tempName of %q is %v", name, got)
		}
	}
}
