package mpdvirt_test

import (
	"context"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// An order that was not begun has made no VM: one of its name is somebody's.
func TestCloneLeavesOthersAlone(t *testing.T) {
	own := func(t *testing.T, f *prlMac) string {
		_, err := f.parallels.AddVM("mpd-150", mpdvirttest.VMOptions{User: "dev"})
		check(t, err)
		check(t, f.parallels.SetState("mpd-150", "stopped"))
		return f.parallels.UUID("mpd-150")
	}
	unbegun := func(t *testing.T, f *prlMac) {
		ctx, cancel := context.WithCancel(t.Context())
		f.watch = func(e mpdvirt.Event) {
			if e.Kind == mpdvirt.StepStarted && e.Step == mpdvirt.StepMake {
				cancel()
			}
		}
		if _, err := f.m.Clone(ctx, order(150)); !errors.Is(err, context.Canceled) {
			t.Fatalf("clone: %v", err)
		}
		f.watch = nil
	}
	bubble(t, "clone again", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		unbegun(t, f)
		theirs := own(t, f)
		before := f.machines(t)
		_, err := f.m.Clone(t.Context(), order(150))
		wantError(t, err, mpdvirt.ErrRefused, theirs)
		if after := f.machines(t); !equalMaps(before, after) {
			t.Errorf("VMs before %v, after %v", before, after)
		}
		if vms, err := f.m.List(t.Context()); err != nil || len(vms) > 0 {
			t.Errorf("the order is still there: %v, %v", vms, err)
		}
	})
	bubble(t, "setup", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		unbegun(t, f)
		own(t, f)
		_, err := f.m.Setup(t.Context(), alone)
		wantError(t, err, hypervisor.ErrNoMachine, "mpd-virt clone 150")
	})
	bubble(t, "delete", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		unbegun(t, f)
		theirs := own(t, f)
		res, err := f.m.Delete(t.Context(), deletion)
		if check(t, err); f.parallels.VM(theirs) == nil {
			t.Errorf("somebody's VM is deleted: %+v", res)
		}
	})
	for name, verb := range map[string]func(f *prlMac) error{
		"clone":  func(f *prlMac) error { _, err := f.m.Clone(f.ctx, order(150)); return err },
		"setup":  func(f *prlMac) error { _, err := f.m.Setup(f.ctx, alone); return err },
		"delete": func(f *prlMac) error { _, err := f.m.Delete(f.ctx, deletion); return err },
	} {
		bubble(t, "a VM that runs is not the one of a clone that was killed: "+name, func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{})
			f.ctx = t.Context()
			ctx, cancel := context.WithCancel(t.Context())
			f.HandleCommand("prlctl", func(call context.Context, c hypervisor.Command) (hypervisor.Result, error) {
				if c.Argv[1] == "clone" { // it is ended before it has made anything
					cancel()
					return hypervisor.Result{}, context.Canceled
				}
				return f.parallels.Emulator().Runner()(call, c)
			})
			if _, err := f.m.Clone(ctx, order(150)); !errors.Is(err, context.Canceled) {
				t.Fatalf("clone: %v", err)
			}
			_, err := f.parallels.AddVM("mpd-150", mpdvirttest.VMOptions{User: "dev"})
			check(t, err)
			before := f.machines(t)
			wantError(t, verb(f), mpdvirt.ErrRefused, f.parallels.UUID("mpd-150"), "running")
			if after := f.machines(t); !equalMaps(before, after) {
				t.Errorf("VMs before %v, after %v", before, after)
			}
		})
	}
}

// A clone that was killed is given the sizes that were ordered when it goes on.
func TestCloneResumesSizes(t *testing.T) {
	for _, at := range []string{"clone", "set"} {
		bubble(t, at, func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{})
			req := order(150)
			req.RAM, req.Disk = 6*hypervisor.GiB, 100*hypervisor.GiB
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stopped := f.stopAt(at, cancel)
			if _, err := f.m.Clone(ctx, req); err == nil {
				t.Fatal("the clone was not stopped")
			}
			stopped()
			res, err := f.m.Clone(t.Context(), req)
			check(t, err)
			vm, _ := f.parallels.Emulator().VM("mpd-150")
			if vm.RAM != 6<<10 || vm.Disk != 100<<10 || len(res.Warnings) > 0 {
				t.Errorf("it has %v and %v, warnings %q", vm.RAM, vm.Disk, res.Warnings)
			}
		})
	}
}

// A clone that failed in its setup goes on by the same command, also once it
// is registered, and after the VM was turned off meanwhile; then it exists.
func TestCloneGoesOn(t *testing.T) {
	for _, step := range []string{mpdvirttest.StepClone, mpdvirttest.StepNetworking, mpdvirttest.StepBuild} {
		for _, off := range []bool{false, true} {
			name := step
			if off {
				name += ", off meanwhile"
			}
			bubble(t, name, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				f.failing(step)
				_, err := f.m.Clone(t.Context(), order(150))
				wantError(t, err, err, "mpd-virt setup 150")
				uuid := f.parallels.UUID("mpd-150")
				if off {
					res, err := f.Run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "stop", "mpd-150", "--kill"}})
					if check(t, err); res.Status != 0 {
						t.Fatal(string(res.Stderr))
					}
					_, err = f.m.Setup(t.Context(), alone)
					wantError(t, err, err, "stopped")
					if step == mpdvirttest.StepBuild {
						wantError(t, err, err, "mpd-virt start 150")
					} else {
						wantError(t, err, err, "mpd-virt clone 150")
					}
				}
				res, err := f.m.Clone(t.Context(), order(150))
				if check(t, err); res.VM.UUID != uuid || !res.Report.Healthy() {
					t.Errorf("%+v", res)
				}
				_, err = f.m.Clone(t.Context(), order(150))
				wantError(t, err, mpdvirt.ErrExists, "mpd-virt show 150")
			})
		}
	}
}

// failing makes a step of the next clone's setup fail once.
func (f *prlMac) failing(step string) {
	f.watch = func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.StepEnded && e.Step == mpdvirt.StepLease {
			f.parallels.VM("mpd-150").Inject(mpdvirttest.Fault{Step: step, Kind: mpdvirttest.Exit, Status: 3})
			f.watch = nil
		}
	}
}

// A VM that somebody deleted while its clone was stopped is made anew, with
// keys of its own.
func TestCloneMadeAnew(t *testing.T) {
	bubble(t, "after rotation", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		f.failing(mpdvirttest.StepClone)
		if _, err := f.m.Clone(t.Context(), order(150)); err == nil {
			t.Fatal("the clone did not fail")
		}
		old := f.parallels.VM("mpd-150").HostKeyFingerprint()
		check(t, f.parallels.Remove("mpd-150"))
		_, err := f.m.Clone(t.Context(), order(150))
		check(t, err)
		if now := f.parallels.VM("mpd-150").HostKeyFingerprint(); now == old || now == f.template.HostKeyFingerprint() {
			t.Errorf("its host key is %s", now)
		}
	})
}

// The order of a VM that is a template now is not forgotten by delete.
func TestDeleteHiddenOrder(t *testing.T) {
	bubble(t, "template", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stopped := f.stopAt("start", cancel)
		if _, err := f.m.Clone(ctx, order(150)); err == nil {
			t.Fatal("the clone was not stopped")
		}
		stopped()
		uuid := f.parallels.UUID("mpd-150")
		for _, argv := range [][]string{{"prlctl", "stop", uuid, "--kill"}, {"prlctl", "set", uuid, "--template", "on"}} {
			_, err := f.Run(t.Context(), hypervisor.Command{Argv: argv})
			check(t, err)
		}
		_, err := f.m.Delete(t.Context(), deletion)
		wantError(t, err, hypervisor.ErrState, "--template off")
		if vms, err := f.m.List(t.Context()); err != nil || len(vms) != 1 {
			t.Errorf("the order is forgotten: %v, %v", vms, err)
		}
	})
}

// F63, F64: a VM that tells no address, and one whose template has the address
// of another VM, ends the wait with its name and the way on.
func TestCloneWithoutAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		fixed := netip.MustParseAddr("10.211.55.60")
		_, err := f.parallels.AddTemplate("mpd-template-fixed", mpdvirttest.VMOptions{User: "dev", Addr: fixed})
		check(t, err)
		holder, err := f.parallels.AddVM("holder", mpdvirttest.VMOptions{User: "dev", Addr: fixed})
		check(t, err)
		key, req := holder.HostKeyFingerprint(), order(150)
		req.Template = "mpd-template-fixed"
		begin := time.Now()
		_, err = f.m.Clone(t.Context(), req)
		wantError(t, err, err, "mpd-150", f.parallels.UUID("mpd-150"), "no address", "mpd-virt setup 150 --ip=", "mpd-virt clone 150", "mpd-virt delete 150")
		if took := time.Since(begin); took > 5*time.Minute {
			t.Errorf("it took %v", took)
		}
		if holder.HostKeyFingerprint() != key || len(holder.Steps()) > 0 {
			t.Error("the other VM was changed")
		}
		holder.PowerOff()
		check(t, f.parallels.Remove("holder"))
		_, err = f.Run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "stop", "mpd-150", "--kill"}})
		check(t, err)
		_, err = f.m.Clone(t.Context(), req)
		check(t, err)
	})
}

// A rotation that is interrupted at whatever moment, after which the VM may
// boot anew, is finished by the next run, whichever verb it is: the VM has keys
// of its own, and no others are pinned.
func TestRotationInterrupted(t *testing.T) {
	for n := 1; ; n++ {
		ended := false
		for _, boots := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				rotating, seen, moment := false, 0, ""
				f.watch = func(e mpdvirt.Event) {
					switch {
					case e.Step == "rotate":
						rotating = e.Kind == mpdvirt.StepStarted
					case !rotating || e.Kind != mpdvirt.Debug:
						return
					}
					if seen++; seen == n {
						moment = e.Text
						cancel()
					}
				}
				_, err := f.m.Clone(ctx, order(150))
				if f.watch = nil; moment == "" && err == nil {
					ended = true
					return
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("moment %d, %q: %v", n, moment, err)
				}
				vm := f.parallels.VM("mpd-150")
				if boots {
					vm.PowerOff()
					check(t, vm.PowerOn())
				}
				if n%2 == 0 {
					_, err = f.m.Setup(t.Context(), alone)
				} else {
					_, err = f.m.Clone(t.Context(), order(150))
				}
				if err != nil {
					t.Fatalf("moment %d, %q, then: %v", n, moment, err)
				}
				show, err := f.m.Show(t.Context(), mpdvirt.ShowRequest{Octet: octet})
				check(t, err)
				var own []string
				for _, k := range vm.HostKeys() {
					own = append(own, ssh.FingerprintSHA256(k))
				}
				slices.Sort(own)
				slices.Sort(show.HostKeys)
				if !slices.Equal(own, show.HostKeys) || slices.Contains(own, f.template.HostKeyFingerprint()) {
					t.Errorf("moment %d, %q: pinned are %q, the VM has %q", n, moment, show.HostKeys, own)
				}
			})
		}
		if ended {
			if n < 6 {
				t.Errorf("only %d moments", n)
			}
			return
		}
	}
}

// Two users of one Mac cannot see each other's VMs, but two folders of one
// user can order the same number: the second is refused and leaves nothing.
func TestTwoRegistries(t *testing.T) {
	bubble(t, "same number", func(t *testing.T) {
		f := clonedMac(t)
		before := f.machines(t)
		cfg := f.Config()
		cfg.Home = t.TempDir()
		cfg.Backends = f.backends
		second, err := mpdvirt.New(cfg)
		check(t, err)
		_, err = second.Clone(t.Context(), order(150))
		wantError(t, err, mpdvirt.ErrRefused, f.parallels.UUID("mpd-150"))
		_, err = second.Delete(t.Context(), deletion)
		wantError(t, err, mpdvirt.ErrNotRegistered)
		if after := f.machines(t); !equalMaps(before, after) {
			t.Errorf("VMs before %v, after %v", before, after)
		}
	})
}

// F122, F123: the edge values of an order reach prlctl as one argument each or
// are wrong usage before anything is recorded.
func TestCloneTemplateNames(t *testing.T) {
	for _, name := range []string{"-a", "--linked", "a\nb", "a\x00b", "\xff", strings.Repeat("x", 256)} {
		bubble(t, "F122 "+strconv.QuoteToASCII(name[:min(len(name), 9)]), func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{})
			req := order(150)
			req.Template = name
			_, err := f.m.Clone(t.Context(), req)
			wantError(t, err, mpdvirt.ErrUsage, "template")
			if vms, err := f.m.List(t.Context()); err != nil || len(vms) > 0 {
				t.Errorf("left are %v, %v", vms, err)
			}
		})
	}
	for _, name := range []string{"x --name y", `it's "mine"`, "Vorlage für Žofie", "trailing ", "a/b", "$(id)"} {
		bubble(t, "F122 fine "+name, func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{})
			_, err := f.parallels.AddTemplate(name, mpdvirttest.VMOptions{User: "dev"})
			check(t, err)
			req := order(150)
			req.Template = name
			_, err = f.m.Clone(t.Context(), req)
			check(t, err)
		})
	}
}

// A clone of a template with a static address tells the address of another VM,
// who would answer in its place: nobody is logged in to.
func TestCloneSharesAddress(t *testing.T) {
	bubble(t, "two at one address", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		fixed := netip.MustParseAddr("10.211.55.60")
		_, err := f.parallels.AddTemplate("mpd-template-fixed", mpdvirttest.VMOptions{User: "dev", Addr: fixed})
		check(t, err)
		holder, err := f.parallels.AddVM("holder", mpdvirttest.VMOptions{User: "dev", Hostname: "mpd-template-fixed", Addr: fixed})
		check(t, err)
		key, real := holder.HostKeyFingerprint(), f.parallels.Emulator().Runner()
		long, short := regexp.MustCompile(`"ipAddresses":\[[^\]]*\]`), regexp.MustCompile(`"ip_configured": "[^"]*",(\s*)"name": "mpd-150"`)
		f.HandleCommand("prlctl", func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
			res, err := real(ctx, c)
			if slices.Contains(c.Argv, f.parallels.UUID("mpd-150")) {
				res.Stdout = long.ReplaceAll(res.Stdout, []byte(`"ipAddresses":[{"type":"ipv4","ip":"10.211.55.60"}]`))
			}
			res.Stdout = short.ReplaceAll(res.Stdout, []byte(`"ip_configured": "10.211.55.60",$1"name": "mpd-150"`))
			return res, err
		})
		req := order(150)
		req.Template = "mpd-template-fixed"
		_, err = f.m.Clone(t.Context(), req)
		wantError(t, err, mpdvirt.ErrRefused, "10.211.55.60", f.parallels.UUID("mpd-150"), f.parallels.UUID("holder"), "turn the other VM off", "mpd-virt clone 150", "mpd-virt delete 150")
		_, err = f.m.Setup(t.Context(), alone)
		wantError(t, err, mpdvirt.ErrRefused, "10.211.55.60", f.parallels.UUID("holder"))
		if holder.HostKeyFingerprint() != key || len(holder.Steps()) > 0 {
			t.Error("the other VM was changed")
		}
		_, err = f.m.Delete(t.Context(), deletion)
		if check(t, err); f.parallels.VM("mpd-150") != nil || f.parallels.VM("holder") == nil {
			t.Error("not the clone was deleted")
		}
	})
}
