package mpdvirttest_test

import (
	"bytes"
	"crypto/rand"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/utm"
	"github.com/mutms/mpd-virt-macos/internal/cloudinit"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// apple is a Mac with UTM, and the backend that drives it.
type apple struct {
	*testing.T
	*mpdvirttest.UTM
	w       *mpdvirttest.World
	backend *utm.Backend
}

var seedAddr = netip.MustParseAddr("192.168.64.150")

func newApple(t *testing.T, o mpdvirttest.UTMOptions) *apple {
	t.Helper()
	w := newWorld(t, mpdvirttest.Options{})
	u, err := w.AddUTM(o)
	if err != nil {
		t.Fatal(err)
	}
	return &apple{t, u, w, utm.New(utm.Config{Run: w.Run})}
}

func (a *apple) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

func (a *apple) mac() net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0xa, 0xb, 150} }

// seed is a good one for mpd-150.
func (a *apple) seed() cloudinit.Seed {
	a.Helper()
	private, _, err := cloudinit.GenerateHostKey(rand.Reader)
	a.must(err)
	public, err := cloudinit.ParsePublicKey(ssh.MarshalAuthorizedKey(a.w.Key()))
	a.must(err)
	return cloudinit.Seed{
		InstanceID: "mpd-150-1", HostName: "mpd-150", User: "dev", PublicKey: public, HostKey: private,
		MAC: a.mac(), Addr: netip.PrefixFrom(seedAddr, 24), Gateway: netip.MustParseAddr("192.168.64.1"),
	}
}

func (a *apple) iso(s cloudinit.Seed) []byte {
	a.Helper()
	image, err := s.ISO()
	a.must(err)
	return image
}

// create makes mpd-150 from a disk and a seed, whose files are then deleted.
func (a *apple) create(seed []byte) (uuid string) {
	a.Helper()
	return a.createFrom(disk(), seed)
}

func disk() []byte {
	b := make([]byte, 4096)
	b[510], b[511] = 0x55, 0xaa
	return b
}

func (a *apple) createFrom(disk, seed []byte) (uuid string) {
	a.Helper()
	spec := hypervisor.CreateSpec{Octet: 150, Arch: "arm64", RAM: 8 * hypervisor.GiB, Cores: 4, MAC: a.mac(),
		Disk: filepath.Join(a.w.Home(), "disk.raw"), Seed: filepath.Join(a.w.Home(), "seed.iso")}
	a.must(os.WriteFile(spec.Disk, disk, 0o600))
	a.must(os.WriteFile(spec.Seed, seed, 0o600))
	made, err := a.backend.Create(a.Context(), spec, nil)
	a.must(err)
	a.must(os.Remove(spec.Disk))
	a.must(os.Remove(spec.Seed))
	return made.UUID
}

func (a *apple) start(uuid string) { a.Helper(); a.must(a.backend.Start(a.Context(), uuid)) }

func (a *apple) network() string {
	a.Helper()
	p, err := a.backend.Network(a.Context())
	a.must(err)
	return p.String()
}

func (a *apple) file(v *mpdvirttest.VM, name string) string {
	data, _, err := v.File(name)
	if err != nil {
		return "missing"
	}
	return string(data)
}

// A VM comes up as its seed says, and stays so without it.
func TestUTM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{})
		seed := a.seed()
		uuid := a.create(a.iso(seed))
		v := a.VM("mpd-150")
		if v == nil || v.HostKeyFingerprint() != "" || a.file(v, "/etc/machine-id") != "" || a.w.Reachable(seedAddr) {
			t.Fatal("the VM is not blank")
		}
		a.start(uuid)
		signer, err := ssh.ParsePrivateKey(seed.HostKey)
		a.must(err)
		if keys := v.HostKeys(); len(keys) != 1 || !bytes.Equal(keys[0].Marshal(), signer.PublicKey().Marshal()) {
			t.Fatalf("%d host keys", len(keys))
		}
		if got := hostKeyOf(t, a.w, v, ssh.KeyAlgoED25519); !bytes.Equal(got.Marshal(), signer.PublicKey().Marshal()) {
			t.Error("another key answers")
		}
		const look = "id -un; sudo -n id -u; hostname; uname -m; stat -c %U ~; cat ~/.ssh/authorized_keys; cloud-init status --wait"
		want := "dev\n0\nmpd-150\naarch64\ndev\n" + seed.PublicKey + "\nstatus: done\n"
		if out := mustRun(t, login(t, a.w, seedAddr), "", look); out != want {
			t.Errorf("inside: %q, want %q", out, want)
		}
		id := a.file(v, "/etc/machine-id")
		if len(id) != 33 || a.network() != "192.168.64.0/24" {
			t.Errorf("machine-id %q, network %s", id, a.network())
		}

		// Another start with the same seed changes nothing.
		mustRun(t, login(t, a.w, seedAddr), "", "echo mine > file; sudo hostnamectl set-hostname changed")
		a.must(a.backend.Shutdown(t.Context(), uuid))
		if a.w.Reachable(seedAddr) {
			t.Error("shut down, and still there")
		}
		a.start(uuid)
		const again = "cat file; hostname; cloud-init status"
		if out := mustRun(t, login(t, a.w, seedAddr), "", again); out != "mine\nchanged\nstatus: done\n" {
			t.Errorf("second boot: %q", out)
		}

		// Nor does its absence.
		a.must(a.backend.Shutdown(t.Context(), uuid))
		drive, err := a.backend.Seed(t.Context(), uuid)
		a.must(err)
		a.must(a.backend.Detach(t.Context(), uuid, drive))
		a.start(uuid)
		if out := mustRun(t, login(t, a.w, seedAddr), "", again); out != "mine\nchanged\nstatus: disabled\n" {
			t.Errorf("without the seed: %q", out)
		}
		if a.file(v, "/etc/machine-id") != id || v.HostKeyFingerprint() != ssh.FingerprintSHA256(signer.PublicKey()) {
			t.Error("machine-id or host key changed")
		}

		a.must(a.backend.Suspend(t.Context(), uuid))
		if a.w.Reachable(seedAddr) {
			t.Error("suspended, and still there")
		}
		a.start(uuid)
		login(t, a.w, seedAddr)
		a.must(a.backend.Kill(t.Context(), uuid))
		a.must(a.backend.Delete(t.Context(), uuid))
		if a.VM("mpd-150") != nil || a.UUID("mpd-150") != "" || a.w.Reachable(seedAddr) {
			t.Error("deleted, and still there")
		}
	})
}

// What is on the drives decides what comes up.
func TestUTMDrives(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *cloudinit.Seed)
		spoil  func(image []byte) []byte
		disk   []byte // nil: a good one
		runs   bool   // there is a system
		keys   int    // host keys
	}{
		{name: "no seed", spoil: func([]byte) []byte { return []byte("nothing") }, runs: true},
		{name: "a label that NoCloud does not find", spoil: func(b []byte) []byte { return bytes.Replace(b, []byte("cidata"), []byte("CiData"), 1) }, runs: true},
		{name: "another user-data", spoil: func(b []byte) []byte { return bytes.Replace(b, []byte("#cloud-config"), []byte("#cloud-c0nfig"), 1) }, runs: true},
		{name: "the MAC address of another machine", change: func(s *cloudinit.Seed) { s.MAC[5]++ }, runs: true, keys: 1},
		{name: "another network", change: func(s *cloudinit.Seed) {
			s.Addr, s.Gateway = netip.MustParsePrefix("192.168.65.150/24"), netip.MustParseAddr("192.168.65.1")
		}, runs: true, keys: 1},
		{name: "no boot sector", disk: make([]byte, 4096)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApple(t, mpdvirttest.UTMOptions{})
				seed := a.seed()
				if tt.change != nil {
					tt.change(&seed)
				}
				image := a.iso(seed)
				if tt.spoil != nil {
					image = tt.spoil(image)
				}
				if tt.disk == nil {
					tt.disk = disk()
				}
				a.start(a.createFrom(tt.disk, image))
				v := a.VM("mpd-150")
				if v.Addr().IsValid() || a.w.Reachable(seed.Addr.Addr()) || len(v.HostKeys()) != tt.keys {
					t.Errorf("at %v, %d host keys", v.Addr(), len(v.HostKeys()))
				}
				if booted := a.file(v, "/etc/machine-id") != ""; booted != tt.runs {
					t.Errorf("booted: %t", booted)
				}
				if users := strings.Count(a.file(v, "/etc/passwd"), "\n"); users != 1+tt.keys {
					t.Errorf("%d accounts", users)
				}
			})
		})
	}
}

// vmnet's network is there while a VM runs, and remembered after that.
func TestUTMNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := netip.MustParsePrefix("192.168.66.0/24")
		a := newApple(t, mpdvirttest.UTMOptions{Network: other})
		own := func(addr string) bool {
			addrs, err := a.w.LocalAddrs()
			a.must(err)
			return slices.Contains(addrs, netip.MustParseAddr(addr))
		}
		bridge := func() int {
			r, err := a.w.Run(t.Context(), hypervisor.Command{Argv: []string{"ifconfig", "bridge100"}})
			a.must(err)
			return r.Status
		}
		if a.network() != "192.168.64.0/24" || bridge() == 0 || own("192.168.66.1") {
			t.Errorf("before: network %s", a.network())
		}
		uuid := a.create(a.iso(a.seed()))
		a.start(uuid)
		if a.network() != other.String() || bridge() != 0 || !own("192.168.66.1") || a.w.Reachable(seedAddr) {
			t.Errorf("with a VM: network %s", a.network())
		}
		second, err := a.AddVM("mpd-151", mpdvirttest.VMOptions{})
		a.must(err)
		if got := second.Addr().String(); got != "192.168.66.2" {
			t.Errorf("DHCP gave %s", got)
		}
		a.must(a.backend.Kill(t.Context(), uuid))
		if bridge() != 0 {
			t.Error("the bridge went while a VM runs")
		}
		a.must(a.backend.Kill(t.Context(), a.UUID("mpd-151")))
		if bridge() == 0 || a.network() != other.String() || own("192.168.66.1") {
			t.Errorf("after: network %s", a.network())
		}
		a.must(a.SetNetwork(netip.Prefix{}))
		a.start(a.UUID("mpd-151"))
		if a.network() != other.String() || !a.w.Reachable(second.Addr()) {
			t.Errorf("later: network %s", a.network())
		}
		if a.SetNetwork(netip.MustParsePrefix("10.0.0.0/8")) == nil {
			t.Error("a network of another size was taken")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{Settings: mpdvirttest.UTMSettings{Bridge: "192.168.70.1", Intel: true}})
		uuid := a.create(a.iso(a.seed()))
		a.start(uuid)
		a.must(a.backend.Kill(t.Context(), uuid))
		if a.network() != "192.168.70.0/24" || a.w.Config().Host.Arch != "amd64" {
			t.Errorf("the bridge of another program is gone: %s", a.network())
		}
	})
}

// The guest answers some time after its power is on, and a start that was undone
// has no late effect.
func TestUTMTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{Settings: mpdvirttest.UTMSettings{Delay: 1}, Boot: 20 * time.Second})
		uuid := a.create(a.iso(a.seed()))
		a.start(uuid)
		if a.w.Reachable(seedAddr) {
			t.Error("it is there at once")
		}
		a.must(a.backend.Kill(t.Context(), uuid))
		pass(time.Minute)
		if a.w.Reachable(seedAddr) {
			t.Error("it booted after it was killed")
		}
		a.start(uuid)
		pass(30 * time.Second)
		login(t, a.w, seedAddr)
		a.must(a.SetDeaf("mpd-150", true))
		if a.backend.Shutdown(t.Context(), uuid) == nil || !a.w.Reachable(seedAddr) {
			t.Error("a deaf guest shut down")
		}
	})
}

// A person's VMs, and what the methods tell and change.
func TestUTMInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{Settings: mpdvirttest.UTMSettings{NewWords: true}})
		fixed, err := a.AddVM("fixed", mpdvirttest.VMOptions{Addr: netip.MustParseAddr("192.168.64.60")})
		a.must(err)
		off, err := a.AddVM("off", mpdvirttest.VMOptions{Off: true})
		a.must(err)
		if _, status := run(t, login(t, a.w, fixed.Addr()), "", "cloud-init status"); status != 127 {
			t.Errorf("a VM that was not made has cloud-init: %d", status)
		}
		a.must(a.Rename("off", "mpd-140"))
		machines, err := a.Machines()
		a.must(err)
		var got []string
		for _, m := range machines {
			got = append(got, m.Name+" "+string(m.State)+" "+m.Addr.String())
		}
		if want := []string{"fixed running 192.168.64.60", "mpd-140 stopped invalid IP"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		a.start(a.UUID("mpd-140"))
		if a.VM("mpd-140") != off || off.Addr().String() != "192.168.64.2" {
			t.Errorf("it is at %v", off.Addr())
		}
		a.must(a.Inject(mpdvirttest.UTMFault{Kind: "event", Verb: "list", Number: -1743}))
		if _, err := a.backend.States(t.Context()); err == nil {
			t.Error("a fault had no effect")
		}
		a.must(a.SetState("fixed", "dreaming"))
		vms, err := a.backend.States(t.Context())
		if a.must(err); len(vms) != 2 || vms[0].State != "dreaming" {
			t.Errorf("%v", vms)
		}
		a.must(a.Remove("fixed"))
		if a.w.Reachable(fixed.Addr()) || a.Remove("fixed") == nil {
			t.Error("removed, and still there")
		}
		calls, err := a.Calls()
		if a.must(err); !slices.ContainsFunc(calls, func(c string) bool { return strings.HasSuffix(c, "/MacOS/utmctl list") }) {
			t.Errorf("calls %q", calls)
		}
		if _, err := a.w.AddUTM(mpdvirttest.UTMOptions{}); err == nil {
			t.Error("there are two UTMs")
		}
	})
}

// UTM that quits takes the running guest's memory with it if that was saved, and
// the next start brings it back.
func TestUTMQuits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{})
		uuid := a.create(a.iso(a.seed()))
		a.start(uuid)
		c := login(t, a.w, seedAddr)
		a.must(a.backend.Suspend(t.Context(), uuid))
		a.must(a.SetState(uuid, "stopped"))
		a.start(uuid)
		mustRun(t, c, "", "true") // the same connection
	})
}
