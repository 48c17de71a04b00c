package utmemu_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/utmemu"
)

const tool = "/Applications/UTM.app/Contents/MacOS/utmctl"

// mac is an emulator under test.
type mac struct {
	*testing.T
	*utmemu.Emulator
}

func newMac(t *testing.T, o utmemu.Options) *mac {
	t.Helper()
	e, err := utmemu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &mac{t, e}
}

func (m *mac) add(v utmemu.VM) utmemu.VM {
	m.Helper()
	v, err := m.AddVM(v)
	if err != nil {
		m.Fatal(err)
	}
	return v
}

func (m *mac) run(stdin string, argv ...string) hypervisor.Result {
	m.Helper()
	r, err := m.Runner()(m.Context(), hypervisor.Command{Argv: argv, Stdin: []byte(stdin)})
	if err != nil {
		m.Fatal(err)
	}
	return r
}

const uuid = "5D419106-2824-4FED-BFE1-24A7F7E253D8"

// Each row is one of the fact sheet's table of exit codes.
func TestUtmctl(t *testing.T) {
	head := "UUID                                 Status   Name\n"
	event := func(n string) string {
		return "Error from event: The operation couldn\u2019t be completed. (OSStatus error " + n + ".)\n"
	}
	for _, tt := range []struct {
		name   string
		set    utmemu.Settings
		state  string
		line   string
		stdout string
		stderr string // exactly, or its start if the status is 64
		status int
		after  string // state of the VM
	}{
		{"list", utmemu.Settings{}, "stopped", "list", head + uuid + " stopped  mpd-150\n", "", 0, "stopped"},
		{"status", utmemu.Settings{}, "started", "status mpd-150", "started\n", "", 0, "started"},
		{"start", utmemu.Settings{}, "stopped", "start " + uuid, "", "", 0, "started"},
		{"resume", utmemu.Settings{}, "paused", "start " + uuid, "", "", 0, "started"},
		{"start twice", utmemu.Settings{}, "started", "start " + uuid, "", event("-2700") + "Operation not available.\n", 0, "started"},
		{"suspend", utmemu.Settings{}, "started", "suspend -s " + uuid, "", "", 0, "paused"},
		{"suspend what is off", utmemu.Settings{}, "stopped", "suspend " + uuid, "", event("-2700") + "The virtual machine is not running.\n", 0, "stopped"},
		{"suspend on Intel", utmemu.Settings{Intel: true}, "started", "suspend --save-state " + uuid, "", event("-2700") + "Suspend is not supported for virtualization.\n", 0, "paused"},
		{"a stop without a flag cuts the power", utmemu.Settings{}, "started", "stop " + uuid, "", "", 0, "stopped"},
		{"force when paused", utmemu.Settings{}, "paused", "stop --force " + uuid, "", event("-2700") + "The virtual machine is not running.\n", 0, "paused"},
		{"request when paused", utmemu.Settings{}, "paused", "stop --request " + uuid, "", event("-2700") + "The virtual machine is not running.\n", 0, "paused"},
		{"kill when paused", utmemu.Settings{}, "paused", "stop --kill " + uuid, "", "", 0, "stopped"},
		{"kill what is off", utmemu.Settings{}, "stopped", "stop --kill " + uuid, "", "", 0, "stopped"},
		{"delete", utmemu.Settings{}, "stopped", "delete " + uuid, "", "", 0, "gone"},
		{"delete what runs", utmemu.Settings{}, "started", "delete " + uuid, "", event("-2700") + "The virtual machine must be stopped before this operation can be performed.\n", 0, "started"},
		{"no such VM", utmemu.Settings{}, "stopped", "start mpd-15", "", "Error: Virtual machine not found.\n", 1, "stopped"},
		{"names have letters of their own", utmemu.Settings{}, "stopped", "start MPD-150", "", "Error: Virtual machine not found.\n", 1, "stopped"},
		{"no argument", utmemu.Settings{}, "stopped", "start", "", "Error: Missing expected argument '<identifier>'\n", 64, "stopped"},
		{"unknown option", utmemu.Settings{}, "stopped", "list --json", "", "Error: Unknown option '--json'\n", 64, "stopped"},
		{"no such verb", utmemu.Settings{}, "stopped", "create x", "", "Error: Unexpected argument 'create'\n", 64, "stopped"},
		{"list, not permitted", utmemu.Settings{Denied: true}, "stopped", "list", head, event("-1743") + "NOTE: utmctl does not work from SSH sessions or before logging in.\n", 0, "stopped"},
		{"start, not permitted", utmemu.Settings{Denied: true}, "stopped", "start " + uuid, "", "Error: Virtual machine not found.\n", 1, "stopped"},
		{"not running", utmemu.Settings{NotRunning: true}, "stopped", "start " + uuid, "", event("-600"), 0, "stopped"},
		{"4.7.2", utmemu.Settings{StatusBroken: true}, "started", "list", head + uuid + " unknown  mpd-150\n", "", 0, "started"},
		{"a new word", utmemu.Settings{}, "dreaming", "status " + uuid, "unknown\n", "", 0, "dreaming"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, utmemu.Options{Settings: tt.set})
			m.add(utmemu.VM{UUID: uuid, Name: "mpd-150", State: tt.state})
			r := m.run("", append([]string{tool}, strings.Fields(tt.line)...)...)
			stderr := string(r.Stderr)
			if tt.status == 64 {
				stderr = stderr[:min(len(stderr), len(tt.stderr))]
			}
			if string(r.Stdout) != tt.stdout || stderr != tt.stderr || r.Status != tt.status {
				t.Errorf("status %d, want %d\nstdout %q\nstderr %q, want %q", r.Status, tt.status, r.Stdout, r.Stderr, tt.stderr)
			}
			after := "gone"
			if v, ok := m.VM(uuid); ok {
				after = v.State
			}
			if after != tt.after {
				t.Errorf("the VM is %s, want %s", after, tt.after)
			}
		})
	}
}

// script is one that says enough for each word.
const script = `on run argv
tell application id "com.utmapp.UTM"
make new virtual machine with properties {backend:qemu, drives:{interface:VirtIO}} POSIX file
count virtual machines, drives of x, update configuration, start x, delete x
end tell
end run
`

func TestOsascript(t *testing.T) {
	for _, tt := range []struct {
		name, script, line string
		set                utmemu.Settings
		stdout, stderr     string // stderr: a part
		after              string
	}{
		{"list", script, "list", utmemu.Settings{}, "vms\n" + uuid + "\x1fstarted\x1fmpd-150\x1e\n", "", "started"},
		{"a stop without a way cuts the power", script + "stop x\n", "request " + uuid, utmemu.Settings{}, "\n", "", "stopped"},
		{"a stop by request", script + "stop x by request\n", "request " + uuid, utmemu.Settings{}, "\n", "", "stopping by request"},
		{"wrong state", script, "start " + uuid, utmemu.Settings{}, "", "-:36:81: execution error: UTM got an error: Operation not available. (-2700)\n", "started"},
		{"no name where an id belongs", script, "start mpd-150", utmemu.Settings{}, "", "(-1728)", "started"},
		{"not permitted", script, "list", utmemu.Settings{Denied: true}, "", "execution error: Not authorized to send Apple events to UTM. (-1743)\n", "started"},
		{"no UTM", script, "list", utmemu.Settings{Absent: true}, "", "(-1728)", "started"},
		{"no handler", "tell application id \"com.utmapp.UTM\" to count virtual machines", "list", utmemu.Settings{}, "", "(-2741)", "started"},
		{"another language", script + "\u00ac\n", "list", utmemu.Settings{}, "", "(-2741)", "started"},
		{"a value in the script", script + "mpd-150", "start mpd-150", utmemu.Settings{}, "", "(-2741)", "started"},
		{"another verb than it says", "on run argv application id \"com.utmapp.UTM\"", "start " + uuid, utmemu.Settings{}, "", "(-2741)", "started"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			deaf := strings.HasSuffix(tt.after, "by request")
			m := newMac(t, utmemu.Options{Settings: tt.set})
			m.add(utmemu.VM{UUID: uuid, Name: "mpd-150", State: "started", Deaf: deaf})
			r := m.run(tt.script, append([]string{"osascript", "-"}, strings.Fields(tt.line)...)...)
			if string(r.Stdout) != tt.stdout || !strings.Contains(string(r.Stderr), tt.stderr) || (r.Status == 1) != (tt.stderr != "") {
				t.Errorf("status %d\nstdout %q\nstderr %q", r.Status, r.Stdout, r.Stderr)
			}
			if v, _ := m.VM(uuid); v.State != tt.after && !(deaf && v.State == "started") {
				t.Errorf("the VM is %s, want %s", v.State, tt.after)
			}
		})
	}
}

// A list that is written back without a drive deletes that drive's file, and a
// make takes copies and gives Intel other defaults.
func TestDrives(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"disk.raw", "seed.iso"} {
		if err := os.WriteFile(filepath.Join(dir, f), make([]byte, 2<<20), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := newMac(t, utmemu.Options{})
	plain := strings.ReplaceAll(script, "interface:VirtIO", "")
	args := func(arch, name string) []string {
		return []string{"osascript", "-", "make", name, arch, "2048", "2", "52:54:00:00:00:01", dir + "/disk.raw", dir + "/seed.iso"}
	}
	r := m.run(plain, args("x86_64", "mpd-150")...)
	vms, err := m.VMs()
	if err != nil || len(vms) != 1 || string(r.Stdout) != "virtual machine id "+vms[0].UUID+"\n" {
		t.Fatalf("make: %q %q, %v, %v", r.Stdout, r.Stderr, vms, err)
	}
	if v := vms[0]; v.NIC != "e1000" || v.Drives[0].Interface != "IDE" || v.Drives[0].HostSize != 2 {
		t.Errorf("made %+v", v)
	}
	if r := m.run(plain, args("x86_64", "mpd-150")...); !strings.Contains(string(r.Stderr), "already exists") {
		t.Errorf("make again: %q", r.Stderr)
	}
	if r := m.run(script, args("aarch64", "MPD-150")...); r.Status != 0 { // names are compared by letter
		t.Errorf("make in other letters: %q", r.Stderr)
	}
	d := vms[0].Drives
	if r := m.run(script, "osascript", "-", "detach", vms[0].UUID, d[0].ID, d[1].ID); r.Status != 0 {
		t.Errorf("detach: %q", r.Stderr)
	}
	files, _ := m.Files()
	for _, f := range files {
		if f == d[0].File {
			t.Errorf("%s is still there", f)
		}
	}
	if len(files) != 3 {
		t.Errorf("files %q", files)
	}
}

// States pass by themselves, a snapshot survives a kill, and the next start
// resumes it.
func TestTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Options{Settings: utmemu.Settings{Delay: 1}})
		m.add(utmemu.VM{UUID: uuid, Name: "mpd-150"})
		step := func(want string, words ...string) {
			t.Helper()
			m.run("", append([]string{tool}, words...)...)
			if v, _ := m.VM(uuid); v.State != want {
				t.Errorf("%q: the VM is %s, want %s", words, v.State, want)
			}
			<-time.After(time.Minute)
		}
		step("starting", "start", uuid)
		step("pausing", "suspend", "-s", uuid)
		step("paused", "stop", "--kill", uuid)
		if v, _ := m.VM(uuid); !v.Saved || v.State != "stopped" {
			t.Errorf("after a kill: %+v", v)
		}
		step("starting", "start", uuid)
		step("started", "stop", "--request", uuid)
		step("stopped", "list")
	})
}

// The state in a file is another process's, too.
func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "utm.json")
	one := newMac(t, utmemu.Options{State: file, Settings: utmemu.Settings{Bridge: "192.168.64.1"}})
	one.add(utmemu.VM{UUID: uuid, Name: "mpd-150"})
	two := newMac(t, utmemu.Options{State: file})
	two.run("", tool, "start", uuid)
	if v, ok := one.VM(uuid); !ok || v.State != "started" {
		t.Errorf("the VM is %+v, %v", v, ok)
	}
	if r := two.run("", "ifconfig", "bridge100"); r.Status != 0 || !strings.Contains(string(r.Stdout), "inet 192.168.64.1 netmask 0xffffff00") {
		t.Errorf("ifconfig: %+v", r)
	}
	if calls, err := one.Calls(); err != nil || len(calls) != 2 {
		t.Errorf("calls %q, %v", calls, err)
	}
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMac(t, utmemu.Options{})
		m.add(utmemu.VM{UUID: uuid, Name: "mpd-150"})
		if err := m.Inject(utmemu.Fault{Kind: utmemu.FaultHang, Verb: "list"}, utmemu.Fault{Kind: utmemu.FaultSlow, Verb: "start", After: 3 * time.Second}); err != nil {
			t.Fatal(err)
		}
		_, err := m.Runner()(t.Context(), hypervisor.Command{Argv: []string{tool, "list"}, Limit: time.Second})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a hang ends with %v", err)
		}
		m.run("", tool, "start", uuid)
		if v, _ := m.VM(uuid); v.State != "stopped" {
			t.Errorf("at once: %s", v.State)
		}
		<-time.After(time.Minute)
		if v, _ := m.VM(uuid); v.State != "started" {
			t.Errorf("later: %s", v.State)
		}
		if _, err := m.Runner()(t.Context(), hypervisor.Command{Argv: []string{"utmctl", "list"}}); !errors.Is(err, hypervisor.ErrToolMissing) {
			t.Errorf("utmctl is on PATH: %v", err)
		}
	})
}

// Hooks hear of what happens to a VM, in order, and may use the emulator.
func TestHooks(t *testing.T) {
	var got []string
	var e *utmemu.Emulator
	hear := func(what string) func(string) {
		return func(id string) {
			if _, err := e.VMs(); err != nil || id != uuid {
				t.Errorf("%s of %s, %v", what, id, err)
			}
			got = append(got, what)
		}
	}
	m := newMac(t, utmemu.Options{Hooks: utmemu.Hooks{
		Started: hear("started"), Paused: hear("paused"), Resumed: hear("resumed"), Deleted: hear("deleted"),
		Stopped: func(id string, killed bool) { hear(map[bool]string{true: "killed", false: "asked"}[killed])(id) },
	}})
	e = m.Emulator
	m.add(utmemu.VM{UUID: uuid, Name: "mpd-150"})
	for _, line := range []string{"start", "suspend -s", "start", "stop --request", "start", "stop --kill", "stop --kill", "delete"} {
		m.run("", append(append([]string{tool}, strings.Fields(line)...), uuid)...)
	}
	if want := "started paused resumed asked started killed deleted"; strings.Join(got, " ") != want {
		t.Errorf("heard %q, want %q", got, want)
	}
}
