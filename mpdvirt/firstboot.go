package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// firstBootLimit bounds a first boot: seconds on a Mac at rest, minutes where
// the processor is emulated.
const firstBootLimit = 10 * time.Minute

// firstBoot starts the VM with its seed, waits until cloud-init has done what
// the seed says, and takes the seed away. It may be repeated from any point. The
// error is a *movedError if the VM is to be made for another network, again that
// it was already.
func (m *Manager) firstBoot(ctx context.Context, r *run, c creating, t *target, again bool) error {
	j := t.journal
	var moved *movedError
	err := r.step(StepFirstBoot, func() (string, error) {
		if j.Seed == "" {
			seed, err := m.seedOf(ctx, c, j.UUID)
			if err != nil {
				return "", err
			}
			j.Seed = seed
			if err := j.Save(); err != nil {
				return "", err
			}
		}
		if err := m.turnOn(ctx, c, r.octet, j.UUID); err != nil {
			return "", err
		}
		err := sameNetwork(ctx, c, j.Canonical)
		if errors.As(err, &moved) && !again {
			return "", warning(moved.Error() + "; it is made anew there")
		}
		if err != nil {
			return "", err
		}
		return m.provisioned(ctx, r, t)
	})
	if err == nil && moved != nil {
		return moved
	}
	if err != nil {
		return err
	}
	return r.step(StepSeed, func() (string, error) {
		err := m.does(c, r.octet, func() error { return c.Shutdown(ctx, j.UUID) }, "shut %s down", r.octet.VMName())
		if err == nil {
			err = m.does(c, r.octet, func() error { return c.Detach(ctx, j.UUID, j.Seed) }, "take the seed from %s", r.octet.VMName())
		}
		if err != nil {
			return "", fmt.Errorf("its seed, in which its host key is, may still be attached: %w", err)
		}
		j.Seed = ""
		j.Seen(j.Canonical)
		return "its seed, in which its host key was, is gone", j.Save()
	})
}

// seedOf is the drive with the seed.
func (m *Manager) seedOf(ctx context.Context, c creating, uuid string) (string, error) {
	if m.rehearsal != nil && !can[hypervisor.Rehearser](c) && uuid == hypervisor.NilUUID {
		return uuid, nil // no drive is named then
	}
	return c.Seed(ctx, uuid)
}

// movedError says that VMs get addresses in another network than the one for
// which this VM was made.
type movedError struct {
	made netip.Addr
	now  netip.Prefix
}

func (e *movedError) Error() string {
	return fmt.Sprintf("VMs are in the network %s now, not where %s is", e.now, e.made)
}

// Is makes it ErrNetwork.
func (e *movedError) Is(target error) bool { return target == hypervisor.ErrNetwork }

func sameNetwork(ctx context.Context, c creating, addr netip.Addr) error {
	network, err := c.Network(ctx)
	if err == nil && !network.Contains(addr) {
		err = hint.Wrap(&movedError{addr, network}, "another program may take and leave networks of macOS's VMs; end it, then run the command again")
	}
	return err
}

// statusText waits for cloud-init and tells how it ended: the status in the
// first line, then what there is for people.
const statusText = `status=0
cloud-init status --wait >/dev/null 2>&1 || status=$?
echo "$status"
cloud-init status --long 2>&1
if [ "$status" = 1 ]; then
	echo
	sudo -n tail -n 20 /var/log/cloud-init-output.log 2>&1
fi
exit 0
`

// provisioned waits until the VM has let us in and cloud-init is done.
func (m *Manager) provisioned(ctx context.Context, r *run, t *target) (string, error) {
	if m.rehearsal != nil {
		m.rehearsal.wait("%s@%s can be logged in to, and cloud-init is done", t.journal.User, t.journal.Canonical)
		return "", nil
	}
	tell := func(text string) { r.emit(Event{Kind: StepOutput, Step: StepFirstBoot, Text: text}) }
	login := m.login(ctx, r, t)
	end := time.Now().Add(firstBootLimit)
	for {
		conn, err := login.await(ctx, []netip.Addr{t.journal.Canonical}, time.Until(end), tell)
		if err != nil {
			return "", noFirstContact(err)
		}
		tell("cloud-init is at work")
		out, err := conn.Query(ctx, guest.Script{Name: "cloud-init", Text: statusText, Limit: max(time.Second, time.Until(end))})
		if errors.As(err, new(*guest.TimeoutError)) {
			err = unfinishedInit(ctx, conn)
		}
		conn.Close()
		// cloud-init restarts sshd once, which can cut the connection.
		if lost := (*guest.LostError)(nil); errors.As(err, &lost) && ctx.Err() == nil && time.Now().Before(end) {
			tell("the connection ended, as it does once")
			continue
		}
		if err != nil {
			return "", err
		}
		return m.judgeInit(r, string(out))
	}
}

// noFirstContact adds to the error of a VM that did not come up what may be
// behind it.
func noFirstContact(err error) error {
	if !errors.As(err, new(*guest.UnreachableError)) || hint.Of(err) != "" {
		return err
	}
	return hint.Wrap(err, "look at its console in the hypervisor (run the command with --keep to have it left there)\n"+
		"and at System Settings > Privacy & Security > Local Network: this terminal needs to be on")
}

// unfinishedInit is the error of a cloud-init that did not end.
func unfinishedInit(ctx context.Context, conn *guest.Conn) error {
	out, err := conn.Query(ctx, guest.Script{Name: "cloud-init", Text: "cloud-init status --long 2>&1 || true", Limit: 10 * time.Second})
	says := oneLine(string(out))
	if err != nil || says == "" {
		says = "nothing"
	}
	return fmt.Errorf("cloud-init did not end within %s; it says: %s", firstBootLimit, says)
}

// judgeInit reads what statusText printed.
func (m *Manager) judgeInit(r *run, out string) (string, error) {
	first, rest, _ := strings.Cut(out, "\n")
	status, err := strconv.Atoi(first)
	report, log, _ := strings.Cut(rest, "\n\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("cloud-init's state cannot be read: %.60q", first)
	case status == 0:
		return "host key as pinned; cloud-init done", nil
	case status == 2:
		return "", warning("cloud-init is done, but complains: " + oneLine(complaints(report)))
	}
	for line := range strings.Lines(log) {
		r.note("cloud-init: %s", plaintext.Clean(strings.TrimSpace(line)))
	}
	return "", fmt.Errorf("cloud-init failed with status %d: %s", status, oneLine(complaints(report)))
}

// complaints are what a status report says of errors; all of it if that is not
// found.
func complaints(report string) string {
	var found []string
	in := false
	for line := range strings.Lines(report) {
		key, value, _ := strings.Cut(line, ":")
		switch {
		case key == "errors", key == "recoverable_errors": // the last two, in this order
			if in = true; strings.Trim(value, " []{}\n") != "" {
				found = append(found, value)
			}
		case in:
			found = append(found, strings.TrimPrefix(strings.TrimSpace(line), "- "))
		}
	}
	if len(found) == 0 {
		return report
	}
	return strings.Join(found, "\n")
}

// oneLine is a short text of several lines as one.
func oneLine(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(plaintext.Clean(line)); line != "" {
			parts = append(parts, line)
		}
	}
	return plaintext.Short(strings.Join(parts, "; "))
}
