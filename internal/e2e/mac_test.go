//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// Result is what a program in the Mac's namespace left behind.
type Result struct {
	Stdout, Stderr string
	Code           int // exit status; 128+N if signal N ended it
	Elapsed        time.Duration
}

func (r Result) String() string {
	return fmt.Sprintf("exit %d after %.1fs\nstdout:\n%s\nstderr:\n%s", r.Code, r.Elapsed.Seconds(), r.Stdout, r.Stderr)
}

// prepareMac makes the Mac's home with one SSH key, and its resolver.
func (l *Lab) prepareMac() {
	l.t.Helper()
	l.Home = filepath.Join(l.dir, "home")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	l.must(err)
	block, err := ssh.MarshalPrivateKey(private, "")
	l.must(err)
	sshPublic, err := ssh.NewPublicKey(public)
	l.must(err)
	l.write("home/.ssh/id_ed25519", string(pem.EncodeToMemory(block)), 0o600)
	l.write("home/.ssh/id_ed25519.pub", string(ssh.MarshalAuthorizedKey(sshPublic)), 0o644)

	// ip netns exec lays this file over /etc/resolv.conf. resolvconf, which
	// wg-quick calls for its DNS line, is this script of ours and writes
	// through it, so that the change lasts after the call.
	etc := "/etc/netns/" + l.mac
	l.must(os.MkdirAll(etc, 0o755))
	l.must(os.WriteFile(etc+"/resolv.conf", []byte("nameserver "+gatewayIP+"\n"), 0o644))
	l.write("bin/resolvconf", `#!/bin/sh
case $1 in
-a) cat > /etc/resolv.conf ;;
-d) echo nameserver `+gatewayIP+` > /etc/resolv.conf ;;
esac
`, 0o755)
}

// macCommand is a command in the Mac's namespace, with the Mac's home and
// nothing of this process's environment but PATH.
func (l *Lab) macCommand(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.mac}, argv...)...)
	cmd.Dir = l.Home
	cmd.Env = []string{"HOME=" + l.Home, "PATH=" + l.dir + "/bin:" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "USER=root", "LOGNAME=root"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Mac runs a program in the Mac's namespace. It is killed, and the test ended,
// if it takes longer than ctx or five minutes.
func (l *Lab) Mac(ctx context.Context, argv ...string) Result {
	l.t.Helper()
	return l.MacInput(ctx, "", argv...)
}

// MacInput is Mac with text on the program's standard input.
func (l *Lab) MacInput(ctx context.Context, stdin string, argv ...string) Result {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := l.macCommand(ctx, argv...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := Result{Stdout: stdout.String(), Stderr: stderr.String(), Elapsed: time.Since(start)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		l.t.Fatalf("%s: %v\n%v", strings.Join(argv, " "), ctx.Err(), r)
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		r.Code = status.ExitStatus()
		if status.Signaled() {
			r.Code = 128 + int(status.Signal())
		}
	case err != nil:
		l.t.Fatalf("%s: %v", strings.Join(argv, " "), err)
	}
	return r
}

// wgName is the Mac's tunnel. wg-quick takes it from the file's name; the
// sockets of wireguard-go stand in one folder for all namespaces, so it is this
// laboratory's own.
func (l *Lab) wgName() string { return "mw" + l.id }

// TunnelUp brings up the Mac's end of the tunnel from a client's configuration,
// as it is, with the real wg-quick.
func (l *Lab) TunnelUp(clientConf string) {
	l.t.Helper()
	text, err := os.ReadFile(clientConf)
	l.must(err)
	path := l.write(l.wgName()+".conf", string(text), 0o600)
	if r := l.Mac(context.Background(), "wg-quick", "strip", path); r.Code != 0 || !strings.Contains(r.Stdout, "[Peer]") {
		l.t.Fatalf("wg-quick strip: %v", r)
	}
	if r := l.Mac(context.Background(), "wg-quick", "up", path); r.Code != 0 {
		l.t.Fatalf("wg-quick up: %v", r)
	}
}

// TunnelDown takes the Mac's end of the tunnel down.
func (l *Lab) TunnelDown() {
	l.t.Helper()
	if r := l.Mac(context.Background(), "wg-quick", "down", filepath.Join(l.dir, l.wgName()+".conf")); r.Code != 0 {
		l.t.Fatalf("wg-quick down: %v", r)
	}
}
