package mpdvirttest_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func TestBootstrap(t *testing.T) {
	for _, o := range []mpdvirttest.Options{{}, {Delay: time.Minute}} {
		t.Run("delay "+o.Delay.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, o)
				v := addVM(t, w, mpdvirttest.VMOptions{})
				key := v.HostKeyFingerprint()
				c := bootstrap(t, w, v)
				if got := v.Steps(); !slices.Equal(got, allSteps) {
					t.Errorf("steps %q, want %q", got, allSteps)
				}
				if v.Addr() != at150 || v.Hostname() != "mpd-150" || v.HostKeyFingerprint() != key {
					t.Errorf("the VM is %v, %s, %s", v.Addr(), v.Hostname(), v.HostKeyFingerprint())
				}
				if v.Handshakes() != 2 || v.Logins() != 2 {
					t.Errorf("%d handshakes, %d logins, want 2 and 2", v.Handshakes(), v.Logins())
				}
				for command, want := range map[string]string{
					"grep ^MPD_ /var/lib/mpd/conf/platform.env":                                          "MPD_PLATFORM=managed\nMPD_VM_IP=10.211.55.150\nMPD_VM_ID=150\n",
					"stat -c '%a %U' /var/lib/mpd/conf/platform.env":                                     "644 dev\n",
					"systemctl is-active wg-quick@mpd0":                                                  "active\n",
					"dpkg-query -W -f='${Package} ${db:Status-Status}\\n' podman jq":                     "podman installed\njq installed\n",
					"git -C /opt/mpd rev-parse --short HEAD; git -C /opt/mpd branch --show-current":      "3f2c9e1\nmain\n",
					"dig +short @10.163.0.3 vm.service.mpd.test A":                                       "10.211.55.150\n",
					"sudo -n stat -c %a /etc/wireguard/mpd0.conf":                                        "600\n",
					"sudo -n sh -c 'cmp /etc/wireguard/mpd0.conf /var/lib/mpd/conf/wireguard/mpd0.conf'": "",
					"/opt/mpd/bin/mpd --help | grep -c -- --setup":                                       "1\n",
					"stat -c %a /var/lib/mpd/conf/caroot":                                                "700\n",
				} {
					if out := mustRun(t, c, "", command); out != want {
						t.Errorf("%s: %q, want %q", command, out, want)
					}
				}
				w.Tunnel(v)
				checkDNS(t, w, "10.211.55.150")
			})
		})
	}
}

// A whole bootstrap, outside of a bubble, adds next to nothing to a test.
func TestSpeed(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	start := time.Now()
	bootstrap(t, w, addVM(t, w, mpdvirttest.VMOptions{}))
	t.Logf("bootstrap took %v", time.Since(start))
}

func TestUnreachable(t *testing.T) {
	tests := []struct {
		name string
		do   func(v *mpdvirttest.VM) error
		want string
	}{
		{"off", func(v *mpdvirttest.VM) error { v.PowerOff(); return nil }, "host is down"},
		{"asleep", func(v *mpdvirttest.VM) error { v.Suspend(); return nil }, "host is down"},
		{"moved", func(v *mpdvirttest.VM) error { return v.SetAddr(at150) }, "host is down"},
		{"no address", func(v *mpdvirttest.VM) error { return v.SetAddr(netip.Addr{}) }, "host is down"},
		{"closed", func(v *mpdvirttest.VM) error { return v.SetServer(mpdvirttest.ServerClosed) }, "connection refused"},
		{"silent", func(v *mpdvirttest.VM) error { return v.SetServer(mpdvirttest.ServerSilent) }, "i/o timeout"},
		{"hangs up", func(v *mpdvirttest.VM) error { return v.SetServer(mpdvirttest.ServerHangsUp) }, "EOF"},
		{"http", func(v *mpdvirttest.VM) error { return v.SetServer(mpdvirttest.ServerHTTP) }, ""},
		{"endless banner", func(v *mpdvirttest.VM) error { return v.SetServer(mpdvirttest.ServerEndlessBanner) }, ""},
		{"stalls kex", func(v *mpdvirttest.VM) error { return v.SetServer(mpdvirttest.ServerStallsKex) }, "i/o timeout"},
		{"stalls auth", func(v *mpdvirttest.VM) error { return v.SetServer(mpdvirttest.ServerStallsAuth) }, "i/o timeout"},
		{"key removed", func(v *mpdvirttest.VM) error { return v.Remove("/home/dev/.ssh/authorized_keys") }, "unable to authenticate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, mpdvirttest.Options{})
				v := addVM(t, w, mpdvirttest.VMOptions{})
				addr := v.Addr()
				if err := tt.do(v); err != nil {
					t.Fatal(err)
				}
				c, err := tryLogin(t, w, addr)
				if err == nil {
					c.Close()
					t.Fatal("logged in")
				}
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %q, want one with %q", err, tt.want)
				}
			})
		})
	}
}

func TestTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})
		c := bootstrap(t, w, v)
		checkDNS2 := func(what, udp, tcp string) {
			t.Helper()
			if got := query(t, w, "udp"); got != udp {
				t.Errorf("%s: by udp %s, want %s", what, got, udp)
			}
			if got := query(t, w, "tcp"); got != tcp {
				t.Errorf("%s: by tcp %s, want %s", what, got, tcp)
			}
		}
		checkDNS2("no tunnel", "no answer", "no connection")
		if _, err := w.Resolve(t.Context(), "ip4", "vm.service.mpd.test"); err == nil {
			t.Error("resolved without a tunnel")
		}
		w.Tunnel(v)
		checkDNS2("tunnel", "10.211.55.150", "10.211.55.150")
		if a, err := w.Resolve(t.Context(), "ip4", "vm.service.mpd.test"); err != nil || len(a) != 1 || a[0] != at150 {
			t.Errorf("Resolve: %v, %v", a, err)
		}
		for mode, want := range map[mpdvirttest.NameServer]string{
			mpdvirttest.DNSUnknown: "NXDOMAIN", mpdvirttest.DNSNoData: "NOERROR", mpdvirttest.DNSServFail: "SERVFAIL", mpdvirttest.DNSSilent: "no answer", mpdvirttest.DNSGarbage: "no answer",
		} {
			v.SetDNS(mode)
			checkDNS2(string(mode), want, want)
		}
		v.SetDNS(mpdvirttest.DNSNormal)
		v.SetDNSRecord(netip.MustParseAddr("10.211.55.151"))
		checkDNS2("other record", "10.211.55.151", "10.211.55.151")
		mustRun(t, c, "", "mpd --setup")
		checkDNS2("set up again", "10.211.55.150", "10.211.55.150")

		other := confs(t, w, "150", 24) // other keys, imported anew
		w.Tunnel(v)
		checkDNS2("no pair", "no answer", "no connection")
		mustRun(t, c, other, push("/var/lib/mpd/conf/wireguard/mpd0.conf", "600"))
		mustRun(t, c, "", "bash /opt/mpd/bootstrap/60-wireguard.sh")
		checkDNS2("pair again", "10.211.55.150", "10.211.55.150")
		v.PowerOff()
		checkDNS2("off", "no answer", "no connection")
		w.Tunnel(nil)
		checkDNS2("down", "no answer", "no connection")
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})
		ping := func(args ...string) hypervisor.Result {
			r, err := w.Run(t.Context(), hypervisor.Command{Argv: append([]string{"/sbin/ping"}, args...)})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		here, nobody := v.Addr().String(), at150.String()
		for _, tt := range []struct {
			args   []string
			status int
			want   string
		}{
			{[]string{"-n", "-c", "1", "-W", "2", here}, 0, "64 bytes from 10.211.55.37: icmp_seq=1"},
			{[]string{"-n", "-c", "1", "-t", "2", here}, 0, "64 bytes from 10.211.55.37: icmp_seq=0"},
			{[]string{"-n", "-c", "1", "-W", "2", nobody}, 1, "Destination Host Unreachable"},
			{[]string{"-n", "-c", "1", "-t", "2", nobody}, 2, "No route to host"},
			{[]string{"-n", "-c", "1", "-t", "2", "10.163.0.3"}, 2, "100.0% packet loss"},
		} {
			r := ping(tt.args...)
			if all := string(r.Stdout) + string(r.Stderr); r.Status != tt.status || !strings.Contains(all, tt.want) {
				t.Errorf("ping %q: status %d\n%s", tt.args, r.Status, all)
			}
		}
		if _, err := w.Run(t.Context(), hypervisor.Command{Argv: []string{"prlctl"}}); !errors.Is(err, hypervisor.ErrToolMissing) {
			t.Errorf("prlctl: %v", err)
		}
	})
}

func TestSSHProgram(t *testing.T) {
	w := newWorld(t, mpdvirttest.Options{})
	v := addVM(t, w, mpdvirttest.VMOptions{Addr: at150})
	state := filepath.Join(w.Home(), ".mpd-virt")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pins := filepath.Join(state, "150", "known_hosts")
	write(filepath.Join(w.Home(), ".ssh", "config"), "Include \""+state+"/ssh_config\"\nHost other\n  User x\n")
	write(filepath.Join(state, "ssh_config"), "Host mpd-150\n  HostName 10.211.55.150\n  Port 22\n  User dev\n  HostKeyAlias mpd-150\n  UserKnownHostsFile \""+pins+"\"\n  StrictHostKeyChecking yes\n")
	pin := func() { write(pins, "mpd-150 "+string(ssh.MarshalAuthorizedKey(v.HostKeys()[0]))) }
	pin()
	alias := func() (string, int) {
		r, err := w.Run(t.Context(), hypervisor.Command{Argv: []string{"ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=2", "mpd-150", "echo", "hello"}})
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Stdout) + string(r.Stderr), r.Status
	}
	expect := func(status int, want string) {
		t.Helper()
		if out, got := alias(); got != status || !strings.Contains(out, want) {
			t.Errorf("status %d, want %d, output %q, want one with %q", got, status, out, want)
		}
	}
	expect(0, "hello\n")
	if v.Logins() != 0 {
		t.Error("the played login was counted")
	}
	if err := v.RotateHostKeys(); err != nil {
		t.Fatal(err)
	}
	expect(255, "IDENTIFICATION HAS CHANGED")
	write(pins, "")
	expect(255, "No ED25519 host key is known")
	pin()
	if err := v.Deauthorize(w.Key()); err != nil {
		t.Fatal(err)
	}
	expect(255, "Permission denied")
	v.PowerOff()
	expect(255, "No route to host")

	r, err := w.Run(t.Context(), hypervisor.Command{Argv: []string{"ssh", "-G", "other"}})
	if err != nil || !strings.Contains(string(r.Stdout), "user x\n") || !strings.Contains(string(r.Stdout), "identityfile ~/.ssh/id_ed25519\n") || strings.Contains(string(r.Stdout), "hostkeyalias") {
		t.Errorf("ssh -G other: %v\n%s", err, r.Stdout)
	}
}

// A world that is closed leaves nothing behind, whatever was going on in it.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := mpdvirttest.New(mpdvirttest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		home := w.Home()
		v := addVM(t, w, mpdvirttest.VMOptions{})
		c, err := tryLogin(t, w, v.Addr())
		if err != nil {
			t.Fatal(err)
		}
		v.Inject(mpdvirttest.Fault{Step: "20-git-clone", Kind: mpdvirttest.Hang})
		for _, command := range []string{download("20-git-clone.sh"), "cat", "sleep 1000", "sleep 1000 | cat", "while read x; do :; done"} {
			s, err := c.NewSession()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.StdinPipe(); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(command); err != nil {
				t.Fatal(err)
			}
		}
		v.Reboot(time.Hour)
		idle, err := w.DialContext(t.Context(), "udp", "10.163.0.3:53")
		if err != nil {
			t.Fatal(err)
		}
		idle.Close()
		if err := errors.Join(w.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if _, err := os.Stat(home); !os.IsNotExist(err) {
			t.Errorf("the home folder is still there: %v", err)
		}
		if _, err := w.AddVM(mpdvirttest.VMOptions{}); err == nil {
			t.Error("a closed world takes a VM")
		}
	})
}

// Close may come while somebody still changes the world.
func TestCloseMeanwhile(t *testing.T) {
	for range 20 {
		w, err := mpdvirttest.New(mpdvirttest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		v := addVM(t, w, mpdvirttest.VMOptions{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 500 {
					v.Reboot(0)
				}
			})
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}
