package mpdvirt_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// What else a VM, a hypervisor and macOS can be like when a plan is made.
func TestPlanOfChangedVM(t *testing.T) {
	ctx := context.Background()
	setup := func(l *lab, req mpdvirt.SetupRequest) func() error {
		return func() error { _, err := l.Setup(ctx, req); return err }
	}
	bubble(t, "another host key, accepted", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.RotateHostKeys())
		_, err := l.Setup(ctx, alone)
		var key *mpdvirt.HostKeyError
		if !errors.As(err, &key) {
			t.Fatal(err)
		}
		req := mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: key.Got}
		l.on(t).holds(req, setup(l, req))
	})
	bubble(t, "the same key, accepted", func(t *testing.T) {
		l := adopted(t, options{})
		_, err := l.Setup(ctx, mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: "SHA256:" + strings.Repeat("A", 43)})
		var key *mpdvirt.HostKeyError
		if !errors.As(err, &key) {
			t.Fatal(err)
		}
		req := mpdvirt.SetupRequest{Octet: octet, AcceptHostKey: key.Got}
		l.on(t).holds(req, setup(l, req))
	})
	bubble(t, "unfinished", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepClone, Kind: mpdvirttest.Exit, Status: 1, Times: 1})
		l.refused(adoption)
		l.on(t).holds(alone, setup(l, alone))
	})
	bubble(t, "the address by hand", func(t *testing.T) {
		l := adopted(t, options{})
		l.write(".mpd-virt/conf/wireguard/150/client.conf", strings.Replace(l.read(".mpd-virt/conf/wireguard/150/client.conf"), canonical.String(), "10.211.55.9", 1), 0o644)
		l.on(t).holds(alone, setup(l, alone))
	})
	bubble(t, "in the VM", func(t *testing.T) {
		for _, name := range []string{"/opt/mpd/bin/mpd", "/etc/wireguard/mpd0.conf", "/var/lib/mpd/conf/caroot/rootCA.pem", "/opt/mpd/bootstrap/30-networking.sh"} {
			t.Log(name)
			l := adopted(t, options{})
			if _, _, err := l.vm.File(name); err != nil {
				t.Log("skipped", err)
				continue
			}
			check(t, l.vm.Remove(name))
			p := l.on(t).holds(alone, setup(l, alone))
			if p.Verb != "setup" {
				t.Error(p)
			}
		}
	})
}

func TestPlanOfParallelsStates(t *testing.T) {
	ctx := context.Background()
	for _, state := range []string{"running", "stopped", "suspended", "paused", "starting", "stopping", "mounted"} {
		for name, req := range map[string]mpdvirt.PlanRequest{
			"start": mpdvirt.StartRequest{Octet: octet}, "stop": mpdvirt.StopRequest{Octet: octet}, "kill": mpdvirt.StopRequest{Octet: octet, Kill: true},
			"delete": mpdvirt.DeleteRequest{Octet: octet, Yes: true},
		} {
			bubble(t, state+" "+name, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				_, err := f.m.Clone(ctx, order(octet))
				check(t, err)
				if state != "running" {
					check(t, f.parallels.SetState(f.parallels.UUID("mpd-150"), state))
				}
				run := func() error {
					switch req := req.(type) {
					case mpdvirt.StartRequest:
						_, err := f.m.Start(ctx, req)
						return err
					case mpdvirt.StopRequest:
						return f.m.Stop(ctx, req)
					case mpdvirt.DeleteRequest:
						_, err := f.m.Delete(ctx, req)
						return err
					}
					return nil
				}
				if _, err := f.m.Plan(ctx, req); err != nil {
					f.on(t).refuses(req, run)
				} else {
					f.on(t).holds(req, run)
				}
			})
		}
	}
}

func TestPlanOfDelete(t *testing.T) {
	ctx := context.Background()
	for name, prepare := range map[string]func(t *testing.T, f *prlMac){
		"as it is":   func(*testing.T, *prlMac) {},
		"renamed":    func(t *testing.T, f *prlMac) { check(t, f.parallels.Rename(f.parallels.UUID("mpd-150"), "somebody")) },
		"vanished":   func(t *testing.T, f *prlMac) { check(t, f.parallels.Remove(f.parallels.UUID("mpd-150"))) },
		"no journal": func(t *testing.T, f *prlMac) { check(t, os.Remove(f.Home()+"/.mpd-virt/150/journal.json")) },
		"no keys":    func(t *testing.T, f *prlMac) { check(t, os.RemoveAll(f.Home()+"/.mpd-virt/conf")) },
	} {
		for _, keep := range []bool{false, true} {
			bubble(t, name, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				_, err := f.m.Clone(ctx, order(octet))
				check(t, err)
				prepare(t, f)
				req := mpdvirt.DeleteRequest{Octet: octet, KeepVM: keep, Yes: true}
				s := f.on(t)
				s.vms = nil
				s.holds(req, func() error { _, err := f.m.Delete(ctx, req); return err })
			})
		}
	}
	bubble(t, "order without a VM", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		if _, err := f.Create(f.cancelAt("disk"), creation(octet)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		f.watch = nil
		for _, req := range []mpdvirt.DeleteRequest{{Octet: octet, Yes: true, KeepVM: true}} {
			f.on(t).holds(req, func() error { _, err := f.Delete(ctx, req); return err })
		}
	})
}

func TestPlanOfRotation(t *testing.T) {
	ctx := context.Background()
	req := mpdvirt.CARotateRequest{}
	bubble(t, "goes on", func(t *testing.T) {
		l, vm := pair(t, yes, mpdvirttest.Options{})
		vm.PowerOff()
		if _, err := l.CARotate(ctx, req); err == nil {
			t.Fatal("it is done")
		}
		vm.PowerOn()
		s := l.on(t)
		s.vms = func() []*mpdvirttest.VM { return []*mpdvirttest.VM{l.vm, vm} }
		s.holds(req, func() error { _, err := l.CARotate(ctx, req); return err })
	})
	bubble(t, "setup gives the new one", func(t *testing.T) {
		l, vm := pair(t, yes, mpdvirttest.Options{})
		vm.PowerOff()
		if _, err := l.CARotate(ctx, req); err == nil {
			t.Fatal("it is done")
		}
		vm.PowerOn()
		s := l.on(t)
		s.vms = func() []*mpdvirttest.VM { return []*mpdvirttest.VM{l.vm, vm} }
		one := mpdvirt.SetupRequest{Octet: octet + 1}
		s.holds(one, func() error { _, err := l.Setup(ctx, one); return err })
	})
	bubble(t, "not trusted before", func(t *testing.T) {
		l := owned(t, yes)
		l.on(t).holds(req, func() error { _, err := l.CARotate(ctx, req); return err })
	})
	bubble(t, "no VM", func(t *testing.T) {
		l, _ := unregistered(t, attended())
		l.on(t).holds(req, func() error { _, err := l.CARotate(ctx, req); return err })
	})
	bubble(t, "without a person", func(t *testing.T) {
		l := adopted(t, options{})
		before := l.tree()
		_, err := l.Plan(ctx, req)
		check(t, err)
		l.wantTree(t, before)
	})
}

func TestPlanOfTrust(t *testing.T) {
	ctx := context.Background()
	for name, prepare := range map[string]func(t *testing.T, l *lab){
		"nothing":     func(*testing.T, *lab) {},
		"in keychain": func(t *testing.T, l *lab) { check(t, l.world.Mac().AddCertificate([]byte(l.read(caFile)))) },
		"trusted":     func(t *testing.T, l *lab) { l.macTrusts(t, l.read(caFile)) },
		"record only": func(t *testing.T, l *lab) { check(t, l.world.Mac().SetTrust([]byte(l.read(caFile)), "root")) },
		"denied": func(t *testing.T, l *lab) {
			check(t, l.world.Mac().AddCertificate([]byte(l.read(caFile))))
			check(t, l.world.Mac().SetTrust([]byte(l.read(caFile)), "deny"))
		},
		"expired":  func(*testing.T, *lab) { <-time.After(11 * 366 * 24 * time.Hour) },
		"no CA":    func(t *testing.T, l *lab) { check(t, os.RemoveAll(l.path(".mpd-virt/conf"))) },
		"damaged":  func(t *testing.T, l *lab) { l.write(caFile, "x", 0o600) },
		"no state": func(t *testing.T, l *lab) { check(t, os.RemoveAll(l.path(".mpd-virt"))) },
		"another's": func(t *testing.T, l *lab) {
			check(t, l.world.Mac().AddCertificate([]byte(otherCA(t, l))))
		},
	} {
		for verb, req := range map[string]mpdvirt.PlanRequest{
			"trust": mpdvirt.TrustRequest{}, "untrust": mpdvirt.TrustRequest{Remove: true, Yes: true}, "uninstall": forced, "uninstall asked": mpdvirt.UninstallRequest{Force: true},
		} {
			bubble(t, name+" "+verb, func(t *testing.T) {
				l := owned(t, yes)
				prepare(t, l)
				run := func() (err error) {
					switch req := req.(type) {
					case mpdvirt.TrustRequest:
						_, err = l.Trust(ctx, req)
					case mpdvirt.UninstallRequest:
						_, err = l.Uninstall(ctx, req)
					}
					return err
				}
				if _, err := l.Plan(ctx, req); err != nil {
					l.on(t).refuses(req, run)
				} else {
					l.on(t).holds(req, run)
				}
			})
		}
	}
}

func TestPlanOfUninstall(t *testing.T) {
	ctx := context.Background()
	uninstall := func(l *lab, req mpdvirt.UninstallRequest) func() error {
		return func() error { _, err := l.Uninstall(ctx, req); return err }
	}
	bubble(t, "strangers", func(t *testing.T) {
		l, _ := unregistered(t, attended())
		l.write(".mpd-virt/mine.txt", "", 0o600)
		l.write(".mpd-virt/.DS_Store", "", 0o600)
		l.write(".mpd-virt/trust-12/settings.plist", "", 0o600)
		l.write(".mpd-virt/150/x", "", 0o600)
		l.write(".mpd-virt/conf/.mpd-virt-ABC.tmp", "", 0o600)
		l.on(t).holds(forced, uninstall(l, forced))
		l.on(t).holds(forced, uninstall(l, forced))
	})
	bubble(t, "nothing", func(t *testing.T) {
		l := newLab(t, attended())
		l.on(t).holds(removal, uninstall(l, removal))
	})
	bubble(t, "half done", func(t *testing.T) {
		l, _ := unregistered(t, attended())
		check(t, os.RemoveAll(l.path(".mpd-virt/conf")))
		l.on(t).holds(removal, uninstall(l, removal))
	})
	bubble(t, "locked", func(t *testing.T) {
		for _, name := range []string{".lock-150", ".lock-clone", ".lock"} {
			l, _ := unregistered(t, attended())
			lock, err := statefile.Acquire(ctx, l.path(".mpd-virt/"+name), "update", 0)
			check(t, err)
			l.on(t).refuses(removal, uninstall(l, removal))
			check(t, lock.Unlock())
		}
	})
}

func TestPlanWithoutPrompter(t *testing.T) {
	bubble(t, "questions are told", func(t *testing.T) {
		l := adopted(t, options{})
		for _, req := range []mpdvirt.PlanRequest{
			mpdvirt.DeleteRequest{Octet: octet}, mpdvirt.TrustRequest{Remove: true}, mpdvirt.CARotateRequest{}, mpdvirt.UninstallRequest{Force: true},
		} {
			p, err := l.Plan(t.Context(), req)
			check(t, err)
			if p.Steps[0].Actions[0].Kind != mpdvirt.PlanQuestion {
				t.Errorf("%s: %+v", p.Verb, p.Steps[0])
			}
		}
	})
	bubble(t, "sudo", func(t *testing.T) {
		l := newLab(t, options{config: func(c *mpdvirt.Config) { c.Prompter = yes }})
		l.vm.SetSudo(mpdvirttest.SudoPassword)
		if _, err := l.Plan(t.Context(), adoption); err == nil {
			t.Error("no error")
		}
	})
}

func TestPlanOfSilentCreator(t *testing.T) {
	bubble(t, "create", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		cfg := f.cfg
		b := mpdvirt.DefaultBackends(cfg.Runner, cfg.SystemRoot)[2]
		cfg.Backends = []hypervisor.Hypervisor{silentCreator{b, b.(hypervisor.Creator)}}
		m, err := mpdvirt.New(cfg)
		check(t, err)
		before := tree(t, f.Home())
		p, err := m.Plan(t.Context(), creation(octet))
		check(t, err)
		if text := difference(before, tree(t, f.Home())); text != "" {
			t.Error(text)
		}
		var texts []string
		for _, st := range p.Steps {
			for _, a := range st.Actions {
				if a.Kind == mpdvirt.PlanBackend {
					texts = append(texts, a.Text)
				}
			}
		}
		on := "utm: turn on mpd-150, " + hypervisor.NilUUID
		if want := []string{"utm: create mpd-150", on, "utm: shut mpd-150 down", "utm: take the seed from mpd-150", on}; !slices.Equal(texts, want) {
			t.Errorf("told %q, want %q", texts, want)
		}
	})
}

// silentCreator is a backend that creates VMs and does not rehearse.
type silentCreator struct {
	hypervisor.Hypervisor
	hypervisor.Creator
}
