package prlemu_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/command"
	"github.com/mutms/mpd-virt-macos/internal/prlemu"
)

// mac is an emulator with a test around it.
type mac struct {
	*testing.T
	*prlemu.Emulator
	uuid map[string]string // by name
}

// newMac has a template, and a VM in each state that matters.
func newMac(t *testing.T, o prlemu.Options) *mac {
	t.Helper()
	e, err := prlemu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	m := &mac{T: t, Emulator: e, uuid: map[string]string{}}
	for _, v := range []prlemu.VM{
		{Name: "mpd-template-trixie", Template: true},
		{Name: "mpd-130", State: "running", IP: netip.MustParseAddr("10.211.55.130")},
		{Name: "mpd-131"},
		{Name: "mpd-132", State: "suspended"},
		{Name: "mpd-133", State: "paused"},
		{Name: "mpd-134", State: "invalid"},
		{Name: "mpd-135", State: "mounted"},
	} {
		m.add(v)
	}
	return m
}

func (m *mac) add(v prlemu.VM) prlemu.VM {
	m.Helper()
	v, err := m.AddVM(v)
	if err != nil {
		m.Fatal(err)
	}
	m.uuid[v.Name] = v.UUID
	return v
}

// run runs a command line split at blanks; prlctl is understood.
func (m *mac) run(line string) hypervisor.Result {
	m.Helper()
	argv := strings.Fields(line)
	if argv[0] != "prlsrvctl" {
		argv = append([]string{"prlctl"}, argv...)
	}
	r, err := m.Runner()(m.Context(), hypervisor.Command{Argv: argv, Limit: time.Hour})
	if err != nil {
		m.Errorf("%s: %v", line, err)
	}
	return r
}

// want runs a command and compares all that it left.
func (m *mac) want(line string, status int, stdout, stderr string) {
	m.Helper()
	r := m.run(line)
	if r.Status != status || string(r.Stdout) != stdout || string(r.Stderr) != stderr {
		m.Errorf("%s: status %d, want %d\nstdout %q\nwant   %q\nstderr %q\nwant   %q", line, r.Status, status, r.Stdout, stdout, r.Stderr, stderr)
	}
}

func (m *mac) state(name string) string {
	m.Helper()
	v, ok := m.VM(name)
	if !ok {
		return "gone"
	}
	return v.State
}

// brief is one VM of the brief list.
type brief struct{ UUID, Status, IP_configured, Name string }

// decode reads the JSON of a command that must have worked.
func decode[T any](m *mac, line string) (out T) {
	m.Helper()
	r := m.run(line)
	if r.Status != 0 || len(r.Stderr) > 0 {
		m.Fatalf("%s: status %d: %s", line, r.Status, r.Stderr)
	}
	if err := json.Unmarshal(r.Stdout, &out); err != nil {
		m.Fatalf("%s: %v in %s", line, err, r.Stdout)
	}
	return out
}

func (m *mac) check(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

const unknown = "Failed to get VM config: The virtual machine could not be found. The virtual machine is not registered in the virtual machine directory on your Mac.\n"

func TestRunner(t *testing.T) {
	m := newMac(t, prlemu.Options{})
	run := m.Runner()
	if _, err := run(t.Context(), hypervisor.Command{Argv: []string{"utmctl"}}); !errors.Is(err, hypervisor.ErrToolMissing) {
		t.Errorf("utmctl: %v", err)
	}
	if _, err := run(t.Context(), hypervisor.Command{}); err == nil {
		t.Error("no program is run")
	}
	r, err := run(t.Context(), hypervisor.Command{Argv: []string{"/usr/local/bin/prlctl", "--version"}})
	if err != nil || string(r.Stdout) != "prlctl version 26.4.1 (57516)\n" {
		t.Errorf("by its path: %v %q", err, r.Stdout)
	}
	m.check(m.Change(func(s *prlemu.Settings) { s.Absent = true }))
	if _, err := run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "--version"}}); !errors.Is(err, hypervisor.ErrToolMissing) {
		t.Errorf("absent: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run(ended, hypervisor.Command{Argv: []string{"prlctl", "--version"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	m.check(m.Change(func(s *prlemu.Settings) { s.Absent = false }))
	m.check(m.Inject(prlemu.Huge("list")))
	if _, err := run(t.Context(), hypervisor.Command{Argv: []string{"prlctl", "list", "-a"}}); !errors.Is(err, command.ErrTooMuchOutput) {
		t.Errorf("huge: %v", err)
	}
	m.ClearFaults()
	m.check(m.ForgetCalls())
	m.run("list -a -j")
	m.run("prlsrvctl net info Shared -j")
	calls, err := m.Calls()
	if got := strings.Join(calls, "\n"); err != nil || got != "prlctl list -a -j\nprlsrvctl net info Shared -j" {
		t.Errorf("calls: %v\n%s", err, got)
	}
}

func TestBriefList(t *testing.T) {
	m := newMac(t, prlemu.Options{})
	names := func(line string) string {
		var out []string
		for _, v := range decode[[]brief](m, line) {
			out = append(out, v.Name)
		}
		return strings.Join(out, " ")
	}
	for line, want := range map[string]string{
		"list -j":                         "mpd-130 mpd-133",
		"list -a -j":                      "mpd-130 mpd-131 mpd-132 mpd-133 mpd-134 mpd-135",
		"list -t -j":                      "mpd-template-trixie",
		"list -a -t --json":               "mpd-template-trixie",
		"list mpd-template-trixie -j":     "mpd-template-trixie",
		"list -j mpd-131":                 "mpd-131",
		"list -t -o name,uuid -j":         "mpd-template-trixie",
		"list --all --json -s status":     "mpd-134 mpd-135 mpd-133 mpd-130 mpd-131 mpd-132",
		"list -a -j " + m.uuid["mpd-132"]: "mpd-132",
		"list -a -j {" + strings.ToUpper(m.uuid["mpd-132"]) + "}": "mpd-132",
	} {
		if got := names(line); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	m.want("list mpd-999 -a -j", 255, "", unknown)
	m.want("list -a -j -f mpd-130", 0, "[\n\t{\n\t\t\"uuid\": \""+m.uuid["mpd-130"]+"\",\n\t\t\"status\": \"running\",\n\t\t\"ip_configured\": \"10.211.55.130\",\n\t\t\"name\": \"mpd-130\"\n\t}\n]\n", "")
	m.want("list -a -j mpd-130", 0, "[\n\t{\n\t\t\"uuid\": \""+m.uuid["mpd-130"]+"\",\n\t\t\"status\": \"running\",\n\t\t\"ip_configured\": \"-\",\n\t\t\"name\": \"mpd-130\"\n\t}\n]\n", "")
	m.want("list -o name --no-header", 0, "mpd-130\nmpd-133\n", "")
	m.want("list mpd-130", 0, "UUID                                    STATUS       IP_ADDR         NAME\n{"+m.uuid["mpd-130"]+"}  running      -               mpd-130\n", "")
	if r := m.run("list --nonsense"); r.Status != 1 {
		t.Errorf("unknown option: status %d", r.Status)
	}
	empty, err := prlemu.New(prlemu.Options{})
	m.check(err)
	(&mac{T: t, Emulator: empty}).want("list -a -j", 0, "[\n\n]\n", "")
	(&mac{T: t, Emulator: empty}).want("list -i -j", 0, "[\n\n]\n", "")
	(&mac{T: t, Emulator: empty}).want("list -o name --no-header", 0, "", "")

	m.add(prlemu.VM{Name: `a/b "q" exist stopped`})
	m.check(m.Change(func(s *prlemu.Settings) { s.UpperUUIDs, s.Noise = true, true }))
	r := m.run("list -a -j")
	if text := string(r.Stdout); !strings.Contains(text, `"a\/b \"q\" exist stopped"`) || !strings.Contains(text, strings.ToUpper(m.uuid["mpd-130"])) ||
		strings.HasPrefix(text, "[") || json.Valid(r.Stdout) {
		t.Errorf("with noise: %q", text)
	}
}

// detail is one VM of the detailed list, as far as anybody decodes it.
type detail struct {
	ID, Name, State, Template, Uptime, Home string
	GuestTools                              struct{ State, Version string }
	Modality                                map[string]any
	Hardware                                struct {
		CPU    struct{ CPUs int }
		Memory struct{ Size string }
		Hdd0   struct{ Image, Size string }
		Net0   struct{ MAC string }
	}
	Network *struct{ IPAddresses []struct{ Type, IP string } }
}

func TestDetailedList(t *testing.T) {
	m := newMac(t, prlemu.Options{})
	all := decode[[]detail](m, "list -a -i -j")
	if len(all) != 6 {
		t.Fatalf("%d VMs", len(all))
	}
	v := all[0]
	if v.ID != m.uuid["mpd-130"] || v.Name != "mpd-130" || v.State != "running" || v.Template != "no" || v.Home != "/Users/u/Parallels/mpd-130.pvm/" ||
		v.GuestTools.State != "installed" || v.Hardware.CPU.CPUs != 4 || v.Hardware.Memory.Size != "8192Mb" || v.Hardware.Hdd0.Size != "65536Mb" ||
		!strings.HasPrefix(v.Hardware.Net0.MAC, "001C42") || v.Modality["Show on all spaces "] != "on" {
		t.Errorf("running: %+v", v)
	}
	if ips := v.Network.IPAddresses; len(ips) != 3 || ips[0].Type != "ipv4" || ips[0].IP != "10.211.55.130" || ips[1].Type != "ipv6" || !strings.HasPrefix(ips[2].IP, "fe80::21c:42ff:fe") {
		t.Errorf("addresses: %+v", ips)
	}
	if v := all[1]; v.GuestTools.State != "possibly_installed" || v.Hardware.Hdd0.Image != "harddisk1.hdd" || len(v.Network.IPAddresses) != 0 {
		t.Errorf("stopped: %+v", v)
	}
	if v := decode[[]detail](m, "list -i -j mpd-template-trixie")[0]; v.Template != "yes" || v.State != "stopped" {
		t.Errorf("template: %+v", v)
	}
	text := string(m.run("list -i -j mpd-130").Stdout)
	for _, want := range []string{"\"GuestTools\":{\n", `\/Users\/u\/Parallels\/mpd-130.pvm\/config.pvs`, "\"Show on all spaces \": "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the detailed list", want)
		}
	}
	if strings.Contains(text, "@") {
		t.Errorf("something was not filled in: %s", text)
	}

	m.check(m.Change(func(s *prlemu.Settings) {
		s.StaleAddrs, s.MaskSuffix, s.EmptyHomes = true, true, true
	}))
	m.run("stop mpd-130")
	v = decode[[]detail](m, "list -a -i -j")[0]
	if v.Home != "" || len(v.Network.IPAddresses) != 1 || v.Network.IPAddresses[0].IP != "10.211.55.130/255.255.255.0" {
		t.Errorf("stale: %+v", v)
	}
	if got := decode[[]brief](m, "list -a -f -j mpd-130")[0].IP_configured; got != "-" {
		t.Errorf("-f of a stopped VM: %q", got)
	}
	m.check(m.Change(func(s *prlemu.Settings) { s.NoNetworkBlock = true }))
	if v := decode[[]detail](m, "list -i -j mpd-130")[0]; v.Network != nil {
		t.Errorf("16.5: %+v", v.Network)
	}
}

func TestReports(t *testing.T) {
	m := newMac(t, prlemu.Options{})
	for _, tt := range []struct {
		name string
		vm   prlemu.VM
		want string
	}{
		{"no tools", prlemu.VM{NoTools: true}, "-"},
		{"nothing", prlemu.VM{Reports: []string{}}, "-"},
		{"DHCP", prlemu.VM{}, "10.211.55.5"},
		{"two cards", prlemu.VM{Reports: []string{"172.17.0.1", "10.211.55.40"}}, "172.17.0.1 10.211.55.40"},
		{"no address", prlemu.VM{Reports: []string{"10.211.55.7; rm -rf"}}, "10.211.55.7; rm -rf"},
	} {
		tt.vm.Name, tt.vm.State = tt.name, "running"
		v := m.add(tt.vm)
		if got := decode[[]brief](m, "list -f -j "+v.UUID)[0].IP_configured; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	m.check(m.Change(func(s *prlemu.Settings) { s.AllAddrs = true }))
	if got := decode[[]brief](m, "list -f -j mpd-130")[0].IP_configured; strings.Count(got, " ") != 2 {
		t.Errorf("all addresses: %q", got)
	}
}

func TestServer(t *testing.T) {
	lease := filepath.Join(t.TempDir(), "leases")
	m := newMac(t, prlemu.Options{Settings: prlemu.Settings{LeaseFile: lease}})
	type license struct{ Status, Edition, Expiration string }
	if l := decode[license](m, "prlsrvctl info --license --json"); l.Status != "ACTIVE" || l.Edition != "pro" || !strings.Contains(l.Expiration, "/") {
		t.Errorf("licence: %+v", l)
	}
	type block map[string]any
	net := decode[block](m, "prlsrvctl net info Shared -j")
	want := `{"Server address":"10.211.55.1","IP scope start address":"10.211.55.1","IP scope end address":"10.211.55.99"}`
	var dhcp block
	m.check(json.Unmarshal([]byte(want), &dhcp))
	got, ok := net["DHCPv4 server"].(map[string]any)
	for k, v := range dhcp {
		if !ok || got[k] != v {
			t.Errorf("DHCP %s: %v, want %v", k, got[k], v)
		}
	}
	m.want("prlsrvctl net set Shared --ip-scope-start 10.211.55.10 --ip-scope-end 10.211.55.254", 0, "", "")
	if text := string(m.run("prlsrvctl net info Shared").Stdout); !strings.Contains(text, "IP scope end address: 10.211.55.254\n") {
		t.Errorf("plain: %s", text)
	}
	m.run("start mpd-131")
	data, err := os.ReadFile(lease)
	v, _ := m.VM("mpd-131")
	if err != nil || !strings.HasPrefix(string(data), `10.211.55.10="`) || !strings.Contains(string(data), ",1800,"+strings.ToLower(v.MAC)+",ff") {
		t.Errorf("leases: %v %q", err, data)
	}
	m.check(m.Change(func(s *prlemu.Settings) {
		s.AdapterOff, s.NoDHCP, s.License, s.EditionNotice = true, true, "none", true
	}))
	net = decode[block](m, "prlsrvctl net info Shared -j")
	if net["Parallels adapter"] != nil || net["DHCPv4 server"] != nil || net["NAT server"] == nil {
		t.Errorf("adapter off: %v", net)
	}
	m.want("prlsrvctl info --license --json", 0, "This feature is not available in this edition of Parallels Desktop. \n{\n\n}\n", "")
	m.check(m.Change(func(s *prlemu.Settings) { s.EditionNotice = false }))
	m.want("prlsrvctl info --license", 0, "Searching for installed licenses...\nNo licenses installed.\n", "")
	m.want("prlsrvctl --version", 0, "prlsrvctl version 26.4.1 (57516)\n", "")
	if r := m.run("prlsrvctl list"); r.Status != 1 {
		t.Errorf("prlsrvctl list: %d", r.Status)
	}
}

func FuzzArguments(f *testing.F) {
	f.Add("list -a -i -j")
	f.Add("set mpd-131 --name x --memsize 9G --device-set hdd0 --size 1")
	f.Add("clone mpd-131 --name x --linked")
	f.Add("stop mpd-130 --kill")
	f.Add("prlsrvctl net info Shared -j")
	f.Fuzz(func(t *testing.T, line string) {
		m := newMac(t, prlemu.Options{})
		argv := append([]string{"prlctl"}, strings.Split(line, " ")...)
		if argv[1] == "prlsrvctl" {
			argv = argv[1:]
		}
		r, err := m.Runner()(t.Context(), hypervisor.Command{Argv: argv})
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != 0 && r.Status != 1 && r.Status != 255 {
			t.Errorf("status %d", r.Status)
		}
		if r.Status == 255 && len(r.Stderr) == 0 {
			t.Error("a refusal without a reason")
		}
		if name := "mpd-130"; r.Status == 0 && argv[0] == "prlctl" && strings.Contains(line, "-j") && argv[1] == "list" && !json.Valid(r.Stdout) {
			t.Errorf("%s: no JSON: %q", name, r.Stdout)
		}
	})
}

// What is quoted is read back as it was.
func FuzzNames(f *testing.F) {
	f.Add("a/b")
	f.Add("\"\\\n\x00 exist stopped")
	f.Add(strings.Repeat("ü", 300))
	f.Add("\xff<&>\u2028")
	f.Fuzz(func(t *testing.T, name string) {
		m := newMac(t, prlemu.Options{})
		v := m.add(prlemu.VM{Name: name})
		want := string([]rune(name)) // each byte that is no UTF-8 is replaced
		for _, line := range []string{"list -a -j " + v.UUID, "list -i -j " + v.UUID} {
			if got := decode[[]struct{ Name string }](m, line)[0].Name; got != want {
				t.Errorf("%s: %q, want %q", line, got, want)
			}
		}
	})
}
