package mpdvirt_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// deaf is a ping that nobody answers.
func deaf(ctx context.Context, _ hypervisor.Command) (hypervisor.Result, error) {
	select {
	case <-time.After(2 * time.Second):
		return hypervisor.Result{Stdout: []byte("1 packets transmitted, 0 received, 100% packet loss\n"), Status: 1}, nil
	case <-ctx.Done():
		return hypervisor.Result{}, ctx.Err()
	}
}

// unharmed wants the VM to have nothing of ours.
func unharmed(l *lab) {
	l.t.Helper()
	if ran := l.vm.Steps(); len(ran) > 0 {
		l.t.Errorf("the VM ran %v", ran)
	}
	for name := range l.vm.Tree() {
		if strings.HasPrefix(name, "/var/lib/mpd/conf") {
			l.t.Errorf("the VM has %s", name)
		}
	}
}

// Machines that must not be set up are left as they were.
func TestSetupGate(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, tt := range []struct {
		name   string
		change func(l *lab)
		class  error // nil: any
		words  []string
	}{
		{"F47 Debian 12", func(l *lab) { check(l.t, l.vm.SetOS("debian", "bookworm")) }, mpdvirt.ErrRefused, []string{"bookworm", "Debian trixie"}},
		{"F47 Ubuntu", func(l *lab) { check(l.t, l.vm.SetOS("ubuntu", "noble")) }, mpdvirt.ErrRefused, []string{"ubuntu", "Debian trixie"}},
		{"F47 another number's VM", func(l *lab) { check(l.t, l.vm.SetHostname("mpd-151")) }, mpdvirt.ErrRefused, []string{"mpd-151", "mpd-150"}},
		{"F47 somebody's server", func(l *lab) { check(l.t, l.vm.SetHostname("mail")) }, mpdvirt.ErrRefused, []string{"mail", "mpd-150"}},
		{"F47 wrong processor", func(l *lab) { l.vm.SetArch("armv7l") }, mpdvirt.ErrRefused, []string{"armv7l", "aarch64"}},
		{"F34 clock ahead", func(l *lab) { l.vm.SetClockSkew(10 * year) }, nil, []string{"clock", "timedatectl"}},
		{"F34 clock behind", func(l *lab) { l.vm.SetClockSkew(-10 * year) }, nil, []string{"clock", "timedatectl"}},
		{"F34 clock at 1970", func(l *lab) { l.vm.SetClockSkew(time.Unix(0, 0).Sub(mpdvirttest.Epoch)) }, nil, []string{"clock", "timedatectl"}},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l := newLab(t, options{})
			tt.change(l)
			err := l.refused(adoption)
			class := tt.class
			if class == nil {
				class = err
			}
			if wantError(t, err, class, tt.words...); err.Step != "guest" {
				t.Errorf("it is step %s", err.Step)
			}
			unharmed(l)
		})
	}
	bubble(t, "F34 clock a little wrong", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.SetClockSkew(-time.Hour)
		res := l.setup(adoption)
		i := slices.Index(stepsOf(res), "guest")
		if s := res.Steps[i]; s.Status != mpdvirt.Warn || !strings.Contains(s.Summary, "clock") {
			t.Errorf("%+v", s)
		}
	})
}

// What the person must mend they are shown with the command for it; without a
// person the command is the hint.
func TestSetupAsks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options options
		breaks  func(l *lab)
		mends   func(l *lab)
		step    string
		class   error // nil: any
		command []string
	}{
		{"F16 key not authorised", options{vm: mpdvirttest.VMOptions{Unauthorized: true}}, nothing,
			func(l *lab) { check(l.t, l.vm.Authorize(l.world.Key())) },
			"ssh", mpdvirt.ErrLogin, []string{"ssh-copy-id -i ~/.ssh/id_ed25519.pub dev@10.211.55.37"}},
		{"F18 no key", options{world: mpdvirttest.Options{NoKey: true}}, nothing, nil, "ssh", mpdvirt.ErrLogin, []string{"ssh-keygen -t ed25519"}},
		{"F36 sudo wants a password", options{}, func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoPassword) },
			func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoFree) },
			"sudo", nil, []string{"ssh -t dev@10.211.55.37 ", "10-passwordless-sudo.sh"}},
		{"F36 sudo lectures", options{}, func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoLectures) },
			func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoFree) },
			"sudo", nil, []string{"ssh -t dev@10.211.55.37 "}},
		{"F36 sudo hangs", options{}, func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoHangs) },
			func(l *lab) { l.vm.SetSudo(mpdvirttest.SudoFree) },
			"sudo", nil, []string{"ssh -t dev@10.211.55.37 "}},
	} {
		bubble(t, tt.name+", nobody there", func(t *testing.T) {
			l := newLab(t, tt.options)
			tt.breaks(l)
			start := time.Now()
			err := l.refused(adoption)
			class := tt.class
			if class == nil {
				class = err
			}
			if wantError(t, err, class, tt.command...); err.Step != tt.step {
				t.Errorf("it is step %s", err.Step)
			}
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
			unharmed(l)
		})
		bubble(t, tt.name+", the person declines", func(t *testing.T) {
			l := newLab(t, tt.options)
			l.cfg.Prompter = person{}
			l.Manager = l.manager()
			tt.breaks(l)
			wantError(t, l.refused(adoption), mpdvirt.ErrDeclined)
			unharmed(l)
		})
		if tt.mends == nil {
			continue
		}
		bubble(t, tt.name+", the person mends it at the second attempt", func(t *testing.T) {
			l := newLab(t, tt.options)
			var shown []string
			var asked []time.Time
			l.cfg.Prompter = person{pause: func(_, command string) {
				asked = append(asked, time.Now())
				if shown = append(shown, command); len(shown) == 2 {
					tt.mends(l)
				}
			}}
			l.Manager = l.manager()
			tt.breaks(l)
			l.setup(adoption)
			if len(shown) != 2 || shown[0] != shown[1] {
				t.Fatalf("shown were %q", shown)
			}
			if pause := asked[1].Sub(asked[0]); tt.step == "ssh" && pause < 6*time.Second {
				t.Errorf("an impatient person makes sshd turn us away: %v between two logins", pause)
			}
			for _, w := range tt.command {
				if !strings.Contains(shown[0], w) {
					t.Errorf("%q has no %q", shown[0], w)
				}
			}
		})
	}
}

// F14, F15: whoever is at the address but is no VM costs a bounded time.
func TestSetupUnreachable(t *testing.T) {
	for _, tt := range []struct {
		server mpdvirttest.Server
		word   string
	}{
		{mpdvirttest.ServerClosed, "connection refused"},
		{mpdvirttest.ServerSilent, "stalled"},
		{mpdvirttest.ServerHangsUp, "closed before the banner"},
		{mpdvirttest.ServerHTTP, "not an SSH server"},
		{mpdvirttest.ServerEndlessBanner, "not an SSH server"},
		{mpdvirttest.ServerStallsKex, "stalled"},
		{mpdvirttest.ServerStallsAuth, "stalled"},
		{mpdvirttest.ServerStallsSession, "did not take a command"},
	} {
		bubble(t, "F15 "+string(tt.server), func(t *testing.T) {
			l := newLab(t, options{})
			check(t, l.vm.SetServer(tt.server))
			start := time.Now()
			err := l.refused(adoption)
			wantError(t, err, err, tt.word)
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
			var lost *mpdvirt.UnreachableError
			if known := tt.server != mpdvirttest.ServerStallsSession; errors.As(err, &lost) != known || known && lost.Addrs[0].Addr() != firstAddr {
				t.Errorf("error %v holds %+v", err, lost)
			}
		})
	}
	for name, silent := range map[string]bool{"F14 nobody": false, "F14 filtered": true} {
		bubble(t, name, func(t *testing.T) {
			l := newLab(t, options{world: mpdvirttest.Options{SilentHosts: silent}})
			l.vm.PowerOff()
			start := time.Now()
			var lost *mpdvirt.UnreachableError
			err := l.refused(adoption)
			if took := time.Since(start); !errors.As(err, &lost) || took > 11*time.Second || err.Hint == "" {
				t.Errorf("after %v: %v, hint %q", took, err, err.Hint)
			}
		})
	}
}

// The account's shell and its start-up files are the user's own.
func TestSetupLoginShell(t *testing.T) {
	for _, shell := range []string{"/bin/dash", "/bin/sh", "/usr/bin/zsh", "/usr/bin/fish"} {
		bubble(t, "F32 "+shell, func(t *testing.T) {
			newLab(t, options{vm: mpdvirttest.VMOptions{Shell: shell}}).setup(adoption)
		})
	}
	for _, shell := range []string{"/usr/sbin/nologin", "/bin/false"} {
		bubble(t, "F32 "+shell, func(t *testing.T) {
			l := newLab(t, options{vm: mpdvirttest.VMOptions{Shell: shell}})
			err := l.refused(adoption)
			wantError(t, err, err, "login shell")
			unharmed(l)
		})
	}
	bubble(t, "F31 talkative .bashrc", func(t *testing.T) {
		l := newLab(t, options{})
		check(t, l.vm.WriteFile("/home/dev/.bashrc", []byte("echo welcome; printf 'system=Windows\\nhost=x'; echo trouble >&2\n"), 0o644))
		l.setup(adoption)
	})
	bubble(t, "F31 .bashrc that leaves", func(t *testing.T) {
		l := newLab(t, options{})
		check(t, l.vm.WriteFile("/home/dev/.bashrc", []byte("echo bye\nexit 3\n"), 0o644))
		err := l.refused(adoption)
		wantError(t, err, err, ".bashrc")
		unharmed(l)
	})
}

// F42: the place for the keys is not what it should be.
func TestSetupPushTarget(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(l *lab) error
		word  string
	}{
		"symlink": {func(l *lab) error {
			return errors.Join(l.vm.Remove("/var/lib/mpd"), l.vm.Symlink("/etc", "/var/lib/mpd"))
		}, "symbolic link"},
		"root's own":     {func(l *lab) error { return l.vm.Chown("/var/lib/mpd", true) }, "/var/lib/mpd"},
		"read-only":      {func(l *lab) error { return l.vm.Chmod("/var/lib/mpd", 0o555) }, "/var/lib/mpd"},
		"symlink inside": {func(l *lab) error { return l.vm.Symlink("/etc", "/var/lib/mpd/conf") }, "symbolic link"},
	} {
		bubble(t, "F42 "+name, func(t *testing.T) {
			l := newLab(t, options{})
			l.vm.OnStep(func(step, phase string) {
				if step == mpdvirttest.StepClone && phase == "end" {
					check(t, tt.spoil(l))
				}
			})
			err := l.refused(adoption)
			if wantError(t, err, err, tt.word); err.Step != "push" {
				t.Errorf("it is step %s", err.Step)
			}
			for path := range l.vm.Tree() {
				if strings.HasPrefix(path, "/etc/conf") || strings.HasPrefix(path, "/etc/caroot") || strings.HasPrefix(path, "/etc/wireguard") {
					t.Errorf("%s was written through the link", path)
				}
			}
		})
	}
}
