package mpdvirt_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func TestPlanOfUTMStates(t *testing.T) {
	ctx := context.Background()
	for _, noCtl := range []bool{false, true} {
		for _, state := range []string{"started", "stopped", "paused", "suspended", "starting", "stopping"} {
			for name, req := range map[string]mpdvirt.PlanRequest{
				"start": mpdvirt.StartRequest{Octet: octet}, "stop": mpdvirt.StopRequest{Octet: octet}, "kill": mpdvirt.StopRequest{Octet: octet, Kill: true},
				"delete": mpdvirt.DeleteRequest{Octet: octet, Yes: true},
			} {
				bubble(t, fmt.Sprint(state, " ", name, ", without utmctl: ", noCtl), func(t *testing.T) {
					f := newUTM(t, mpdvirttest.UTMOptions{Settings: mpdvirttest.UTMSettings{NoUtmctl: noCtl}})
					_, err := f.Create(ctx, creation(octet))
					check(t, err)
					if state != "started" {
						check(t, f.utm.SetState(f.utm.UUID("mpd-150"), state))
					}
					run := func() error {
						switch req := req.(type) {
						case mpdvirt.StartRequest:
							_, err := f.Start(ctx, req)
							return err
						case mpdvirt.StopRequest:
							return f.Stop(ctx, req)
						case mpdvirt.DeleteRequest:
							_, err := f.Delete(ctx, req)
							return err
						}
						return nil
					}
					s := f.on(t)
					if noCtl {
						s.absent = "utmctl"
					}
					if _, err := f.Plan(ctx, req); err != nil {
						s.refuses(req, run)
					} else {
						s.holds(req, run)
					}
				})
			}
		}
	}
}

// A plan is also true at other moments at which a run can end.
func TestPlanResumesElsewhere(t *testing.T) {
	ctx := context.Background()
	for _, step := range append([]string{mpdvirt.StepMake, mpdvirt.StepStart, mpdvirt.StepLease}, mpdvirt.StepIDs()...) {
		for _, verb := range []string{"clone", "setup", "delete"} {
			bubble(t, "clone stopped at "+step+", then "+verb, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				stopped, stop := context.WithCancel(ctx)
				defer stop()
				f.watch = func(e mpdvirt.Event) {
					if e.Kind == mpdvirt.StepStarted && e.Step == step {
						stop()
					}
				}
				sized := order(octet)
				sized.RAM = 6 * hypervisor.GiB
				if _, err := f.m.Clone(stopped, sized); err == nil {
					t.Skip("there is no such step")
				}
				f.watch = nil
				made := f.parallels.UUID("mpd-150") != ""
				s := f.on(t)
				var req mpdvirt.PlanRequest
				var run func() error
				switch verb {
				case "clone":
					req, run = sized, func() error {
						_, err := f.m.Clone(ctx, sized)
						if !made {
							s.standins["(?i)"+f.parallels.UUID("mpd-150")] = hypervisor.NilUUID
						}
						return err
					}
				case "setup":
					req, run = alone, func() error { _, err := f.m.Setup(ctx, alone); return err }
				case "delete":
					s.vms = nil
					req, run = deletion, func() error { _, err := f.m.Delete(ctx, deletion); return err }
				}
				if _, err := f.m.Plan(ctx, req); err != nil {
					s.refuses(req, run)
				} else {
					s.holds(req, run)
				}
			})
		}
	}
	for _, step := range append([]string{"image", "disk", "create", "first-boot", "remove-seed", "start"}, mpdvirt.StepIDs()...) {
		for _, verb := range []string{"setup", "delete", "uninstall"} {
			bubble(t, "create stopped at "+step+", then "+verb, func(t *testing.T) {
				f := newUTM(t, mpdvirttest.UTMOptions{})
				if _, err := f.Create(f.cancelAt(step), creation(octet)); err == nil {
					t.Skip("there is no such step")
				}
				f.watch = nil
				s := f.on(t)
				var req mpdvirt.PlanRequest
				var run func() error
				switch verb {
				case "setup":
					req, run = alone, func() error { _, err := f.Setup(ctx, alone); return err }
				case "delete":
					s.vms = nil
					req, run = deletion, func() error { _, err := f.Delete(ctx, deletion); return err }
				case "uninstall":
					req, run = forced, func() error { _, err := f.Uninstall(ctx, forced); return err }
				}
				if _, err := f.Plan(ctx, req); err != nil {
					s.refuses(req, run)
				} else {
					s.holds(req, run)
				}
			})
		}
	}
	bubble(t, "kept after a first boot that failed", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitError})
		req := creation(octet)
		req.Keep = true
		if _, err := f.Create(ctx, req); err == nil {
			t.Fatal("no error")
		}
		f.utm.SetCloudInit(mpdvirttest.CloudInitDone)
		f.on(t).holds(deletion, func() error { _, err := f.Delete(ctx, deletion); return err })
	})
	bubble(t, "while another VM is cloned", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		_, err := f.m.Clone(ctx, order(octet))
		check(t, err)
		lock, err := statefile.Acquire(ctx, f.Home()+"/.mpd-virt/.lock-clone", "clone", 0)
		check(t, err)
		defer lock.Unlock()
		p, err := f.m.Plan(ctx, order(151))
		check(t, err)
		if !hasWait(p, "another clone has ended") {
			t.Errorf("plan %+v", p.Steps)
		}
	})
}

func hasWait(p *mpdvirt.Plan, text string) bool {
	for _, s := range p.Steps {
		for _, a := range s.Actions {
			if a.Kind == mpdvirt.PlanWait && a.Text == text {
				return true
			}
		}
	}
	return false
}
