package mpdvirttest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// defaultIdentities is what ssh tries without IdentityFile.
var defaultIdentities = []string{"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"}

// ssh plays OpenSSH's client.
func (w *World) ssh(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	o := sshOptions{}
	config := filepath.Join(w.home, ".ssh", "config")
	show := false
	args := c.Argv[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "--" {
		flag := args[0]
		args = args[1:]
		if flag == "-G" {
			show = true
			continue
		}
		if !strings.ContainsAny(flag[1:2], "Folpi") {
			continue // -T, -q and other flags without a value
		}
		value := flag[2:]
		if value == "" && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		switch flag[1] {
		case 'F':
			config = value
		case 'o':
			key, v, _ := strings.Cut(value, "=")
			o.add(strings.TrimSpace(key), strings.TrimSpace(v))
		default:
			o.add(map[byte]string{'l': "user", 'p': "port", 'i': "identityfile"}[flag[1]], value)
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return output(255, "usage: ssh [options] destination [command [argument ...]]")
	}
	host, command := args[0], strings.Join(args[1:], " ")
	if user, h, found := strings.Cut(host, "@"); found {
		o.add("user", user)
		host = h
	}
	if err := w.readSSHConfig(config, host, o, 0); err != nil {
		return output(255, "%v", err)
	}
	if show {
		return hypervisor.Result{Stdout: showSSH(host, o)}, nil
	}
	return w.sshLogin(ctx, host, command, o)
}

// showSSH is the output of ssh -G, as far as anybody reads it.
func showSSH(host string, o sshOptions) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "host %s\nuser %s\nhostname %s\nport %s\n", host, o.first("user", "dev"), o.first("hostname", host), o.first("port", "22"))
	for _, key := range []string{"batchmode", "hostkeyalias", "identityagent", "proxyjump", "stricthostkeychecking", "updatehostkeys", "userknownhostsfile"} {
		if v := o.first(key, ""); v != "" {
			fmt.Fprintf(&b, "%s %s\n", key, strings.Trim(v, `"`))
		}
	}
	files := o["identityfile"]
	if len(files) == 0 {
		files = defaultIdentities
	}
	for _, f := range files {
		fmt.Fprintf(&b, "identityfile %s\n", f)
	}
	return b.Bytes()
}

// sshLogin connects, checks the host key, logs in with a key from a file and
// runs the command.
func (w *World) sshLogin(ctx context.Context, host, command string, o sshOptions) (hypervisor.Result, error) {
	name, port := o.first("hostname", host), o.first("port", "22")
	addr, err := netip.ParseAddr(name)
	if err != nil || o.first("proxyjump", "none") != "none" {
		return output(255, "ssh: Could not resolve hostname %s: Name or service not known", name)
	}
	limit, err := strconv.Atoi(o.first("connecttimeout", "75"))
	if err != nil {
		return output(255, "command-line line 0: invalid time value.")
	}
	v := w.vmAt(addr)
	switch server := v.serverMode(); {
	case w.denied(addr), v == nil && !w.exists(addr) && !w.opts.SilentHosts:
		return output(255, "ssh: connect to host %s port %s: No route to host", name, port)
	case v == nil && w.exists(addr), server == ServerClosed, v != nil && port != "22":
		return output(255, "ssh: connect to host %s port %s: Connection refused", name, port)
	case server == ServerHangsUp || server == ServerHTTP:
		return output(255, "kex_exchange_identification: Connection closed by remote host")
	case v == nil || server != ServerNormal:
		if !pause(ctx, time.Duration(limit)*time.Second) {
			return hypervisor.Result{}, ctx.Err()
		}
		return output(255, "Connection timed out during banner exchange\nConnection to %s port %s timed out", name, port)
	}
	if text := w.checkPin(v, o, o.first("hostkeyalias", name)); text != "" {
		return output(255, "%s", text)
	}
	user := o.first("user", "dev")
	if !w.hasKeyFor(v, user, o) {
		return output(255, "%s@%s: Permission denied (publickey,password).", user, name)
	}
	var out, errs bytes.Buffer
	status := v.login(ctx, command, bytes.NewReader(nil), &out, &errs)
	if ctx.Err() != nil {
		return hypervisor.Result{}, ctx.Err()
	}
	return hypervisor.Result{Stdout: out.Bytes(), Stderr: errs.Bytes(), Status: status}, nil
}

func (v *VM) serverMode() Server {
	if v == nil {
		return ServerNormal
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.server
}

// checkPin looks the host key up in the known_hosts files; the result is ssh's
// complaint, "" if the key is known.
func (w *World) checkPin(v *VM, o sshOptions, name string) string {
	files := strings.Fields(o.first("userknownhostsfile", filepath.Join(w.home, ".ssh", "known_hosts")))
	if f := o.first("userknownhostsfile", ""); f != "" {
		if _, err := os.Stat(f); err == nil {
			files = []string{f} // a name with blanks
		}
	}
	known, wrong := false, false
	for _, file := range files {
		data, _ := os.ReadFile(strings.Replace(file, "~", w.home, 1)) // a missing file knows nobody
		for len(data) > 0 {
			_, hosts, key, _, rest, err := ssh.ParseKnownHosts(data)
			if err != nil {
				break
			}
			data = rest
			if !slices.Contains(hosts, name) {
				continue
			}
			same := slices.ContainsFunc(v.HostKeys(), func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), key.Marshal()) })
			known, wrong = known || same, wrong || !same
		}
	}
	strict := o.first("stricthostkeychecking", "ask")
	switch {
	case known, strict == "no" && !wrong, strict == "accept-new" && !wrong:
		return ""
	case wrong:
		return "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n" +
			"@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\nHost key verification failed."
	}
	return "No ED25519 host key is known for " + name + " and you have requested strict checking.\nHost key verification failed."
}

// hasKeyFor says whether one of the identity files is authorised.
func (w *World) hasKeyFor(v *VM, user string, o sshOptions) bool {
	files := o["identityfile"]
	if len(files) == 0 {
		files = defaultIdentities
	}
	for _, f := range files {
		data, err := os.ReadFile(strings.Replace(f, "~", w.home, 1))
		if err != nil {
			continue
		}
		signer, err := ssh.ParsePrivateKey(data)
		if err == nil && v.authorized(user, signer.PublicKey()) {
			return true
		}
	}
	return false
}
