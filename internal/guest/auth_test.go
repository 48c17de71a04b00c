package guest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// keyring is an agent in memory with the given keys.
func keyring(t *testing.T, seeds ...byte) func(context.Context, string) (net.Conn, error) {
	ring := agent.NewKeyring()
	for _, n := range seeds {
		if err := ring.Add(agent.AddedKey{PrivateKey: rawKey(n), Comment: "key\x1b[31m " + string('a'+rune(n))}); err != nil {
			t.Fatal(err)
		}
	}
	return serveAgent(t, func(c net.Conn) { agent.ServeAgent(ring, c) })
}

func serveAgent(t *testing.T, serve func(net.Conn)) func(context.Context, string) (net.Conn, error) {
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	return func(context.Context, string) (net.Conn, error) {
		here, there := net.Pipe()
		all.Go(func() { serve(there); there.Close() })
		return here, nil
	}
}

// TestIdentities is F17: which keys are offered, in which order.
func TestIdentities(t *testing.T) {
	tests := []struct {
		name  string
		seeds []byte // in the agent; nil for no agent
		files map[string]any
		cfg   IdentityConfig
		want  string
		notes string
	}{
		{name: "nothing"},
		{name: "plain files in order", files: map[string]any{"id_rsa": byte(4), "id_ed25519": byte(2), "id_ecdsa": byte(3)}, want: "id_ed25519, id_ecdsa, id_rsa"},
		{name: "files before the agent", seeds: []byte{7}, files: map[string]any{"id_rsa": byte(2)}, want: "id_rsa, key h in the agent"},
		{name: "named first", files: map[string]any{"id_ed25519": byte(2), "work": byte(3)}, cfg: IdentityConfig{Files: []string{"~/.ssh/work", "%d/.ssh/id_ed25519"}}, want: "work, id_ed25519"},
		{name: "no more than sshd bears", seeds: []byte{10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, files: map[string]any{"id_rsa": byte(2)}, want: "id_rsa, key k in the agent, key l in the agent, key m in the agent, key n in the agent", notes: "7 more keys"},
		{name: "each once", seeds: []byte{2}, files: map[string]any{"id_rsa": byte(2)}, want: "id_rsa"},
		{name: "encrypted, in the agent", seeds: []byte{7, 2}, files: map[string]any{"id_rsa": locked{}}, want: "id_rsa in the agent, key h in the agent"},
		{name: "encrypted, nobody to ask", files: map[string]any{"id_rsa": locked{}}, notes: "~/.ssh/id_rsa: needs a passphrase"},
		{name: "encrypted, somebody to ask", seeds: []byte{7}, files: map[string]any{"id_ed25519": locked{}, "id_rsa": byte(3)}, cfg: IdentityConfig{Passphrase: ask("x")}, want: "id_rsa, id_ed25519, key h in the agent"},
		{name: "only the .pub, in the agent", seeds: []byte{7, 2}, files: map[string]any{"id_rsa.pub": testPub(2)}, want: "id_rsa in the agent, key h in the agent"},
		{name: "named by its .pub", seeds: []byte{7, 2}, files: map[string]any{"x.pub": testPub(2)}, cfg: IdentityConfig{Files: []string{"~/.ssh/x.pub"}}, want: "x.pub in the agent, key h in the agent"},
		{name: "garbage", files: map[string]any{"id_rsa": []byte("\x00\x1b[2J")}, notes: "~/.ssh/id_rsa: not a private key"},
		{name: "folder", files: map[string]any{"id_rsa/x": []byte("")}, notes: "~/.ssh/id_rsa: not a key file"},
		{name: "endless", files: map[string]any{"id_rsa": make([]byte, maxKeyFile+1)}, notes: "not a key file"},
		{name: "relative and unknown tokens", files: map[string]any{}, cfg: IdentityConfig{Files: []string{"id_rsa", "/x/%h", "/${X}/y"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.cfg
			cfg.Home = t.TempDir()
			for name, content := range tt.files {
				path := filepath.Join(cfg.Home, ".ssh", name)
				os.MkdirAll(filepath.Dir(path), 0o700)
				switch c := content.(type) {
				case byte:
					writeKey(t, path, c)
				case locked:
					lockKey(t, path)
				case []byte:
					writeFile(t, path, string(c))
				}
			}
			if tt.seeds != nil {
				cfg.AgentSocket, cfg.DialAgent = "/agent", keyring(t, tt.seeds...)
			}
			o := NewIdentities(cfg).offer(t.Context())
			var labels []string
			for _, k := range o.keys {
				labels = append(labels, k.label)
			}
			if got := strings.Join(labels, ", "); got != tt.want {
				t.Errorf("offered %q, want %q", got, tt.want)
			}
			// The first of them is what a new VM is told to accept.
			public, label, err := NewIdentities(cfg).PublicKey(t.Context())
			first, _, _ := strings.Cut(tt.want, ", ")
			if label != first || (err != nil) != (first == "") || err == nil && string(public.Marshal()) != string(o.keys[0].public.Marshal()) {
				t.Errorf("PublicKey = %v, %q, %v; want that of %q", public, label, err, first)
			}
			if err != nil && !strings.HasPrefix(hint.Of(err), "ssh-") {
				t.Errorf("hint %q", hint.Of(err))
			}
			notes := strings.Join(o.notes, "; ")
			contains(t, "notes", notes, tt.notes)
			if tt.notes == "" && notes != "" {
				t.Errorf("unexpected notes %q", notes)
			}
		})
	}
}

// locked stands for the user's key with a passphrase.
type locked struct{}

func testPub(n byte) []byte { return ssh.MarshalAuthorizedKey(testKey(n).PublicKey()) }

func ask(answers ...string) func(context.Context, string) ([]byte, error) {
	return func(context.Context, string) ([]byte, error) {
		if len(answers) == 0 {
			return nil, io.EOF
		}
		a := answers[0]
		answers = answers[1:]
		return []byte(a), nil
	}
}

// TestAuthErrors is F16, F17 and F18: no login, and the line that helps.
func TestAuthErrors(t *testing.T) {
	dead := func(context.Context, string) (net.Conn, error) { return nil, os.ErrNotExist }
	tests := []struct {
		name       string
		prepare    func(t *testing.T, w *world, s *server, cfg *IdentityConfig)
		text       string
		hint       string
		handshakes int32
	}{
		{"no key at all", func(t *testing.T, w *world, _ *server, cfg *IdentityConfig) { cfg.Home = t.TempDir() },
			"log in as dev at 10.211.55.37:22: there is no SSH key", "ssh-keygen -t ed25519", 0},
		{"not authorized", func(_ *testing.T, _ *world, s *server, _ *IdentityConfig) {
			s.config.PublicKeyCallback = authorized()
		}, "accepts none of our SSH keys (offered: id_ed25519)", "ssh-copy-id -i ~/.ssh/id_ed25519.pub dev@10.211.55.37", 1},
		{"password only", func(_ *testing.T, _ *world, s *server, _ *IdentityConfig) {
			s.config.PublicKeyCallback = nil
			s.config.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, io.EOF }
		}, "takes no SSH keys", "PubkeyAuthentication yes", 1},
		{"too many for it", func(t *testing.T, w *world, s *server, cfg *IdentityConfig) {
			s.config.PublicKeyCallback, s.config.MaxAuthTries = authorized(), 1
			writeKey(t, filepath.Join(w.home, ".ssh", "id_rsa"), 8)
		}, "accepts none", "ssh-copy-id -i ~/.ssh/id_ed25519.pub dev@10.211.55.37", 1},
		{"encrypted, agent dead", func(t *testing.T, w *world, _ *server, cfg *IdentityConfig) {
			lockKey(t, filepath.Join(w.home, ".ssh", "id_ed25519"))
			cfg.AgentSocket, cfg.DialAgent = "/agent", dead
		}, "~/.ssh/id_ed25519: needs a passphrase", "ssh-add ~/.ssh/id_ed25519", 0},
		{"agent hangs", func(t *testing.T, w *world, _ *server, cfg *IdentityConfig) {
			cfg.Home = t.TempDir()
			cfg.AgentSocket, cfg.DialAgent = "/agent", serveAgent(t, hold)
		}, "agent at /agent: no answer", "ssh-keygen", 0},
		{"wrong passphrase", func(t *testing.T, w *world, _ *server, cfg *IdentityConfig) {
			lockKey(t, filepath.Join(w.home, ".ssh", "id_ed25519"))
			cfg.Passphrase = ask("a", "b", "c", "secret")
		}, "wrong passphrase", "ssh-add ~/.ssh/id_ed25519", 1},
		{"no passphrase given", func(t *testing.T, w *world, _ *server, cfg *IdentityConfig) {
			lockKey(t, filepath.Join(w.home, ".ssh", "id_ed25519"))
			cfg.Passphrase = ask()
		}, "passphrase of ~/.ssh/id_ed25519", "ssh-add ~/.ssh/id_ed25519", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := newServer(t, nil)
				cfg := IdentityConfig{Home: w.home}
				tt.prepare(t, w, s, &cfg)
				s.listen(w.net, firstAddr)
				w.opts.Identities = NewIdentities(cfg)
				began := time.Now()
				_, err := Dial(t.Context(), w.opts)
				var e *AuthError
				if !errors.As(err, &e) {
					t.Fatalf("error %v (%T), want *AuthError", err, err)
				}
				contains(t, "error", err.Error(), tt.text)
				contains(t, "hint", hint.Of(err), tt.hint)
				if got := s.handshakes.Load(); got != tt.handshakes {
					t.Errorf("%d handshakes, want %d", got, tt.handshakes)
				}
				if took := time.Since(began); took > agentListLimit {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestPassphraseOnce: one question for two connections, however long a person
// takes to answer it.
func TestPassphraseOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lockKey(t, filepath.Join(w.home, ".ssh", "id_ed25519"))
		asked := 0
		w.opts.Identities = NewIdentities(IdentityConfig{Home: w.home, Passphrase: func(ctx context.Context, file string) ([]byte, error) {
			asked++
			<-time.After(90 * time.Second)
			return []byte("secret"), nil
		}})
		newServer(t, nil).listen(w.net, firstAddr)
		newServer(t, nil).listen(w.net, lastAddr)
		w.dial(t)
		w.opts.Addr = lastAddr
		w.dial(t)
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
	})
}

func TestQuestionCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		lockKey(t, filepath.Join(w.home, ".ssh", "id_ed25519"))
		w.opts.Identities = NewIdentities(IdentityConfig{Home: w.home, Passphrase: func(ctx context.Context, _ string) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		newServer(t, nil).listen(w.net, firstAddr)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		if _, err := Dial(ctx, w.opts); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want canceled", err)
		}
	})
}

func TestLoginByAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.opts.Identities = NewIdentities(IdentityConfig{AgentSocket: "/agent", DialAgent: keyring(t, 7, userSeed)})
		newServer(t, nil).listen(w.net, firstAddr)
		if got := w.dial(t).Identity(); got != "key c in the agent" {
			t.Errorf("identity %q", got)
		}
	})
}
