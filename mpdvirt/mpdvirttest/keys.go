package mpdvirttest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// authorized reads the account's authorized_keys.
func (v *VM) authorized(user string, key ssh.PublicKey) bool {
	if user == "" || user != v.user() {
		return false
	}
	data, err := v.root.ReadFile(v.homeDir() + "/.ssh/authorized_keys")
	if err != nil {
		return false
	}
	for len(data) > 0 {
		k, _, _, rest, err := ssh.ParseAuthorizedKey(data)
		if err != nil {
			return false
		}
		if bytes.Equal(k.Marshal(), key.Marshal()) {
			return true
		}
		data = rest
	}
	return false
}

// user is the VM's account; "" if it has none.
func (v *VM) user() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.opts.User
}

func (v *VM) homeDir() string { return "/home/" + v.user() }

// Authorize adds a key to the authorized_keys of the VM's one account.
func (v *VM) Authorize(key ssh.PublicKey) error {
	name := v.homeDir() + "/.ssh/authorized_keys"
	data, _ := v.root.ReadFile(name) // a missing file is an empty one
	return v.WriteFile(name, append(data, ssh.MarshalAuthorizedKey(key)...), 0o600)
}

// Deauthorize takes a key out of the account's authorized_keys; one that is not in it
// is fine. It is an error if there is no such file.
func (v *VM) Deauthorize(key ssh.PublicKey) error {
	name := v.homeDir() + "/.ssh/authorized_keys"
	data, err := v.root.ReadFile(name)
	if err != nil {
		return err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	var kept []string
	for _, l := range strings.SplitAfter(string(data), "\n") {
		if !strings.HasPrefix(l, line) {
			kept = append(kept, l)
		}
	}
	return v.WriteFile(name, []byte(strings.Join(kept, "")), 0o600)
}

// HostKeys are the host keys that sshd uses, the ed25519 one first: those that
// were in the VM's /etc/ssh when sshd last started.
func (v *VM) HostKeys() []ssh.PublicKey {
	v.mu.Lock()
	defer v.mu.Unlock()
	var keys []ssh.PublicKey
	for _, k := range v.keys {
		keys = append(keys, k.PublicKey())
	}
	return keys
}

// HostKeyFingerprint is the fingerprint, SHA256:…, of the VM's first host key;
// "" if it has none.
func (v *VM) HostKeyFingerprint() string {
	keys := v.HostKeys()
	if len(keys) == 0 {
		return ""
	}
	return ssh.FingerprintSHA256(keys[0])
}

// RotateHostKeys gives the VM a new host key in the place of all that it had,
// as when it is installed anew, which sshd uses at once. Connections that exist are
// not affected.
func (v *VM) RotateHostKeys() error {
	v.mu.Lock()
	v.rotation++
	v.mu.Unlock()
	var errs []error
	for _, kind := range hostKeyKinds() {
		errs = append(errs, v.root.RemoveAll(hostKeyFile(kind)), v.root.RemoveAll(hostKeyFile(kind)+".pub"))
	}
	err := errors.Join(append(errs, v.writeHostKey())...)
	v.loadKeys()
	return err
}

// AddHostKey gives the VM one more host key of type "rsa" or "ecdsa", in the place of
// one of that type; other types are an error. sshd uses it at once. Unlike the first
// one it is not derived from the world's seed.
func (v *VM) AddHostKey(kind string) error {
	var private any
	var err error
	switch kind {
	case "rsa":
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ecdsa":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		err = fmt.Errorf("mpdvirttest: no host keys of type %q", kind)
	}
	if err != nil {
		return err
	}
	err = v.writeKey(hostKeyFile(kind), private, "root@"+v.Hostname())
	v.loadKeys()
	return err
}
