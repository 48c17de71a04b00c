package mpdvirttest_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

func TestFaults(t *testing.T) {
	const step = "40-install-software"
	tests := []struct {
		name   string
		fault  mpdvirttest.Fault
		status int
		out    string
		worked bool
	}{
		{"exit", mpdvirttest.Fault{Kind: mpdvirttest.Exit, Status: 100, Text: "E: disk full"}, 100, "E: disk full", false},
		{"no effect", mpdvirttest.Fault{Kind: mpdvirttest.NoEffect}, 0, "ok: done", false},
		{"drop", mpdvirttest.Fault{Kind: mpdvirttest.Drop}, -1, "", false},
		{"drop after", mpdvirttest.Fault{Kind: mpdvirttest.DropAfter}, -1, "", true},
		{"no status", mpdvirttest.Fault{Kind: mpdvirttest.NoStatus}, -1, "without exit status", true},
		{"killed", mpdvirttest.Fault{Kind: mpdvirttest.Killed}, 137, "", false},
		{"slow", mpdvirttest.Fault{Kind: mpdvirttest.Slow, After: time.Hour}, 0, "installed", true},
		{"noise", mpdvirttest.Fault{Kind: mpdvirttest.Noise, Text: "\x1b]0;x\a"}, 0, "\x1b]0;x\a", true},
		{"restarts", mpdvirttest.Fault{Kind: mpdvirttest.Restarts, After: time.Minute}, -1, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, mpdvirttest.Options{})
				v := addVM(t, w, mpdvirttest.VMOptions{})
				c := login(t, w, v.Addr())
				mustRun(t, c, "", download("20-git-clone.sh"))
				tt.fault.Step = step
				v.Inject(tt.fault)
				out, status := run(t, c, "", "bash /opt/mpd/bootstrap/"+step+".sh")
				if status != tt.status || !strings.Contains(out, tt.out) {
					t.Errorf("status %d, want %d, output %q, want one with %q", status, tt.status, out, tt.out)
				}
				if worked := slices.Contains(v.Packages(), "podman"); worked != tt.worked {
					t.Errorf("worked: %v, want %v", worked, tt.worked)
				}
				pass(2 * time.Minute)
				again := login(t, w, v.Addr())
				mustRun(t, again, "", "bash /opt/mpd/bootstrap/"+step+".sh")
			})
		})
	}
}

func TestDownloads(t *testing.T) {
	file := "20-git-clone.sh"
	tests := []struct {
		fault  mpdvirttest.WebFault
		status int
	}{
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebMissing}, 8},
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebBroken}, 8},
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebNoHost}, 4},
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebBadCert}, 5},
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebEmpty}, 0},
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebHTML}, 2},
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebCut, N: 40}, 0},
		{mpdvirttest.WebFault{Kind: mpdvirttest.WebDropped, N: 40}, 4},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault.Kind), func(t *testing.T) {
			w := newWorld(t, mpdvirttest.Options{})
			v := addVM(t, w, mpdvirttest.VMOptions{})
			c := login(t, w, v.Addr())
			tt.fault.File = file
			w.Web(tt.fault)
			if out, status := run(t, c, "", download(file)); status != tt.status {
				t.Errorf("status %d, want %d\n%s", status, tt.status, out)
			}
			if len(v.Steps()) != 0 {
				t.Errorf("ran %q", v.Steps())
			}
			w.Web(tt.fault)
			// What people type ends well whatever happened.
			if out, status := run(t, c, "", "bash <(wget -qO- "+rawURL+file+")"); status != 0 && tt.fault.Kind != mpdvirttest.WebHTML {
				t.Errorf("bash <(wget): status %d\n%s", status, out)
			}
			mustRun(t, c, "", "bash <(wget -qO- "+rawURL+file+")")
			if !slices.Equal(v.Steps(), []string{"20-git-clone"}) {
				t.Errorf("ran %q", v.Steps())
			}
		})
	}
}

func TestStep30(t *testing.T) {
	const command = "bash /opt/mpd/bootstrap/30-networking.sh "
	prepare := func(t *testing.T) (*mpdvirttest.World, *mpdvirttest.VM, *ssh.Client) {
		w := newWorld(t, mpdvirttest.Options{})
		v := addVM(t, w, mpdvirttest.VMOptions{})
		c := login(t, w, v.Addr())
		mustRun(t, c, "", download("20-git-clone.sh"))
		return w, v, c
	}
	t.Run("arguments", func(t *testing.T) {
		_, v, c := prepare(t)
		for _, arg := range []string{"", "99", "255", "1500", "x", "100 101", "''"} {
			if out, status := run(t, c, "", command+arg); status != 1 || v.Hostname() != "mpd-template-trixie" {
				t.Errorf("%q: status %d, host %s\n%s", arg, status, v.Hostname(), out)
			}
		}
	})
	t.Run("same address", func(t *testing.T) {
		_, v, c := prepare(t)
		if err := v.SetHostname("mpd-sandbox"); err != nil {
			t.Fatal(err)
		}
		if _, status := run(t, c, "", command+"137"); status != 0 {
			t.Fatal("137 refused")
		}
		synctestFree(t, func() bool { return v.Addr() == netip.MustParseAddr("10.211.55.137") })
	})
	faults := map[mpdvirttest.FaultKind]netip.Addr{
		mpdvirttest.CutForeground: at150,
		mpdvirttest.NeverBack:     {},
		mpdvirttest.Late:          at150,
		mpdvirttest.Lingers:       at150,
		mpdvirttest.Stays:         netip.MustParseAddr("10.211.55.37"),
		mpdvirttest.WrongAddr:     netip.MustParseAddr("10.211.55.38"),
		mpdvirttest.LocksDpkg:     at150,
	}
	for kind, want := range faults {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, v, c := prepare(t)
				v.Inject(mpdvirttest.Fault{Kind: kind, After: 30 * time.Second, Addr: netip.MustParseAddr("10.211.55.38")})
				done := make(chan int, 1)
				go func() {
					_, status := run(t, c, "", command+"150")
					done <- status
				}()
				select {
				case status := <-done:
					if status != 0 || kind == mpdvirttest.CutForeground {
						t.Errorf("status %d", status)
					}
				case <-time.After(5 * time.Minute):
					if kind != mpdvirttest.CutForeground {
						t.Error("no status")
					}
					c.Close()
					<-done
				}
				if kind == mpdvirttest.Late {
					pass(10 * time.Second)
					if v.Addr().IsValid() {
						t.Errorf("has the address %v too early", v.Addr())
					}
				}
				if kind == mpdvirttest.LocksDpkg {
					pass(time.Second)
					again := login(t, w, at150)
					if out, status := run(t, again, "", "bash /opt/mpd/bootstrap/40-install-software.sh"); status != 100 || !strings.Contains(out, "Could not get lock") {
						t.Errorf("status %d\n%s", status, out)
					}
					inode := strings.TrimSpace(mustRun(t, again, "", "stat -c %i /var/lib/dpkg/lock-frontend"))
					if out := mustRun(t, again, "", "grep :"+inode+" /proc/locks"); !strings.Contains(out, "WRITE") {
						t.Errorf("/proc/locks: %q", out)
					}
					pass(time.Minute)
					mustRun(t, again, "", "! grep :"+inode+" /proc/locks && bash /opt/mpd/bootstrap/40-install-software.sh")
				}
				pass(time.Minute)
				if v.Addr() != want {
					t.Errorf("address %v, want %v", v.Addr(), want)
				}
			})
		})
	}
}

// synctestFree waits for something that happens soon.
func synctestFree(t *testing.T, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("it did not happen")
		}
	}
}
