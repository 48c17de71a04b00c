package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

const maxKeyFile = 64 << 10

// fromFile is the key of one file, from wherever its private half can be had:
// the file itself, the agent, or the file and a passphrase. nil, mostly with a
// note in o, if it cannot be offered.
func (i *Identities) fromFile(path string, inAgent keyList, o *offer) *key {
	label := plaintext.Clean(filepath.Base(path))
	pem, err := readKeyFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.notes = append(o.notes, fmt.Sprintf("%s: %v", i.show(path), err))
		return nil
	}
	s, parseErr := ssh.ParsePrivateKey(pem)
	if as, ok := s.(ssh.AlgorithmSigner); ok && parseErr == nil {
		return &key{label: label, file: path, public: s.PublicKey(), sign: signWith(as)}
	}
	public := publicHalf(path, pem, parseErr)
	if public == nil {
		switch {
		case err != nil: // no such key: nothing to say
		case errors.As(parseErr, new(*ssh.PassphraseMissingError)):
			o.lock(path, i.show(path)+": encrypted, without a .pub beside it")
		default:
			o.notes = append(o.notes, i.show(path)+": not a private key that can be read")
		}
		return nil
	}
	if twin := inAgent.find(public); twin != nil {
		k := *twin
		k.label, k.file = label+" in the agent", path
		return &k
	}
	if err != nil || !errors.As(parseErr, new(*ssh.PassphraseMissingError)) {
		return nil // only the public half is there, for an agent that does not have it
	}
	return i.encrypted(path, label, public, pem, o)
}

// encrypted is a key that was or can be opened with a passphrase.
func (i *Identities) encrypted(path, label string, public ssh.PublicKey, pem []byte, o *offer) *key {
	opened, refused := i.known(path, public)
	switch {
	case opened != nil:
		return &key{label: label, file: path, public: public, sign: signWith(opened)}
	case refused != "":
		o.lock(path, i.show(path)+": "+refused)
		return nil
	case i.cfg.Passphrase == nil:
		o.lock(path, i.show(path)+": needs a passphrase")
		return nil
	}
	return &key{label: label, file: path, public: public, slow: true,
		sign: func(ctx context.Context, rand io.Reader, data []byte, algo string) (*ssh.Signature, error) {
			s, err := i.unlock(ctx, path, public, pem)
			if err != nil {
				return nil, err
			}
			return s.SignWithAlgorithm(rand, data, algo)
		}}
}

func (o *offer) lock(path, note string) {
	o.notes = append(o.notes, note)
	if o.locked == "" {
		o.locked = path
	}
}

func signWith(s ssh.AlgorithmSigner) func(context.Context, io.Reader, []byte, string) (*ssh.Signature, error) {
	return func(_ context.Context, rand io.Reader, data []byte, algo string) (*ssh.Signature, error) {
		return s.SignWithAlgorithm(rand, data, algo)
	}
}

// publicHalf is what is known of a key without opening it: from the private
// file, from the .pub beside it, or from the file itself if it is a public key,
// as some name the key of an agent.
func publicHalf(path string, pem []byte, parseErr error) ssh.PublicKey {
	var missing *ssh.PassphraseMissingError
	if errors.As(parseErr, &missing) && missing.PublicKey != nil {
		return missing.PublicKey
	}
	for _, read := range []func() ([]byte, error){
		func() ([]byte, error) { return readKeyFile(path + ".pub") },
		func() ([]byte, error) { return pem, nil },
	} {
		if text, err := read(); err == nil {
			if public, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
				return public
			}
		}
	}
	return nil
}

// readKeyFile reads a file of the user, which may be a link, but no pipe that
// would block and nothing endless.
func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, plainError(err)
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, errors.New("not a key file")
	}
	data, err := os.ReadFile(path)
	return data, plainError(err)
}

// plainError is err without the path, which the caller names.
func plainError(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
