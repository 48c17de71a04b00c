package mpdvirt_test

import (
	"strconv"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// BenchmarkSetup is a first setup, whose scripts take no time: what is left is
// our own time and that of the played VM.
func BenchmarkSetup(b *testing.B) {
	handshakes, steps := 0, 0
	for b.Loop() {
		b.StopTimer()
		l := newLab(b, options{})
		l.world.Tunnel(l.vm)
		b.StartTimer()
		l.setup(adoption)
		b.StopTimer()
		handshakes += l.vm.Handshakes()
		steps += len(l.vm.Steps())
		check(b, l.world.Close())
		b.StartTimer()
	}
	b.ReportMetric(float64(handshakes)/float64(b.N), "handshakes/op")
	b.ReportMetric(float64(steps)/float64(b.N), "scripts/op")
}

// BenchmarkSetupAgain is a setup that finds all done.
func BenchmarkSetupAgain(b *testing.B) {
	l := adopted(b, options{})
	before := l.vm.Handshakes()
	for b.Loop() {
		l.setup(alone)
	}
	b.ReportMetric(float64(l.vm.Handshakes()-before)/float64(b.N), "handshakes/op")
}

func BenchmarkDiag(b *testing.B) {
	l := adopted(b, options{})
	for b.Loop() {
		l.diag()
	}
}

func BenchmarkList(b *testing.B) {
	for _, n := range []int{0, 10, 155} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			l := newLab(b, options{})
			for i := range n {
				register(l, mpdvirt.Octet(100+i), "general")
			}
			for b.Loop() {
				vms, err := l.List(b.Context())
				if check(b, err); len(vms) != n {
					b.Fatalf("%d VMs", len(vms))
				}
			}
		})
	}
}
