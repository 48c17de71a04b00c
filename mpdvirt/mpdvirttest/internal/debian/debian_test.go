package debian

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

func newProcess(t *testing.T, stdin string) (*Process, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	now := func() time.Time { return time.Unix(1795287851, 0) }
	fsys := memfs.New(now)
	sys, err := New(fsys, now)
	if err != nil {
		t.Fatal(err)
	}
	root := fsys.As(memfs.Root)
	if err := root.WriteFile("/etc/os-release", []byte("ID=debian\nVERSION_CODENAME=trixie\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := root.MkdirAll("/home/dev", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.Chown("/home/dev", 1000); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	return &Process{
		Sys: sys, FS: fsys.As(1000), User: "dev", Home: "/home/dev", Dir: "/home/dev",
		Env:   map[string]string{"HOME": "/home/dev", "PATH": searchPath, "USER": "dev"},
		Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
	}, &out, &errs
}

func TestShell(t *testing.T) {
	tests := []struct {
		name, stdin, command string
		out                  string
		status               int
	}{
		{"quoting", "", `printf '%s|' a 'b c' "d'e" f\ g`, "a|b c|d'e|f g|", 0},
		{"arguments", "", `bash -c 'echo "$0:$1:$2:$#"' name "a b" '$HOME'`, "name:a b:$HOME:2\n", 0},
		{"status", "", `bash -c 'exit 7'`, "", 7},
		{"pushed file", "secret\n", `set -e; t=$(mktemp /home/dev/.x.XXXXXX); cat > "$t"; stat -c '%a %s' "$t"; chmod 644 "$t"; mv -fT "$t" f; cat f; stat -c %a f; ls`, "600 7\nsecret\n644\nf\n", 0},
		{"os-release", "", `(. /etc/os-release; echo "$ID-$VERSION_CODENAME"); echo "[$ID]"`, "debian-trixie\n[]\n", 0},
		{"lookup", "", `command -v wget || echo none; command -v cat; type cat; hash nope || echo no`, "none\n/usr/bin/cat\ncat is /usr/bin/cat\nno\n", 0},
		{"exit trap", "", `trap 'echo bye' EXIT INT TERM; echo hi; exit 3`, "hi\nbye\n", 3},
		{"pipeline", "", `printf 'b\na\nb\n' | sort -u | tr a-z A-Z | head -n 1`, "A\n", 0},
		{"here document", "", "cat <<X\n$((1+2))\nX", "3\n", 0},
		{"here string", "", `cat <<<word`, "word\n", 0},
		{"while read", "1\n2\n", `while read -r l; do echo "<$l>"; done; cat`, "<1>\n<2>\n", 0},
		{"read behind a pipeline", "", `(sleep 1; echo a b) | head -n 4 | while read -r x y; do echo "$y"; done`, "b\n", 0},
		{"mapfile behind a wait", "", `(echo 1; sleep 1; echo 2) | { mapfile -t x; echo "${x[1]}"; }`, "2\n", 0},
		{"more than a pipe holds", strings.Repeat("0123456789\n", 50000), `cat > f; cat f | cat | wc -c; wc -l < f; head -c 3 < f; cat < f | tail -n 1`, "550000\n50000\n0120123456789\n", 0},
		{"process substitution", "", `bash <(echo 'echo in; exit 4'); echo $?`, "in\n4\n", 0},
		{"failed process substitution", "", `bash <(nosuch 2>/dev/null); echo $?`, "0\n", 0},
		{"not found", "", `nosuch 2>/dev/null`, "", 127},
		{"cut script runs its first half", "", "echo first\nif true; then", "first\n", 2},
		{"parse only", "", `printf 'if' > s; bash -n s 2>/dev/null || echo bad`, "bad\n", 0},
		{"script file", "", `printf '#!/usr/bin/env bash\necho "$0 $1"\n' > s; chmod +x s; ./s a; bash s b`, "./s a\ns b\n", 0},
		{"stdin script", "", `echo 'echo piped $1' | bash -s x`, "piped x\n", 0},
		{"pipefail", "", `set -o pipefail; false | cat`, "", 1},
		{"errexit", "", `set -e; false; echo no`, "", 1},
		{"permission", "", `echo x > /etc/y 2>/dev/null`, "", 1},
		{"tests", "", `[ -f /etc/os-release ] && [[ -d /etc ]] && ! test -e /none && [ -O /home/dev ] && ! [ -O /etc ] && echo ok`, "ok\n", 0},
		{"symlink", "", `ln -s /etc/os-release l; [ -L l ] && readlink l && readlink -f l && stat -c %F l`, "/etc/os-release\n/etc/os-release\nsymbolic link\n", 0},
		{"umask", "", `(umask 077; : > m); stat -c %a m`, "600\n", 0},
		{"checksum", "abc", `cat > c; sha256sum c`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  c\n", 0},
		{"base64", "abc", `base64 -w0; echo`, "YWJj\n", 0},
		{"env", "", `A=1 env -u USER bash -c 'echo "$A-$USER"'; export B=2; bash -c 'echo $B'`, "1-\n2\n", 0},
		{"grep", "a.c\nabc\n", `grep -F a.c; printf 'x=1\ny=2\n' | grep -Eq '^(x|z)=' && echo y`, "a.c\ny\n", 0},
		{"timeout", "", `timeout 1 sleep 10; echo $?`, "124\n", 0},
		{"globs", "", `: > a1; : > a2; echo a*`, "a1 a2\n", 0},
		{"tilde", "", `echo ~ ~root ~x`, "/home/dev /root /home/x\n", 0},
		{"function", "", `f() { local x=$1; echo "f $x"; return 5; }; f 1 || echo $?`, "f 1\n5\n", 0},
		{"temp trap", "", `d=$(mktemp -d); bash -c 'f=$(mktemp "$1/XXXXXX"); trap "rm -f \"$f\"" EXIT; exit 2' s "$d"; echo $?; ls "$d"`, "2\n", 0},
		{"date", "", `date +%s`, "1795287851\n", 0},
		{"full path", "", `/bin/cat /dev/null && /usr/bin/env true`, "", 0},
		{"arithmetic", "", `n=$(printf abc | wc -c); [ "$n" -eq 3 ] && echo $((n*2))`, "6\n", 0},
		{"case", "", `case mpd-150 in mpd-[1-2][0-9][0-9]) echo y;; *) echo n;; esac`, "y\n", 0},
		{"eval", "", `eval 'x=1; echo $x'`, "1\n", 0},
		{"stderr", "", `echo e >&2; echo o`, "o\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, out, errs := newProcess(t, tt.stdin)
				if got := p.Login(t.Context(), "/bin/bash", tt.command); got != tt.status || out.String() != tt.out {
					t.Errorf("%s\nstatus %d, want %d\nout  %q\nwant %q\nstderr %q", tt.command, got, tt.status, out, tt.out, errs)
				}
			})
		})
	}
}

func TestLoginShells(t *testing.T) {
	// The form that a client must use so that every shell reads it alike.
	const portable = `bash -c 'echo "$1"' x 'a'"'"'b'\\`
	for shell, want := range map[string]string{
		"/bin/bash": "a'b\\\n", "/bin/sh": "a'b\\\n", "/usr/bin/dash": "a'b\\\n", "/usr/bin/zsh": "a'b\\\n", "/usr/bin/fish": "a'b\\\n",
		"/usr/sbin/nologin": "This account is currently not available.\n", "/bin/false": "",
	} {
		p, out, errs := newProcess(t, "")
		p.Login(t.Context(), shell, portable)
		if out.String() != want {
			t.Errorf("%s: out %q, want %q, stderr %q", shell, out, want, errs)
		}
	}
	p, _, errs := newProcess(t, "")
	if status := p.Login(t.Context(), "/bin/dash", "bash <(echo true)"); status != 2 {
		t.Errorf("dash took <(: status %d, stderr %q", status, errs)
	}
}

func TestBashrc(t *testing.T) {
	p, out, _ := newProcess(t, "")
	write := func(text string) {
		if err := p.FS.WriteFile("/home/dev/.bashrc", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("export PATH=/opt/x:$PATH\ncase $- in *i*) ;; *) return;; esac\necho never\n")
	if p.Login(t.Context(), "/bin/bash", "echo ${PATH%%:*}"); out.String() != "/opt/x\n" {
		t.Errorf("out %q", out)
	}
	out.Reset()
	write("echo noise\nexit 3\n")
	if status := p.Login(t.Context(), "/bin/bash", "echo no"); status != 3 || out.String() != "noise\n" {
		t.Errorf("status %d, out %q", status, out)
	}
}

// Nothing that shell text can say may reach the machine that runs the test.
func TestNothingOutside(t *testing.T) {
	dir := t.TempDir()
	secret := dir + "/secret"
	if err := os.WriteFile(secret, []byte("echo leaked"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MPDVIRTTEST_LEAK", "leaked")
	for _, command := range []string{
		"cat " + secret, ". " + secret, "source " + secret, secret, "bash " + secret, "cat < " + secret, "echo $(<" + secret + ")",
		"mapfile x < " + secret + "; echo $x", "echo " + dir + "/s*", "cd " + dir + " && ls && echo leaked", "command -v " + secret, "type " + secret,
		"echo x > " + dir + "/new", "bash <(cat " + secret + ")", "eval 'cat <(cat " + secret + ")'", "test -e " + secret + " && echo leaked",
		"[ -x " + secret + " ] && echo leaked", "[[ -r " + secret + " ]] && echo leaked", "echo $MPDVIRTTEST_LEAK", "env", "exec " + secret,
		"pushd " + dir, "git -C " + dir + " log", "touch " + dir + "/new", "python3 -c 'print(\"leaked\")'", "pwd -P", "hash " + secret,
		"PATH=" + dir + " secret", "printf leak > " + dir + "/new; cat " + dir + "/new", "trap 'cat " + secret + "' EXIT", "[[ -O " + secret + " ]] && echo leaked",
	} {
		p, out, errs := newProcess(t, "")
		p.Login(context.Background(), "/bin/bash", command)
		if strings.Contains(out.String(), "leak") || strings.Contains(strings.ReplaceAll(errs.String(), secret, ""), "leaked") {
			t.Errorf("%s: out %q, stderr %q", command, out, errs)
		}
		list, err := os.ReadDir(dir)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: the folder outside now holds %v, %v", command, list, err)
		}
	}
}

// Programs are installed while others run.
func TestInstallMeanwhile(t *testing.T) {
	p, _, _ := newProcess(t, "")
	nothing := func(context.Context, *Process, []string) int { return 0 }
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			q := *p
			q.Stdout, q.Stderr = io.Discard, io.Discard
			for range 500 {
				if status := q.Run(t.Context(), []string{"true"}); status != 0 {
					t.Errorf("true: status %d", status)
				}
				if err := p.Sys.Install("nothing", nothing); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
