package mpdvirttest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// hostKeyKinds are the kinds of host keys in the order in which sshd has them
// here: the ed25519 one first, as HostKeys promises.
func hostKeyKinds() []string { return []string{"ed25519", "rsa", "ecdsa"} }

func hostKeyFile(kind string) string { return "/etc/ssh/ssh_host_" + kind + "_key" }

// newKey makes the private key of a kind that belongs to a seed.
func newKey(kind string, seed []byte) (any, error) {
	switch kind {
	case "ed25519":
		return ed25519.NewKeyFromSeed(seed), nil
	case "ecdsa":
		return ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
	case "rsa":
		return rsaKey(seed)
	}
	return nil, fmt.Errorf("mpdvirttest: no keys of type %q", kind)
}

// rsaBits is short, for speed: the real ones have 3072.
const rsaBits = 2048

// rsaKey looks for primes from where the seed points to, since package rsa
// makes only keys that nobody can foretell.
func rsaKey(seed []byte) (*rsa.PrivateKey, error) {
	one, e := big.NewInt(1), big.NewInt(65537)
	prime := func(name byte) *big.Int {
		var raw [rsaBits / 16]byte
		for i := 0; i < len(raw); i += sha256.Size {
			sum := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte{name}, seed...), uint32(i)))
			copy(raw[i:], sum[:])
		}
		raw[0] |= 0xc0 // so that the product has all bits
		raw[len(raw)-1] |= 1
		p := new(big.Int).SetBytes(raw[:])
		for !p.ProbablyPrime(1) || new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, one)).Cmp(one) != 0 {
			p.Add(p, big.NewInt(2))
		}
		return p
	}
	p, q := prime('p'), prime('q')
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(e.Int64())},
		D:         new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q},
	}
	key.Precompute()
	return key, key.Validate()
}

// writeKey puts a key and its public half into the VM's files, as root.
func (v *VM) writeKey(name string, private any, comment string) error {
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return err
	}
	public := ssh.MarshalAuthorizedKey(signer.PublicKey())
	public = append(public[:len(public)-1], " "+comment+"\n"...)
	return errors.Join(v.root.WriteFile(name, pem.EncodeToMemory(block), 0o600), v.root.WriteFile(name+".pub", public, 0o644))
}

// loadKeys makes sshd use the host keys that are in /etc/ssh now, and says how
// many there are. As sshd does it passes over one that others may read. v.mu is
// not held.
func (v *VM) loadKeys() int {
	var keys []ssh.Signer
	for _, kind := range hostKeyKinds() {
		data, perm, err := v.File(hostKeyFile(kind))
		if err != nil || perm&0o077 != 0 {
			continue
		}
		if key, err := ssh.ParsePrivateKey(data); err == nil {
			keys = append(keys, key)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys = keys
	return len(keys)
}

// writeHostKey gives the VM its derived ed25519 host key.
func (v *VM) writeHostKey() error {
	v.mu.Lock()
	rotation := v.rotation
	v.mu.Unlock()
	key, err := newKey("ed25519", v.w.seed(fmt.Sprintf("host %s %d", v.id, rotation)))
	if err != nil {
		return err
	}
	return v.writeKey(hostKeyFile("ed25519"), key, "root@"+v.Hostname())
}

// nextSeed is the seed of the next key or number that the VM makes up.
func (v *VM) nextSeed(what string) []byte {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.made++
	return v.w.seed(fmt.Sprintf("%s %s %d", what, v.id, v.made))
}
