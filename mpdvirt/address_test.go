package mpdvirt_test

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// Step 30 takes the VM's address away under the connection.
func TestSetupAddressChange(t *testing.T) {
	elsewhere := netip.MustParseAddr("10.211.55.99")
	for _, tt := range []struct {
		name   string
		fault  mpdvirttest.Fault
		within time.Duration
		words  []string // of the error; none: it goes well
	}{
		{"behind the script's back", mpdvirttest.Fault{}, 4 * time.Second, nil},
		{"in the foreground", mpdvirttest.Fault{Kind: mpdvirttest.CutForeground}, time.Minute, nil},
		{"late", mpdvirttest.Fault{Kind: mpdvirttest.Late, After: 2 * time.Minute}, 130 * time.Second, nil},
		{"old address lingers", mpdvirttest.Fault{Kind: mpdvirttest.Lingers, After: 20 * time.Second}, 25 * time.Second, nil},
		{"F44 fails", mpdvirttest.Fault{Kind: mpdvirttest.Exit, Status: 100}, 3 * time.Second, []string{"exit status 100"}},
		{"F45 never back", mpdvirttest.Fault{Kind: mpdvirttest.NeverBack}, 4 * time.Minute,
			[]string{"10.211.55.37", "10.211.55.150", "console"}},
		{"F45 elsewhere", mpdvirttest.Fault{Kind: mpdvirttest.WrongAddr, Addr: elsewhere}, 4 * time.Minute,
			[]string{"10.211.55.37", "10.211.55.150", "console"}},
		{"F45 stays", mpdvirttest.Fault{Kind: mpdvirttest.Stays}, 4 * time.Minute,
			[]string{"still at 10.211.55.37", "not at 10.211.55.150"}},
	} {
		for _, silent := range []bool{false, true} {
			name := tt.name
			if silent {
				name += ", addresses without a machine are silent"
			}
			bubble(t, name, func(t *testing.T) {
				l := newLab(t, options{world: mpdvirttest.Options{SilentHosts: silent}})
				fault := tt.fault
				fault.Step = mpdvirttest.StepNetworking
				l.vm.Inject(fault)
				start := time.Now()
				res, err := l.Setup(t.Context(), adoption)
				within := tt.within
				if silent {
					within += 15 * time.Second // one dial that nobody answers, and the look for a stranger
				}
				if took := time.Since(start); took > within {
					t.Errorf("it took %v, more than %v", took, within)
				}
				if tt.words == nil {
					check(t, err)
					return
				}
				wantFailure(l, res, err, "30-networking")
				wantError(t, err, err, tt.words...)
				check(t, l.vm.SetAddr(firstAddr)) // as its owner does on its console
				finishes(l)
			})
		}
	}
}

// F46: what answers at the canonical address before step 30 is somebody else.
func TestSetupAddressTaken(t *testing.T) {
	for name, take := range map[string]func(l *lab){
		"by a VM":                   func(l *lab) { l.addVM(mpdvirttest.VMOptions{Addr: canonical}) },
		"by a machine without SSH":  func(l *lab) { l.world.AddHost(canonical) },
		"by a VM that blocks pings": func(l *lab) { l.addVM(mpdvirttest.VMOptions{Addr: canonical}); l.world.HandleCommand("ping", deaf) },
		"by a silent server": func(l *lab) {
			check(l.t, l.addVM(mpdvirttest.VMOptions{Addr: canonical}).SetServer(mpdvirttest.ServerSilent))
		},
		"by a silent server that blocks pings": func(l *lab) {
			check(l.t, l.addVM(mpdvirttest.VMOptions{Addr: canonical}).SetServer(mpdvirttest.ServerSilent))
			l.world.HandleCommand("ping", deaf)
		},
		"by a printer's web page": func(l *lab) {
			check(l.t, l.addVM(mpdvirttest.VMOptions{Addr: canonical}).SetServer(mpdvirttest.ServerHTTP))
		},
	} {
		bubble(t, "F46 "+name, func(t *testing.T) {
			l := newLab(t, options{})
			take(l)
			start := time.Now()
			err := l.refused(adoption)
			wantError(t, err, mpdvirt.ErrRefused, "10.211.55.150 is taken", "another number than 150")
			if took := time.Since(start); err.Step != "address" || took > 3*time.Second {
				t.Errorf("step %s after %v", err.Step, took)
			}
			if slices.Contains(l.vm.Steps(), mpdvirttest.StepNetworking) || l.vm.Addr() != firstAddr {
				t.Error("step 30 ran")
			}
		})
	}

	// Somebody who comes at the last moment is told by the host key, and
	// learns nothing of us.
	bubble(t, "F46 by a VM during step 30", func(t *testing.T) {
		l := newLab(t, options{})
		var stranger *mpdvirttest.VM
		l.vm.OnStep(func(step, phase string) {
			if step == mpdvirttest.StepNetworking && phase == "begin" {
				stranger = l.addVM(mpdvirttest.VMOptions{Addr: canonical})
			}
		})
		err := l.refused(adoption)
		var key *mpdvirt.HostKeyError
		if wantError(t, err, mpdvirt.ErrRefused); !errors.As(err, &key) || key.Got != stranger.HostKeyFingerprint() {
			t.Errorf("error %v", err)
		}
		if stranger.Logins() > 0 || l.exists(".mpd-virt/150/env") {
			t.Error("the stranger was logged in to or registered")
		}
	})
}

// F51: a VM that has its address already does not lose its connection.
func TestSetupAtCanonicalAddress(t *testing.T) {
	for _, host := range []string{"mpd-150", "mpd-template-trixie"} {
		bubble(t, "F51 "+host, func(t *testing.T) {
			l := newLab(t, options{vm: mpdvirttest.VMOptions{Addr: canonical, Hostname: host}})
			req := adoption
			req.Addr = canonical
			l.setup(req)
			if l.vm.Handshakes() != 1 {
				t.Errorf("%d handshakes, want 1", l.vm.Handshakes())
			}
		})
	}
}

// A VM that was moved while the setup was interrupted is found at either
// address.
func TestSetupFindsMovedVM(t *testing.T) {
	bubble(t, "moved after its setup failed", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepNetworking, Kind: mpdvirttest.NeverBack})
		l.refused(adoption)
		check(t, l.vm.SetAddr(canonical))
		finishes(l)
	})
	bubble(t, "moved elsewhere by its owner", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, os.Remove(l.path(".mpd-virt/150/env")))
		elsewhere := netip.MustParseAddr("10.211.55.38")
		check(t, l.vm.SetAddr(elsewhere))
		l.setup(mpdvirt.SetupRequest{Octet: octet, Addr: elsewhere})
		wantFiles(l)
	})
}
