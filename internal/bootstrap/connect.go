package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/shell"
)

// ErrRefused: what answers is not what setup may work on.
var ErrRefused = errors.New("refused")

// refused is an error that is ErrRefused without saying so in its text.
type refused struct{ error }

func (refused) Is(target error) bool { return target == ErrRefused }
func (r refused) Unwrap() error      { return r.error }

// moveLimit bounds the wait for a VM that may be on its way from one address to
// the other.
const moveLimit = 30 * time.Second

// bootLimit bounds the wait for the sshd of a VM that was made just now: a
// system tells its address before it lets anybody in.
const bootLimit = 2 * time.Minute

// loginPause is the least time between two logins that sshd may refuse: it
// shuts out who fails more often (PerSourcePenalties). A person who did what
// they were asked to do has needed longer.
const loginPause = 6 * time.Second

// connect logs in and pins the host key. If the key is not accepted and
// somebody is there, they are shown what to run and asked again.
func connect(ctx context.Context, r *run) (string, error) {
	addrs, limit := r.Journal.Addresses(), time.Duration(0)
	switch {
	case r.Journal.Making != nil:
		limit = bootLimit
	case len(addrs) > 1:
		limit = moveLimit
	}
	conn, err := r.Dial(ctx, addrs, limit)
	for r.Ask != nil && errors.As(err, new(*guest.AuthError)) {
		again := time.After(loginPause)
		if asked := r.Ask(ctx, err.Error(), hint.Of(err)); asked != nil {
			return "", fmt.Errorf("%w (%w)", err, asked)
		}
		select {
		case <-again:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		conn, err = r.Dial(ctx, addrs, limit)
	}
	if err != nil {
		return "", err
	}
	r.conn = conn
	known := r.Journal.HostKey
	if conn.Absent() && known != "" { // it will be the key that is pinned
		return "", nil
	}
	fingerprint := ssh.FingerprintSHA256(conn.HostKey())
	if fingerprint != known {
		r.Journal.void()
		r.Journal.MachineID = ""
	}
	if err := r.Pin(conn); err != nil {
		return "", err
	}
	r.Journal.HostKey = fingerprint
	if err := r.Journal.Save(); err != nil {
		return "", err
	}
	how := "host key " + clipped(fingerprint)
	if known != fingerprint {
		how += " pinned"
	}
	return conn.Identity() + " accepted; " + how, nil
}

// sudo surveys the VM for the first time and wants passwordless sudo, without
// which no script can work.
func sudo(ctx context.Context, r *run) (string, error) {
	for {
		if err := r.look(ctx, StepSudo); err != nil {
			return "", err
		}
		if r.facts.Sudo {
			return "passwordless", nil
		}
		// Not `bash <(wget …)`: that succeeds when the download fails, and it
		// needs bash as login shell. The file is in the home folder, where
		// nobody else can put one of the same name.
		url := shell.Quote(r.Journal.Source.URL(StepSudoers))
		remote := "wget -q --max-redirect=0 -O mpd-10.sh " + url + " || curl -fsS --proto =https -o mpd-10.sh " + url +
			" && bash mpd-10.sh; rm -f mpd-10.sh"
		command := shell.Join("ssh", "-t", string(r.User)+"@"+r.conn.Addr().Addr().String(), remote)
		err := hint.Wrap(fmt.Errorf("%s cannot use sudo without a password on %s", r.User, r.conn.Addr().Addr()), command)
		if r.Ask == nil {
			return "", err
		}
		if asked := r.Ask(ctx, err.Error()+"; the command asks for the VM's root password", command); asked != nil {
			return "", fmt.Errorf("%w (%w)", err, asked)
		}
	}
}

// The host names that the in-VM scripts accept for a machine that is not yet
// one of ours. Source: the host-name gate of step 10.
var fresh = regexp.MustCompile(`^mpd-(template|sandbox)(-[a-z0-9-]+)?$`)

// maxSkew is how wrong the VM's clock may be before certificates made on the
// Mac stop being valid there.
const maxSkew = 24 * time.Hour

// gate refuses machines on which the scripts would fail or do harm, before
// anything is pushed to them.
func gate(_ context.Context, r *run) (string, error) {
	if r.conn.Absent() {
		return "", nil
	}
	f := r.facts
	if f.System != "Linux" || f.ID != "debian" || f.Codename != "trixie" {
		return "", refused{fmt.Errorf("it runs %s, but mpd needs Debian trixie", system(f))}
	}
	if f.Arch != "x86_64" && f.Arch != "aarch64" {
		return "", refused{fmt.Errorf("its processor is %s, but mpd needs x86_64 or aarch64", f.Arch)}
	}
	if name := r.Octet.VMName(); f.Host != name && !fresh.MatchString(f.Host) {
		return "", hint.Wrap(refused{fmt.Errorf("its host name is %s, not %s or that of a template (mpd-template-…, mpd-sandbox-…)", f.Host, name)},
			fmt.Sprintf("if it is the right machine, name it first:\n%s",
				shell.Join("ssh", string(r.User)+"@"+r.conn.Addr().Addr().String(), "sudo hostnamectl set-hostname mpd-template-"+r.Octet.String())))
	}
	if f.MachineID == "" {
		return "", refused{errors.New("it has no /etc/machine-id")}
	}
	if f.MachineID != r.Journal.MachineID {
		r.Journal.void()
		r.Journal.MachineID = f.MachineID
	}
	found := "Debian trixie, hostname " + f.Host
	skew := f.Time.Sub(r.Now()).Round(time.Second)
	switch {
	case skew.Abs() > maxSkew:
		return "", hint.Wrap(fmt.Errorf("its clock is off by %s: certificates would not be valid there", skew),
			shell.Join("ssh", string(r.User)+"@"+r.conn.Addr().Addr().String(), "sudo timedatectl set-ntp true"))
	case skew.Abs() > 5*time.Minute:
		return "", warning(fmt.Sprintf("%s; its clock is off by %s", found, skew))
	}
	return found, nil
}

// system is what a VM says that it runs.
func system(f Facts) string {
	if words := strings.Fields(f.System + " " + f.ID + " " + f.Codename); len(words) > 0 {
		return strings.Join(words, " ")
	}
	return "an unknown system"
}

func ensureIdentity(ctx context.Context, r *run) (string, error) {
	id, err := r.Identity(ctx)
	if err != nil {
		return "", err
	}
	r.id = id
	if len(id.Changed) > 0 && len(id.Created) == 0 {
		return "", warning("client.conf has a new address of the VM: import the tunnel again")
	}
	if r.Rehearse != nil && len(id.Created) > 0 {
		return "", nil // the keys of this call are nobody's
	}
	ca := "CA " + brief(id.Fingerprint)
	switch {
	case slices.ContainsFunc(id.Created, func(f string) bool { return path.Base(f) == "rootCA.pem" }):
		return "made " + ca + " and WireGuard keys", nil
	case len(id.Created) > 0:
		return ca + "; made WireGuard keys for " + r.Octet.VMName(), nil
	}
	return ca + " and WireGuard keys, as before", nil
}

// brief is the head of a fingerprint, for people who compare two of them.
func brief(fingerprint string) string { return fingerprint[:min(8, len(fingerprint))] + "…" }

// clipped is both ends of a host key's fingerprint; show has the whole.
func clipped(fingerprint string) string {
	const head, tail = len("SHA256:") + 4, 4
	if len(fingerprint) <= head+tail {
		return fingerprint
	}
	return fingerprint[:head] + "…" + fingerprint[len(fingerprint)-tail:]
}
