//go:build e2e && linux

package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/cloudinit"
)

// The VM that a seed describes.
const (
	seedIP   = "192.168.64.150"
	seedHost = "mpd-150"
	seedUser = "dev" // whom Guest.Run runs as, too
)

// seeded is a machine as its seed describes it, seen from the Mac: as the
// seed's user, under the seed's host key and no other.
type seeded struct {
	lab        *Lab
	iso        string // path of the seed
	knownHosts string // holds the one host key
}

// newSeed writes the seed, as the program does.
func (l *Lab) newSeed() *seeded {
	l.t.Helper()
	text, err := os.ReadFile(l.Home + "/.ssh/id_ed25519.pub")
	l.must(err)
	public, err := cloudinit.ParsePublicKey(text)
	l.must(err)
	hostKey, hostPublic, err := cloudinit.GenerateHostKey(rand.Reader)
	l.must(err)
	mac, err := net.ParseMAC(hardwareAddr(seedIP))
	l.must(err)
	seed := cloudinit.Seed{
		InstanceID: "mpd-150-" + strings.ToLower(rand.Text()[:10]), HostName: seedHost, User: seedUser, PublicKey: public,
		HostKey: hostKey, MAC: mac, Addr: netip.MustParsePrefix(seedIP + "/24"), Gateway: netip.MustParseAddr(utmGatewayIP),
	}
	s := &seeded{lab: l, iso: filepath.Join(l.dir, "seed.iso")}
	l.must(seed.WriteFile(nil, s.iso))
	s.knownHosts = l.write("home/known_hosts_150", seedHost+" "+string(ssh.MarshalAuthorizedKey(hostPublic)), 0o600)
	return s
}

// ssh runs a command there with the system's ssh and no configuration.
func (s *seeded) ssh(stdin, command string, options ...string) Result {
	s.lab.t.Helper()
	argv := append([]string{"ssh", "-F", "none", "-i", s.lab.Home + "/.ssh/id_ed25519", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias=" + seedHost, "-o", "UserKnownHostsFile=" + s.knownHosts,
		"-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6"}, options...)
	return s.lab.MacInput(s.lab.t.Context(), stdin, append(argv, seedUser+"@"+seedIP, command)...)
}

// await waits for the first login. While there is no connection, or one that is
// cut (cloud-init restarts sshd once after it answered first), it asks again.
// The first answer must be the right one: another host key, or no welcome for
// the user's key, is wrong at any time.
func (s *seeded) await(limit time.Duration) {
	s.lab.t.Helper()
	start := time.Now()
	s.lab.eventually("first login", limit, func() error {
		r := s.ssh("", "id -un")
		if strings.TrimSpace(r.Stdout) == seedUser {
			return nil
		}
		for _, answer := range []string{"Host key verification failed", "Permission denied"} {
			if strings.Contains(r.Stderr, answer) {
				s.lab.t.Fatalf("the first answer is not as the seed says: %v", r)
			}
		}
		return fmt.Errorf("%v", r)
	})
	s.lab.t.Logf("login as %s under the seed's host key after %.1fs", seedUser, time.Since(start).Seconds())
}

// run runs a command that must succeed, and returns its output. A connection
// that is cut, as above, gets a second try.
func (s *seeded) run(stdin, command string) string {
	s.lab.t.Helper()
	r := s.ssh(stdin, command)
	if r.Code == 255 {
		r = s.ssh(stdin, command)
	}
	if r.Code != 0 {
		s.lab.t.Fatalf("%s: %v", command, r)
	}
	return strings.TrimSpace(r.Stdout)
}

// seedChecks are what the seed says, as the machine must answer.
var seedChecks = []struct{ command, want string }{
	{"sudo -n id -u", "0"},
	{"hostname", seedHost},
	{"ip -4 -o addr show scope global | awk '{print $4}'", seedIP + "/24"},
	{"ip -4 route show default | awk '{print $3}'", utmGatewayIP},
	{"resolvectl dns | sed -n 's/^[^:]*: *//p' | xargs", utmGatewayIP},
	{"awk '$1 == \"nameserver\" { print $2 }' /run/systemd/resolve/resolv.conf", utmGatewayIP},
	{"resolvectl query --legend=no " + bootstrapHost + " | awk '{print $2}'", gatewayIP},
	{"sudo sshd -T | grep -E '^(password|kbdinteractive)authentication'", "passwordauthentication no\nkbdinteractiveauthentication no"},
	{"sudo passwd -S " + seedUser + " | cut -d' ' -f2", "L"},
	{"awk -F: '$3 >= 1000 && $3 < 60000 { print $1 }' /etc/passwd", seedUser},
	{"getent passwd debian || echo none", "none"},
	{"cd /etc/ssh && ls ssh_host_*_key", "ssh_host_ed25519_key"},
	{"sudo stat -c %a /etc/ssh/ssh_host_ed25519_key /etc/netplan/*.yaml /var/lib/cloud/instance/user-data.txt", "600\n600\n600"},
}

// check compares what the machine is with what the seed says. It asks all in
// one connection: where a processor is computed, each takes seconds.
func (s *seeded) check() {
	s.lab.t.Helper()
	const end = "----"
	script := ""
	for _, c := range seedChecks {
		script += "(" + c.command + ") 2>&1\necho " + end + "\n"
	}
	answers := strings.Split(s.run("", script)+"\n", end+"\n")
	if len(answers) != len(seedChecks)+1 {
		s.lab.t.Fatalf("%d answers to %d questions: %q", len(answers)-1, len(seedChecks), answers)
	}
	for i, c := range seedChecks {
		if got := strings.TrimSpace(answers[i]); got != c.want {
			s.lab.t.Errorf("in the VM: %s: %q, want %q", c.command, got, c.want)
		}
	}
}

// checkNoPassword: the server does not even offer to take one. It is a failed
// login, for which sshd may keep the Mac waiting: the last thing to do.
func (s *seeded) checkNoPassword() {
	s.lab.t.Helper()
	r := s.ssh("", "true", "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive")
	if r.Code != 255 || !strings.Contains(r.Stderr, "Permission denied (publickey).") {
		s.lab.t.Errorf("login with a password: %v", r)
	}
}

// finished waits until cloud-init has done all, and checks that it found
// nothing to say.
func (s *seeded) finished(source string) {
	s.lab.t.Helper()
	var status struct {
		Status, Detail string
		Errors         []string
		Recoverable    map[string][]string `json:"recoverable_errors"`
	}
	text := s.run("", "cloud-init status --wait --format json")
	s.lab.must(json.Unmarshal([]byte(text), &status))
	if status.Status != "done" || len(status.Errors) > 0 || len(status.Recoverable) > 0 || !strings.Contains(status.Detail, source) {
		s.lab.t.Errorf("cloud-init status: want done, without errors, from %s:\n%s", source, text)
	}
}

// disabled checks that cloud-init did not run in this boot.
func (s *seeded) disabled() {
	s.lab.t.Helper()
	if got := s.run("", "cloud-init status"); got != "status: disabled" {
		s.lab.t.Errorf("cloud-init status without a seed: %q", got)
	}
}

// TestSeed: Debian's own cloud-init makes of our seed the VM that it describes.
// A container has no disks of its own, so the files are read from the ISO by
// xorriso and put where cloud-init looks without one; that it finds the disk by
// its label is proven by TestSeedBoot.
func TestSeed(t *testing.T) {
	requireMachine(t)
	requirePrograms(t, "xorriso", "blkid")
	base := cloudRootfs(t) // before the others run, which measure time
	t.Parallel()
	l := NewLab(t)
	s := l.newSeed()
	folder := checkISO(l, s.iso)

	g := l.newGuest(seedIP, base)
	g.patchPermanentAddress()
	const place = "var/lib/cloud/seed/nocloud"
	l.must(os.MkdirAll(g.path(filepath.Dir(place)), 0o755))
	l.run("cp", "-r", folder, g.path(place))
	g.start()
	s.await(time.Minute)
	s.finished("DataSourceNoCloud [seed=/" + place + "]")
	s.check()
	checkSchema(s, folder)

	g.Shutdown()
	l.must(os.RemoveAll(g.path(place)))
	g.start()
	s.await(time.Minute)
	s.disabled()
	s.check()
	s.checkNoPassword()
}

// patchPermanentAddress: netplan matches a card by the address that it was made
// with, which no virtual card of Linux has, so the guest's networkd is told to
// look at the address that it has now. A VM's card has both.
func (g *Guest) patchPermanentAddress() {
	g.lab.t.Helper()
	g.put("etc/systemd/system/systemd-networkd.service.d/lab.conf",
		"[Service]\nExecStartPre=+sh -c 'sed -i s/^PermanentMACAddress=/MACAddress=/ /run/systemd/network/*.network || true'\n", 0o644)
}

// checkISO reads the seed with programs that are not ours, under both sets of
// names, and returns a folder with its files.
func checkISO(l *Lab, iso string) string {
	l.t.Helper()
	got := l.run("blkid", "-p", "-o", "export", iso)
	wantText(l.t.(*testing.T), "blkid", got, "\nTYPE=iso9660\n", "\nLABEL=cidata\n")
	image, err := os.ReadFile(iso)
	l.must(err)
	_, files, err := cloudinit.Files(image)
	l.must(err)
	if len(files) != 3 {
		l.t.Errorf("%d files in the seed, want 3", len(files))
	}
	folder := filepath.Join(l.dir, "seed")
	for _, names := range []struct {
		kind   string
		linux  func(string) string
		folder string
	}{
		{"any", func(s string) string { return s }, folder},
		{"nojoliet", func(s string) string { return strings.ToUpper(s) }, folder + "-plain"},
	} {
		l.run("xorriso", "-report_about", "FAILURE", "-read_fs", names.kind, "-osirrox", "on", "-indev", iso, "-extract", "/", names.folder)
		for name, want := range files {
			got, err := os.ReadFile(filepath.Join(names.folder, names.linux(name)))
			l.must(err)
			if !bytes.Equal(got, want) {
				l.t.Errorf("%s, as xorriso reads it: %q, want %q", name, got, want)
			}
		}
	}
	return folder
}

// checkSchema asks the guest's own cloud-init and netplan what they think of
// the documents and of what became of them.
func checkSchema(s *seeded, folder string) {
	s.lab.t.Helper()
	for name, kind := range map[string]string{"user-data": "cloud-config", "network-config": "network-config"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		s.lab.must(err)
		got := s.run(string(text), "f=$(mktemp) && cat > $f && sudo cloud-init schema --schema-type "+kind+" --config-file $f 2>&1; s=$?; rm $f; exit $s")
		if !strings.HasPrefix(got, "Valid schema") || strings.Contains(got, "\n") {
			s.lab.t.Errorf("cloud-init schema of %s: %s", name, got)
		}
	}
	// A container has no udev that netplan could tell of it.
	got := s.run("", "d=$(mktemp -d) && sudo cp -r --parents /etc/netplan $d && sudo netplan generate --root-dir $d 2>&1 && "+
		"sudo cat $d/run/systemd/network/10-netplan-*.network && sudo rm -r $d")
	got = strings.TrimPrefix(got, "Failed to send reload request: No such file or directory\n")
	if !strings.HasPrefix(got, "[Match]\nPermanentMACAddress="+hardwareAddr(seedIP)+"\n") {
		s.lab.t.Errorf("netplan generate: want no complaint, and the network card's address first:\n%s", got)
	}
}

// requirePrograms is requireMachine for programs that few tests need.
func requirePrograms(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}
