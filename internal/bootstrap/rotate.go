package bootstrap

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/guest"
)

// newKeysText makes a set of SSH host keys beside the old ones, in a folder
// that only root can read, and prints the public halves.
const newKeysText = `
set -e
new=/etc/ssh/mpd-virt-new
sudo -n rm -rf "$new"
sudo -n mkdir -m 700 "$new"
for type in ed25519 ecdsa rsa; do
  sudo -n ssh-keygen -q -t "$type" -N '' -C "root@$1" -f "$new/ssh_host_${type}_key" </dev/null >&2
done
for type in ed25519 ecdsa rsa; do sudo -n cat "$new/ssh_host_${type}_key.pub"; done
`

// takeKeysText puts the new host keys and the machine-id $1 in the place of the
// old ones, and lets sshd begin with the new keys. A running connection
// survives that.
//
// systemd-machine-id-setup is not used: where the hypervisor or container tells
// the VM an ID, as KVM and systemd-nspawn do, it takes that one again (its
// manual page, under "initialization"). Nor is the file ever missing, since a
// VM that loses its power then would believe that it boots for the first time.
const takeKeysText = `
set -e
new=/etc/ssh/mpd-virt-new
for type in ed25519 ecdsa rsa; do
  sudo -n mv -f "$new/ssh_host_${type}_key" "$new/ssh_host_${type}_key.pub" /etc/ssh/
done
sudo -n rm -rf "$new"
printf '%s\n' "$1" | sudo -n tee /etc/machine-id.mpd-virt >/dev/null
sudo -n chmod 444 /etc/machine-id.mpd-virt
sudo -n mv -f /etc/machine-id.mpd-virt /etc/machine-id
if [ -e /var/lib/dbus/machine-id ]; then sudo -n ln -sf /etc/machine-id /var/lib/dbus/machine-id; fi
sudo -n systemctl restart ssh </dev/null >&2
`

// rejoinLimit bounds the wait for sshd with its new keys.
const rejoinLimit = 30 * time.Second

// rotate replaces what a clone shares with its template and all its siblings:
// host keys and machine-id. The new keys come over the connection whose key is
// pinned, and are pinned themselves before the VM shows them to anybody; while
// the change is on its way both sets are, so that a run which dies finds the
// VM again. Nothing secret of the Mac's has been sent by then.
func rotate(ctx context.Context, r *run) (string, error) {
	out, err := r.conn.Query(ctx, guest.Script{Name: StepRotate, Text: newKeysText, Args: []string{r.Octet.VMName()}, Limit: 2 * time.Minute, Changes: true})
	if err != nil {
		return "", fmt.Errorf("make new host keys: %w", err)
	}
	if r.Rehearse != nil {
		return "", r.rehearseRotate(ctx)
	}
	keys, err := publicKeys(out)
	if err != nil {
		return "", err
	}
	if err := r.Repin(append(keys, r.conn.HostKey())); err != nil {
		return "", err
	}
	id := newMachineID()
	if err := r.takeKeys(ctx, id); err != nil {
		return "", err
	}
	at := r.conn.Addr().Addr()
	old := ssh.FingerprintSHA256(r.conn.HostKey())
	r.conn.Close()
	if r.conn, err = r.Dial(ctx, []netip.Addr{at}, rejoinLimit); err != nil {
		return "", fmt.Errorf("log in again: %w", err)
	}
	now := ssh.FingerprintSHA256(r.conn.HostKey())
	if now == old {
		return "", errors.New("the VM still has its template's host key")
	}
	if err := r.Repin(keys); err != nil {
		return "", err
	}
	j := r.Journal
	j.HostKey, j.MachineID, j.Rotate = now, id, false
	if err := j.Save(); err != nil {
		return "", err
	}
	if err := r.look(ctx, StepRotate); err != nil {
		return "", err
	}
	if r.facts.MachineID != j.MachineID {
		return "", errors.New("the VM's machine-id is not the new one")
	}
	return "new host keys (" + clipped(now) + ") and a new machine-id", nil
}

// takeKeys puts the new keys and the machine-id in their place.
func (r *run) takeKeys(ctx context.Context, id string) error {
	_, err := r.conn.Query(ctx, guest.Script{Name: StepRotate, Text: takeKeysText, Args: []string{id}, Limit: time.Minute, Changes: true})
	if err != nil {
		return fmt.Errorf("take the new host keys: %w", err)
	}
	return nil
}

// StandinMachineID stands, in a rehearsal, for the machine-id of a clone, which
// is made at random.
const StandinMachineID = "MACHINE-ID"

// rehearseRotate is the rest of rotate for a VM that has made no new keys.
func (r *run) rehearseRotate(ctx context.Context) error {
	if err := r.Repin([]ssh.PublicKey{r.conn.HostKey()}); err != nil {
		return err
	}
	if err := r.takeKeys(ctx, StandinMachineID); err != nil {
		return err
	}
	r.Journal.Rotate = false
	return r.Journal.Save()
}

// newMachineID makes one as systemd does: a random UUID (version 4) without
// dashes. Source: machine-id(5).
func newMachineID() string {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return hex.EncodeToString(id)
}

// publicKeys reads what ssh-keygen wrote: one key a line.
func publicKeys(out []byte) ([]ssh.PublicKey, error) {
	var keys []ssh.PublicKey
	for line := range strings.Lines(string(out)) {
		key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || len(strings.TrimSpace(string(rest))) > 0 {
			return nil, fmt.Errorf("what the VM shows as host keys is none: %.60q", line)
		}
		keys = append(keys, key)
	}
	if len(keys) != 3 {
		return nil, fmt.Errorf("the VM made %d host keys, not 3", len(keys))
	}
	return keys, nil
}
