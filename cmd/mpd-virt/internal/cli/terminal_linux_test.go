package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// onTerminal starts a command line whose terminal is p.
func (s *sharedWorld) onTerminal(t *testing.T, p *pty, args ...string) *exec.Cmd {
	t.Helper()
	cmd := s.command(t, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.file, p.file, p.file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// lockKey puts a passphrase on the Mac's key.
func (s *sharedWorld) lockKey(t *testing.T, passphrase string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Home(), ".ssh/id_ed25519")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".pub", ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.vm.Authorize(signer.PublicKey()); err != nil {
		t.Fatal(err)
	}
}

// F118: Ctrl-C at each question of the real process on a real terminal: exit
// code 130, the terminal as it was, and nothing on the Mac or in the VM has
// changed since the question was asked.
func TestF118CtrlC(t *testing.T) {
	tests := []struct {
		name     string
		vm       mpdvirttest.VMOptions
		prepare  func(t *testing.T, s *sharedWorld)
		args     []string
		question string
	}{
		{"no key is accepted", mpdvirttest.VMOptions{Unauthorized: true}, nil, setupLine, "then press Enter here. "},
		{"passphrase", mpdvirttest.VMOptions{}, func(t *testing.T, s *sharedWorld) { s.lockKey(t, "open sesame") }, setupLine,
			"Passphrase of ~/.ssh/id_ed25519: "},
		{"sudo wants a password", mpdvirttest.VMOptions{}, func(_ *testing.T, s *sharedWorld) { s.vm.SetSudo(mpdvirttest.SudoPassword) },
			setupLine, "then press Enter here. "},
		{"delete", mpdvirttest.VMOptions{}, func(t *testing.T, s *sharedWorld) { s.run(t, setupLine...) }, []string{"delete", "150"}, "? [y/N] "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSharedWorld(t, tt.vm)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			p := openPTY(t)
			settings := p.settings(t)
			cmd := s.onTerminal(t, p, tt.args...)
			p.until(tt.question)
			before := s.shape(t)
			p.typed(t, "\x03")
			if code := exitOf(t, cmd.Wait()); code != 130 {
				t.Errorf("exit %d", code)
			}
			p.until("interrupted")
			if p.settings(t) != settings {
				t.Error("the terminal is not as it was")
			}
			if diff := cmp.Diff(before, s.shape(t)); diff != "" {
				t.Errorf("files changed (-before +after):\n%s", diff)
			}
		})
	}
}

// The answers, given by a person who does what is asked.
func TestAnswersOnTerminal(t *testing.T) {
	t.Run("the key is brought to the VM", func(t *testing.T) {
		s := newSharedWorld(t, mpdvirttest.VMOptions{Unauthorized: true})
		p := openPTY(t)
		cmd := s.onTerminal(t, p, setupLine...)
		seen := p.until("then press Enter here. ")
		contains(t, "screen", seen, "  ssh-copy-id ")
		if err := s.vm.Authorize(s.Key()); err != nil {
			t.Fatal(err)
		}
		p.typed(t, "\n")
		if code := exitOf(t, cmd.Wait()); code != 0 {
			t.Errorf("exit %d", code)
		}
		contains(t, "screen", p.until("is set up"), "\x1b[32m✓\x1b[0m 60-wireguard", "▸\x1b[0m 40-install-software")
	})
	t.Run("passphrase", func(t *testing.T) {
		s := newSharedWorld(t, mpdvirttest.VMOptions{})
		s.lockKey(t, "open sesame")
		p := openPTY(t)
		cmd := s.onTerminal(t, p, setupLine...)
		p.until("Passphrase of ~/.ssh/id_ed25519: ")
		p.typed(t, "open sesame\n")
		// ssh itself, which diag tries, cannot ask, as the key is in no agent:
		// a warning.
		if code := exitOf(t, cmd.Wait()); code != 0 {
			t.Errorf("exit %d", code)
		}
		if seen := p.until("is set up"); strings.Contains(seen, "sesame") || strings.Count(seen, "Passphrase of") != 1 {
			t.Errorf("the passphrase is shown, or asked for twice: %q", seen)
		}
	})
	t.Run("delete", func(t *testing.T) {
		s := newSharedWorld(t, mpdvirttest.VMOptions{})
		s.run(t, setupLine...)
		for _, answer := range []struct {
			keys string
			code int
		}{{"n\n", 1}, {"\n", 1}, {"\x04", 1}, {"y\n", 0}} {
			p := openPTY(t)
			cmd := s.onTerminal(t, p, "delete", "150")
			p.until("? [y/N] ")
			p.typed(t, answer.keys)
			if code := exitOf(t, cmd.Wait()); code != answer.code {
				t.Errorf("%q: exit %d, want %d: %s", answer.keys, code, answer.code, p.until(""))
			}
		}
	})
}

// diag on a terminal draws what it checks in place and leaves only the report.
func TestDiagOnTerminal(t *testing.T) {
	s := newSharedWorld(t, mpdvirttest.VMOptions{})
	s.run(t, setupLine...)
	s.Tunnel(nil)
	tunnels, err := s.Mac().Tunnels()
	if err != nil {
		t.Fatal(err)
	}
	for _, tunnel := range tunnels {
		if err := s.Mac().RemoveTunnel(tunnel.Name); err != nil {
			t.Fatal(err)
		}
	}
	p := openPTY(t)
	cmd := s.onTerminal(t, p, "diag", "150")
	// The profile is opened, which imports the tunnel; then there is another way
	// to mend it.
	p.reply(t, "Which? [Enter/o/c/s/q] ", "o\n")
	p.reply(t, "Which? [Enter/c/s/q] ", "\n")
	p.reply(t, "Which? [Enter/r/s/q] ", "r\n")
	p.reply(t, "Which? [Enter/r/s/q] ", "what\n")
	p.reply(t, "Which? [Enter/r/s/q] ", "s\n")
	if code := exitOf(t, cmd.Wait()); code != 0 {
		t.Errorf("exit %d", code)
	}
	seen := p.until("1 warning.")
	live, _, _ := strings.Cut(seen, "tunnel: no tunnel")
	if !strings.Contains(live, "▸\x1b[0m checking") || !strings.HasSuffix(strings.TrimRight(live, "\r\n"), eraseLine) {
		t.Errorf("before the first question: %q", live)
	}
	_, report, _ := strings.Cut(seen, "mpd-150 on general")
	contains(t, "report", report, "\x1b[32m✓\x1b[0m ping ", "\x1b[32m✓\x1b[0m portal ", "which VM answers: mpd-150 (its own DNS says so).")
}
