package virsh_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/hypervisor/hypervisortest"
)

// emulator plays virsh 9.0 as far as the backend uses it, over a libvirt with
// one network and one pool. What it prints was recorded from a real one.
type emulator struct {
	mu      sync.Mutex
	domains []*guest
	volumes map[string][]byte
	fault   hypervisortest.Fault
	busy    bool // the next action is refused
	made    bool // a domain was defined
	calls   int
}

// guest is a domain.
type guest struct {
	uuid, name    string
	state, reason string // as domstats prints them
	saved, deaf   bool
	lease         string
	ram           int64 // MiB
	mac           string
	disks         []drive
	then          func() // what it becomes by itself
	at            time.Time
}

type drive struct{ target, volume string }

func newEmulator() *emulator { return &emulator{volumes: map[string][]byte{}} }

// answer is what a command of virsh ends with.
type answer struct{ out, failure string }

func fails(format string, a ...any) answer { return answer{failure: fmt.Sprintf(format, a...)} }

// Run is the Runner of a machine that has virsh alone.
func (e *emulator) Run(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	if err := ctx.Err(); err != nil {
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], err)
	}
	e.mu.Lock()
	e.calls++
	fault := e.fault
	if fault == hypervisortest.SilentAfterMaking && e.made {
		fault = hypervisortest.Failing
	}
	e.mu.Unlock()
	switch fault {
	case hypervisortest.ToolMissing:
		return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], hypervisor.ErrToolMissing)
	case hypervisortest.ServiceDown:
		return result(answer{failure: "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory\n"}), nil
	case hypervisortest.Garbage:
		return result(answer{out: "\x00\xff<<%$&\n52:54:00\n"}), nil
	case hypervisortest.Empty:
		return hypervisor.Result{}, nil
	case hypervisortest.Failing:
		return result(fails("error: internal error: something of its own\n")), nil
	case hypervisortest.Hang:
		return hang(ctx, c)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.play(c)
	if fault == hypervisortest.Partial {
		a = answer{a.out[:len(a.out)/2], "error: Disconnected from qemu:///system due to end of file\n"}
	}
	return result(a), nil
}

func result(a answer) hypervisor.Result {
	r := hypervisor.Result{Stdout: []byte(a.out), Stderr: []byte(a.failure)}
	if a.failure != "" {
		r.Status = 1
	}
	return r
}

func hang(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
	limit := c.Limit
	if limit == 0 {
		limit = hypervisor.DefaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	<-ctx.Done()
	return hypervisor.Result{}, fmt.Errorf("run %s: %w", c.Argv[0], ctx.Err())
}

// play runs one command, or a line of several.
func (e *emulator) play(c hypervisor.Command) answer {
	for _, g := range e.domains {
		g.pass()
	}
	if !slices.Equal(c.Argv[:4], []string{"virsh", "--quiet", "--connect", "qemu:///system"}) {
		return fails("error: not played: %q\n", c.Argv)
	}
	args := c.Argv[4:]
	if len(args) > 1 {
		return e.one(args, c.Stdin)
	}
	var all answer
	for command := range strings.SplitSeq(args[0], "; ") {
		a := e.one(strings.Fields(command), nil)
		all.out, all.failure = all.out+a.out, all.failure+a.failure
	}
	return all
}

func (e *emulator) one(args []string, stdin []byte) answer {
	options := map[string]string{}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		options[key] = value
	}
	has := func(key string) bool { _, ok := options[key]; return ok }
	switch args[0] {
	case "version":
		return answer{out: "Running hypervisor: QEMU 7.2.22\n"}
	case "echo":
		return answer{out: strings.Join(args[1:], " ")} // without a new line
	case "list":
		return e.list(has("--name"))
	case "domstats":
		return e.domstats()
	case "net-dumpxml":
		return answer{out: "<network connections='1'>\n  <name>default</name>\n  <ip address='192.168.122.1' netmask='255.255.255.0'>\n  </ip>\n</network>\n"}
	case "net-dhcp-leases":
		return e.leases()
	case "define":
		return e.act(func() answer { return e.define(stdin) })
	case "vol-create-as", "vol-upload", "vol-delete":
		return e.act(func() answer { return e.volume(args[0], options) })
	}
	i := slices.IndexFunc(e.domains, func(g *guest) bool { return g.uuid == options["--domain"] })
	if i < 0 {
		return fails("error: failed to get domain '%s'\n", options["--domain"])
	}
	g := e.domains[i]
	switch args[0] {
	case "domifaddr":
		return g.domifaddr()
	case "dumpxml":
		return answer{out: g.xml()}
	}
	return e.act(func() answer { return e.change(g, args[0], options) })
}

// act does what changes something, unless a fault is in the way.
func (e *emulator) act(do func() answer) answer {
	switch {
	case e.fault == hypervisortest.Ignored:
		return answer{}
	case e.busy:
		e.busy = false
		return fails("error: Timed out during operation: cannot acquire state change lock\n")
	}
	return do()
}

func (e *emulator) list(named bool) (a answer) {
	for _, g := range e.domains {
		switch {
		case named:
			a.out += g.uuid + " " + g.name + "\n"
		case g.saved:
			a.out += g.uuid + "\n"
		}
	}
	return a
}

func (e *emulator) domstats() (a answer) {
	for _, g := range slices.Backward(e.domains) { // in another order than list
		a.out += "Domain: '" + g.name + "'\n  state.state=" + g.state + "\n  state.reason=" + g.reason + "\n\n"
	}
	return a
}

func (e *emulator) leases() (a answer) {
	for _, g := range e.domains {
		if g.lease != "" {
			a.out += " 2030-03-17 17:46:40   52:54:00:00:00:96   ipv4   " + g.lease + "/24   debian   -\n"
		}
	}
	return a
}

func (g *guest) domifaddr() answer {
	switch {
	case g.state != "1" && g.state != "3":
		return fails("error: Failed to query for interfaces addresses\nerror: Requested operation is not valid: domain is not running\n")
	case g.lease == "":
		return answer{}
	}
	return answer{out: " vnet4      52:54:00:00:00:96    ipv4         " + g.lease + "/24\n"}
}

// xml is the description of a domain, of which little is read again.
func (g *guest) xml() string {
	var d strings.Builder
	for _, v := range g.disks {
		fmt.Fprintf(&d, "<disk type='volume' device='disk'><source pool='default' volume='%s'/><target dev='%s' bus='virtio'/></disk>\n", v.volume, v.target)
	}
	return "<domain type='kvm'>\n<uuid>" + g.uuid + "</uuid>\n<memory unit='KiB'>65536</memory>\n<vcpu placement='static'>1</vcpu>\n<devices>\n" + d.String() + "</devices>\n</domain>\n"
}

// define reads what a domain is made of, with a reader of its own.
func (e *emulator) define(text []byte) answer {
	var d struct {
		Name   string `xml:"name"`
		UUID   string `xml:"uuid"`
		Memory int64  `xml:"memory"`
		Disks  []struct {
			Source struct {
				Volume string `xml:"volume,attr"`
			} `xml:"source"`
			Target struct {
				Dev string `xml:"dev,attr"`
			} `xml:"target"`
		} `xml:"devices>disk"`
		MAC struct {
			Address string `xml:"address,attr"`
		} `xml:"devices>interface>mac"`
	}
	if err := xml.Unmarshal(text, &d); err != nil {
		return fails("error: XML error: %v\n", err)
	}
	g := &guest{uuid: d.UUID, name: d.Name, state: "5", reason: "0", ram: d.Memory, mac: d.MAC.Address}
	for _, v := range d.Disks {
		g.disks = append(g.disks, drive{v.Target.Dev, v.Source.Volume})
	}
	e.made = true
	add := func() { e.domains = append(e.domains, g) }
	if e.fault == hypervisortest.Slow {
		time.AfterFunc(3*time.Second, func() { e.mu.Lock(); defer e.mu.Unlock(); add() })
		return answer{}
	}
	add()
	return answer{}
}

func (e *emulator) volume(command string, options map[string]string) answer {
	name := options["--vol"] + options["--name"]
	old, there := e.volumes[name]
	switch {
	case options["--pool"] != "default":
		return fails("error: failed to get pool '%s'\nerror: Storage pool not found\n", options["--pool"])
	case command == "vol-create-as" && there:
		return fails("error: Failed to create vol %[1]s\nerror: operation failed: storage volume name '%[1]s' already in use.\n", name)
	case command != "vol-create-as" && !there:
		return fails("error: failed to get vol '%[1]s'\nerror: Storage volume not found: no storage vol with matching path '%[1]s'\n", name)
	case command == "vol-create-as":
		n, _ := strconv.Atoi(options["--capacity"])
		e.volumes[name] = make([]byte, n)
	case command == "vol-upload":
		text, err := os.ReadFile(options["--file"])
		if err != nil || len(text) > len(old) {
			return fails("error: cannot upload to volume %s: %v\n", name, err)
		}
		e.volumes[name] = text
	default:
		delete(e.volumes, name)
	}
	return answer{}
}

// change does something to a domain, at once or some seconds later.
func (e *emulator) change(g *guest, command string, options map[string]string) answer {
	running := g.state == "1" || g.state == "3" || g.state == "4"
	refused := map[string]bool{
		"start": running || e.fault == hypervisortest.NoStart, "resume": g.state != "3" || e.fault == hypervisortest.NoStart,
		"managedsave": !running, "destroy": !running, "shutdown": g.state != "1",
		"undefine": running && options["--storage"] != "",
	}
	if refused[command] {
		return fails("error: Requested operation is not valid: not in this state\n")
	}
	do := map[string]func(){
		"start":              func() { g.state, g.reason, g.saved = "1", "1", false },
		"resume":             func() { g.state, g.reason = "1", "5" },
		"managedsave":        func() { g.state, g.reason, g.saved = "5", "5", true },
		"managedsave-remove": func() { g.saved = false },
		"destroy":            func() { g.state, g.reason, g.then = "5", "2", nil },
		"shutdown": func() {
			if !g.deaf {
				g.state, g.reason = "5", "1"
			}
		},
		"undefine": func() { e.undefine(g, options["--storage"]) },
		"detach-disk": func() {
			g.disks = slices.DeleteFunc(g.disks, func(d drive) bool { return d.target == options["--target"] })
		},
	}[command]
	switch {
	case do == nil:
		return fails("error: unknown command: '%s'\n", command)
	case e.fault == hypervisortest.Slow:
		g.then, g.at = do, time.Now().Add(3*time.Second)
	default:
		do()
	}
	return answer{}
}

func (e *emulator) undefine(g *guest, storage string) {
	e.domains = slices.DeleteFunc(e.domains, func(o *guest) bool { return o == g })
	for _, d := range g.disks {
		if slices.Contains(strings.Split(storage, ","), d.target) {
			delete(e.volumes, d.volume)
		}
	}
}

// pass lets a domain become what it becomes by itself.
func (g *guest) pass() {
	if g.then != nil && !time.Now().Before(g.at) {
		then := g.then
		g.then = nil
		then()
	}
}

// left fails the test if volumes are there that belong to no domain.
func (e *emulator) left(t *testing.T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name := range e.volumes {
		owned := slices.ContainsFunc(e.domains, func(g *guest) bool {
			return slices.ContainsFunc(g.disks, func(d drive) bool { return d.volume == name })
		})
		if !owned {
			t.Errorf("the volume %s is left over", name)
		}
	}
}
