//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The network of the laboratory is that of Parallels: the Mac at .2, gateway,
// DHCP and name server at .1. Guests get their first address by DHCP. On the
// same wires is UTM's network, without DHCP.
const (
	macIP     = "10.211.55.2"
	gatewayIP = "10.211.55.1"
	firstIP   = "10.211.55.37"
	secondIP  = "10.211.55.38"

	utmMacIP     = "192.168.64.2"
	utmGatewayIP = "192.168.64.1"

	bootstrapHost = "bootstrap.lab.test"
	bootstrapURL  = "https://" + bootstrapHost + "/mutms/mpd"
	repoURL       = "https://" + bootstrapHost + "/mpd.git"
)

var labCount atomic.Int32

// Lab is one laboratory: a namespace that plays the Mac, one with the bridge
// on which the guests hang, and the guests. It is removed when its test ends.
// Its methods end the test on failure of the laboratory itself.
type Lab struct {
	t    testing.TB
	id   string // part of every name that it makes on this machine
	dir  string // logs, guests' file systems, the Mac's home
	net  string // namespace of bridge, DHCP, DNS and web server
	mac  string // namespace of the Mac
	ca   *labCA
	web  *webServer
	Home string // the Mac's home folder; holds .ssh with one key, nothing else
}

// NewLab makes a laboratory without guests.
func NewLab(t testing.TB) *Lab {
	t.Helper()
	requireMachine(t)
	id := fmt.Sprintf("%d-%d", os.Getpid(), labCount.Add(1))
	l := &Lab{
		t: t, id: id, dir: filepath.Join(os.TempDir(), dirPrefix+id),
		net: "mpdvirt-net-" + id, mac: "mpdvirt-mac-" + id,
	}
	ownMu.Lock()
	own[id] = true
	ownMu.Unlock()
	t.Cleanup(l.remove)
	l.must(os.Mkdir(l.dir, 0o700))
	l.write("owner", fmt.Sprintf("%d %s\n", os.Getpid(), startTime(os.Getpid())), 0o600)

	l.addNamespace(l.net)
	// A bridge without an address of its own takes one of its ports', so the
	// gateway would change its own whenever a machine comes or goes.
	l.run("ip", "-n", l.net, "link", "add", "br0", "address", "02:6c:61:62:00:01", "type", "bridge")
	l.run("ip", "-n", l.net, "addr", "add", gatewayIP+"/24", "dev", "br0")
	l.run("ip", "-n", l.net, "addr", "add", utmGatewayIP+"/24", "dev", "br0")
	l.run("ip", "-n", l.net, "link", "set", "br0", "up")
	l.addNamespace(l.mac)
	l.cable("mac", l.mac, "en0", "02:6c:61:62:00:02")
	l.run("ip", "-n", l.mac, "addr", "add", macIP+"/24", "dev", "en0")
	l.run("ip", "-n", l.mac, "addr", "add", utmMacIP+"/24", "dev", "en0")
	l.run("ip", "-n", l.mac, "link", "set", "en0", "up")
	// As on a Mac, what no other route takes goes to a gateway, which here
	// forwards nothing: a name server behind a closed tunnel is silent.
	l.run("ip", "-n", l.mac, "route", "add", "default", "via", gatewayIP)

	l.ca = newLabCA(t)
	l.startDNS()
	l.startWeb()
	l.prepareMac()
	return l
}

// remove is the end of a laboratory, and of its folder unless it may be needed
// to see why the test failed.
func (l *Lab) remove() {
	if l.web != nil {
		l.web.close()
	}
	if l.t.Failed() {
		l.logTail("console-*.log", 25)
		l.logTail("dnsmasq.log", 25)
	}
	ownMu.Lock()
	defer ownMu.Unlock()
	removeLab(l.id)
	delete(own, l.id)
	if l.t.Failed() && os.Getenv("MPD_VIRT_E2E_KEEP") != "" {
		l.t.Logf("kept: %s", l.dir)
		return
	}
	if err := os.RemoveAll(l.dir); err != nil {
		l.t.Error(err)
	}
}

// startDNS starts the network's DHCP and name server. It knows only names of
// the laboratory and forwards nothing.
func (l *Lab) startDNS() {
	args := []string{"netns", "exec", l.net, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
		"--user=root", "--pid-file=", "--interface=br0", "--except-interface=lo", "--bind-interfaces",
		"--no-resolv", "--no-hosts", "--local=/lab.test/", "--address=/" + bootstrapHost + "/" + gatewayIP,
		"--dhcp-range=10.211.55.0,static,255.255.255.0,1h", "--dhcp-authoritative", "--no-ping",
		"--dhcp-option=option:router," + gatewayIP, "--dhcp-option=option:dns-server," + gatewayIP,
		"--dhcp-leasefile=" + filepath.Join(l.dir, "leases"), "--log-facility=" + filepath.Join(l.dir, "dnsmasq.log")}
	for _, ip := range []string{firstIP, secondIP} {
		args = append(args, "--dhcp-host="+hardwareAddr(ip)+","+ip)
	}
	l.start("dnsmasq", exec.Command("ip", args...))
}

// start starts a process that ends with the laboratory at the latest.
func (l *Lab) start(name string, cmd *exec.Cmd) *exec.Cmd {
	l.t.Helper()
	log, err := os.OpenFile(filepath.Join(l.dir, name+".out"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	l.must(err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	l.must(cmd.Start())
	go cmd.Wait() // so that no zombie stays; the laboratory ends it by its namespace
	return cmd
}

// run runs a command of the laboratory itself, which must not fail.
func (l *Lab) run(argv ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

func (l *Lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// write writes a file below the laboratory's folder and returns its path.
func (l *Lab) write(name, text string, mode os.FileMode) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	l.must(os.MkdirAll(filepath.Dir(path), 0o700))
	l.must(os.WriteFile(path, []byte(text), mode))
	return path
}

func (l *Lab) addNamespace(name string) {
	l.t.Helper()
	l.run("ip", "netns", "add", name)
	l.run("ip", "-n", name, "link", "set", "lo", "up")
}

// cable joins a namespace to the bridge. The bridge's end is called port, the
// other one dev; it stays down.
func (l *Lab) cable(port, namespace, dev, mac string) {
	l.t.Helper()
	l.run("ip", "link", "add", port, "netns", l.net, "type", "veth",
		"peer", "name", dev, "address", mac, "netns", namespace)
	l.run("ip", "-n", l.net, "link", "set", port, "master", "br0", "up")
}

// hardwareAddr is the network card of the guest that DHCP or a seed gives ip
// to.
func hardwareAddr(ip string) string {
	a := netip.MustParseAddr(ip).As4()
	return fmt.Sprintf("02:6c:61:62:00:%02x", a[3])
}

// inNamespace calls f on a thread that is in the network namespace. Sockets
// that f opens belong to it for their whole life.
func inNamespace(name string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread must not serve other goroutines again, and
		// ends with this one.
		runtime.LockOSThread()
		fd, err := unix.Open("/run/netns/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err != nil {
			done <- fmt.Errorf("namespace %s: %w", name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// listen opens a listening socket inside a namespace.
func listen(namespace string, addr netip.AddrPort) (net.Listener, error) {
	var ln net.Listener
	err := inNamespace(namespace, func() (err error) {
		ln, err = net.Listen("tcp4", addr.String())
		return err
	})
	return ln, err
}

// dialMac opens a connection from the Mac's namespace; addr is literal.
func (l *Lab) dialMac(network, addr string) (net.Conn, error) {
	var conn net.Conn
	err := inNamespace(l.mac, func() (err error) {
		conn, err = net.DialTimeout(network, addr, 5*time.Second)
		return err
	})
	return conn, err
}

// eventually tries f until it succeeds, at most for limit.
func (l *Lab) eventually(what string, limit time.Duration, f func() error) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			l.t.Fatalf("%s: not within %v: %v", what, limit, err)
		case <-tick.C:
		}
	}
}

// logTail shows the ends of the log files that match, for a failed test.
func (l *Lab) logTail(pattern string, lines int) {
	paths, _ := filepath.Glob(filepath.Join(l.dir, pattern))
	for _, p := range paths {
		text, _ := os.ReadFile(p)
		all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		l.t.Logf("%s:\n%s", filepath.Base(p), strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
}
