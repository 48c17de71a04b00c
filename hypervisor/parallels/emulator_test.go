package parallels_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/parallels"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

const template = "mpd-template-trixie"

// desk is a Mac with an emulated Parallels Desktop, a template and a VM of
// somebody else.
type desk struct {
	*testing.T
	*prlemu.Emulator
	*parallels.Backend
}

// onMac runs f in a bubble in which Parallels takes as long as on a Mac.
func onMac(t *testing.T, s prlemu.Settings, f func(d desk)) {
	t.Helper()
	leases := filepath.Join(t.TempDir(), "leases")
	synctest.Test(t, func(t *testing.T) {
		s.Delay, s.LeaseFile = 1, leases
		emu, err := prlemu.New(prlemu.Options{Settings: s})
		if err != nil {
			t.Fatal(err)
		}
		d := desk{t, emu, parallels.New(parallels.Config{Run: emu.Runner(), LeaseFile: leases})}
		d.add(prlemu.VM{Name: template, Template: true})
		d.add(prlemu.VM{Name: "Windows 11", State: "running"})
		f(d)
		if vm, ok := emu.VM("Windows 11"); !ok || vm.State != "running" {
			t.Errorf("the VM of somebody else is %q", vm.State)
		}
		if _, ok := emu.VM(template); !ok {
			t.Error("the template is gone")
		}
	})
}

func (d desk) add(vm prlemu.VM) prlemu.VM {
	d.Helper()
	vm, err := d.AddVM(vm)
	d.ok(err)
	return vm
}

func (d desk) ok(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d desk) state(uuid, want string) {
	d.Helper()
	if vm, ok := d.VM(uuid); !ok || vm.State != want {
		d.Fatalf("the VM is %q, want %q", vm.State, want)
	}
}

// address waits for the guest's address and returns how long that took.
func (d desk) address(uuid string) time.Duration {
	d.Helper()
	begin := time.Now()
	for range 120 {
		m, err := d.Locate(d.Context(), hypervisor.Query{Octet: 150, UUID: uuid})
		d.ok(err)
		if m.Addr.IsValid() {
			return time.Since(begin)
		}
		<-time.After(time.Second)
	}
	d.Fatal("no address came")
	return 0
}

func TestWholeLife(t *testing.T) {
	for _, linked := range []bool{false, true} {
		t.Run(fmt.Sprintf("linked=%t", linked), func(t *testing.T) {
			onMac(t, prlemu.Settings{}, func(d desk) {
				ctx := d.Context()
				spec := hypervisor.CloneSpec{Octet: 150, Template: template, Linked: linked, RAM: 16 * hypervisor.GiB, Disk: 80 * hypervisor.GiB}
				d.ok(d.CanClone(ctx, spec))
				made, err := d.Clone(ctx, spec, nil)
				d.ok(err)
				vm, _ := d.VM("mpd-150")
				if made.UUID != vm.UUID || vm.State != "stopped" || vm.Linked != linked || vm.RAM != 16384 {
					d.Fatalf("Made %+v, VM %+v", made, vm)
				}
				// A linked clone has a snapshot, so its disk cannot grow.
				if grown := vm.Disk == 81920; grown == linked || grown != (len(made.Warnings) == 0) {
					d.Errorf("disk of %d MB, warnings %q", vm.Disk, made.Warnings)
				}
				if err := d.CanClone(ctx, spec); !errors.Is(err, hypervisor.ErrTaken) {
					d.Errorf("CanClone again = %v", err)
				}
				d.ok(d.Start(ctx, made.UUID))
				if took := d.address(made.UUID); took < 10*time.Second {
					d.Errorf("the address came after %v, before the guest was up", took)
				}
				d.ok(d.Suspend(ctx, made.UUID))
				d.state(made.UUID, "suspended")
				d.ok(d.Start(ctx, made.UUID))
				d.state(made.UUID, "running")
				d.ok(d.Kill(ctx, made.UUID))
				d.state(made.UUID, "stopped")
				d.ok(d.Start(ctx, made.UUID))
				d.ok(d.Delete(ctx, made.UUID))
				d.ok(d.Delete(ctx, made.UUID))
				if _, there := d.VM(made.UUID); there {
					d.Error("the VM is still there")
				}
			})
		})
	}
}

// Without Tools the lease of the DHCP server is the only source.
func TestAddressFromLease(t *testing.T) {
	onMac(t, prlemu.Settings{}, func(d desk) {
		vm := d.add(prlemu.VM{Name: "mpd-150", NoTools: true})
		d.ok(d.Start(d.Context(), vm.UUID))
		d.address(vm.UUID)
	})
}

// F64: odd things that Tools report are no addresses.
func TestOddReports(t *testing.T) {
	for _, reports := range [][]string{{"-"}, {}, {"fe80::1"}, {"169.254.9.9"}, {"192.168.1.7"}, {"10.211.55.1"}, {"10.211.55.999"}, {"10.211.55.7; rm -rf"}, {"10.211.55.7x", ""}} {
		onMac(t, prlemu.Settings{}, func(d desk) {
			vm := d.add(prlemu.VM{Name: "mpd-150", State: "running", Reports: reports})
			m, err := parallels.New(parallels.Config{Run: d.Runner(), LeaseFile: "/none"}).Locate(d.Context(), hypervisor.Query{Octet: 150, UUID: vm.UUID})
			if err != nil || m.Addr.IsValid() {
				d.Errorf("Tools report %q: Locate = %+v, %v", reports, m, err)
			}
		})
	}
}

func TestFewProcesses(t *testing.T) {
	onMac(t, prlemu.Settings{}, func(d desk) {
		var uuids []string
		for o := hypervisor.FirstOctet; o <= hypervisor.LastOctet; o++ {
			uuids = append(uuids, d.add(prlemu.VM{Name: o.VMName(), State: "running", IP: o.In(netip.MustParseAddr("10.211.55.1"))}).UUID)
		}
		count := func(what string, most int, f func() error) {
			d.ok(d.ForgetCalls())
			d.ok(f())
			calls, err := d.Calls()
			d.ok(err)
			if len(calls) > most {
				d.Errorf("%s costs %d processes, want at most %d: %q", what, len(calls), most, calls)
			}
		}
		count("States", 1, func() error { _, err := d.States(d.Context()); return err })
		for name, q := range map[string]hypervisor.Query{"by name": {Octet: 150}, "by UUID": {Octet: 150, UUID: uuids[50]}} {
			count("Locate "+name, 2, func() error { _, err := d.Locate(d.Context(), q); return err })
		}
	})
}

func TestAdoptedRunningVM(t *testing.T) {
	onMac(t, prlemu.Settings{}, func(d desk) {
		vm := d.add(prlemu.VM{Name: "Debian", State: "running"})
		for range 2 {
			d.ok(d.Adopted(d.Context(), 150, hypervisor.Machine{UUID: vm.UUID}))
			d.state(vm.UUID, "running")
			if now, _ := d.VM(vm.UUID); now.Name != "mpd-150" {
				d.Errorf("the name is %q", now.Name)
			}
		}
	})
}

// F67: a guest that does not shut down stays as it is.
func TestAdoptedWedgedVM(t *testing.T) {
	onMac(t, prlemu.Settings{}, func(d desk) {
		vm := d.add(prlemu.VM{Name: "Debian", State: "running"})
		d.ok(d.Inject(prlemu.Fault{Kind: prlemu.FaultWedged, Verb: "stop", Times: -1}))
		err := d.Adopted(d.Context(), 150, hypervisor.Machine{UUID: vm.UUID})
		if err == nil || !strings.Contains(err.Error(), "keeps its name") {
			d.Errorf("Adopted = %v", err)
		}
		d.state(vm.UUID, "running")
		d.ok(d.ClearFaults())
		d.ok(d.Suspend(d.Context(), vm.UUID)) // it still works under its UUID
	})
}

// Two VMs of one name, a VM renamed, replaced or deleted by another program in
// the very moment, tools that lie: what is destroyed is the VM of the UUID under
// its name, or nothing.
func TestDeleteUnderFaults(t *testing.T) {
	behind := func(k prlemu.FaultKind, verb string, skip int) prlemu.Fault {
		return prlemu.Fault{Kind: k, Verb: verb, Skip: skip, VM: "mpd-150", Name: "precious"}
	}
	for _, tc := range []struct {
		name   string
		state  string
		faults []prlemu.Fault
		err    error // nil with gone
		gone   bool
	}{
		{"F56", "running", []prlemu.Fault{prlemu.LoginFailed(2)}, nil, true},
		{"busy", "running", []prlemu.Fault{prlemu.Busy("stop", 2), prlemu.Busy("delete", 2)}, nil, true},
		{"busy for ever", "stopped", []prlemu.Fault{prlemu.Busy("delete", 100)}, nil, false},
		{"F54: works with status 1", "running", []prlemu.Fault{prlemu.OneWithGood("stop"), prlemu.OneWithGood("delete")}, nil, true},
		{"F54: fails with status 0", "stopped", []prlemu.Fault{prlemu.ErrorWithZero("delete")}, nil, false},
		{"F54: says it worked", "stopped", []prlemu.Fault{prlemu.NoEffect("delete")}, hypervisor.ErrState, false},
		{"F53: delete hangs", "stopped", []prlemu.Fault{prlemu.Hang("delete")}, context.DeadlineExceeded, false},
		{"F53: delete hangs when done", "stopped", []prlemu.Fault{{Kind: prlemu.FaultHangAfter, Verb: "delete"}}, nil, true},
		{"F53: the kill hangs when done", "running", []prlemu.Fault{{Kind: prlemu.FaultHangAfter, Verb: "stop"}}, nil, true},
		{"F53: list hangs", "stopped", []prlemu.Fault{prlemu.Hang("list")}, context.DeadlineExceeded, false},
		{"list says nothing", "stopped", []prlemu.Fault{prlemu.Empty("list")}, nil, false},
		{"list breaks off", "stopped", []prlemu.Fault{prlemu.Partial("list")}, nil, false},
		{"list is no JSON", "stopped", []prlemu.Fault{prlemu.Garbage("list")}, nil, false},
		{"list never ends", "stopped", []prlemu.Fault{prlemu.Huge("list")}, nil, false},
		{"the service goes down", "running", []prlemu.Fault{{Kind: prlemu.FaultService, Verb: "delete", Times: -1}}, hypervisor.ErrService, false},
		{"renamed after the first look", "running", []prlemu.Fault{behind(prlemu.FaultRenameBehind, "stop", 0)}, hypervisor.ErrDrift, false},
		{"deleted after the first look", "running", []prlemu.Fault{behind(prlemu.FaultDeleteBehind, "stop", 0)}, nil, true},
		{"replaced after the first look", "running", []prlemu.Fault{behind(prlemu.FaultReplaceBehind, "stop", 0)}, nil, true},
		{"an unknown state comes", "running", []prlemu.Fault{{Kind: prlemu.FaultStateBehind, Verb: "stop", VM: "mpd-150", Name: "defragmenting"}}, hypervisor.ErrState, false},
		{"suspended, not deletable so", "suspended", nil, nil, true},
		{"paused", "paused", nil, nil, true},
		{"invalid", "invalid", nil, hypervisor.ErrState, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onMac(t, prlemu.Settings{KeepsSuspended: true}, func(d desk) {
				vm := d.add(prlemu.VM{Name: "mpd-150", State: tc.state})
				d.ok(d.Inject(tc.faults...))
				begin := time.Now()
				err := d.Delete(d.Context(), vm.UUID)
				_, there := d.VM(vm.UUID)
				if there == tc.gone || (err == nil) != tc.gone || tc.err != nil && !errors.Is(err, tc.err) {
					d.Errorf("Delete = %v, want %v; the VM is there: %t", err, tc.err, there)
				}
				if errors.Is(err, hypervisor.ErrNoMachine) {
					d.Errorf("%v: it is there", err)
				}
				if took := time.Since(begin); took > 5*time.Minute {
					d.Errorf("Delete took %v", took)
				}
			})
		})
	}
}

// A linked clone that is being made keeps others of its template away.
func TestTwoLinkedClones(t *testing.T) {
	onMac(t, prlemu.Settings{}, func(d desk) {
		errs := make(chan error, 2)
		for _, o := range []hypervisor.Octet{150, 151} {
			go func() {
				_, err := d.Clone(d.Context(), hypervisor.CloneSpec{Octet: o, Template: template, Linked: true}, nil)
				errs <- err
			}()
		}
		a, b := <-errs, <-errs
		err := errors.Join(a, b)
		if (a == nil) == (b == nil) || errors.Is(err, hypervisor.ErrNoMachine) || !strings.Contains(err.Error(), template) {
			d.Errorf("two clones at once: %v and %v", a, b)
		}
	})
}

// Ctrl-C during the copy: nothing is listed, and the next attempt works, or says
// what is in its way.
func TestCloneInterruptedAndRepeated(t *testing.T) {
	for _, half := range []bool{false, true} {
		t.Run(fmt.Sprintf("half=%t", half), func(t *testing.T) {
			onMac(t, prlemu.Settings{HalfBundle: half}, func(d desk) {
				spec := hypervisor.CloneSpec{Octet: 150, Template: template}
				ctx, cancel := context.WithTimeout(d.Context(), 5*time.Second)
				defer cancel()
				begin := time.Now()
				made, err := d.Clone(ctx, spec, nil)
				if !errors.Is(err, context.DeadlineExceeded) || made.UUID != "" || time.Since(begin) > 6*time.Second {
					d.Errorf("Clone = %+v, %v after %v", made, err, time.Since(begin))
				}
				if _, err := d.Locate(d.Context(), hypervisor.Query{Octet: 150}); !errors.Is(err, hypervisor.ErrNoMachine) {
					d.Errorf("Locate = %v", err)
				}
				_, err = d.Clone(d.Context(), spec, nil)
				if half && (!errors.Is(err, hypervisor.ErrTaken) || !strings.Contains(hint.Of(err), "mpd-150.pvm")) {
					d.Errorf("Clone over what was left = %v, hint %q", err, hint.Of(err))
				} else if !half && err != nil {
					d.Errorf("Clone again = %v", err)
				}
			})
		})
	}
}

// F65, F57
func TestCloneUnderFaults(t *testing.T) {
	for _, tc := range []struct {
		kind  prlemu.FaultKind
		made  bool
		says  string
		limit time.Duration
	}{
		{prlemu.FaultNoSpace, false, "", time.Hour},
		{prlemu.FaultPassword, false, "administrator", time.Hour},
		{prlemu.FaultBusy, false, "busy", time.Hour},
		{prlemu.FaultOneWithGood, true, "perhaps not whole", time.Hour},
		{prlemu.FaultHang, false, "", 31 * time.Minute},
		{prlemu.FaultNoEffect, false, "does not list", time.Hour},
		{prlemu.FaultErrorWithZero, false, "", time.Hour},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			onMac(t, prlemu.Settings{}, func(d desk) {
				d.ok(d.Inject(prlemu.Fault{Kind: tc.kind, Verb: "clone", Times: -1}))
				begin := time.Now()
				made, err := d.Clone(d.Context(), hypervisor.CloneSpec{Octet: 150, Template: template}, nil)
				if err == nil || !strings.Contains(err.Error(), tc.says) || (made.UUID != "") != tc.made {
					d.Errorf("Clone = %+v, %v", made, err)
				}
				if took := time.Since(begin); took > tc.limit {
					d.Errorf("it took %v", took)
				}
				d.Logf("%v\nnext: %s", err, hint.Of(err))
			})
		})
	}
}

func TestAvailability(t *testing.T) {
	for _, tc := range []struct {
		name     string
		settings prlemu.Settings
		want     error
		findings []parallels.Problem
	}{
		{"good", prlemu.Settings{}, nil, nil},
		{"a notice first", prlemu.Settings{EditionNotice: true}, nil, nil},
		{"absent", prlemu.Settings{Absent: true}, hypervisor.ErrToolMissing, nil},
		{"service down", prlemu.Settings{ServiceDown: true}, hypervisor.ErrService, nil},
		{"Standard", prlemu.Settings{Edition: "standard"}, hypervisor.ErrLicense, nil},
		{"no licence", prlemu.Settings{License: "none"}, hypervisor.ErrLicense, nil},
		{"not connected", prlemu.Settings{AdapterOff: true}, hypervisor.ErrNetwork, []parallels.Problem{parallels.NotConnected}},
		{"another subnet", prlemu.Settings{Subnet: "10.37.129", ScopeStart: "10.37.129.1", ScopeEnd: "10.37.129.99"}, hypervisor.ErrNetwork, []parallels.Problem{parallels.OtherSubnet}},
		{"as installed", prlemu.Settings{ScopeStart: "10.211.55.1", ScopeEnd: "10.211.55.254"}, nil, []parallels.Problem{parallels.DHCPRange}},
		{"no DHCP", prlemu.Settings{NoDHCP: true}, nil, []parallels.Problem{parallels.DHCPOff}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onMac(t, tc.settings, func(d desk) {
				err := d.Available(d.Context())
				if !errors.Is(err, tc.want) || tc.want != nil && hint.Of(err) == "" {
					d.Errorf("Available = %v, hint %q", err, hint.Of(err))
				}
				if err := d.CanClone(d.Context(), hypervisor.CloneSpec{Octet: 150, Template: template}); !errors.Is(err, tc.want) {
					d.Errorf("CanClone = %v", err)
				}
				found, err := d.Findings(d.Context())
				if tc.want == nil && err != nil {
					d.Errorf("Findings = %v", err)
				}
				for i, f := range found {
					if i >= len(tc.findings) || f.Problem != tc.findings[i] {
						d.Errorf("finding %v", f)
					}
				}
				if len(found) < len(tc.findings) {
					d.Errorf("findings %v, want %v", found, tc.findings)
				}
			})
		})
	}
}

// An expired licence is found at the latest when a VM shall start.
func TestExpired(t *testing.T) {
	onMac(t, prlemu.Settings{License: "expired"}, func(d desk) {
		vm := d.add(prlemu.VM{Name: "mpd-150"})
		err := d.Start(d.Context(), vm.UUID)
		if !errors.Is(err, hypervisor.ErrLicense) || hint.Of(err) == "" {
			d.Errorf("Start = %v", err)
		}
		d.Logf("Available = %v", d.Available(d.Context()))
	})
}
