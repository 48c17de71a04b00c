package mpdvirt_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func TestDoctorState(t *testing.T) {
	testSymptoms(t, "state", []symptom{
		{name: "none yet", want: ok, words: []string{"first setup"}},
		{name: "there", change: setUp, want: ok},
		{name: "a file", change: func(p *patient) { p.write(".mpd-virt", "", 0o600) }, want: fail, words: []string{"a file"}},
		{name: "F96 a link", change: func(p *patient) { check(p.t, os.Symlink("elsewhere", p.path(".mpd-virt"))) }, want: fail, words: []string{"symbolic link"}},
	})
}

func TestDoctorPermissions(t *testing.T) {
	chmod := func(name string, mode os.FileMode) func(*patient) {
		return func(p *patient) {
			p.setUp()
			check(p.t, os.Chmod(p.path(name), mode))
		}
	}
	testSymptoms(t, "permissions", []symptom{
		{name: "none yet", want: skipped},
		{name: "as they were made", change: setUp, want: ok},
		{name: "CA key", change: chmod(".mpd-virt/conf/caroot/rootCA-key.pem", 0o644), want: fail, words: []string{"others may read", "chmod go-rwx ", "rootCA-key.pem"}},
		{name: "import file", change: chmod(".mpd-virt/conf/wireguard/150/mpd-150.conf", 0o640), want: fail, words: []string{"mpd-150.conf"}},
		{name: "public file", change: chmod(".mpd-virt/conf/caroot/rootCA.pem", 0o666), want: ok},
		{name: "folder", change: chmod(".mpd-virt/conf", 0o755), want: warn, words: []string{"others may enter", "chmod go-rwx "}},
		{name: "seed of a VM that is being made", change: func(p *patient) { p.write(".mpd-virt/160/making/seed.iso", "x", 0o644) }, want: fail},
		{name: "F96 a link", change: func(p *patient) {
			p.setUp()
			check(p.t, os.Rename(p.path(".mpd-virt/conf/caroot"), p.path("elsewhere")))
			check(p.t, os.Symlink(p.path("elsewhere"), p.path(".mpd-virt/conf/caroot")))
		}, want: fail, words: []string{"a symbolic link"}},
		{name: "what people keep there", change: func(p *patient) {
			p.setUp()
			p.write(".mpd-virt/notes/today", "x", 0o644)
			check(p.t, os.Chmod(p.path(".mpd-virt/notes"), 0o755))
		}, want: ok},
	})
}

// Only root can give files away.
func TestDoctorForeignFiles(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	testSymptoms(t, "permissions", []symptom{{name: "made with sudo", change: func(p *patient) {
		p.setUp()
		check(p.t, os.Chown(p.path(".mpd-virt/conf/wireguard/150/client.conf"), 12345, 12345))
	}, want: fail, words: []string{"of another user", "sudo chown -h 0 ", "client.conf"}}})
}

func TestDoctorRegistry(t *testing.T) {
	testSymptoms(t, "registry", []symptom{
		{name: "empty", want: ok, words: []string{"no VM"}},
		{name: "one", change: onStub, want: ok, words: []string{"1 VM registered"}},
		{name: "F88 broken", change: func(p *patient) { p.write(".mpd-virt/103/env", "MPD_VM_OCTET=103\n=\n", 0o600) }, want: fail,
			words: []string{"mpd-103", "103/env:2", "correct the named line"}},
		{name: "unfinished", change: func(p *patient) {
			p.vm.Inject(mpdvirttest.Fault{Kind: mpdvirttest.Exit})
			p.refused(adoption)
		}, want: warn, words: []string{"mpd-150", "mpd-virt setup 150"}},
		{name: "a run works on it", change: func(p *patient) {
			p.write(".mpd-virt/160/journal.json", "{", 0o600)
			holdLock(p, 160)
		}, want: ok},
		{name: "one VM twice", change: func(p *patient) {
			register(p.lab, 150, "stub")
			register(p.lab, 151, "stub")
			p.uuid(150, "00000000-0000-4000-8000-000000000ABC")
			p.uuid(151, "00000000-0000-4000-8000-000000000abc")
		}, want: warn, words: []string{"mpd-150 and mpd-151 have stub's VM 00000000-0000-4000-8000-000000000abc", "--keep-vm"}},
		{name: "one address twice", change: func(p *patient) {
			register(p.lab, 150, "stub")
			register(p.lab, 151, "stub")
			p.write(".mpd-virt/151/env", strings.ReplaceAll(p.read(".mpd-virt/151/env"), ".55.151", ".55.150"), 0o600)
		}, want: warn, words: []string{"the address 10.211.55.150"}},
	})
}

// holdLock holds the lock of a VM until the test ends.
func holdLock(p *patient, o mpdvirt.Octet) {
	file := filepath.Join(p.path(".mpd-virt"), ".lock-"+o.String())
	held, err := statefile.Acquire(p.t.Context(), file, "setup", 0)
	check(p.t, err)
	p.t.Cleanup(func() { check(p.t, held.Unlock()) })
}

func TestDoctorIdentity(t *testing.T) {
	testSymptoms(t, "identity", []symptom{
		{name: "none yet", want: ok},
		{name: "whole", change: setUp, want: ok, words: []string{"1 VM"}},
		{name: "the CA is gone", change: func(p *patient) {
			p.setUp()
			check(p.t, os.RemoveAll(p.path(".mpd-virt/conf/caroot")))
		}, want: fail},
		{name: "a damaged CA", change: func(p *patient) {
			p.setUp()
			p.write(".mpd-virt/conf/caroot/rootCA.pem", "x", 0o644)
		}, want: fail, words: []string{"rootCA.pem"}},
		{name: "F95 a damaged key", change: func(p *patient) {
			p.setUp()
			p.write(".mpd-virt/conf/wireguard/150/private", "x", 0o600)
		}, want: fail, words: []string{"mpd-150", "private"}},
		{name: "nothing of a VM", change: func(p *patient) {
			p.setUp()
			register(p.lab, 151, "stub")
		}, want: warn, words: []string{"mpd-151", "mpd-virt setup 151"}},
		{name: "expired", change: inYears(11), want: warn, words: []string{"ca-expiry"}},
	})
}

// inYears is a VM that was set up a long time ago.
func inYears(years int) func(p *patient) {
	return func(p *patient) {
		p.setUp()
		p.cfg.Now = func() time.Time { return mpdvirttest.Epoch.AddDate(years, 0, 0) }
		p.Manager = p.manager()
	}
}

func TestDoctorKeys(t *testing.T) {
	testSymptoms(t, "ssh-key", []symptom{
		{name: "a file", want: ok, words: []string{"id_ed25519"}},
		{name: "none", options: options{world: mpdvirttest.Options{NoKey: true}}, want: fail, words: []string{"ssh-keygen -t ed25519"}},
		{name: "damaged", change: func(p *patient) {
			p.write(".ssh/id_ed25519", "x", 0o600)
			check(p.t, os.RemoveAll(p.path(".ssh/id_ed25519.pub")))
		}, want: fail, words: []string{"not a private key", "ssh-keygen"}},
		{name: "the agent is dead", options: options{config: func(c *mpdvirt.Config) { c.AgentSocket = filepath.Join(c.Home, "agent") }}, want: warn,
			words: []string{"id_ed25519", "agent at ~/agent", "ssh-add -l"}},
		{name: "encrypted", change: func(p *patient) { p.write(".ssh/id_ed25519", encryptedKey(p.t), 0o600) }, want: warn, words: []string{"passphrase", "ssh-add "}},
	})
}

func TestDoctorSSH(t *testing.T) {
	testSymptoms(t, "ssh", []symptom{
		{name: "no VM", want: ok},
		{name: "a VM", change: setUp, want: ok},
		{name: "version", change: func(p *patient) {
			p.world.HandleCommand("ssh", answering("-V", hypervisor.Result{Stderr: []byte("OpenSSH_10.0p2, LibreSSL 3.3.6\n")}))
		}, want: ok, words: []string{"OpenSSH_10.0p2,"}},
		{name: "no ssh", change: func(p *patient) { p.world.HandleCommand("ssh", absentTool) }, want: warn, words: []string{"there is no ssh"}},
		{name: "settings that it does not read", change: func(p *patient) {
			p.world.HandleCommand("ssh", answering("-G", hypervisor.Result{Status: 255, Stderr: []byte("/Users/dev/.ssh/config: line 3: Bad configuration option: usekeychain\n")}))
		}, want: fail, words: []string{"Bad configuration option"}},
		{name: "entries that differ", change: func(p *patient) {
			p.setUp()
			p.write(".ssh/config", "Host x\n", 0o600)
		}, want: warn, words: []string{".ssh/config", "mpd-virt diag 150"}},
		{name: "F92 others may write", change: func(p *patient) {
			p.setUp()
			check(p.t, os.Chmod(p.path(".ssh"), 0o777))
		}, want: warn, words: []string{"chmod go-w"}},
	})
}

func TestDoctorBackend(t *testing.T) {
	testSymptoms(t, "backend-stub", []symptom{
		{name: "there", change: func(p *patient) { p.stub.network = netip.MustParsePrefix("10.211.55.0/24") }, want: ok,
			words: []string{"4.7.5", "10.211.55.0/24", "no VM is on it"}},
		{name: "not there and not needed", change: func(p *patient) { p.stub.absent = hypervisor.ErrToolMissing }, want: skipped},
		{name: "not there and needed", change: func(p *patient) {
			onStub(p)
			p.stub.absent = fixable(hypervisor.ErrToolMissing)
		}, want: fail, words: []string{"1 VM is on it", "do this"}},
		{name: "not permitted and not needed", change: func(p *patient) { p.stub.absent = fixable(os.ErrPermission) }, want: warn, words: []string{"do this"}},
		{name: "does not tell its VMs", change: func(p *patient) {
			onStub(p)
			p.stub.states = fixable(hypervisor.ErrService)
		}, want: fail, words: []string{"ask stub for its VMs"}},
		{name: "DHCP", change: func(p *patient) {
			p.stub.found = []hypervisor.Finding{{Text: "its DHCP gives the VMs' addresses away", Advice: "change the range", Fix: []string{"prlsrvctl", "x"}, Root: true}}
		}, want: warn, words: []string{"gives the VMs' addresses away", "change the range", "sudo prlsrvctl x"}},
		{name: "no network", change: func(p *patient) { p.stub.netErr = fixable(hypervisor.ErrNetwork) }, want: warn, words: []string{"network not usable", "do this"}},
	})
}

func TestDoctorVM(t *testing.T) {
	recorded := func(p *patient) {
		onStub(p)
		p.uuid(150, "00000000-0000-4000-8000-000000000ABC")
	}
	vm := func(name, uuid string, state hypervisor.State) func(*patient) {
		return func(p *patient) {
			recorded(p)
			p.stub.has(name, uuid, state)
		}
	}
	testSymptoms(t, "mpd-150", []symptom{
		{name: "stopped", change: vm("mpd-150", "00000000-0000-4000-8000-000000000abc", hypervisor.Stopped), want: ok, words: []string{"on stub, 10.211.55.150, stopped"}},
		{name: "running", change: func(p *patient) {
			vm("mpd-150", "00000000-0000-4000-8000-000000000ABC", hypervisor.Running)(p)
			p.world.AddHost(canonical)
		}, want: ok, words: []string{"running"}},
		{name: "running and dead", change: vm("mpd-150", "00000000-0000-4000-8000-000000000ABC", hypervisor.Running), want: warn, words: []string{"does not answer ping", "mpd-virt diag 150"}},
		{name: "general", change: setUp, want: ok, words: []string{"answers ping"}},
		{name: "general and off", change: func(p *patient) {
			p.setUp()
			p.vm.PowerOff()
		}, want: ok, words: []string{"off or not to be reached"}},
		{name: "no ping on this machine", change: func(p *patient) {
			vm("mpd-150", "00000000-0000-4000-8000-000000000ABC", hypervisor.Running)(p)
			p.world.HandleCommand("ping", absentTool)
		}, want: ok},
		{name: "missing", change: recorded, want: fail, words: []string{"no such VM any more", "mpd-virt delete 150"}},
		{name: "missing, by name", change: onStub, want: fail, words: []string{"no such VM any more"}},
		{name: "renamed", change: vm("my vm", "00000000-0000-4000-8000-000000000ABC", hypervisor.Stopped), want: warn, words: []string{`calls it "my vm"`, "give it the name mpd-150"}},
		{name: "another VM", change: vm("mpd-150", "00000000-0000-4000-8000-000000000DEF", hypervisor.Stopped), want: fail, refused: true, words: []string{"00000000-0000-4000-8000-000000000DEF", "mpd-virt delete 150 --keep-vm"}},
		{name: "two of that name", change: func(p *patient) {
			onStub(p)
			p.stub.has("mpd-150", "1", hypervisor.Stopped)
			p.stub.has("mpd-150", "2", hypervisor.Stopped)
		}, want: fail, refused: true, words: []string{"several"}},
		{name: "another one has the name, too", change: func(p *patient) {
			vm("mpd-150", "00000000-0000-4000-8000-000000000ABC", hypervisor.Stopped)(p)
			p.stub.has("mpd-150", "2", hypervisor.Stopped)
		}, want: warn, words: []string{"another VM of this name"}},
		{name: "a state that nobody knows", change: vm("mpd-150", "00000000-0000-4000-8000-000000000ABC", "levitating"), want: warn, words: []string{"levitating"}},
		{name: "the network has moved", change: func(p *patient) {
			vm("mpd-150", "00000000-0000-4000-8000-000000000ABC", hypervisor.Stopped)(p)
			p.stub.network = netip.MustParsePrefix("192.168.65.0/24")
		}, want: warn, words: []string{"10.211.55.150 is not in 192.168.65.0/24", "--keep-vm"}},
		{name: "unknown backend", change: func(p *patient) { register(p.lab, 150, "vmware") }, want: fail, words: []string{"vmware"}},
		{name: "its backend failed", change: func(p *patient) {
			onStub(p)
			p.stub.absent = hypervisor.ErrToolMissing
		}, want: skipped, words: []string{"backend-stub failed"}},
	})
}

func TestDoctorMacOS(t *testing.T) {
	noMac := options{world: mpdvirttest.Options{NoMac: true}}
	testSymptoms(t, "macos", []symptom{
		{name: "26", want: ok, words: []string{"macOS 26.6.2"}},
		{name: "F111 garbage", change: func(p *patient) { macFault(p, mpdvirttest.MacFault{Kind: "garbage", Tool: "sw_vers", Times: -1}) }, want: warn},
		{name: "no Mac", options: noMac, want: skipped},
	})
	t.Run("tools", func(t *testing.T) {
		testSymptoms(t, "tools", []symptom{
			{name: "all", want: ok, words: []string{"ping, security, scutil"}},
			{name: "F111 one is absent", change: func(p *patient) {
				check(p.t, p.world.Mac().Change(func(s *mpdvirttest.MacSettings) { s.NoTools = []string{"scutil", "netstat"} }))
			}, want: warn, words: []string{"scutil, netstat"}},
			{name: "no Mac", options: noMac, want: ok},
			{name: "no ping", options: noMac, change: func(p *patient) { p.world.HandleCommand("ping", absentTool) }, want: warn, words: []string{"ping"}},
		})
	})
}

func macFault(p *patient, faults ...mpdvirttest.MacFault) {
	check(p.t, p.world.Mac().Inject(faults...))
}

func TestDoctorLocks(t *testing.T) {
	testSymptoms(t, "locks", []symptom{
		{name: "none", want: ok},
		{name: "free", change: setUp, want: ok},
		{name: "held", change: func(p *patient) {
			p.setUp()
			holdLock(p, 150)
		}, want: warn, words: []string{fmt.Sprintf("setup (pid %d) works on mpd-150", os.Getpid())}},
		{name: "of a dead run", change: func(p *patient) { p.write(".mpd-virt/.lock-150", "999999999 setup\n", 0o600) }, want: ok},
		{name: "a folder", change: func(p *patient) { check(p.t, os.MkdirAll(p.path(".mpd-virt/.lock"), 0o700)) }, want: warn, words: []string{"a folder"}},
		{name: "no state", change: func(p *patient) { p.write(".mpd-virt", "", 0o600) }, want: skipped},
	})
}

func TestDoctorLeftovers(t *testing.T) {
	temp := func(name string) func(*patient) {
		return func(p *patient) { p.write(name+"/.mpd-virt-ABC.tmp", "x", 0o600) }
	}
	testSymptoms(t, "leftovers", []symptom{
		{name: "none", change: setUp, want: ok},
		{name: "F93 in the state folder", change: temp(".mpd-virt/conf/wireguard/150"), want: warn, words: []string{"rm -f ", "150/.mpd-virt-ABC.tmp"}},
		{name: "F93 in .ssh", change: temp(".ssh"), want: warn, words: []string{"rm -f "}},
		{name: "F93 of a live run", change: func(p *patient) {
			temp(".mpd-virt/150")(p)
			holdLock(p, 150)
		}, want: skipped, words: []string{"another run"}},
		{name: "half-made VM", change: func(p *patient) { p.write(".mpd-virt/160/making/disk.raw", "x", 0o600) }, want: warn, words: []string{"mpd-160", "mpd-virt delete 160"}},
		{name: "a VM is there by now", change: func(p *patient) {
			register(p.lab, 160, "stub")
			p.write(".mpd-virt/160/making/disk.raw", "x", 0o600)
		}, want: warn, words: []string{"rm -r ", "160/making"}},
	})
}

func TestDoctorOrphans(t *testing.T) {
	testSymptoms(t, "orphans", []symptom{
		{name: "none", change: func(p *patient) {
			onStub(p)
			for _, name := range []string{"mpd-150", "mpd-template-trixie", "mpd-099", "other", "mpd-1600", "Mpd-151"} {
				p.stub.has(name, name, hypervisor.Stopped)
			}
		}, want: ok},
		{name: "one", change: func(p *patient) { p.stub.has("mpd-160", "1", hypervisor.Running) }, want: warn,
			words: []string{"mpd-160 (running)", "mpd-virt setup 160 --backend=stub"}},
		{name: "registered elsewhere", change: func(p *patient) {
			register(p.lab, 160, "general")
			p.stub.has("mpd-160", "1", hypervisor.Stopped)
		}, want: warn, words: []string{"the one that is registered is on general"}},
		{name: "unfinished", change: func(p *patient) {
			p.write(".mpd-virt/160/journal.json", "{", 0o600)
			p.stub.has("mpd-160", "1", hypervisor.Stopped)
		}, want: ok},
		{name: "nobody to ask", change: func(p *patient) { p.stub.absent = hypervisor.ErrToolMissing }, want: skipped},
	})
}

func TestDoctorRunning(t *testing.T) {
	run := func(state hypervisor.State, octets ...mpdvirt.Octet) func(*patient) {
		return func(p *patient) {
			for _, o := range octets {
				register(p.lab, o, "stub")
				p.stub.has(o.VMName(), o.String(), state)
			}
		}
	}
	testSymptoms(t, "running", []symptom{
		{name: "no VM", want: skipped},
		{name: "none", change: run(hypervisor.Stopped, 150, 151), want: ok, words: []string{"no VM is known to run"}},
		{name: "one", change: run(hypervisor.Running, 150), want: ok, words: []string{"mpd-150 runs"}},
		{name: "two", change: run(hypervisor.Running, 150, 151), want: warn, words: []string{"mpd-150, mpd-151 run at once"}},
		{name: "one of each backend", change: func(p *patient) {
			p.setUp()
			run(hypervisor.Running, 151)(p)
		}, want: warn, words: []string{"mpd-150, mpd-151"}},
	})
	t.Run("local network", func(t *testing.T) {
		denied := func(p *patient) {
			run(hypervisor.Running, 150)(p)
			check(p.t, p.world.Mac().Change(func(s *mpdvirttest.MacSettings) {
				s.Bridges = []netip.Prefix{{}, netip.MustParsePrefix("10.211.55.2/24")}
			}))
			p.world.HandleCommand("ping", answering("", hypervisor.Result{Status: 2, Stderr: []byte("ping: sendto: No route to host\n")}))
		}
		testSymptoms(t, "local-network", []symptom{
			{name: "it answers", change: setUp, want: ok},
			{name: "forbidden", change: denied, want: warn, words: []string{"Privacy & Security"}},
			{name: "dead", change: func(p *patient) {
				denied(p)
				p.world.HandleCommand("ping", deaf)
			}, want: ok},
			{name: "none runs", change: run(hypervisor.Stopped, 150), want: skipped},
		})
	})
}

func TestDoctorHostKeys(t *testing.T) {
	testSymptoms(t, "host-keys", []symptom{
		{name: "no VM", want: skipped},
		{name: "their own", change: setUp, want: ok},
		{name: "a copy", change: func(p *patient) {
			p.setUp()
			register(p.lab, 151, "general")
			p.write(".mpd-virt/151/known_hosts", strings.ReplaceAll(p.read(".mpd-virt/150/known_hosts"), "mpd-150", "mpd-151"), 0o600)
		}, want: warn, words: []string{"mpd-150, mpd-151 have the same SSH host key"}},
		{name: "lost", change: onStub, want: warn, words: []string{"mpd-150: its pinned host key is lost", "mpd-virt setup 150"}},
		{name: "damaged", change: func(p *patient) {
			onStub(p)
			p.write(".mpd-virt/150/known_hosts", "x\n", 0o600)
		}, want: warn, words: []string{"known_hosts"}},
	})
}

func TestDoctorTunnel(t *testing.T) {
	imported := func(p *patient, name string) {
		check(p.t, p.world.Mac().ImportTunnel(name, p.read(".mpd-virt/conf/wireguard/150/client.conf")))
	}
	testSymptoms(t, "tunnel", []symptom{
		{name: "none", want: ok, words: []string{"no tunnel"}},
		{name: "up", change: setUp, want: ok, words: []string{"mpd-150 answers", "mpd-150 is connected"}},
		{name: "up to nobody", change: func(p *patient) {
			p.setUp()
			p.vm.PowerOff()
		}, want: warn, words: []string{"no VM answers behind it"}},
		{name: "of a stranger", change: func(p *patient) {
			p.setUp()
			check(p.t, os.RemoveAll(p.path(".mpd-virt/150")))
		}, want: warn, words: []string{"10.211.55.150 answers that is not registered"}},
		{name: "of a VM that is gone", change: func(p *patient) {
			p.setUp()
			imported(p, "mpd-160")
		}, want: warn, words: []string{"of no registered VM: mpd-160", "WireGuard"}},
		{name: "F111 garbage", change: func(p *patient) { macFault(p, mpdvirttest.MacFault{Kind: "garbage", Tool: "ifconfig", Times: -1}) }, want: warn},
		{name: "F111 hangs", change: func(p *patient) { macFault(p, mpdvirttest.MacFault{Kind: "hang", Tool: "ifconfig", Times: -1}) }, want: warn},
	})
}

func TestDoctorRoutes(t *testing.T) {
	static := func(p *patient) {
		check(p.t, p.world.Mac().Change(func(s *mpdvirttest.MacSettings) {
			s.Bridges = []netip.Prefix{{}, netip.MustParsePrefix("10.211.55.2/24")}
		}))
		check(p.t, p.world.Mac().AddRoute(identity.ContainerNet(), canonical))
	}
	testSymptoms(t, "routes", []symptom{
		{name: "none", want: ok},
		{name: "the tunnel's own", change: setUp, want: ok},
		{name: "left over", change: static, want: warn, words: []string{"through 10.211.55.150", "route", "delete"}},
		{name: "beside the tunnel", change: func(p *patient) {
			static(p)
			p.setUp()
		}, want: fail, words: []string{"beside the tunnel"}},
		{name: "F111 garbage", change: func(p *patient) { macFault(p, mpdvirttest.MacFault{Kind: "garbage", Tool: "netstat", Times: -1}) }, want: warn},
		{name: "no Mac", options: options{world: mpdvirttest.Options{NoMac: true}}, want: skipped},
	})
}

func TestDoctorResolverFiles(t *testing.T) {
	file := func(name, text string) func(*patient) {
		return func(p *patient) {
			path := filepath.Join(p.world.Root(), macos.ResolverDir, name)
			check(p.t, os.MkdirAll(filepath.Dir(path), 0o755))
			check(p.t, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	ours := file("mpd.test", string(macos.OursResolverFile()))
	testSymptoms(t, "resolver-files", []symptom{
		{name: "none", want: ok},
		{name: "ours", change: func(p *patient) {
			p.setUp()
			ours(p)
		}, want: ok, words: []string{"mpd.test to 10.163.0.3"}},
		{name: "left over", change: ours, want: warn, words: []string{"left over", "rm"}},
		{name: "F114 foreign", change: file("mpd.test", "nameserver 127.0.0.1\n"), want: warn, words: []string{"not of this program", "not touched"}},
		{name: "F114 one above", change: file("test", "nameserver 127.0.0.1\n"), want: warn, words: []string{"/test is about test"}},
		{name: "not about us", change: file("example.com", "nameserver 127.0.0.1\n"), want: ok},
		{name: "no Mac", options: options{world: mpdvirttest.Options{NoMac: true}}, want: skipped},
	})
}

func TestDoctorCA(t *testing.T) {
	trusted := func(p *patient) {
		p.setUp()
		ca := []byte(p.read(".mpd-virt/conf/caroot/rootCA.pem"))
		check(p.t, p.world.Mac().AddCertificate(ca))
		check(p.t, p.world.Mac().SetTrust(ca, "root"))
	}
	rotated := func(p *patient) {
		p.setUp()
		_, err := identity.Open(p.path(".mpd-virt/conf"), p.cfg.Now).Rotate()
		check(p.t, err)
	}
	damaged := func(p *patient) {
		p.setUp()
		p.write(".mpd-virt/conf/caroot/rootCA.pem", "x", 0o644)
	}
	for id, list := range map[string][]symptom{
		"ca-trust": {
			{name: "trusted", change: trusted, want: ok},
			{name: "not trusted", change: setUp, want: warn, words: []string{"add-trusted-cert"}},
			{name: "F111 hangs", change: func(p *patient) {
				trusted(p)
				macFault(p, mpdvirttest.MacFault{Kind: "hang", Tool: "security", Times: -1})
			}, want: warn},
			{name: "none yet", want: skipped},
			{name: "damaged", change: damaged, want: skipped},
		},
		"ca-expiry": {
			{name: "new", change: setUp, want: ok},
			{name: "soon", change: func(p *patient) {
				p.setUp()
				p.cfg.Now = func() time.Time { return mpdvirttest.Epoch.AddDate(10, 0, -40) }
				p.Manager = p.manager()
			}, want: warn, words: []string{"expires in", "mpd-virt ca rotate"}},
			{name: "expired", change: inYears(11), want: fail, words: []string{"has expired", "mpd-virt ca rotate"}},
			{name: "none yet", want: skipped},
		},
		"ca-rotation": {
			{name: "none", change: setUp, want: ok},
			{name: "under way", change: rotated, want: warn, words: []string{"mpd-virt ca rotate"}},
			{name: "none yet", want: skipped},
		},
	} {
		t.Run(id, func(t *testing.T) { testSymptoms(t, id, list) })
	}
}

// fixable is an error that says what to do about it.
func fixable(err error) error { return hint.Wrap(err, "do this") }

func absentTool(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	return hypervisor.Result{}, fmt.Errorf("%s: %w", c.Argv[0], hypervisor.ErrToolMissing)
}

// answering is a tool that says something if it is called with a word, and
// nothing to any other call; with "" always.
func answering(word string, res hypervisor.Result) hypervisor.Runner {
	return func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		if word == "" || slices.Contains(c.Argv, word) {
			return res, nil
		}
		return hypervisor.Result{}, nil
	}
}

// encryptedKey is a private key file that needs a passphrase.
func encryptedKey(t testing.TB) string {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	check(t, err)
	return string(pem.EncodeToMemory(block))
}
