//go:build e2e && linux

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// parallel is how many laboratories there are at the same time. Their tests
// mostly wait, so it is more than the processors of a small machine.
const parallel = "6"

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); slices.Contains(parallelsTools, name) {
		os.Exit(playParallels(name))
	}
	flag.Parse()
	if !isSet("test.parallel") {
		flag.Set("test.parallel", parallel)
	}
	if os.Geteuid() == 0 {
		removeLeftovers()
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-signals
		fmt.Fprintln(os.Stderr, "e2e: removing the laboratories after", s)
		removeOwn()
		os.Exit(128 + int(s.(syscall.Signal)))
	}()
	code := m.Run()
	removeOwn()
	os.Exit(code)
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// requireMachine ends the test if this machine cannot hold a laboratory:
// skipped, or failed where CI=true, so that a green CI means that it ran.
func requireMachine(t testing.TB) {
	t.Helper()
	if missing := missingParts(); len(missing) > 0 {
		reason := "no laboratory on this machine: " + strings.Join(missing, "; ")
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
}

func missingParts() []string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "not root")
	}
	if tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		missing = append(missing, err.Error())
	} else {
		tun.Close()
	}
	if err := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "true").Run(); err != nil {
		missing = append(missing, "no namespaces may be made: "+err.Error())
	}
	programs := []string{"systemd-nspawn", "mmdebstrap", "ip", "nsenter", "dnsmasq", "wg", "wg-quick",
		"wireguard-go", "git", "ssh", "ssh-keygen", "ping", "mount", "umount"}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, "no program "+p)
		}
	}
	return missing
}
