package mpdvirt_test

import (
	"testing"
)

func TestSetup(t *testing.T) {
	bubble(t, "x", func(t *testing.T) {
		l := newLab(t, options{})
		l.world.Tunnel(l.vm)
		res := l.setup(adoption)
		for _, s := range res.Steps {
			t.Logf("%+v", s)
		}
		t.Log(l.read(".mpd-virt/150/env"), l.read(".mpd-virt/150/journal.json"), l.read(".ssh/config"), l.read(".mpd-virt/ssh_config"))
		for k := range l.tree() {
			t.Log(k)
		}
		for _, c := range res.Report.Checks {
			t.Logf("%+v", c)
		}
		t.Log(res.Report.Verdict, l.vm.Handshakes(), l.vm.Connections(), l.vm.Logins(), l.vm.Steps())
	})
}
func BenchmarkSetup(b *testing.B) {
	for b.Loop() {
		l := newLab(b, options{})
		l.world.Tunnel(l.vm)
		l.setup(adoption)
	}
}
