package mpdvirt_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// helper is a person who does what is asked, or leaves.
type helper struct {
	mpdvirt.Prompter
	do    func() error
	asked []string
}

func (h *helper) Pause(_ context.Context, text, command string) error {
	h.asked = append(h.asked, strings.TrimSpace(text+"\n"+command))
	return h.do()
}

func TestMend(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(f *prlMac) error
		want mpdvirt.Status
	}{
		{"mended", func(f *prlMac) error { f.Tunnel(f.parallels.VM("mpd-150")); return nil }, mpdvirt.OK},
		{"not mended", func(*prlMac) error { return nil }, mpdvirt.Fail},
		{"left", func(*prlMac) error { return mpdvirt.ErrDeclined }, mpdvirt.Fail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newMac(t, mpdvirttest.ParallelsOptions{})
				if _, err := f.m.Clone(t.Context(), order(150)); err != nil {
					t.Fatal(err)
				}
				person := &helper{do: func() error { return tt.do(f) }}
				cfg := f.Config()
				cfg.Prompter = person
				m, err := mpdvirt.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				report, err := m.Diag(t.Context(), mpdvirt.DiagRequest{Octet: 150})
				if err != nil {
					t.Fatal(err)
				}
				if len(person.asked) != 1 || !strings.Contains(person.asked[0], "WireGuard") {
					t.Errorf("asked %q, want one question about the tunnel", person.asked)
				}
				for _, id := range []string{"dns-identity", "resolver"} {
					got := report.Check(id).Status
					if want := tt.want; got != want && !(id == "resolver" && want == mpdvirt.Fail && got == mpdvirt.Skipped) {
						t.Errorf("%s is %s, want %s", id, got, want)
					}
				}
				if mended := strings.Contains(report.Verdict, "mpd-150 (its own DNS says so)"); mended != (tt.want == mpdvirt.OK) {
					t.Errorf("verdict: %s", report.Verdict)
				}
			})
		})
	}
}

// A clone ends with the same questions, a setup with none.
func TestMendAfterClone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		person := &helper{do: func() error { f.Tunnel(f.parallels.VM("mpd-150")); return nil }}
		cfg := f.Config()
		cfg.Prompter = person
		m, err := mpdvirt.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		res, err := m.Clone(t.Context(), order(150))
		if err != nil || len(person.asked) != 1 || res.Report.Check("dns-identity").Status != mpdvirt.OK {
			t.Errorf("clone: %v, asked %q, %+v", err, person.asked, res)
		}
		f.Tunnel(nil)
		if _, err := m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: 150}); err != nil || len(person.asked) != 1 {
			t.Errorf("setup: %v, asked %q; it asks nothing at its end", err, person.asked)
		}
	})
}
