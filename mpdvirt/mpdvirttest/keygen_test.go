package mpdvirttest_test

import (
	"bytes"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// rotate is what one does to a clone on its first connection.
const rotate = `set -e
sudo rm -f /etc/ssh/ssh_host_*
sudo ssh-keygen -A
sudo rm -f /etc/machine-id
sudo systemd-machine-id-setup 2>/dev/null
cat /etc/ssh/ssh_host_*_key.pub
sudo systemctl restart ssh`

func kinds(keys []ssh.PublicKey) string {
	var out []string
	for _, k := range keys {
		out = append(out, k.Type())
	}
	return strings.Join(out, " ")
}

// The keys are those in /etc/ssh as of sshd's last start; connections that
// exist go on.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})
		old := v.HostKeys()
		if public, _, err := v.File("/etc/ssh/ssh_host_ed25519_key.pub"); err != nil || !bytes.HasPrefix(public, bytes.TrimSpace(ssh.MarshalAuthorizedKey(old[0]))) {
			t.Errorf("its file: %v %s", err, public)
		}
		id, _, err := v.File("/etc/machine-id")
		if err != nil {
			t.Fatal(err)
		}
		c := login(t, w, v.Addr())
		mustRun(t, c, "", strings.TrimSuffix(rotate, "sudo systemctl restart ssh"))
		if got := v.HostKeyFingerprint(); got != ssh.FingerprintSHA256(old[0]) {
			t.Error("sshd has other keys before it was restarted")
		}
		out := mustRun(t, c, "", rotate)
		mustRun(t, c, "", "true") // the connection is still there
		keys := v.HostKeys()
		if got := kinds(keys); got != "ssh-ed25519 ssh-rsa ecdsa-sha2-nistp256" {
			t.Errorf("host keys: %s", got)
		}
		for _, k := range keys {
			if line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))); !strings.Contains(out, line+" root@mpd-template-trixie\n") {
				t.Errorf("%s is not in the output:\n%s", line, out)
			}
		}
		if !strings.Contains(out, "ssh-keygen: generating new host keys: RSA ECDSA ED25519 \n") || bytes.Equal(keys[0].Marshal(), old[0].Marshal()) {
			t.Errorf("the old keys are there:\n%s", out)
		}
		if now, perm, err := v.File("/etc/machine-id"); err != nil || perm != 0o444 || len(now) != 33 || bytes.Equal(now, id) {
			t.Errorf("machine-id: %v %v %q", err, perm, now)
		}
		for kind := range 3 { // a new connection sees each of them
			want := keys[kind]
			if got := hostKeyOf(t, w, v, want.Type()); !bytes.Equal(got.Marshal(), want.Marshal()) {
				t.Errorf("%s: another key answers", want.Type())
			}
		}
		v.PowerOff()
		if err := v.PowerOn(); err != nil {
			t.Fatal(err)
		}
		if got := v.HostKeys(); !slices.EqualFunc(got, keys, func(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }) {
			t.Error("other keys after power was off")
		}
	})
}

// hostKeyOf is the key of a type that the VM's sshd shows.
func hostKeyOf(t *testing.T, w *mpdvirttest.World, v *mpdvirttest.VM, kind string) (seen ssh.PublicKey) {
	t.Helper()
	target := v.Addr().String() + ":22"
	conn, err := w.DialContext(t.Context(), "tcp", target)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	algorithms := []string{kind}
	if kind == ssh.KeyAlgoRSA {
		algorithms = []string{ssh.KeyAlgoRSASHA512}
	}
	_, _, _, err = ssh.NewClientConn(conn, target, &ssh.ClientConfig{User: "dev", HostKeyAlgorithms: algorithms, HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
		seen = key
		return nil
	}})
	if seen == nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return seen
}

func TestKeygen(t *testing.T) {
	for _, tt := range []struct {
		name, command string
		status        int
		want          string // part of the output
	}{
		{"a key", "ssh-keygen -q -t ed25519 -N '' -f k && cat k.pub && stat -c '%U %a' k k.pub", 0, " dev@mpd-template-trixie\ndev 600\ndev 644\n"},
		{"with a comment", "ssh-keygen -q -t ecdsa -N '' -C me -f k && cat k.pub", 0, " me\n"},
		{"root's", "sudo ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/new && stat -c '%U %a' /etc/ssh/new", 0, "root 600\n"},
		{"public half", "ssh-keygen -q -t ed25519 -N '' -f k; grep -F \"$(ssh-keygen -yf k)\" k.pub && echo same", 0, "same\n"},
		{"fingerprint", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", 0, "256 SHA256:"},
		{"it is there", "ssh-keygen -q -t ed25519 -N '' -f k && ssh-keygen -q -t ed25519 -N '' -f k < /dev/null", 1, "k already exists.\nOverwrite (y/n)? "},
		{"overwrite", "ssh-keygen -q -t ed25519 -N '' -f k && echo y | ssh-keygen -q -t ed25519 -N '' -f k", 0, "Overwrite"},
		{"not allowed", "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/new", 1, "Permission denied"},
		{"no right to make all", "sudo rm /etc/ssh/ssh_host_ed25519_key; ssh-keygen -A", 1, "Permission denied"},
		{"all there", "sudo ssh-keygen -A > /dev/null; sudo ssh-keygen -A", 0, ""},
		{"a passphrase", "ssh-keygen -t ed25519 -N secret -f k", 1, "not played"},
		{"a type nobody has", "ssh-keygen -t dsa -N '' -f k", 1, "unknown key type dsa"},
		{"no key", "echo x > k; ssh-keygen -lf k", 255, "k is not a public key file."},
		{"machine-id stays", "a=$(cat /etc/machine-id); sudo systemd-machine-id-setup; test \"$a\" = \"$(cat /etc/machine-id)\"", 0, ""},
		{"machine-id is shown", "sudo systemd-machine-id-setup --print | cmp - /etc/machine-id", 0, ""},
		{"machine-id needs root", "systemd-machine-id-setup", 1, "Permission denied"},
		{"dbus-uuidgen is absent", "dbus-uuidgen --ensure", 127, "not found"},
		{"restart needs root", "systemctl restart ssh", 1, "authentication required"},
		{"moved into place", "sudo ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/n && sudo mv -f /etc/ssh/n /etc/ssh/ssh_host_ed25519_key && sudo mv -f /etc/ssh/n.pub /etc/ssh/ssh_host_ed25519_key.pub && sudo systemctl restart ssh && echo ok", 0, "ok\n"},
		{"no host key", "sudo rm -f /etc/ssh/ssh_host_*; sudo systemctl restart ssh", 1, "Job for ssh.service failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, mpdvirttest.Options{})
				v := addVM(t, w, mpdvirttest.VMOptions{})
				c := login(t, w, v.Addr())
				out, status := run(t, c, "", tt.command)
				if status != tt.status || !strings.Contains(out, tt.want) {
					t.Errorf("status %d, want %d, output %q, want one with %q", status, tt.status, out, tt.want)
				}
			})
		})
	}
}

// An sshd without a key is not there, and comes back with one.
func TestNoHostKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})
		c := login(t, w, v.Addr())
		run(t, c, "", "sudo rm -f /etc/ssh/ssh_host_*; sudo systemctl restart ssh")
		if _, err := tryLogin(t, w, v.Addr()); err == nil || !strings.Contains(err.Error(), "refused") || v.HostKeyFingerprint() != "" {
			t.Errorf("a login: %v", err)
		}
		mustRun(t, c, "", "sudo ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && sudo systemctl restart ssh")
		login(t, w, v.Addr())
		// One that others may read is passed over.
		run(t, c, "", "sudo chmod 644 /etc/ssh/ssh_host_ed25519_key; sudo systemctl restart ssh")
		if n := len(v.HostKeys()); n != 0 {
			t.Errorf("%d host keys", n)
		}
	})
}

// The same seed makes the same keys.
func TestSeededKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []string
		for _, seed := range []string{"a", "a", "b"} {
			w := newWorld(t, mpdvirttest.Options{Seed: seed})
			v := addVM(t, w, mpdvirttest.VMOptions{})
			all = append(all, mustRun(t, login(t, w, v.Addr()), "", rotate+"; cat /etc/machine-id"))
		}
		if all[0] != all[1] || all[0] == all[2] {
			t.Errorf("the keys are\n%s", strings.Join(all, "\n"))
		}
	})
}
