package mpdvirt_test

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// F112: what needs root fails: no key goes, what is left is said with the
// commands that remove it, and the next run finishes.
func TestUninstallSudo(t *testing.T) {
	const own = "sudo /usr/bin/security delete-certificate"
	for _, tt := range []struct {
		name   string
		change func(*mpdvirttest.MacSettings)
		fault  mpdvirttest.MacFault
		says   string
		left   []string // what macOS still has
		do     []string // how the commands begin
	}{
		{name: "F112 wrong password", change: func(s *mpdvirttest.MacSettings) { s.Sudo = "wrong" }, says: "no right password", left: everything},
		{name: "F112 cancelled at the password", change: func(s *mpdvirttest.MacSettings) { s.Sudo = "cancelled" }, says: "not all is removed", left: everything},
		{name: "F112 no administrator", change: func(s *mpdvirttest.MacSettings) { s.Sudo = "not in sudoers" }, says: "sudo", left: everything},
		{
			name: "F112 dialog cancelled", change: func(s *mpdvirttest.MacSettings) { s.Dialog = "cancelled" },
			left: []string{"certificate mpd Root CA", "trust"}, do: []string{own},
		},
		{
			name: "dialog without a screen, in Japanese", change: func(s *mpdvirttest.MacSettings) { s.Dialog, s.Localised = "headless", true },
			left: []string{"certificate mpd Root CA", "trust"}, do: []string{own},
		},
		{
			name: "dialog that nobody answers", change: func(s *mpdvirttest.MacSettings) { s.Dialog = "hang" },
			left: []string{"certificate mpd Root CA", "trust"}, do: []string{own},
		},
		{
			name: "certificate goes without effect", fault: mpdvirttest.MacFault{Kind: "no effect", Tool: "security", Verb: "delete-certificate"},
			says: "although the commands worked", left: []string{"certificate mpd Root CA", "trust"}, do: []string{own},
		},
		{
			name: "route exits well and is there", fault: mpdvirttest.MacFault{Kind: "no effect", Tool: "route", Verb: "delete"},
			says: "although the commands worked", left: []string{"route 10.163.0.0/24"}, do: []string{"sudo /sbin/route -n delete -net 10.163.0.0/24"},
		},
		{
			name: "file cannot be removed", fault: mpdvirttest.MacFault{Kind: "refuse", Tool: "rm", Text: "rm: no\n"},
			says: "rm: no", left: []string{"resolver mpd.test"}, do: []string{"sudo /bin/rm -f /etc/resolver/mpd.test"},
		},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l, before := unregistered(t, attended())
			mac := l.world.Mac()
			if tt.change != nil {
				check(t, mac.Change(tt.change))
			}
			if tt.fault.Kind != "" {
				check(t, mac.Inject(tt.fault))
			}
			during := l.tree()
			res, err := l.Uninstall(t.Context(), removal)
			e := wrapped(t, err)
			if !strings.Contains(err.Error(), tt.says) || len(res.Removed) != 3-len(slices.DeleteFunc(slices.Clone(tt.left), func(what string) bool { return what == "trust" })) {
				t.Errorf("%v, removed %q", err, res.Removed)
			}
			if do := tt.do; do != nil && (len(res.Commands) != len(do) || !strings.HasPrefix(res.Commands[0], do[0])) {
				t.Errorf("commands %q, want %q", res.Commands, do)
			}
			for _, c := range res.Commands {
				if !strings.Contains(e.Hint, c+"\n") {
					t.Errorf("the hint has no %q:\n%s", c, e.Hint)
				}
			}
			if left := strings.Join(res.Left, "\n"); !strings.Contains(left, "conf: ") || !strings.Contains(left, "still there") {
				t.Errorf("left %q", res.Left)
			}
			l.wantTree(t, during)
			l.wantMacHas(t, tt.left...)

			check(t, mac.Change(func(s *mpdvirttest.MacSettings) { s.Sudo, s.Dialog = "", "" }))
			check(t, mac.Emulator().ClearFaults())
			_, err = l.Uninstall(t.Context(), removal)
			check(t, err)
			l.wantMacHas(t)
			l.wantTree(t, before)
		})
	}
	bubble(t, "a person has done it meanwhile", func(t *testing.T) {
		var l *lab
		l, before := unregistered(t, options{config: func(c *mpdvirt.Config) {
			c.Prompter = person{confirm: func(string) bool {
				check(t, os.Remove(l.resolverPath("mpd.test")))
				check(t, l.world.Mac().Reboot())
				return true
			}}
		}})
		_, err := l.Uninstall(t.Context(), mpdvirt.UninstallRequest{})
		check(t, err)
		l.wantTree(t, before)
	})
}

// F111: what macOS does not say is not taken for a no.
func TestUninstallUnclear(t *testing.T) {
	always := func(kind, verb string) mpdvirttest.MacFault {
		f := mpdvirttest.MacFault{Tool: "security", Verb: verb, Times: -1}
		f.Kind = map[string]mpdvirttest.MacFault{"hang": {Kind: "hang"}, "garbage": {Kind: "garbage"}, "empty": {Kind: "empty"}}[kind].Kind
		return f
	}
	for _, tt := range []struct {
		name   string
		faults []mpdvirttest.MacFault
		record bool // the certificate is gone, its record is not
		well   bool
	}{
		{name: "F111 the keychain hangs", faults: []mpdvirttest.MacFault{always("hang", "find-certificate")}},
		{name: "F111 the keychain is garbage", faults: []mpdvirttest.MacFault{always("garbage", "find-certificate")}},
		{name: "F111 the settings hang, the verdict too", faults: []mpdvirttest.MacFault{always("hang", "trust-settings-export"), always("hang", "verify-cert")}, record: true},
		{name: "F111 the settings are empty, the verdict garbage", faults: []mpdvirttest.MacFault{always("empty", "trust-settings-export"), always("garbage", "verify-cert")}, record: true},
		{name: "F111 the settings hang, the verdict does not", faults: []mpdvirttest.MacFault{always("hang", "trust-settings-export")}, record: true, well: true},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l, before := unregistered(t, attended())
			mac := l.world.Mac()
			if tt.record {
				l.onlyRecord(t)
			}
			has := l.macHas(t)
			check(t, mac.Inject(tt.faults...))
			during, start := l.tree(), time.Now()
			_, err := l.Uninstall(t.Context(), removal)
			if tt.well {
				check(t, err)
				l.wantTree(t, before)
				l.wantMacHas(t)
				return
			}
			if e := wrapped(t, err); !strings.Contains(err.Error(), "cannot tell") || e.Hint == "" || time.Since(start) > 30*time.Second {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
			l.wantTree(t, during)
			l.wantMacHas(t, has...)
		})
	}
	bubble(t, "nothing of ours, and security hangs", func(t *testing.T) {
		l := newLab(t, attended())
		check(t, l.world.Mac().Inject(mpdvirttest.MacFault{Kind: "hang", Tool: "security", Times: -1}))
		res, err := l.Uninstall(t.Context(), removal)
		if check(t, err); len(res.Left) != 1 || !strings.Contains(res.Left[0], "cannot tell") {
			t.Errorf("left %q", res.Left)
		}
	})
	bubble(t, "routes and tunnels that cannot be read keep nothing back", func(t *testing.T) {
		l, before := unregistered(t, attended())
		check(t, l.world.Mac().Inject(mpdvirttest.MacFault{Kind: "garbage", Tool: "netstat", Times: -1}, mpdvirttest.MacFault{Kind: "garbage", Tool: "scutil", Times: -1}))
		res, err := l.Uninstall(t.Context(), removal)
		if check(t, err); len(res.Left) != 2 {
			t.Errorf("left %q", res.Left)
		}
		l.wantTree(t, before)
		l.wantMacHas(t, "route 10.163.0.0/24")
	})
	bubble(t, "another language and no settings", func(t *testing.T) {
		l := newLab(t, attended())
		before := l.tree()
		l.uninstallKeys(t)
		check(t, l.world.Mac().Change(func(s *mpdvirttest.MacSettings) { s.Localised = true }))
		_, err := l.Uninstall(t.Context(), removal)
		check(t, err)
		l.wantTree(t, before)
	})
}

// onlyRecord takes the certificate out of the keychain and leaves its record.
func (l *lab) onlyRecord(t *testing.T) {
	t.Helper()
	certs, err := l.world.Mac().Certificates()
	check(t, err)
	for _, c := range certs {
		run := l.world.Mac().Emulator().Runner()
		_, err := run(t.Context(), sudo("/usr/bin/security", "delete-certificate", "-Z", sha1Of(c), "/Library/Keychains/System.keychain"))
		check(t, err)
	}
}

// The CAs of ours: expired, replaced, half removed, and files that are damaged.
func TestUninstallCAs(t *testing.T) {
	bubble(t, "expired and replaced", func(t *testing.T) {
		now := time.Now()
		l, before := unregistered(t, attended(func(c *mpdvirt.Config) { c.Now = func() time.Time { return now } }))
		now = now.AddDate(11, 0, 0)
		_, err := identity.Open(l.path(".mpd-virt/conf"), l.cfg.Now).Rotate()
		check(t, err)
		l.macTrusts(t, l.read(".mpd-virt/conf/caroot/rootCA.pem"))
		now = now.AddDate(11, 0, 0)
		res, err := l.Uninstall(t.Context(), removal)
		if check(t, err); len(res.Removed) != 8 {
			t.Errorf("removed %q", res.Removed)
		}
		l.wantMacHas(t)
		l.wantTree(t, before)
	})
	bubble(t, "a record that outlived its certificate", func(t *testing.T) {
		l, before := unregistered(t, attended())
		l.onlyRecord(t)
		l.wantMacHas(t, "resolver mpd.test", "route 10.163.0.0/24", "trust")
		_, err := l.Uninstall(t.Context(), removal)
		check(t, err)
		l.wantMacHas(t)
		l.wantTree(t, before)
	})
	bubble(t, "trusted by the person's own account", func(t *testing.T) {
		l := newLab(t, attended())
		l.uninstallKeys(t)
		run := l.world.Mac().Emulator().Runner()
		c := sudo("/usr/bin/security", "add-trusted-cert", "-r", "trustRoot", l.path(".mpd-virt/conf/caroot/rootCA.pem"))
		c.Argv = c.Argv[1:]
		_, err := run(t.Context(), c)
		check(t, err)
		res, err := l.Uninstall(t.Context(), removal)
		if check(t, err); len(res.Left) != 1 || !strings.Contains(res.Left[0], "your own account") {
			t.Errorf("left %q", res.Left)
		}
	})
	for name, of := range map[string]string{"a damaged file, and a certificate that may be its": "garbage", "an empty file": ""} {
		bubble(t, name, func(t *testing.T) {
			l, before := unregistered(t, attended())
			l.write(".mpd-virt/conf/caroot/rootCA.pem", of, 0o644)
			during := l.tree()
			_, err := l.Uninstall(t.Context(), removal)
			e := wrapped(t, err)
			if !strings.Contains(err.Error(), "rootCA.pem") || !strings.Contains(e.Hint, "sudo /usr/bin/security delete-certificate -Z ") {
				t.Errorf("%v\n%s", err, e.Hint)
			}
			l.wantTree(t, during)
			l.wantMacHas(t, everything...)

			certs, err := l.world.Mac().Certificates()
			check(t, err)
			run := l.world.Mac().Emulator().Runner()
			_, err = run(t.Context(), sudo("/usr/bin/security", "delete-certificate", "-t", "-Z", sha1Of(certs[0]), "/Library/Keychains/System.keychain"))
			check(t, err)
			_, err = l.Uninstall(t.Context(), removal)
			check(t, err)
			l.wantTree(t, before)
		})
	}
}

// F11: an uninstall that ended anywhere, between two steps or around any call of
// a tool, is finished by the next.
func TestUninstallStopped(t *testing.T) {
	type tool = func(cancel func(), run hypervisor.Runner) hypervisor.Runner
	for name, at := range map[string]tool{
		"between steps": nil,
		"before a tool has worked": func(cancel func(), run hypervisor.Runner) hypervisor.Runner {
			return func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
				if cancel(); ctx.Err() != nil {
					return hypervisor.Result{}, ctx.Err()
				}
				return run(ctx, c)
			}
		},
		"after a tool has worked": func(cancel func(), run hypervisor.Runner) hypervisor.Runner {
			return func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
				res, err := run(ctx, c)
				cancel()
				return res, err
			}
		},
	} {
		bubble(t, "F11 "+name, func(t *testing.T) {
			for n := int64(0); n < 200; n++ {
				ctx, cancel := context.WithCancel(t.Context())
				left := new(atomic.Int64)
				left.Store(n)
				count := func() {
					if left.Add(-1) < 0 {
						cancel()
					}
				}
				l, before := unregistered(t, attended(func(c *mpdvirt.Config) {
					if at != nil {
						c.Runner = at(count, c.Runner)
					}
				}))
				l.write(".mpd-virt/150/journal.json", "{}", 0o600)
				var stopping context.Context = ctx
				if at == nil {
					stopping = &countdown{ctx, count}
				}
				_, err := l.Uninstall(stopping, forced)
				whole := ctx.Err() == nil
				if cancel(); whole {
					check(t, err)
				} else if err != nil && !errors.Is(err, context.Canceled) { // or it was too late
					t.Fatalf("stopped at %d: %v", n, err)
				}
				_, err = l.Uninstall(t.Context(), forced)
				check(t, err)
				l.wantMacHas(t)
				if d := cmp.Diff(before, l.tree()); d != "" {
					t.Fatalf("stopped at %d: -want +got:\n%s", n, d)
				}
				if whole {
					t.Logf("stopped at %d places", n)
					return
				}
			}
			t.Error("it does not end")
		})
	}
}

// F11: a kill while a folder was being removed leaves any part of it.
func TestUninstallHalf(t *testing.T) {
	bubble(t, "F11", func(t *testing.T) {
		l := newLab(t, options{})
		before := l.tree()
		l.uninstallKeys(t)
		var files []string
		for name := range l.tree() {
			if _, of := before[name]; !of && name != ".mpd-virt" {
				files = append(files, name)
			}
		}
		for _, gone := range files {
			l.uninstallKeys(t)
			check(t, os.RemoveAll(l.path(gone)))
			_, err := l.Uninstall(t.Context(), removal)
			check(t, err)
			l.wantTree(t, before)
		}
	})
}

// countdown is a context that tells when it is asked for its error.
type countdown struct {
	context.Context
	asked func()
}

func (c *countdown) Err() error {
	c.asked()
	return c.Context.Err()
}

// F101: another run on any VM, or on what all share, ends it before anything is
// asked or changed.
func TestUninstallBusy(t *testing.T) {
	for _, name := range []string{".lock-150", ".lock-151", ".lock-clone", ".lock"} {
		bubble(t, "F101 "+name, func(t *testing.T) {
			l, _ := unregistered(t, attended())
			l.write(".mpd-virt/151/journal.json", "{}", 0o600)
			lock, err := statefile.Acquire(t.Context(), l.path(".mpd-virt/"+name), "setup", 0)
			check(t, err)
			before := l.tree()
			_, err = l.Uninstall(t.Context(), forced)
			var locked *mpdvirt.LockedError
			if !errors.As(err, &locked) || locked.Verb != "setup" || wrapped(t, err).Hint == "" {
				t.Errorf("error %v", err)
			}
			l.wantTree(t, before)
			l.wantMacHas(t, everything...)
			check(t, lock.Unlock())
			_, err = l.Uninstall(t.Context(), forced)
			check(t, err)
		})
	}
	during := func(t *testing.T, do func(l *lab)) (l *lab, err error) {
		l, _ = unregistered(t, options{config: func(c *mpdvirt.Config) {
			c.Prompter = person{confirm: func(string) bool { do(l); return true }}
		}})
		_, err = l.Uninstall(t.Context(), mpdvirt.UninstallRequest{})
		return l, err
	}
	bubble(t, "other verbs meanwhile", func(t *testing.T) {
		_, err := during(t, func(l *lab) {
			var locked *mpdvirt.LockedError
			if err := l.SetDefaultBackend(t.Context(), "general"); !errors.As(err, &locked) || locked.Verb != "uninstall" {
				t.Errorf("set-default: %v", err)
			}
			if _, err := l.Setup(t.Context(), adoption); !errors.As(err, &locked) || locked.Verb != "uninstall" {
				t.Errorf("setup: %v", err)
			}
			if vms, err := l.List(t.Context()); err != nil || len(vms) != 0 {
				t.Errorf("list: %v, %v", vms, err)
			}
		})
		check(t, err)
	})
	bubble(t, "a new VM begins meanwhile", func(t *testing.T) {
		l, err := during(t, func(l *lab) { l.write(".mpd-virt/160/journal.json", "{}", 0o600) })
		if err == nil || !l.exists(".mpd-virt/160/journal.json") {
			t.Errorf("error %v", err)
		}
	})
	bubble(t, "F103 a lock file is removed meanwhile", func(t *testing.T) {
		l, err := during(t, func(l *lab) { check(t, os.Remove(l.path(".mpd-virt/.lock"))) })
		if !errors.Is(err, statefile.ErrLockLost) || !l.exists(".mpd-virt/conf/caroot/rootCA.pem") {
			t.Errorf("error %v", err)
		}
		l.wantMacHas(t, everything...)
	})
}

// F86, F96: a symbolic link in the place of anything of ours is not followed.
func TestUninstallLinks(t *testing.T) {
	for _, name := range []string{".mpd-virt", ".mpd-virt/conf", ".mpd-virt/cache", ".mpd-virt/151", ".mpd-virt/.lock-150", ".mpd-virt/ssh_config"} {
		bubble(t, "F96 "+name, func(t *testing.T) {
			l, _ := unregistered(t, attended())
			if l.exists(name) {
				check(t, os.Rename(l.path(name), l.path("elsewhere")))
			} else {
				l.write("elsewhere/env", "x", 0o600)
			}
			check(t, os.Symlink(l.path("elsewhere"), l.path(name)))
			before := l.tree()
			_, err := l.Uninstall(t.Context(), forced)
			if e := wrapped(t, err); e.Hint == "" || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("%v, hint %q", err, e.Hint)
			}
			l.wantTree(t, before)
			l.wantMacHas(t, everything...)
		})
	}
	bubble(t, "F96 links inside", func(t *testing.T) {
		l, _ := unregistered(t, attended())
		l.write("elsewhere/file", "x", 0o600)
		before := l.tree()
		for _, dir := range []string{"conf", "conf/wireguard/150", "cache"} {
			check(t, os.Symlink(l.path("elsewhere"), filepath.Join(l.path(".mpd-virt"), dir, "link")))
		}
		_, err := l.Uninstall(t.Context(), removal)
		check(t, err)
		if l.exists(".mpd-virt") || l.read("elsewhere/file") != "x" || !slices.Contains([]string{before["elsewhere"]}, l.tree()["elsewhere"]) {
			t.Error("a link was followed, or is left")
		}
	})
	bubble(t, "F92 ~/.ssh/config is a link, and stays one", func(t *testing.T) {
		l, _ := unregistered(t, attended())
		check(t, os.Rename(l.path(".ssh/config"), l.path("config")))
		check(t, os.Symlink("../config", l.path(".ssh/config")))
		_, err := l.Uninstall(t.Context(), removal)
		check(t, err)
		if target, err := os.Readlink(l.path(".ssh/config")); err != nil || target != "../config" || l.read("config") != "Host *\n" {
			t.Errorf("link to %q: %q, %v", target, l.read("config"), err)
		}
	})
}

// sudo is a command that root runs, and for which the person types a password.
func sudo(argv ...string) hypervisor.Command {
	return hypervisor.Command{Argv: append([]string{"/usr/bin/sudo"}, argv...), Terminal: true}
}

func sha1Of(c *x509.Certificate) string { return fmt.Sprintf("%X", sha1.Sum(c.Raw)) }
