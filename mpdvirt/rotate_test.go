package mpdvirt_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// pair is a lab with two VMs whose CA the Mac trusts.
func pair(t testing.TB, who mpdvirt.Prompter, w mpdvirttest.Options) (*lab, *mpdvirttest.VM) {
	t.Helper()
	l := adopted(t, options{world: w, config: func(c *mpdvirt.Config) { c.Prompter = who }})
	vm := second(l)
	l.forget()
	return l, vm
}

// has says whether the VM has the Mac's CA, and mpd has run with it.
func (l *lab) has(vm *mpdvirttest.VM) bool {
	l.t.Helper()
	const dir = "/var/lib/mpd/conf/caroot/"
	cert, _, err := vm.File(dir + "rootCA.pem")
	check(l.t, err)
	key, _, err := vm.File(dir + "rootCA-key.pem")
	check(l.t, err)
	steps := vm.Steps()
	return string(cert) == l.read(caFile) && string(key) == l.read(strings.Replace(caFile, ".pem", "-key.pem", 1)) &&
		len(steps) > 0 && steps[len(steps)-1] == mpdvirttest.StepSetup
}

// rotated checks that the new CA is everywhere and the one before nowhere.
func (l *lab) rotated(old string, res *mpdvirt.CARotateResult, vms ...*mpdvirttest.VM) {
	l.t.Helper()
	if !res.Done || len(res.Left) > 0 || len(res.VMs) != len(vms) || res.CA.Trust != "trusted" {
		l.t.Errorf("result %+v", res)
	}
	if l.read(caFile) == old {
		l.t.Error("it is the old CA")
	}
	for _, vm := range vms {
		if !l.has(vm) {
			l.t.Errorf("%s has not got the new CA", vm.Hostname())
		}
	}
	certs, err := l.world.Mac().Certificates()
	check(l.t, err)
	if c, r := l.onMac(); c != 1 || r != 1 || l.read(caFile) != string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certs[0].Raw})) {
		l.t.Errorf("the Mac has %d certificates and %d records", c, r)
	}
	if left, _ := os.ReadDir(l.path(".mpd-virt/conf/caroot/previous")); len(left) > 0 {
		l.t.Errorf("kept: %v", left)
	}
}

func moves(res *mpdvirt.CARotateResult) (out []string) {
	for _, c := range res.VMs {
		out = append(out, c.Name+" "+string(c.Status))
	}
	return out
}

func TestCARotate(t *testing.T) {
	bubble(t, "two VMs", func(t *testing.T) {
		var asked []string
		l, vm := pair(t, person{confirm: func(q string) bool { asked = append(asked, q); return true }}, mpdvirttest.Options{Delay: time.Second})
		old := l.read(caFile)
		for _, v := range []*mpdvirttest.VM{l.vm, vm} {
			v.OnStep(func(string, string) {
				if c, r := l.onMac(); c != 2 || r != 2 {
					t.Errorf("while VMs have different CAs the Mac trusts %d, %d", c, r)
				}
			})
		}
		start := time.Now()
		res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		check(t, err)
		took := time.Since(start)
		l.rotated(old, res, l.vm, vm)
		if res.Schema != mpdvirt.CARotateSchema || !res.Made || len(asked) != 3 {
			t.Errorf("%+v, asked %q", res, asked)
		}
		if took > 6*time.Second { // two steps, for both at the same time
			t.Errorf("it took %v", took)
		}
		if c := l.diag().Check("ca-trust"); c.Status != mpdvirt.OK {
			t.Errorf("diag: %+v", c)
		}
		// What is done is done: now it would be another rotation.
		res, err = l.CARotate(t.Context(), mpdvirt.CARotateRequest{Yes: true})
		if check(t, err); !res.Made {
			t.Errorf("%+v", res)
		}
	})
	bubble(t, "no VM", func(t *testing.T) {
		l := owned(t, yes)
		_, err := l.Delete(t.Context(), deletion)
		check(t, err)
		old := l.read(caFile)
		res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		check(t, err)
		l.rotated(old, res)
	})
	bubble(t, "no Mac", func(t *testing.T) {
		l, vm := pair(t, nil, mpdvirttest.Options{NoMac: true})
		res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{Yes: true})
		if check(t, err); !res.Done || !l.has(l.vm) || !l.has(vm) {
			t.Errorf("%+v", res)
		}
	})
	bubble(t, "no CA", func(t *testing.T) {
		l := newLab(t, options{})
		for _, sure := range []bool{false, true} {
			_, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{Yes: sure})
			wantError(t, err, fs.ErrNotExist, "mpd-virt setup")
		}
	})
	bubble(t, "an ended context", func(t *testing.T) {
		l, _ := pair(t, yes, mpdvirttest.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before := l.tree()
		_, err := l.CARotate(ctx, mpdvirt.CARotateRequest{Yes: true})
		wantError(t, err, context.Canceled)
		for _, remove := range []bool{false, true} {
			_, err = l.Trust(ctx, mpdvirt.TrustRequest{Remove: remove, Yes: true})
			wantError(t, err, context.Canceled)
		}
		if d := cmp.Diff(before, l.tree()); d != "" {
			t.Errorf("-before +after:\n%s", d)
		}
	})
	for name, who := range map[string]mpdvirt.Prompter{
		"nobody there": nil, "no": person{confirm: func(string) bool { return false }}, "end of input": person{},
	} {
		bubble(t, name, func(t *testing.T) {
			l, _ := pair(t, who, mpdvirttest.Options{})
			before := l.tree()
			_, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
			wantError(t, err, mpdvirt.ErrDeclined)
			if d := cmp.Diff(before, l.tree()); d != "" {
				t.Errorf("-before +after:\n%s", d)
			}
			if e := wrapped(t, err); who == nil && e.Hint != "mpd-virt ca rotate --yes" {
				t.Errorf("hint %q", e.Hint)
			}
		})
	}
}

// Whoever cannot get the new CA is left and named, the old one stays trusted, and
// the next run goes on with them.
func TestCARotateLeft(t *testing.T) {
	for _, tt := range []struct {
		name          string
		breaks, mends func(l *lab, vm *mpdvirttest.VM)
		status        mpdvirt.CAMoveStatus
		words         []string
		gone          bool // it is mended by forgetting the VM
	}{
		{"off", func(_ *lab, vm *mpdvirttest.VM) { vm.PowerOff() }, func(l *lab, vm *mpdvirttest.VM) { check(l.t, vm.PowerOn()) },
			mpdvirt.CAUnreachable, []string{"mpd-151 (unreachable)", "mpd-virt ca rotate"}, false},
		{"off for ever", func(_ *lab, vm *mpdvirttest.VM) { vm.PowerOff() }, func(l *lab, _ *mpdvirttest.VM) {
			_, err := l.Delete(l.t.Context(), mpdvirt.DeleteRequest{Octet: 151, Yes: true})
			check(l.t, err)
		}, mpdvirt.CAUnreachable, []string{"mpd-151 (unreachable)"}, true},
		{"sudo asks", func(_ *lab, vm *mpdvirttest.VM) { vm.SetSudo(mpdvirttest.SudoPassword) }, func(_ *lab, vm *mpdvirttest.VM) { vm.SetSudo(mpdvirttest.SudoFree) },
			mpdvirt.CAFailed, []string{"mpd-151 (failed)"}, false},
		{"another machine answers", func(l *lab, vm *mpdvirttest.VM) { check(l.t, vm.RotateHostKeys()) }, func(l *lab, vm *mpdvirttest.VM) {
			l.setup(mpdvirt.SetupRequest{Octet: 151, AcceptHostKey: vm.HostKeyFingerprint()})
		}, mpdvirt.CAFailed, []string{"mpd-151 (failed)"}, false},
		{"the push is cut", func(_ *lab, vm *mpdvirttest.VM) { vm.SetDiskFull(true) }, func(_ *lab, vm *mpdvirttest.VM) { vm.SetDiskFull(false) },
			mpdvirt.CAFailed, []string{"mpd-151 (failed)"}, false},
		{"mpd --setup fails", func(_ *lab, vm *mpdvirttest.VM) {
			vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepSetup, Kind: mpdvirttest.Exit})
		}, func(*lab, *mpdvirttest.VM) {}, mpdvirt.CAFailed, []string{"mpd-151 (failed)"}, false},
		{"a broken entry", func(l *lab, _ *mpdvirttest.VM) {
			l.write(".mpd-virt/151/saved", l.read(".mpd-virt/151/env"), 0o600)
			l.write(".mpd-virt/151/env", "nonsense\n", 0o600)
		}, func(l *lab, _ *mpdvirttest.VM) {
			l.write(".mpd-virt/151/env", l.read(".mpd-virt/151/saved"), 0o600)
		}, mpdvirt.CAFailed, []string{"mpd-151 (failed)"}, false},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l, vm := pair(t, yes, mpdvirttest.Options{})
			old := l.read(caFile)
			tt.breaks(l, vm)
			res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
			e := wrapped(t, err)
			for _, w := range tt.words {
				if text := e.Error() + "\n" + e.Hint; !strings.Contains(text, w) {
					t.Errorf("error and hint do not say %q:\n%s", w, text)
				}
			}
			want := []string{"mpd-150 moved", "mpd-151 " + string(tt.status)}
			if d := cmp.Diff(want, moves(res)); d != "" || res.Done || res.VMs[1].Why == "" || !l.has(l.vm) {
				t.Errorf("%+v\n-want +got:\n%s", res, d)
			}
			if c, r := l.onMac(); c != 2 || r != 2 {
				t.Errorf("the Mac trusts %d, %d", c, r)
			}
			now := l.read(caFile)
			tt.mends(l, vm)
			res, err = l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
			if check(t, err); res.Made || l.read(caFile) != now {
				t.Errorf("another CA was made: %+v", res)
			}
			vms := []*mpdvirttest.VM{l.vm, vm}
			if tt.gone {
				vms = vms[:1]
			}
			l.rotated(old, res, vms...)
		})
	}
	bubble(t, "busy", func(t *testing.T) {
		l, vm := pair(t, yes, mpdvirttest.Options{Delay: time.Minute})
		old := l.read(caFile)
		began, done := make(chan struct{}), make(chan error)
		vm.OnStep(func(step, phase string) {
			if step == mpdvirttest.StepBuild && phase == "begin" {
				close(began)
			}
		})
		go func() {
			_, err := l.manager().Setup(t.Context(), mpdvirt.SetupRequest{Octet: 151, From: "50-build"})
			done <- err
		}()
		<-began
		vm.OnStep(nil)
		// One that is being set up has the old CA perhaps, and is not registered yet.
		third := l.addVM(mpdvirttest.VMOptions{Addr: octet.In(firstAddr).Next().Next().Next()})
		unregistered := make(chan struct{})
		third.OnStep(func(step, phase string) {
			if step == mpdvirttest.StepClone && phase == "begin" {
				close(unregistered)
			}
		})
		go func() {
			_, err := l.manager().Setup(t.Context(), mpdvirt.SetupRequest{Octet: 152, Backend: "general", Addr: third.Addr(), User: "dev"})
			done <- err
		}()
		<-unregistered
		third.OnStep(nil)
		res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		if e := wrapped(t, err); !strings.Contains(e.Error(), "mpd-151 (busy), mpd-152 (busy)") {
			t.Errorf("%v", err)
		}
		if d := cmp.Diff([]string{"mpd-150 moved", "mpd-151 busy", "mpd-152 busy"}, moves(res)); d != "" {
			t.Error(d)
		}
		check(t, errors.Join(<-done, <-done))
		res, err = l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		check(t, err)
		l.rotated(old, res, l.vm, vm, third)
	})
	bubble(t, "a setup that did not finish is in nobody's way", func(t *testing.T) {
		l := owned(t, yes)
		third := l.addVM(mpdvirttest.VMOptions{Addr: firstAddr})
		third.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepNetworking, Kind: mpdvirttest.Exit})
		req := mpdvirt.SetupRequest{Octet: 152, Backend: "general", Addr: firstAddr, User: "dev"}
		l.refused(req)
		old := l.read(caFile)
		res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		check(t, err)
		l.rotated(old, res, l.vm)
		l.setup(req)
		if !l.has(third) {
			t.Error("it was set up with the old CA")
		}
	})
}

// A Mac that does not come to trust the new CA keeps nobody from getting it, but
// the old one stays until it does.
func TestCARotateUntrusted(t *testing.T) {
	for _, tt := range []struct {
		name string
		who  mpdvirt.Prompter
		set  func(s *mpdvirttest.MacSettings)
	}{
		{"nobody there", nil, func(*mpdvirttest.MacSettings) {}},
		{"the dialog is refused", yes, func(s *mpdvirttest.MacSettings) { s.Dialog = "cancelled" }},
		{"F112 wrong password", yes, func(s *mpdvirttest.MacSettings) { s.Sudo = "wrong" }},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l, vm := pair(t, tt.who, mpdvirttest.Options{})
			old := l.read(caFile)
			check(t, l.world.Mac().Change(tt.set))
			for range 2 {
				res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{Yes: true})
				e := wrapped(t, err)
				if !strings.Contains(e.Hint, "add-trusted-cert") || !strings.HasSuffix(e.Hint, "mpd-virt ca rotate     (goes on)") || len(res.Left) != 1 || res.Done {
					t.Errorf("%v\n%s\n%+v", err, e.Hint, res)
				}
				if !l.has(l.vm) || !l.has(vm) {
					t.Error("a VM has not got the new CA")
				}
				if _, r := l.onMac(); r != 1 {
					t.Errorf("%d records", r)
				}
			}
			check(t, l.world.Mac().Change(func(s *mpdvirttest.MacSettings) { s.Dialog, s.Sudo = "", "" }))
			l.cfg.Prompter = yes
			res, err := l.manager().CARotate(t.Context(), mpdvirt.CARotateRequest{})
			check(t, err)
			l.rotated(old, res, l.vm, vm)
		})
	}
	bubble(t, "the old one is not given up", func(t *testing.T) {
		l, vm := pair(t, yes, mpdvirttest.Options{})
		old := l.read(caFile)
		check(t, l.world.Mac().Inject(mpdvirttest.MacFault{Kind: "refuse", Tool: "security", Verb: "delete-certificate"}))
		res, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		if e := wrapped(t, err); !strings.Contains(e.Hint, "delete-certificate -Z") || len(res.Left) != 1 || res.Done {
			t.Errorf("%v\n%s\n%+v", err, e.Hint, res)
		}
		res, err = l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		check(t, err)
		l.rotated(old, res, l.vm, vm)
	})
}

// Stopped anywhere, the next run finishes, with the CA that the first made.
func TestCARotateCancelled(t *testing.T) {
	type moment struct {
		kind mpdvirt.EventKind
		step string
		text string // the text begins with it
	}
	moments := []moment{
		{mpdvirt.StepStarted, "ca", ""}, {mpdvirt.StepEnded, "ca", ""},
		{mpdvirt.Note, "", "to be run as root:\n  sudo /usr/bin/security add-trusted-cert"}, {mpdvirt.Debug, "", "run sudo /usr/bin/security add-trusted-cert"},
		{mpdvirt.StepEnded, "trust", ""}, {mpdvirt.StepStarted, "vms", ""}, {mpdvirt.StepEnded, "mpd-151", ""}, {mpdvirt.StepEnded, "vms", ""},
		{mpdvirt.Note, "", "to be run as root:\n  sudo /usr/bin/security delete-certificate"}, {mpdvirt.Debug, "", "run sudo /usr/bin/security delete-certificate"},
		{mpdvirt.StepStarted, "retire", ""}, {mpdvirt.StepEnded, "retire", ""},
	}
	for _, id := range []string{"ssh", "identity", "push", "60-wireguard", "mpd-setup", "diag"} {
		moments = append(moments, moment{mpdvirt.StepOutput, "mpd-150", id})
	}
	for _, at := range moments {
		bubble(t, "F4 "+string(at.kind)+" "+at.step+" "+at.text, func(t *testing.T) {
			l, vm := pair(t, yes, mpdvirttest.Options{})
			old := l.read(caFile)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			see := l.cfg.Observer
			l.cfg.Observer = func(e mpdvirt.Event) {
				if see(e); e.Kind == at.kind && e.Step == at.step && strings.HasPrefix(e.Text, at.text) {
					cancel()
				}
			}
			first, err := l.manager().CARotate(ctx, mpdvirt.CARotateRequest{})
			if ctx.Err() == nil {
				t.Fatal("that moment never came")
			}
			if err == nil && !first.Done || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%v, %+v", err, first)
			}
			now := l.read(caFile)
			l.cfg.Observer = see
			res, err := l.manager().CARotate(t.Context(), mpdvirt.CARotateRequest{})
			check(t, err)
			l.rotated(old, res, l.vm, vm)
			if unfinished := first == nil || !first.Done; unfinished && now != old && l.read(caFile) != now {
				t.Error("the CA of the first run is lost")
			}
		})
	}
}

// No event and no error has the key, and no command either.
func TestCARotateTellsNoSecret(t *testing.T) {
	bubble(t, "F118", func(t *testing.T) {
		l, vm := pair(t, yes, mpdvirttest.Options{})
		vm.PowerOff()
		_, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{})
		text := err.Error() + strings.Join(l.calls(""), "\n")
		for _, e := range l.seen() {
			text += e.Text + "\n"
		}
		key := strings.Split(l.read(strings.Replace(caFile, ".pem", "-key.pem", 1)), "\n")
		if slices.ContainsFunc(key[1:3], func(line string) bool { return strings.Contains(text, line) }) {
			t.Error("the CA's key was told")
		}
	})
}
