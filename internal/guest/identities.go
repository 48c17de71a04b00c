package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// IdentityConfig says where keys to log in with are looked for.
type IdentityConfig struct {
	// Home is the user's home folder. Its .ssh/id_ed25519, id_ecdsa and id_rsa
	// are tried; "" for no such keys.
	Home string
	// Files are tried before those, in this order. "~/" and "%d" mean Home.
	Files []string
	// AgentSocket is where the agent listens; "" or "none" for no agent.
	AgentSocket string
	// DialAgent connects to the agent; nil means a Unix socket.
	DialAgent func(ctx context.Context, path string) (net.Conn, error)
	// Passphrase asks a person for the passphrase of a key file. It is called
	// for one file at a time, and only when the VM has said that it would take
	// the key. The result is overwritten after use. nil means that nobody is
	// asked, and keys that need a passphrase are left out.
	Passphrase func(ctx context.Context, keyFile string) ([]byte, error)
}

// Identities are the keys to log in with. Files and agent are looked at anew
// for every login, so that a key made in between counts; a key opened with a
// passphrase is kept in memory and not asked for again. Methods may be called
// at the same time; nil has no keys.
type Identities struct {
	cfg    IdentityConfig
	asking chan struct{} // holds a token while a person is asked

	mu      sync.Mutex
	opened  map[string]ssh.AlgorithmSigner // by public key
	refused map[string]string              // by file: why it is not asked for again
	noAgent string                         // why the agent is not asked again
}

// NewIdentities reads nothing yet.
func NewIdentities(cfg IdentityConfig) *Identities {
	return &Identities{
		cfg:     cfg,
		asking:  make(chan struct{}, 1),
		opened:  map[string]ssh.AlgorithmSigner{},
		refused: map[string]string{},
	}
}

// maxOffered is how many keys are offered in one login: sshd gives up at the
// sixth failure (MaxAuthTries).
const maxOffered = 5

// passphraseTries is how often a person may mistype.
const passphraseTries = 3

// offer is the keys of one login.
type offer struct {
	keys   []*key
	notes  []string // keys that exist and are not offered, with the reason
	locked string   // the first file that was left out for its passphrase, or ""

	used   string // label of the key that signed last
	failed error  // why a key could not sign
}

// key is one key that can be offered.
type key struct {
	label  string
	file   string // "" for one that only the agent has
	public ssh.PublicKey
	slow   bool // signing may ask a person or a program
	sign   func(ctx context.Context, rand io.Reader, data []byte, algo string) (*ssh.Signature, error)
}

// offer collects: keys from files, those that open without a question first,
// then the agent's others.
func (i *Identities) offer(ctx context.Context) *offer {
	o := &offer{}
	if i == nil {
		return o
	}
	inAgent := i.listAgent(ctx, o)
	var locked []*key
	for _, path := range i.paths() {
		k := i.fromFile(path, inAgent, o)
		switch {
		case k == nil:
		case k.slow && k.file != "" && !inAgent.has(k.public):
			locked = append(locked, k)
		default:
			o.add(k)
		}
	}
	for _, k := range append(locked, inAgent...) {
		o.add(k)
	}
	if more := len(o.keys) - maxOffered; more > 0 {
		o.notes = append(o.notes, fmt.Sprintf("%d more keys", more))
		o.keys = o.keys[:maxOffered]
	}
	return o
}

// add leaves out what is there already.
func (o *offer) add(k *key) {
	if !keyList(o.keys).has(k.public) {
		o.keys = append(o.keys, k)
	}
}

type keyList []*key

func (l keyList) find(public ssh.PublicKey) *key {
	for _, k := range l {
		if bytes.Equal(k.public.Marshal(), public.Marshal()) {
			return k
		}
	}
	return nil
}

func (l keyList) has(public ssh.PublicKey) bool { return l.find(public) != nil }

// paths are the key files to look at, each once.
func (i *Identities) paths() []string {
	paths := make([]string, 0, len(i.cfg.Files)+3)
	seen := map[string]bool{}
	files := i.cfg.Files
	if i.cfg.Home != "" {
		files = append(files[:len(files):len(files)], "~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
	}
	for _, f := range files {
		if p := i.expand(f); p != "" && !seen[p] {
			seen[p] = true
			paths = append(paths, p)
		}
	}
	return paths
}

// expand is the path that ssh means by a name in its configuration, "" if it
// has parts that only ssh can fill in.
func (i *Identities) expand(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		name = "%d/" + rest
	}
	if i.cfg.Home == "" && strings.Contains(name, "%d") {
		return ""
	}
	name = strings.ReplaceAll(name, "%d", i.cfg.Home)
	if !filepath.IsAbs(name) || strings.ContainsAny(name, "%$") && !strings.HasPrefix(name, i.cfg.Home) {
		return ""
	}
	return filepath.Clean(name)
}

// show is a path as a person would write it.
func (i *Identities) show(path string) string {
	if rest, ok := strings.CutPrefix(path, i.cfg.Home+"/"); ok && i.cfg.Home != "" {
		return "~/" + rest
	}
	return path
}

// with binds the keys to one login: its context, and the clock that stands
// while somebody is asked.
func (o *offer) with(ctx context.Context, pause func() (resume func())) *offer {
	bound := &offer{notes: o.notes, locked: o.locked}
	for _, k := range o.keys {
		asked := *k
		asked.sign = func(_ context.Context, rand io.Reader, data []byte, algo string) (*ssh.Signature, error) {
			if k.slow {
				defer pause()()
			}
			sig, err := k.sign(ctx, rand, data, algo)
			bound.used, bound.failed = k.label, err
			return sig, err
		}
		bound.keys = append(bound.keys, &asked)
	}
	return bound
}

func (o *offer) signers() []ssh.Signer {
	signers := make([]ssh.Signer, len(o.keys))
	for i, k := range o.keys {
		signers[i] = signer{k}
	}
	return signers
}

// signer shows a key to x/crypto.
type signer struct{ key *key }

var _ ssh.MultiAlgorithmSigner = signer{}

func (s signer) PublicKey() ssh.PublicKey { return s.key.public }

func (s signer) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, s.Algorithms()[0])
}

func (s signer) SignWithAlgorithm(rand io.Reader, data []byte, algo string) (*ssh.Signature, error) {
	return s.key.sign(context.Background(), rand, data, algo)
}

// Algorithms leaves out SHA-1, which no trixie takes.
func (s signer) Algorithms() []string {
	t := s.key.public.Type()
	if cert, ok := s.key.public.(*ssh.Certificate); ok {
		t = cert.Key.Type()
	}
	if t == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{t}
}

// unlock asks for the passphrase of a key file, once at a time and once for
// all logins.
func (i *Identities) unlock(ctx context.Context, path string, public ssh.PublicKey, pem []byte) (ssh.AlgorithmSigner, error) {
	select {
	case i.asking <- struct{}{}:
		defer func() { <-i.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s, why := i.known(path, public); s != nil || why != "" {
		return s, orNil(why)
	}
	for range passphraseTries {
		s, err := i.ask(ctx, path, pem)
		switch {
		case err == nil:
			return i.keep(public, s), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.Is(err, errPassphrase):
			i.refuse(path, "no passphrase was given")
			return nil, fmt.Errorf("passphrase of %s: %w", i.show(path), err)
		}
	}
	i.refuse(path, "the passphrase was wrong")
	return nil, fmt.Errorf("passphrase of %s: %w", i.show(path), errPassphrase)
}

var errPassphrase = errors.New("wrong passphrase")

func (i *Identities) ask(ctx context.Context, path string, pem []byte) (ssh.AlgorithmSigner, error) {
	pass, err := i.cfg.Passphrase(ctx, path)
	defer clear(pass)
	if err != nil {
		return nil, err
	}
	s, err := ssh.ParsePrivateKeyWithPassphrase(pem, pass)
	if err != nil {
		// The cause is not kept: what else can be wrong with a key that was
		// read as an encrypted one is damage, which looks the same.
		return nil, errPassphrase
	}
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("keys of type %s are not used", s.PublicKey().Type())
	}
	return as, nil
}

// known is what earlier questions led to.
func (i *Identities) known(path string, public ssh.PublicKey) (ssh.AlgorithmSigner, string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.opened[string(public.Marshal())], i.refused[path]
}

func (i *Identities) keep(public ssh.PublicKey, s ssh.AlgorithmSigner) ssh.AlgorithmSigner {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.opened[string(public.Marshal())] = s
	return s
}

func (i *Identities) refuse(path, why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refused[path] = why
}

func orNil(why string) error {
	if why == "" {
		return nil
	}
	return errors.New(why)
}
