package mpdvirttest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// Outputs and statuses are those of facts that were measured on Debian trixie.
func TestCloudInit(t *testing.T) {
	const enabled = "boot_status_code: enabled-by-generator\nlast_update: Sat, 21 Nov 2026 19:04:11 +0000\ndetail: DataSourceNoCloud [seed=/dev/vdb]\n"
	tests := []struct {
		name   string
		ends   mpdvirttest.CloudInit
		noSeed bool
		status int
		text   string
	}{
		{name: "done", text: "status: done\nextended_status: done\n" + enabled + "errors: []\nrecoverable_errors: {}\n"},
		{name: "degraded", ends: mpdvirttest.CloudInitDegraded, status: 2,
			text: "status: done\nextended_status: degraded done\n" + enabled + "errors: []\nrecoverable_errors:\nWARNING:\n\t- Invalid cloud-config"},
		{name: "error", ends: mpdvirttest.CloudInitError, status: 1, text: "status: error\nextended_status: error - done\n" + enabled + "errors:\n\t- ('resizefs', "},
		{name: "disabled by hand", noSeed: true,
			text: "status: disabled\nextended_status: disabled\nboot_status_code: disabled-by-marker-file\ndetail: Cloud-init disabled by /etc/cloud/cloud-init.disabled\nerrors: []\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newApple(t, mpdvirttest.UTMOptions{CloudInit: tt.ends, CloudInitDelay: time.Minute})
				uuid := a.create(a.iso(a.seed()))
				a.start(uuid)
				v := a.VM("mpd-150")
				c := login(t, a.w, seedAddr)
				begun := time.Now()
				if out := mustRun(t, c, "", "cloud-init status"); out != "status: running\n" {
					t.Errorf("while it runs: %q", out)
				}
				if _, _, err := v.File("/var/lib/cloud/instance/boot-finished"); err == nil {
					t.Error("it is marked as finished")
				}
				out, status := run(t, c, "", "cloud-init status --wait --long")
				if tt.noSeed { // the next boot
					mustRun(t, c, "", "sudo touch /etc/cloud/cloud-init.disabled || sudo mkdir -p /etc/cloud && sudo touch /etc/cloud/cloud-init.disabled")
					a.must(a.backend.Shutdown(t.Context(), uuid))
					a.start(uuid)
					out, status = run(t, login(t, a.w, seedAddr), "", "cloud-init status --wait --long")
				}
				if waited := time.Since(begun); waited != time.Minute {
					t.Errorf("waited %v", waited)
				}
				if status != tt.status || !strings.HasPrefix(strings.TrimLeft(out, ".\n"), tt.text) {
					t.Errorf("status %d, want %d, output %q, want %q", status, tt.status, out, tt.text)
				}
				if _, _, err := v.File("/var/lib/cloud/instance/boot-finished"); err != nil {
					t.Error(err)
				}
				for _, log := range []string{"/var/log/cloud-init.log", "/var/log/cloud-init-output.log"} {
					if failed := strings.Contains(a.file(v, log), "failed"); failed != (tt.ends == mpdvirttest.CloudInitError) {
						t.Errorf("%s: %s", log, a.file(v, log))
					}
				}
			})
		})
	}
}

func TestCloudInitJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitError})
		a.start(a.create(a.iso(a.seed())))
		c := login(t, a.w, seedAddr)
		out, status := run(t, c, "", "cloud-init status --format json --wait")
		var got struct {
			Status   string
			Extended string `json:"extended_status"`
			Errors   []string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || status != 1 || got.Status != "error" || got.Extended != "error - done" || len(got.Errors) != 1 {
			t.Errorf("%d, %v, %q", status, err, out)
		}
		for command, want := range map[string]int{"cloud-init --version": 0, "cloud-init status --nonsense": 2, "cloud-init clean": 1, "tail /var/log/cloud-init.log": 1, "sudo tail /var/log/cloud-init.log": 0} {
			if out, status := run(t, c, "", command); status != want {
				t.Errorf("%s: status %d, %q", command, status, out)
			}
		}
	})
}

// One that never ends is waited for as long as the client does, and the next
// boot with the seed is no better.
func TestCloudInitNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{CloudInit: mpdvirttest.CloudInitNever})
		uuid := a.create(a.iso(a.seed()))
		for range 2 {
			a.start(uuid)
			if out, status := run(t, login(t, a.w, seedAddr), "", "timeout 600 cloud-init status --wait"); status != 124 {
				t.Errorf("status %d, %q", status, out)
			}
			a.must(a.backend.Kill(t.Context(), uuid))
		}
		a.SetCloudInit(mpdvirttest.CloudInitDone)
		a.start(uuid)
		mustRun(t, login(t, a.w, seedAddr), "", "cloud-init status --wait")
	})
}

// A VM that is turned off before cloud-init is done has no mark of it.
func TestCloudInitCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{CloudInitDelay: time.Minute, RestartSSH: true})
		uuid := a.create(a.iso(a.seed()))
		a.start(uuid)
		a.must(a.backend.Kill(t.Context(), uuid))
		pass(2 * time.Minute)
		v := a.VM("mpd-150")
		if _, _, err := v.File("/var/lib/cloud/instance/boot-finished"); err == nil || a.w.Reachable(seedAddr) {
			t.Error("it went on without power")
		}
		a.start(uuid)
		if out := mustRun(t, login(t, a.w, seedAddr), "", "cloud-init status --wait; cat /var/lib/cloud/data/instance-id"); !strings.HasSuffix(out, "\nstatus: done\nmpd-150-1\n") {
			t.Errorf("%q", out)
		}
	})
}

// sshd restarts once after it first answered: connections end, and come back.
func TestCloudInitRestartsSSH(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{CloudInitDelay: 20 * time.Second, RestartSSH: true})
		uuid := a.create(a.iso(a.seed()))
		a.start(uuid)
		begun := time.Now()
		if _, status := run(t, login(t, a.w, seedAddr), "", "cloud-init status --wait"); status != -1 || time.Since(begun) != 10*time.Second {
			t.Errorf("after %v: status %d", time.Since(begun), status)
		}
		if _, err := tryLogin(t, a.w, seedAddr); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("while it restarts: %v", err)
		}
		pass(time.Second)
		mustRun(t, login(t, a.w, seedAddr), "", "cloud-init status --wait")
		a.must(a.backend.Shutdown(t.Context(), uuid))
		a.start(uuid)
		mustRun(t, login(t, a.w, seedAddr), "", "cloud-init status --wait") // not at the second boot
	})
}

// A seed for another instance makes the VM anew, as for anybody who can attach a
// drive; and a guest whose disk is full fails.
func TestCloudInitInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApple(t, mpdvirttest.UTMOptions{})
		uuid := a.create(a.iso(a.seed()))
		a.start(uuid)
		a.must(a.backend.Kill(t.Context(), uuid))
		v := a.VM("mpd-150")
		a.must(v.WriteFile("/var/lib/cloud/data/instance-id", []byte("another\n"), 0o644))
		a.must(v.RotateHostKeys())
		other := v.HostKeyFingerprint()
		a.start(uuid)
		if v.HostKeyFingerprint() == other {
			t.Error("the seed was not read again")
		}
		login(t, a.w, seedAddr)
	})
}
