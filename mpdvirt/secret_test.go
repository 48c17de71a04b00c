package mpdvirt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// O10: no part of a private key is ever in an event, an error, a result, a log,
// an argument list on the Mac or a command line on the VM.
func TestNoSecretShows(t *testing.T) {
	bubble(t, "O10", func(t *testing.T) {
		l := newLab(t, options{})
		l.world.Tunnel(l.vm)
		var said strings.Builder
		tell := func(what any, err error) {
			data, jsonErr := json.Marshal(what)
			check(t, jsonErr)
			fmt.Fprintf(&said, "%s %v %+v\n", data, err, err)
			if err != nil {
				fmt.Fprintf(&said, "%+v\n", *wrapped(t, err))
			}
		}
		for _, s := range scripts { // fail at each once, telling what a script can read
			l.vm.Inject(mpdvirttest.Fault{Step: s.script, Kind: mpdvirttest.Exit, Text: "Error: it failed"})
			tell(l.Setup(t.Context(), adoption))
		}
		tell(l.Setup(t.Context(), alone))
		tell(l.Diag(t.Context(), mpdvirt.DiagRequest{Octet: octet}))
		tell(l.Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet}))
		tell(l.Show(t.Context(), mpdvirt.ShowRequest{Octet: octet}))
		tell(l.SSHCommand(t.Context(), mpdvirt.SSHRequest{Octet: octet}))
		tell(l.seen(), nil)
		logs, err := filepath.Glob(l.path(".mpd-virt/150/logs/*.log"))
		check(t, err)
		for _, log := range logs {
			data, err := os.ReadFile(log)
			check(t, err)
			said.Write(data)
		}
		l.write(".mpd-virt/conf/caroot/rootCA-key.pem", l.read(".mpd-virt/conf/caroot/rootCA-key.pem")+"x", 0o600)
		tell(l.Setup(t.Context(), alone)) // a damaged key is not quoted
		tell(l.Delete(context.Background(), mpdvirt.DeleteRequest{Octet: octet, Yes: true}))
		for _, c := range l.world.Commands() {
			fmt.Fprintln(&said, c.Argv)
		}
		fmt.Fprintln(&said, l.vm.Commands())

		if len(logs) == 0 || !strings.Contains(said.String(), "passwordless") {
			t.Fatal("there is nothing to search")
		}
		for where, secret := range secrets(l) {
			if strings.Contains(said.String(), secret) {
				t.Errorf("a part of %s shows", where)
			}
		}
	})
}

// secrets are the lines of all private keys on the Mac.
func secrets(l *lab) map[string]string {
	l.t.Helper()
	found := map[string]string{}
	for _, file := range []string{".ssh/id_ed25519", ".mpd-virt/conf/caroot/rootCA-key.pem",
		".mpd-virt/conf/wireguard/mac.private", ".mpd-virt/conf/wireguard/150/private"} {
		for i, line := range strings.Split(strings.TrimSpace(l.read(file)), "\n") {
			if !strings.HasPrefix(line, "-----") && len(line) >= 16 {
				found[fmt.Sprintf("%s:%d", file, i+1)] = line[:16]
			}
		}
	}
	if len(found) < 6 {
		l.t.Fatalf("only %d lines of keys", len(found))
	}
	return found
}
