package mpdvirt_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// A check of an embedding program is asked over Diag's own connection.
func TestExtraCheck(t *testing.T) {
	kernel := mpdvirt.CheckFunc{ID: "kernel", Needs: []string{"platform"}, Ask: func(ctx context.Context, s mpdvirt.Subject) mpdvirt.Check {
		out, err := s.Query(ctx, `echo "$1 of $(hostname)"`, "a kernel")
		if err != nil {
			return mpdvirt.Check{Status: mpdvirt.Fail, Summary: err.Error()}
		}
		return mpdvirt.Check{Status: mpdvirt.Warn, Summary: strings.TrimSpace(string(out)) + " " + s.VM().Addr.String()}
	}}
	with := options{config: func(c *mpdvirt.Config) { c.Checks = []mpdvirt.CheckFunc{kernel} }}
	bubble(t, "asked", func(t *testing.T) {
		l := adopted(t, with)
		before := l.vm.Handshakes()
		report := l.diag()
		c := report.Checks[len(report.Checks)-1]
		if c.ID != "kernel" || c.Phase != mpdvirt.Optional || c.Status != warn || c.Summary != "a kernel of mpd-150 10.211.55.150" {
			t.Errorf("%+v", c)
		}
		if n := l.vm.Handshakes() - before; n != 1 {
			t.Errorf("%d handshakes", n)
		}
	})
	bubble(t, "its cause fails", func(t *testing.T) {
		l := adopted(t, with)
		l.vm.PowerOff()
		if c := l.diag().Check("kernel"); c.Status != skipped {
			t.Errorf("%+v", c)
		}
	})
	bubble(t, "without a usable entry", func(t *testing.T) {
		l := newLab(t, with)
		if c := l.diag().Check("kernel"); c.Status != skipped {
			t.Errorf("%+v", c)
		}
	})
}
