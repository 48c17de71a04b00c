package prlemu_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

const (
	busy      = "Unable to perform the action because the virtual machine is busy. The virtual machine is currently running. Please try again later.\n"
	notDone   = "Failed to configure the virtual machine.\n"
	snapshots = "Failed to resize: This virtual hard disk cannot be resized because it has one or more snapshots. To resize the disk, delete the snapshots and try again.\n"
)

func notStarted(name string) string {
	return "Unable to perform the operation because \"" + name + "\" is not started. This operation can be performed for running virtual machines only.\n"
}

// Each verb from each state, with all that it prints.
func TestPower(t *testing.T) {
	for _, tt := range []struct {
		line           string
		status         int
		stdout, stderr string
		vm, state      string // afterwards
	}{
		{"start mpd-131", 0, "Starting the VM...\nThe VM has been successfully started.\n", "", "mpd-131", "running"},
		{"start mpd-130", 255, "Starting the VM...\n", "Failed to start the VM: The virtual machine \"mpd-130\" is running. You or another user have already started this virtual machine.\n", "mpd-130", "running"},
		{"start mpd-132", 255, "Starting the VM...\n", "Failed to start the VM: Unable to perform the operation because \"mpd-132\" is not stopped. This operation can be performed for stopped virtual machines only.\n", "mpd-132", "suspended"},
		{"start mpd-134", 255, "Starting the VM...\n", "Failed to start the VM: Unable to start the virtual machine. The virtual machine cannot be started.\n", "mpd-134", "invalid"},
		{"start mpd-template-trixie", 255, "Starting the VM...\n", "Failed to start the VM: You cannot start virtual machine templates. You can either deploy or convert this template to a virtual machine.\n", "mpd-template-trixie", "stopped"},
		{"start mpd-999", 255, "", unknown, "mpd-999", "gone"},
		{"resume mpd-132", 0, "Resuming the VM...\nThe VM has been successfully resumed.\n", "", "mpd-132", "running"},
		{"resume mpd-133", 0, "Resuming the VM...\nThe VM has been successfully resumed.\n", "", "mpd-133", "running"},
		{"resume mpd-131", 255, "Resuming the VM...\n", "Failed to resume the VM: Unable to perform the operation because \"mpd-131\" is not suspended. The requested operation cannot be performed as it is applicable to virtual machines in the suspended state only.\n", "mpd-131", "stopped"},
		{"suspend mpd-130", 0, "Suspending the VM...\nThe VM has been successfully suspended.\n", "", "mpd-130", "suspended"},
		{"suspend mpd-131", 255, "Suspending the VM...\n", "Failed to suspend the VM: " + notStarted("mpd-131"), "mpd-131", "stopped"},
		{"suspend mpd-133", 255, "Suspending the VM...\n", "Failed to suspend the VM: This virtual machine is paused and cannot be suspended. Resume the virtual machine and try again.\n", "mpd-133", "paused"},
		{"pause mpd-130", 0, "Pause the VM...\nThe VM has been successfully paused.\n", "", "mpd-130", "paused"},
		{"stop mpd-130", 0, "Stopping the VM...\nThe VM has been successfully stopped.\n", "", "mpd-130", "stopped"},
		{"stop mpd-130 --kill", 0, "Stopping the VM...\nThe VM has been forcibly stopped\n", "", "mpd-130", "stopped"},
		{"stop mpd-133 --kill", 0, "Stopping the VM...\nThe VM has been forcibly stopped\n", "", "mpd-133", "stopped"},
		{"stop mpd-131", 255, "Stopping the VM...\n", "Failed to stop the VM: " + notStarted("mpd-131"), "mpd-131", "stopped"},
		{"stop mpd-132", 255, "Stopping the VM...\n", "Failed to stop the VM: " + notStarted("mpd-132"), "mpd-132", "suspended"},
		{"stop mpd-132 --drop-state", 0, "Stopping the VM...\nThe VM has been successfully stopped.\n", "", "mpd-132", "stopped"},
		{"restart mpd-130", 0, "Restarting the VM...\nThe VM has been successfully restarted.\n", "", "mpd-130", "running"},
		{"restart mpd-131", 255, "Restarting the VM...\n", "Failed to restart the VM: " + notStarted("mpd-131"), "mpd-131", "stopped"},
		{"status mpd-130", 0, "VM mpd-130 exist running\n", "", "mpd-130", "running"},
		{"status mpd-999", 255, "", unknown, "mpd-999", "gone"},
		{"delete mpd-131", 0, "Removing the VM...\nThe VM has been successfully removed.\n", "", "mpd-131", "gone"},
		{"delete mpd-132", 0, "Removing the VM...\nThe VM has been successfully removed.\n", "", "mpd-132", "gone"},
		{"delete mpd-130", 255, "Removing the VM...\n", "Failed to remove the VM: " + busy, "mpd-130", "running"},
		{"delete mpd-133", 255, "Removing the VM...\n", "Failed to remove the VM: " + busy, "mpd-133", "paused"},
		{"delete mpd-135", 255, "Removing the VM...\n", "Failed to remove the VM: Unable to complete the operation. This operation cannot be completed because \"mpd-135\" is in the \"mounted\" state.\n", "mpd-135", "mounted"},
		{"delete mpd-999", 255, "", unknown, "mpd-999", "gone"},
		{"unregister mpd-134", 0, "Unregister the VM...\nThe VM has been successfully unregistered.\n", "", "mpd-134", "gone"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			m := newMac(t, prlemu.Options{})
			m.want(tt.line, tt.status, tt.stdout, tt.stderr)
			if got := m.state(tt.vm); got != tt.state {
				t.Errorf("%s is %s, want %s", tt.vm, got, tt.state)
			}
		})
	}
}

func TestHabits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    func(s *prlemu.Settings)
		line   string
		status int
		word   string // on either stream
	}{
		{"suspended starts", func(s *prlemu.Settings) { s.StartsSuspended = true }, "start mpd-132", 0, "successfully started"},
		{"suspended stays", func(s *prlemu.Settings) { s.KeepsSuspended = true }, "delete mpd-132", 255, "This virtual machine is suspended"},
		{"stop again", func(s *prlemu.Settings) { s.StopIsIdempotent = true }, "stop mpd-131", 0, "is not started"},
		{"quoted", func(s *prlemu.Settings) { s.QuotedStatus = true }, "status mpd-131", 0, "VM \"mpd-131\" exist stopped\n"},
		{"no snapshots", nil, "snapshot-list mpd-131 -j", 0, "{}\n"},
		{"expired", func(s *prlemu.Settings) { s.License = "expired" }, "start mpd-131", 255, "Failed to start the VM: This product was activated for a limited period of time that has now expired. Purchase a new activation key"},
		{"expired, resume", func(s *prlemu.Settings) { s.License = "expired" }, "resume mpd-132", 255, "Failed to resume the VM: This product was"},
		{"expired, list", func(s *prlemu.Settings) { s.License = "expired" }, "list -a", 0, "mpd-130"},
		{"standard", func(s *prlemu.Settings) { s.Edition = "standard" }, "start mpd-131", 255, "This feature is not available in this edition of Parallels Desktop.\n"},
		{"standard, list", func(s *prlemu.Settings) { s.Edition = "standard" }, "list -a", 0, "mpd-130"},
		{"service", func(s *prlemu.Settings) { s.ServiceDown = true }, "list -a -j", 253, "Login failed: Unable to connect to Parallels Service.\n"},
		{"service, network", func(s *prlemu.Settings) { s.ServiceDown = true }, "prlsrvctl net info Shared -j", 253, "Login failed: "},
		{"service, version", func(s *prlemu.Settings) { s.ServiceDown = true }, "--version", 0, "prlctl version 26.4.1 (57516)\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, prlemu.Options{})
			if tt.set != nil {
				m.check(m.Change(tt.set))
			}
			if r := m.run(tt.line); r.Status != tt.status || !strings.Contains(string(r.Stdout)+string(r.Stderr), tt.word) {
				t.Errorf("status %d, want %d, with %q: %q %q", r.Status, tt.status, tt.word, r.Stdout, r.Stderr)
			}
		})
	}
}

func TestSet(t *testing.T) {
	const done = "The VM has been successfully configured.\n"
	m := newMac(t, prlemu.Options{})
	m.want("set mpd-131 --memsize 4G", 0, "Set the memsize parameter to 4096Mb.\n"+done, "")
	m.want("set mpd-131 --cpus 2", 0, done, "")
	m.want("set mpd-131 --device-set hdd0 --size 81920", 0, "Resize disk image '/Users/u/Parallels/mpd-131.pvm/harddisk1.hdd' up to 81920\n"+done, "")
	m.want("set mpd-131 --name mpd-140", 0, "Set name of VM to 'mpd-140'\n\n"+done, "")
	if v, _ := m.VM("mpd-140"); v.RAM != 4096 || v.CPUs != 2 || v.Disk != 81920 || v.UUID != m.uuid["mpd-131"] {
		t.Errorf("it is %+v", v)
	}
	m.want("set mpd-140 --device-set hdd0 --size 64G", 255, "Resize disk image '/Users/u/Parallels/mpd-131.pvm/harddisk1.hdd' up to 65536\n", "Failed to resize: The specified disk size is too small.\n"+notDone)
	m.want("set mpd-140 --name MPD-132", 255, "", "The name you specified for this virtual machine is already taken.\n"+notDone)
	for _, name := range []string{"mpd-130", "mpd-133"} {
		m.want("set "+name+" --name mpd-150", 255, "", busy+notDone)
		m.want("set "+name+" --memsize 1024", 255, "", busy+notDone)
	}
	m.want("set mpd-132 --name mpd-150", 255, "", "This virtual machine is suspended. To be able to edit the configuration of this virtual machine, you need to stop it.\n"+notDone)
	m.want("set mpd-999 --name mpd-150", 255, "", unknown)
	// One part that fails undoes the others.
	if r := m.run("set mpd-140 --memsize 2048 --device-set hdd0 --size 1"); r.Status != 255 {
		t.Errorf("status %d", r.Status)
	}
	if v, _ := m.VM("mpd-140"); v.RAM != 4096 {
		t.Errorf("half of it was done: %d MB", v.RAM)
	}
	m.want("set mpd-template-trixie --template off", 0, done, "")
	if got := decode[[]brief](m, "list -t -j"); len(got) != 0 {
		t.Errorf("templates: %v", got)
	}
}

func TestClone(t *testing.T) {
	const said = "Clone the mpd-template-trixie VM to VM mpd-150...\n"
	const done = "The VM has been successfully cloned.\n"
	t.Run("full", func(t *testing.T) {
		m := newMac(t, prlemu.Options{})
		src := m.add(prlemu.VM{Name: "pinned", Template: true, Hostname: "mpd-template", IP: netip.MustParseAddr("10.211.55.50"), RAM: 2048})
		r := m.run("clone pinned --name mpd-150")
		if out := string(r.Stdout); r.Status != 0 || !strings.HasPrefix(out, "Clone the pinned VM to VM mpd-150...\n\rCopying hard disk 1 ... 0 %") || !strings.HasSuffix(out, "\rCopying hard disk 1 ... 100 %\n\n"+done) {
			t.Errorf("status %d: %q", r.Status, r.Stdout)
		}
		v, _ := m.VM("mpd-150")
		if v.UUID == src.UUID || v.MAC == src.MAC || v.Hostname != src.Hostname || v.IP != src.IP || v.RAM != 2048 || v.Template || v.State != "stopped" || v.Linked {
			t.Errorf("the clone is %+v", v)
		}
	})
	t.Run("linked", func(t *testing.T) {
		m := newMac(t, prlemu.Options{})
		m.want("clone mpd-template-trixie --name mpd-150 --linked", 0, said+done, "")
		type shot struct{ Name, State string }
		if all := decode[map[string]shot](m, "snapshot-list mpd-template-trixie -j"); len(all) != 1 {
			t.Errorf("snapshots: %v", all)
		} else {
			for id, s := range all {
				if s.Name != "Snapshot for linked clone" || !strings.HasPrefix(id, "{") {
					t.Errorf("%s: %v", id, s)
				}
			}
		}
		for _, name := range []string{"mpd-150", "mpd-template-trixie"} {
			r := m.run("set " + name + " --device-set hdd0 --size 99999")
			if r.Status != 255 || string(r.Stderr) != snapshots+notDone {
				t.Errorf("resize %s: %d %q", name, r.Status, r.Stderr)
			}
		}
		if r := m.run("delete mpd-template-trixie"); r.Status != 255 {
			t.Errorf("the parent was deleted: %d", r.Status)
		}
		m.want("delete mpd-150", 0, "Removing the VM...\nThe VM has been successfully removed.\n", "")
	})
	t.Run("refused", func(t *testing.T) {
		m := newMac(t, prlemu.Options{})
		m.check(m.Inject(prlemu.Fault{Kind: prlemu.FaultNoSpace, Verb: "clone"}))
		m.check(m.Change(func(s *prlemu.Settings) { s.HalfBundle = true }))
		if r := m.run("clone mpd-template-trixie --name mpd-160"); r.Status != 255 || !strings.Contains(string(r.Stderr), "not enough free space") || m.state("mpd-160") != "gone" {
			t.Errorf("full disk: %d %q", r.Status, r.Stderr)
		}
		for line, want := range map[string]string{
			"clone mpd-130 --name mpd-150":             busy,
			"clone mpd-132 --name mpd-150":             "is not stopped",
			"clone mpd-131 --name mpd-130":             "The name you specified for this virtual machine is already taken.",
			"clone mpd-131 --name MPD-template-trixie": "The name you specified for this virtual machine is already taken.",
			"clone mpd-131 --name mpd-160":             "A virtual machine or folder with the name of \"mpd-160\" already exists in /Users/u/Parallels.",
		} {
			if r := m.run(line); r.Status != 255 || !strings.HasPrefix(string(r.Stderr), "\nFailed to clone the VM: ") || !strings.Contains(string(r.Stderr), want) {
				t.Errorf("%s: %d %q, want %q", line, r.Status, r.Stderr, want)
			}
		}
		m.want("clone mpd-999 --name mpd-150", 255, "", unknown)
		m.want("clone mpd-131", 1, "", "Failed to clone the VM; the --name option is not specified.\n")
		m.check(m.RemoveBundle("/Users/u/Parallels/mpd-160.pvm"))
		if r := m.run("clone mpd-131 --name mpd-160"); r.Status != 0 {
			t.Errorf("after the folder went: %q", r.Stderr)
		}
		m.run("unregister mpd-160")
		if r := m.run("clone mpd-131 --name mpd-160"); r.Status != 255 {
			t.Error("unregister took the folder away")
		}
	})
}

// On the real scale of time, states pass and addresses come late.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, prlemu.Options{Settings: prlemu.Settings{Delay: 1}})
		addr := func(name string) string { return decode[[]brief](m, "list -a -f -j "+name)[0].IP_configured }
		m.run("start mpd-131")
		if got := m.state("mpd-131"); got != "starting" {
			t.Errorf("after start: %s", got)
		}
		r := m.run("start mpd-131")
		if want := "This operation cannot be completed because \"mpd-131\" is in the \"starting\" state.\n"; r.Status != 255 || !strings.HasSuffix(string(r.Stderr), want) {
			t.Errorf("start again: %d %q", r.Status, r.Stderr)
		}
		if got := addr("mpd-131"); got != "-" {
			t.Errorf("address while it starts: %s", got)
		}
		var kinds []string
		for range 45 {
			<-time.After(time.Second)
			a, _, _ := strings.Cut(addr("mpd-131"), ":")
			if strings.HasPrefix(a, "169.254.") {
				a = "169.254"
			}
			if kinds == nil || kinds[len(kinds)-1] != a {
				kinds = append(kinds, a)
			}
		}
		if got := strings.Join(kinds, " "); got != "- fe80 fdb2 169.254 10.211.55.3" {
			t.Errorf("addresses came as %s", got)
		}
		m.run("suspend mpd-131")
		if got := m.state("mpd-131"); got != "suspended" {
			t.Errorf("after suspend: %s", got)
		}
		m.run("resume mpd-131")
		if got := m.state("mpd-131") + addr("mpd-131"); got != "resuming-" {
			t.Errorf("after resume: %s", got)
		}
		<-time.After(10 * time.Second)
		if got := m.state("mpd-131") + addr("mpd-131"); got != "running10.211.55.3" {
			t.Errorf("later: %s", got)
		}

		m.run("stop mpd-131 --kill")
		if got := m.state("mpd-131"); got != "running" {
			t.Errorf("after --kill: %s", got)
		}
		if r := m.run("delete mpd-131"); r.Status != 255 || !strings.HasSuffix(string(r.Stderr), busy) {
			t.Errorf("delete after --kill: %d %q", r.Status, r.Stderr)
		}
		<-time.After(3 * time.Second)
		if got := m.state("mpd-131"); got != "stopped" {
			t.Errorf("3 s after --kill: %s", got)
		}
	})
}

// Two clones of one source at once.
func TestTwoClones(t *testing.T) {
	for _, tt := range []struct {
		name, options, want string
	}{
		{"linked", " --linked", "\nFailed to clone the VM: The virtual machine could not be found. The virtual machine is not registered in the virtual machine directory on your Mac.\n"},
		{"full", "", "\nFailed to clone the VM: " + busy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMac(t, prlemu.Options{Settings: prlemu.Settings{Delay: 1}})
				results := make(chan hypervisor.Result, 2)
				for i := range 2 {
					go func() { results <- m.run(fmt.Sprintf("clone mpd-131 --name mpd-15%d", i) + tt.options) }()
				}
				a, b := <-results, <-results
				if a.Status == 0 {
					a, b = b, a
				}
				if a.Status != 255 || string(a.Stderr) != tt.want || b.Status != 0 {
					t.Errorf("%d %q and %d %q", a.Status, a.Stderr, b.Status, b.Stderr)
				}
			})
		})
	}
}

func TestHostnameSync(t *testing.T) {
	m := newMac(t, prlemu.Options{Settings: prlemu.Settings{HostnameSync: true}})
	v := m.add(prlemu.VM{Name: "old", Hostname: "mpd-150", State: "running"})
	if got := decode[[]brief](m, "list -a -j "+v.UUID)[0].Name; got != "mpd-150" {
		t.Errorf("it is called %s", got)
	}
}

func TestHooks(t *testing.T) {
	var told []string
	tell := func(what string) func(string) {
		return func(uuid string) { told = append(told, what) }
	}
	addr := netip.MustParseAddr("10.211.55.77")
	m := newMac(t, prlemu.Options{Hooks: prlemu.Hooks{
		Started: tell("started"), Suspended: tell("suspended"), Resumed: tell("resumed"), Deleted: tell("deleted"),
		Stopped: func(_ string, killed bool) { told = append(told, fmt.Sprint("stopped ", killed)) },
		Renamed: func(_, name string) { told = append(told, "renamed "+name) },
		Cloned:  func(src, dst prlemu.VM) { told = append(told, "cloned "+src.Name+" "+dst.Name) },
		Addr:    func(string) (netip.Addr, bool) { return addr, true },
	}})
	for _, line := range []string{
		"clone mpd-template-trixie --name mpd-150", "start mpd-150", "suspend mpd-150", "resume mpd-150", "pause mpd-150", "resume mpd-150",
		"stop mpd-150", "set mpd-150 --name mpd-151", "start mpd-151", "stop mpd-151 --kill", "delete mpd-151", "delete mpd-151",
	} {
		m.run(line)
	}
	want := []string{"cloned mpd-template-trixie mpd-150", "started", "suspended", "resumed", "suspended", "resumed", "stopped false",
		"renamed mpd-151", "started", "stopped true", "deleted"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
	if got := decode[[]brief](m, "list -f -j mpd-130")[0].IP_configured; got != addr.String() {
		t.Errorf("address %s", got)
	}
}
