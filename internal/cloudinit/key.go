package cloudinit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// maxComment is how much of a key's comment is kept. It only helps people.
const maxComment = 100

// ParsePublicKey returns the first public key that data, the content of a .pub
// or authorized_keys file, holds: type, key and comment, separated by one
// space. Options before the key and all other lines are dropped, the comment
// is cut to 100 bytes, and in it everything but printable ASCII becomes '?'.
// What it returns, it reads again as the same text.
func ParsePublicKey(data []byte) (string, error) {
	if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
		return "", hint.Wrap(errors.New("this is a private key, not a public one"), "give the file beside it whose name ends in .pub")
	}
	for len(data) > 0 {
		key, comment, _, rest, err := ssh.ParseAuthorizedKey(data)
		if err != nil {
			break
		}
		data = rest
		if _, cert := key.(*ssh.Certificate); cert {
			continue // says who may log in only together with a CA
		}
		line := strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
		if comment = cleanComment(comment); comment != "" {
			line += " " + comment
		}
		return line, nil
	}
	return "", hint.Wrap(errors.New("there is no SSH public key in it"), "ssh-keygen -t ed25519")
}

func cleanComment(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s)
	return strings.TrimSpace(s[:min(len(s), maxComment)])
}

// GenerateHostKey makes a VM's host key: the private part for [Seed.HostKey],
// the public one to pin. random is crypto/rand.Reader outside of tests.
func GenerateHostKey(random io.Reader) (private []byte, public ssh.PublicKey, err error) {
	_, key, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, nil, fmt.Errorf("generate host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, nil, fmt.Errorf("generate host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("generate host key: %w", err)
	}
	return pem.EncodeToMemory(block), signer.PublicKey(), nil
}

// readHostKey returns the text of a host key, with its final newline, and the
// public part. The errors of the parser are left out: nothing of a private key
// belongs in a message.
func readHostKey(text []byte) (private, public string, err error) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 || !bytes.HasPrefix(text, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n")) {
		return "", "", errors.New("the host key is not one private key in OpenSSH's form")
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil || signer.PublicKey().Type() != ssh.KeyAlgoED25519 {
		return "", "", errors.New("the host key is not an ed25519 key without passphrase")
	}
	public = strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(signer.PublicKey())), "\n")
	// Encoded anew, so that headers and odd line ends go.
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})), public, nil
}
