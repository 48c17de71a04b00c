package mpdvirt_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// slowMac is a UTM that takes about as long as on a Mac.
var slowMac = mpdvirttest.UTMOptions{
	Settings: mpdvirttest.UTMSettings{Delay: 1}, Boot: 15 * time.Second, CloudInitDelay: 10 * time.Second, RestartSSH: true,
}

// A create that fails before its VM is a working Debian leaves nothing, and
// works once the cause is gone.
func TestCreateFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		with   mpdvirttest.UTMOptions
		break_ func(f *utmMac)
		mend   func(f *utmMac)
		step   string // where it fails
		is     error  // nil: any
		says   string
		hint   string
	}{
		{name: "F78 another image", break_: func(f *utmMac) { f.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageWrong, Times: -1}) },
			mend: (*utmMac).goodImage, step: "image", says: "SHA-512"},
		{name: "the image is gone", break_: func(f *utmMac) { f.FailImage(mpdvirttest.ImageFault{Kind: mpdvirttest.ImageMissing, Times: -1}) },
			mend: (*utmMac).goodImage, step: "image", says: "404", hint: "--image-build"},
		{name: "F68 not permitted", break_: func(f *utmMac) { f.change(func(s *mpdvirttest.UTMSettings) { s.Denied = true }) },
			mend: func(f *utmMac) { f.change(func(s *mpdvirttest.UTMSettings) { s.Denied = false }) }, is: fs.ErrPermission, says: "-1743", hint: "Automation"},
		{name: "F70 no UTM", break_: func(f *utmMac) { f.change(func(s *mpdvirttest.UTMSettings) { s.Absent = true }) },
			mend: func(f *utmMac) { f.change(func(s *mpdvirttest.UTMSettings) { s.Absent = false }) }, is: mpdvirt.ErrToolMissing, hint: "UTM"},
		{name: "UTM refuses to make it", break_: func(f *utmMac) { f.always("make") }, mend: (*utmMac).works, step: "create", says: "-2700"},
		{name: "F70 UTM quits after it made it", break_: func(f *utmMac) {
			f.inject(mpdvirttest.UTMFault{Kind: "event after", Verb: "make", Number: -609, Text: "Connection is invalid."})
		}, step: "create", says: "-609"},
		{name: "it does not start", break_: func(f *utmMac) { f.always("start") }, mend: (*utmMac).works, step: "first-boot", says: "-2700"},
		{name: "F74 cloud-init fails", with: mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitError},
			mend: func(f *utmMac) { f.utm.SetCloudInit(mpdvirttest.CloudInitDone) }, step: "first-boot", says: "cloud-init failed with status 1"},
		{name: "F74 cloud-init never ends", with: mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitNever},
			mend: func(f *utmMac) { f.utm.SetCloudInit(mpdvirttest.CloudInitDone) }, step: "first-boot", says: "status: running"},
		{name: "F76 the guest ignores the power button", break_: func(f *utmMac) { f.onStep("remove-seed", func() { f.deaf() }) },
			step: "remove-seed", says: "its seed"},
		{name: "F75 the seed stays", break_: func(f *utmMac) { f.always("detach") }, mend: (*utmMac).works, step: "remove-seed", says: "may still be attached"},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			f := newUTM(t, tt.with)
			if tt.break_ != nil {
				tt.break_(f)
			}
			_, err := f.Create(t.Context(), creation(150))
			e := wrapped(t, err)
			if e.Step != tt.step || !strings.Contains(err.Error(), tt.says) || !strings.Contains(e.Hint, tt.hint) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("step %q, error %v, hint %q", e.Step, err, e.Hint)
			}
			f.nothingLeft()
			f.watch = nil
			if tt.mend != nil {
				tt.mend(f)
			}
			res, err := f.Create(t.Context(), creation(150))
			if check(t, err); !res.Report.Healthy() || f.drives("mpd-150") != 1 || len(f.machines()) != 1 {
				t.Errorf("then: %+v, VMs %v", res.VM, f.machines())
			}
		})
	}
}

func (f *utmMac) goodImage() { f.ClearImage() }

func (f *utmMac) change(c func(s *mpdvirttest.UTMSettings)) {
	f.t.Helper()
	check(f.t, f.utm.Change(c))
}

func (f *utmMac) inject(faults ...mpdvirttest.UTMFault) {
	f.t.Helper()
	check(f.t, f.utm.Inject(faults...))
}

// always makes UTM refuse a verb from now on.
func (f *utmMac) always(verb string) {
	f.t.Helper()
	f.inject(mpdvirttest.UTMFault{Kind: "event", Verb: verb, Times: -1, Number: -2700, Text: "It cannot be done."})
}

func (f *utmMac) works() { f.t.Helper(); check(f.t, f.utm.Emulator().ClearFaults()) }

// onStep does something when a step begins.
func (f *utmMac) onStep(step string, do func()) {
	f.watch = func(e mpdvirt.Event) {
		if e.Kind == mpdvirt.StepStarted && e.Step == step {
			do()
		}
	}
}

// deaf makes the guest ignore its power button.
func (f *utmMac) deaf() {
	f.t.Helper()
	check(f.t, f.utm.SetDeaf(f.utm.UUID("mpd-150"), true))
}

// What cloud-init printed is shown, since the VM that could be asked is removed.
func TestCreateShowsLog(t *testing.T) {
	bubble(t, "F74", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitError})
		_, err := f.Create(t.Context(), creation(150))
		if err == nil {
			t.Fatal("it worked")
		}
		if !slices.ContainsFunc(f.notes, func(n string) bool { return strings.HasPrefix(n, "cloud-init: ") }) {
			t.Errorf("notes %q", f.notes)
		}
		if e := wrapped(t, err); e.Log != "" {
			t.Errorf("the log %s is named, and is gone", e.Log)
		}
	})
}

// With Keep a VM whose first boot failed is left, and the same command goes on
// with it.
func TestCreateKeeps(t *testing.T) {
	bubble(t, "keep", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitError})
		req := creation(150)
		req.Keep = true
		_, err := f.Create(t.Context(), req)
		e, uuid := wrapped(t, err), f.utm.UUID("mpd-150")
		if uuid == "" || !strings.Contains(e.Hint, "mpd-virt create 150 --backend=utm --username=dev") || !strings.Contains(e.Hint, uuid) || e.Log == "" {
			t.Fatalf("VM %q, hint %q, log %q", uuid, e.Hint, e.Log)
		}
		for name, err := range map[string]error{
			"setup": func() error { _, err := f.Setup(t.Context(), alone); return err }(),
			"setup with ip": func() error {
				_, err := f.Setup(t.Context(), mpdvirt.SetupRequest{Octet: 150, Addr: netip.MustParseAddr("192.168.64.150")})
				return err
			}(),
			"another order": func() error { r := creation(150); r.User = "eve"; _, err := f.Create(t.Context(), r); return err }(),
		} {
			if wantError(t, err, err, "mpd-virt create 150"); t.Failed() {
				t.Fatal(name)
			}
		}
		vms, err := f.List(t.Context())
		if check(t, err); len(vms) != 1 || vms[0].State != mpdvirt.Unfinished || !strings.HasPrefix(vms[0].Next, "mpd-virt create 150") {
			t.Errorf("%+v", vms)
		}
		_, err = f.Delete(t.Context(), deletion)
		check(t, err)
		f.nothingLeft()
	})
}

// Degraded is done, with a warning.
func TestCreateDegraded(t *testing.T) {
	bubble(t, "degraded", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitDegraded})
		res, err := f.Create(t.Context(), creation(150))
		check(t, err)
		i := slices.IndexFunc(res.Steps, func(s mpdvirt.StepResult) bool { return s.ID == mpdvirt.StepFirstBoot })
		if s := res.Steps[i]; s.Status != mpdvirt.Warn || !strings.Contains(s.Summary, "complains") {
			t.Errorf("%+v", s)
		}
	})
}

// A VM that somebody has already is neither used nor removed.
func TestCreateLeavesOthersAlone(t *testing.T) {
	for _, name := range []string{"mpd-150", "MPD-150"} {
		bubble(t, name, func(t *testing.T) {
			f := newUTM(t, mpdvirttest.UTMOptions{})
			_, err := f.utm.AddVM(name, mpdvirttest.VMOptions{User: "dev", Addr: netip.MustParseAddr("192.168.64.20")})
			check(t, err)
			theirs := f.utm.UUID(name)
			_, err = f.Create(t.Context(), creation(150))
			wantError(t, err, mpdvirt.ErrRefused, theirs)
			if f.nothingLeft(name); f.utm.UUID(name) != theirs {
				t.Error("their VM is gone")
			}
		})
	}
	bubble(t, "made while the image was downloaded", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		f.onStep("create", func() {
			_, err := f.utm.Emulator().AddVM(mpdvirttest.UTMMachine{Name: "mpd-150"})
			check(t, err)
		})
		_, err := f.Create(t.Context(), creation(150))
		wantError(t, err, mpdvirt.ErrRefused, "mpd-150")
		f.nothingLeft("mpd-150")
		if f.utm.UUID("mpd-150") == "" {
			t.Error("their VM is gone")
		}
	})
	bubble(t, "F46 somebody has the address", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		_, err := f.AddVM(mpdvirttest.VMOptions{Addr: netip.MustParseAddr("192.168.64.150")})
		check(t, err)
		_, err = f.Create(t.Context(), creation(150))
		wantError(t, err, mpdvirt.ErrRefused, "192.168.64.150 is taken")
		f.nothingLeft()
	})
}

// The network is not assumed.
func TestCreateNetwork(t *testing.T) {
	other := netip.MustParsePrefix("192.168.65.0/24")
	bubble(t, "another one, known before", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{Network: other, Settings: mpdvirttest.UTMSettings{Recorded: "192.168.65.1"}})
		res, err := f.Create(t.Context(), creation(150))
		if check(t, err); res.VM.Addr.String() != "192.168.65.150" || len(f.notes) > 0 {
			t.Errorf("%+v, notes %q", res.VM, f.notes)
		}
	})
	bubble(t, "F46 another one, in which somebody has the address", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{Network: other})
		_, err := f.AddVM(mpdvirttest.VMOptions{Addr: netip.MustParseAddr("192.168.65.150")})
		check(t, err)
		_, err = f.Create(t.Context(), creation(150))
		wantError(t, err, mpdvirt.ErrRefused, "192.168.65.150 is taken")
		f.nothingLeft()
	})
	bubble(t, "another one, known once a VM runs", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{Network: other})
		res, err := f.Create(t.Context(), creation(150))
		if check(t, err); res.VM.Addr.String() != "192.168.65.150" || len(f.machines()) != 1 || f.drives("mpd-150") != 1 {
			t.Errorf("%+v, VMs %v", res.VM, f.machines())
		}
		i := slices.IndexFunc(res.Steps, func(s mpdvirt.StepResult) bool { return s.ID == mpdvirt.StepFirstBoot })
		if s := res.Steps[i]; s.Status != mpdvirt.Warn || !strings.Contains(s.Summary, "192.168.65.0/24") {
			t.Errorf("%+v", s)
		}
		vms, err := f.List(t.Context())
		if check(t, err); len(vms) != 1 || vms[0].Addr != res.VM.Addr {
			t.Errorf("%+v", vms)
		}
	})
}

// A create that is cancelled at the beginning of any step is finished by the
// same command, with one VM in the end; delete takes it away all the same.
func TestCreateResumes(t *testing.T) {
	for _, step := range []string{"image", "disk", "create", "first-boot", "remove-seed", "start", "ssh", "10-passwordless-sudo", "register", "mpd-setup"} {
		for _, again := range []string{"create", "delete"} {
			bubble(t, step+", then "+again, func(t *testing.T) {
				f := newUTM(t, slowMac)
				_, err := f.Create(f.cancelAt(step), creation(150))
				wantError(t, err, context.Canceled)
				f.watch = nil
				if again == "delete" {
					_, err = f.Delete(t.Context(), deletion)
					check(t, err)
					f.nothingLeft()
					return
				}
				res, err := f.Create(t.Context(), creation(150))
				if check(t, err); !res.Report.Healthy() || len(f.machines()) != 1 || f.drives("mpd-150") != 1 {
					t.Errorf("%+v, VMs %v", res.VM, f.machines())
				}
			})
		}
	}
}

// F83: two creates at once make one download and two VMs.
func TestCreateTogether(t *testing.T) {
	bubble(t, "two at once", func(t *testing.T) {
		f := newUTM(t, slowMac)
		other, err := mpdvirt.New(f.cfg)
		check(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := other.Create(t.Context(), creation(151))
			done <- err
		}()
		_, err = f.Create(t.Context(), creation(150))
		check(t, errors.Join(err, <-done))
		if n := f.costs(); len(f.machines()) != 2 || n != [2]int{1, 2} {
			t.Errorf("VMs %v, downloads and runs of tar %v", f.machines(), n)
		}
	})
	bubble(t, "one octet", func(t *testing.T) {
		f := newUTM(t, slowMac)
		f.onStep("disk", func() {
			other, err := mpdvirt.New(f.cfg)
			check(t, err)
			_, err = other.Delete(t.Context(), deletion)
			var locked *mpdvirt.LockedError
			if !errors.As(err, &locked) {
				t.Errorf("delete meanwhile: %v", err)
			}
		})
		_, err := f.Create(t.Context(), creation(150))
		check(t, err)
	})
}

// The state of a VM under a denied permission is not "none".
func TestListUnderDeniedPermission(t *testing.T) {
	bubble(t, "list", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		_, err := f.Create(t.Context(), creation(150))
		check(t, err)
		f.change(func(s *mpdvirttest.UTMSettings) { s.Denied = true })
		vms, err := f.List(t.Context())
		if check(t, err); len(vms) != 1 || vms[0].State == hypervisor.Missing || !strings.Contains(vms[0].Error, "-1743") {
			t.Errorf("%+v", vms)
		}
	})
}
