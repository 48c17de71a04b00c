package macemu_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

// What this program makes for a VM is taken by the Mac.
func TestIdentity(t *testing.T) {
	m := newMac(t, macemu.Settings{Sudo: macemu.SudoAsksNot})
	store := identity.Open(filepath.Join(t.TempDir(), "conf"), func() time.Time { return m.now })
	id, err := store.Ensure(150, netip.MustParseAddr("10.211.55.150"))
	m.must(err)
	data, err := os.ReadFile(store.ImportFile(150))
	m.must(err)
	m.must(m.AddTunnel("mpd-150", string(data)))
	m.must(m.RemoveTunnel("mpd-150"))
	for range 2 {
		m.says("open "+store.ProfileFile(150), 0, "", "")
	}
	tunnels, err := m.Tunnels()
	m.must(err)
	if len(tunnels) != 1 || tunnels[0].Name != "mpd-150" || tunnels[0].Conf != string(id.ClientConf) {
		t.Errorf("%d tunnels, or not as they were made", len(tunnels)) // they hold a secret
	}
	ca := store.CACertFile()
	m.says("sudo security add-trusted-cert -d -r trustRoot -k "+keychain+" "+ca, 0, "", "")
	m.says("security verify-cert -L -c "+ca, 0, "...certificate verification successful.\n", "")
}
