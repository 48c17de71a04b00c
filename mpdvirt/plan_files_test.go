package mpdvirt_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// What else can be in the home folder when a plan is made.
func TestPlanOfHome(t *testing.T) {
	ctx := context.Background()
	const temp = ".mpd-virt-ABCDEF.tmp"
	link := func(l *lab) string { return "Include \"" + l.path(".mpd-virt/ssh_config") + "\" # added by mpd-virt\n" }
	for name, prepare := range map[string]func(t *testing.T, l *lab){
		"wide modes": func(t *testing.T, l *lab) {
			for _, d := range []string{"", "conf", "conf/caroot", "conf/wireguard", "conf/wireguard/150", "150", "150/logs"} {
				check(t, os.Chmod(l.path(".mpd-virt/"+d), 0o755))
			}
			for _, f := range []string{"conf/caroot/rootCA-key.pem", "conf/wireguard/mac.private", "conf/wireguard/150/client.conf", "150/env", "150/known_hosts", "150/journal.json", "ssh_config"} {
				check(t, os.Chmod(l.path(".mpd-virt/"+f), 0o644))
			}
		},
		"leftovers": func(t *testing.T, l *lab) {
			for _, d := range []string{"", "conf/", "conf/caroot/", "conf/wireguard/", "conf/wireguard/150/", "conf/service/", "150/", "150/logs/"} {
				l.write(".mpd-virt/"+d+temp, "left", 0o600)
			}
			l.write(".ssh/"+temp, "left", 0o600)
		},
		"ssh config is a link": func(t *testing.T, l *lab) {
			l.write("dotfiles/ssh", "Host *\n  User me\n", 0o640)
			check(t, os.Remove(l.path(".ssh/config")))
			check(t, os.Symlink("../dotfiles/ssh", l.path(".ssh/config")))
			l.write("dotfiles/"+temp, "left", 0o600)
		},
		"our line elsewhere": func(t *testing.T, l *lab) {
			l.write(".ssh/config", "Host *\r\n  User me\r\n"+link(l)+link(l)+"Host x\n", 0o644)
		},
		"ssh entries edited": func(t *testing.T, l *lab) { l.write(".mpd-virt/ssh_config", "Host mpd-150\n  User root\n", 0o644) },
		"a large ssh entry file": func(t *testing.T, l *lab) {
			l.write(".mpd-virt/ssh_config", strings.Repeat("# a line of it\n", 400000), 0o600)
		},
		"broken entry beside": func(t *testing.T, l *lab) {
			l.write(".mpd-virt/151/env", "MPD_VM_OCTET=nonsense\n", 0o600)
			l.write(".mpd-virt/152/journal.json", "{", 0o600)
			check(t, os.Remove(l.path(".ssh/config")))
		},
		"entry with comments": func(t *testing.T, l *lab) {
			l.write(".mpd-virt/150/env", "# mine\n"+strings.Replace(l.read(".mpd-virt/150/env"), "general", "general # so", 1)+"OTHER=1\n", 0o644)
		},
		"conf without some": func(t *testing.T, l *lab) {
			for _, f := range []string{"conf/wireguard/mac.public", "conf/wireguard/150/client.conf", "conf/wireguard/150/mpd-150.mobileconfig"} {
				check(t, os.Remove(l.path(".mpd-virt/"+f)))
			}
		},
		"no conf":    func(t *testing.T, l *lab) { check(t, os.RemoveAll(l.path(".mpd-virt/conf"))) },
		"no journal": func(t *testing.T, l *lab) { check(t, os.Remove(l.path(".mpd-virt/150/journal.json"))) },
		"many logs": func(t *testing.T, l *lab) {
			for i := range 30 {
				l.write(".mpd-virt/150/logs/2001-01-01T00-00-"+string(rune('a'+i))+"-setup.log", "old", 0o600)
			}
		},
	} {
		for verb, req := range map[string]mpdvirt.PlanRequest{
			"setup": alone, "update": mpdvirt.UpdateRequest{Octet: octet}, "delete": mpdvirt.DeleteRequest{Octet: octet, Yes: true},
			"diag": mpdvirt.DiagRequest{Octet: octet}, "default": mpdvirt.DefaultBackendRequest{Name: "general"},
			"uninstall": forced, "trust": mpdvirt.TrustRequest{Yes: true}, "rotate": mpdvirt.CARotateRequest{Yes: true},
		} {
			if name == "no conf" && (verb == "trust" || verb == "rotate") || name == "broken entry beside" && verb == "rotate" {
				continue // refused
			}
			bubble(t, name+", "+verb, func(t *testing.T) {
				l := newLab(t, attended())
				l.setup(adoption)
				prepare(t, l)
				l.on(t).holds(req, func() error {
					switch req := req.(type) {
					case mpdvirt.SetupRequest:
						_, err := l.Setup(ctx, req)
						return err
					case mpdvirt.UpdateRequest:
						_, err := l.Update(ctx, req)
						return err
					case mpdvirt.DeleteRequest:
						_, err := l.Delete(ctx, req)
						return err
					case mpdvirt.DiagRequest:
						_, err := l.Diag(ctx, req)
						return err
					case mpdvirt.TrustRequest:
						_, err := l.Trust(ctx, req)
						return err
					case mpdvirt.CARotateRequest:
						_, err := l.CARotate(ctx, req)
						return err
					case mpdvirt.UninstallRequest:
						_, err := l.Uninstall(ctx, req)
						return err
					}
					return l.SetDefaultBackend(ctx, "general")
				})
			})
		}
	}
	for name, text := range map[string]string{
		"damaged": "MPD_VIRT_DEFAULT_BACKEND=\x00\nX=1\n", "twice": "MPD_VIRT_DEFAULT_BACKEND=utm\nMPD_VIRT_DEFAULT_BACKEND=utm\n", "wide": "# mine\n",
		"the same": "MPD_VIRT_DEFAULT_BACKEND=general\n",
	} {
		bubble(t, "default backend, "+name, func(t *testing.T) {
			l := newLab(t, options{})
			l.write(".mpd-virt/conf/backend.env", text, 0o644)
			l.on(t).holds(mpdvirt.DefaultBackendRequest{Name: "general"}, func() error { return l.SetDefaultBackend(ctx, "general") })
		})
	}
	bubble(t, "ssh folder is a link", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, os.Rename(l.path(".ssh"), l.path("dotssh")))
		check(t, os.Symlink("dotssh", l.path(".ssh")))
		check(t, os.Remove(l.path("dotssh/config")))
		p, err := l.Plan(ctx, alone)
		check(t, err)
		_, _, files := l.on(t).told(p)
		if c := files[l.path(".ssh/config")]; len(c) != 1 || !c[0].New || c[0].Mode != "0600" {
			t.Errorf("told %+v", files)
		}
	})
	bubble(t, "home is a link", func(t *testing.T) {
		l := newLab(t, options{config: func(c *mpdvirt.Config) {
			at := filepath.Join(filepath.Dir(c.Home), "link")
			if err := os.Symlink(c.Home, at); err != nil {
				panic(err)
			}
			c.Home = at
		}})
		check(t, os.RemoveAll(l.path(".ssh/config")))
		_, err := l.Plan(ctx, adoption)
		check(t, err)
		l.setup(adoption)
	})
}

// Another run that works for a moment on what all VMs share is waited for, as
// the verb does.
func TestPlanWaitsForSharedLock(t *testing.T) {
	l := adopted(t, options{})
	check(t, os.Remove(l.path(".ssh/config")))
	lock, err := statefile.Acquire(t.Context(), l.path(".mpd-virt/.lock"), "setup", 0)
	check(t, err)
	time.AfterFunc(200*time.Millisecond, func() { lock.Unlock() })
	_, err = l.Plan(t.Context(), mpdvirt.DiagRequest{Octet: octet})
	check(t, err)
}
