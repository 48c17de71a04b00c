package mpdvirt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
	"github.com/mutms/mpd-virt-macos/internal/probe"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// diagConnect bounds a TCP connection of diag, so that a dead VM costs little.
const diagConnect = 2 * time.Second

// found makes a Check from an error, whose hint becomes a fix.
func found(err error) Check {
	c := Check{Status: Fail, Summary: err.Error()}
	if h := hint.Of(err); h != "" {
		c.Fixes = []Fix{{Text: h}}
	}
	if class := classify(err, ""); errors.Is(class, ErrRefused) {
		c.Refused = true
	}
	return c
}

// mpdVirt is a fix that this program does.
func mpdVirt(args ...string) Fix { return Fix{Argv: append([]string{"mpd-virt"}, args...)} }

// askRegistry reads the entry, and looks whether another VM has the same host
// key, which a clone brings with it.
func (m *Manager) askRegistry(r *run) (registry.Entry, Check) {
	r.emit(Event{Kind: StepStarted, Step: "registry"})
	entry, err := m.registered(r.octet)
	c := Check{Status: OK, Summary: m.state.EnvFile(r.octet)}
	if err != nil {
		c = found(err)
		if errors.Is(err, registry.ErrNotRegistered) && m.unfinished(r.octet) {
			c.Fixes = []Fix{m.unfinishedFix(r.octet)}
		}
	} else if twin := m.sameHostKey(r.octet); twin != "" {
		c.Status, c.Summary = Warn, fmt.Sprintf("%s has the same SSH host key as %s: one is a copy of the other", twin, entry.Name())
	}
	c.ID, c.Phase = "registry", Mandatory
	r.emit(Event{Kind: StepEnded, Step: c.ID, Status: c.Status, Text: c.Summary})
	return entry, c
}

// unfinishedFix goes on with a VM that is not registered yet.
func (m *Manager) unfinishedFix(o Octet) Fix {
	const text = "its setup did not finish: go on with it"
	if j, err := bootstrap.LoadJournal(m.files, m.journalFile(o), o); err == nil && j.Making != nil {
		return Fix{Text: text + "\n" + nextOf(o, j)} // quoted for a shell
	}
	return Fix{Text: text, Argv: mpdVirt("setup", o.String()).Argv}
}

// sameHostKey is the name of another VM that is pinned to the same key.
func (m *Manager) sameHostKey(o Octet) string {
	mine, err := guest.ReadPins(m.files, m.state.KnownHosts(o), o.VMName())
	if err != nil {
		return "" // the login says what is wrong
	}
	others, _ := m.entries(o)
	for _, e := range others {
		theirs, _ := guest.ReadPins(m.files, m.state.KnownHosts(e.Octet), e.Name())
		for _, a := range mine {
			for _, b := range theirs {
				if string(a.Marshal()) == string(b.Marshal()) {
					return e.Name()
				}
			}
		}
	}
	return ""
}

func askBackend(ctx context.Context, x *examination) Check {
	b, err := x.m.backend(x.entry.Backend)
	if err != nil {
		return found(err)
	}
	if err := b.Available(ctx); err != nil {
		return found(err)
	}
	machines, err := b.States(ctx)
	if err != nil {
		return found(fmt.Errorf("ask %s: %w", b.Name(), err))
	}
	if machines == nil {
		return Check{Status: OK, Summary: b.Name() + " manages no VMs, so there is no state to ask"}
	}
	state := stateIn(machines, viewOf(x.entry))
	c := Check{Status: OK, Summary: string(state), Facts: map[string]string{"state": string(state)}}
	if x.entry.UUID != "" {
		c.Summary += ", UUID as recorded"
	}
	if state != hypervisor.Running {
		c.Status, c.Summary, c.Fixes = Fail, string(state), []Fix{notRunning(state, b, x.entry.Octet)}
		return c
	}
	if i, ok := b.(hypervisor.Inspector); ok {
		c.add(i.Inspect(ctx))
	}
	return c
}

// notRunning is what a person can do about a VM in a state.
func notRunning(s State, b hypervisor.Hypervisor, o Octet) Fix {
	switch {
	case s == hypervisor.Missing:
		fix := mpdVirt("delete", o.String())
		fix.Text = "if it was deleted on purpose, forget it"
		return fix
	case !s.Known():
		return Fix{Text: "mpd-virt does not know this state: look at the VM in the window of " + b.Name()}
	}
	return mpdVirt("start", o.String())
}

// add makes a check a warning for what the backend found.
func (c *Check) add(found []hypervisor.Finding, err error) {
	if err != nil {
		c.Status, c.Summary = Warn, c.Summary+"; "+err.Error()
		return
	}
	for _, f := range found {
		c.Status, c.Summary = Warn, c.Summary+"; "+f.Text
		text := strings.TrimPrefix(f.Advice, "or ")
		if f.Fix != nil {
			text += "; or run"
		}
		c.Fixes = append(c.Fixes, Fix{Text: text, Argv: f.Fix, Root: f.Root})
	}
}

func askPing(ctx context.Context, x *examination) Check {
	rtt, err := probe.Ping(ctx, x.r.runner(), goos, x.entry.Addr)
	switch {
	case err == nil:
		return Check{Status: OK, Summary: fmt.Sprintf("%.1f ms", rtt.Seconds()*1000)}
	case errors.Is(err, hypervisor.ErrToolMissing):
		c := found(err)
		c.Status = Warn
		return c
	}
	c := found(err)
	c.Fixes = append(c.Fixes, Fix{Text: "start the VM if it is off, and look at its console"})
	return c
}

// askPlatform logs in to the pinned VM and reads what its own setup wrote.
func askPlatform(ctx context.Context, x *examination) Check {
	start := time.Now()
	conn, err := x.connect()
	if err != nil {
		c := found(err)
		if sshAnswered(err) {
			c.Facts = map[string]string{"ssh": "answers"}
		}
		if x.private(ctx, err, time.Since(start)) {
			c.Facts = map[string]string{"local_network": "denied"}
			c.Fixes = []Fix{privacy()}
		}
		if len(c.Fixes) == 0 {
			c.Fixes = []Fix{{Text: "look on the VM's console what its SSH server does: sudo systemctl status ssh"}}
		}
		return c
	}
	facts := map[string]string{"ssh": "answers", "host_key": ssh.FingerprintSHA256(conn.HostKey())}
	data, err := bootstrap.ReadPlatform(ctx, conn)
	if err == nil {
		err = bootstrap.CheckPlatform(data, x.entry.Octet, x.entry.Addr)
	}
	if err != nil {
		c := found(err)
		c.Facts = facts
		c.Fixes = append(c.Fixes, mpdVirt("setup", x.entry.Octet.String(), "--from="+bootstrap.StepNetwork))
		return c
	}
	if x.foreignConf(ctx, conn) {
		facts["wireguard"] = foreign
	}
	return Check{Status: OK, Summary: "MPD_VM_ID and MPD_VM_IP match", Facts: facts}
}

// foreign is the fact that the VM uses another WireGuard conf than this Mac
// keeps for it. What answers through the tunnel is then not this VM.
const foreign = "another conf"

// foreignConf says whether the VM surely has a conf that is not this Mac's for
// it; what cannot be told is no finding.
func (x *examination) foreignConf(ctx context.Context, conn *guest.Conn) bool {
	id, err := x.m.keys.Load(x.entry.Octet)
	if err != nil {
		return false // setup names the damage
	}
	installed, err := bootstrap.InstalledConf(ctx, conn)
	sum := sha256.Sum256(id.ServerConf)
	return err == nil && installed != "" && installed != hex.EncodeToString(sum[:])
}

// sshAnswered says whether a login that failed still proves that somebody is
// there. Bad pins and a lack of keys prove nothing: then nobody was asked.
func sshAnswered(err error) bool {
	var (
		lost *guest.UnreachableError
		key  *guest.HostKeyError
		auth *guest.AuthError
	)
	switch {
	case errors.As(err, &lost):
		return answered(lost.Kind)
	case errors.As(err, &key):
		return key.Got != ""
	}
	return errors.As(err, &auth) && len(auth.Tried) > 0
}

func (x *examination) login(ctx context.Context) (*guest.Conn, error) {
	t, err := x.m.recorded(x.entry)
	if err != nil {
		return nil, err
	}
	l := x.m.login(ctx, x.r, t)
	l.connect = diagConnect
	return guestAt(ctx, l, x.entry.Addr)
}

// askAlias makes the SSH entries right and proves them with the system's ssh.
func askAlias(ctx context.Context, x *examination) Check {
	changed, err := x.m.ensureAliases(ctx, x.r)
	if err != nil {
		return found(err)
	}
	name := x.entry.Name()
	argv := x.m.sshTo(x.entry.Octet, "-o", "BatchMode=yes", "-o", "ConnectTimeout=2")
	res, err := x.r.runner()(ctx, hypervisor.Command{Argv: append(argv, "true"), Limit: aliasLimit})
	c := Check{Status: OK, Summary: "ssh " + name + " works"}
	switch {
	case errors.Is(err, hypervisor.ErrToolMissing):
		return Check{Status: Warn, Summary: "there is no ssh on this machine to prove the alias with"}
	case err != nil:
		return found(fmt.Errorf("ssh %s: %w", name, err))
	case res.Status == sshFailed && strings.Contains(string(res.Stderr), "Too many authentication failures"):
		c = Check{Status: Fail, Summary: "ssh " + name + " offers other keys until the VM listens no more",
			Fixes: []Fix{{Text: fmt.Sprintf("in %s let these lines stand above all other Host lines:\n  Host mpd-*\n    IdentityFile ~/.ssh/id_ed25519\n    IdentitiesOnly yes", x.m.alias.User)}}}
	case res.Status == sshFailed && strings.Contains(string(res.Stderr), "Permission denied"):
		// The VM is the right one and lets us in, so ssh lacks only what it
		// may not ask for here.
		c = Check{Status: Warn, Summary: "ssh " + name + " has no key that works without asking for a passphrase",
			Fixes: []Fix{{Text: "give the key to the agent", Argv: []string{"ssh-add"}}}}
	case res.Status != 0:
		c = Check{Status: Fail, Summary: fmt.Sprintf("ssh %s: exit status %d: %s", name, res.Status, lastLine(res.Stderr)),
			Fixes: []Fix{{Text: "see what ssh says", Argv: []string{"ssh", "-v", name}}}}
	case changed:
		c.Summary += "; its entries were written again"
	}
	if w := x.m.alias.Warnings(); len(w) > 0 && c.Status == OK {
		c.Status, c.Summary = Warn, strings.Join(w, "; ")
	}
	return c
}

// sshFailed is ssh's status when it and not the remote command failed.
const sshFailed = 255

// aliasLimit bounds the real ssh: its connect limit, and time to log in.
const aliasLimit = 10 * time.Second

// lastLine is the last line of a program's message, made safe to show.
func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return plaintext.Clean(lines[len(lines)-1])
}
