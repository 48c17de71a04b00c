package mpdvirt_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// helper is a person who answers each question by its check's ID; what is not
// there is skipped.
type helper struct {
	mpdvirt.Prompter
	do    map[string]func() (action string, err error)
	asked []string // IDs
	seen  []mpdvirt.Question
}

func (h *helper) Choose(_ context.Context, q mpdvirt.Question) (string, error) {
	h.seen = append(h.seen, q)
	id, _, ok := strings.Cut(q.Text, ":")
	if ok {
		h.asked = append(h.asked, id)
	} else if len(h.asked) > 0 {
		id = h.asked[len(h.asked)-1] // the same once more
	}
	if do := h.do[id]; do != nil {
		return do()
	}
	return mpdvirt.ActionSkip, nil
}

// sick is a lab whose VM is set up, and nothing else of the Mac is, with a person.
func sick(t *testing.T) (*lab, *helper) {
	l := newLab(t, options{})
	l.setup(adoption)
	person := &helper{do: map[string]func() (string, error){}}
	l.cfg.Prompter = person
	l.Manager = l.manager()
	return l, person
}

// Nothing is configured; each fix is applied; all is green.
func TestMend(t *testing.T) {
	bubble(t, "each fix is done by us", func(t *testing.T) {
		l, person := sick(t)
		opened := false
		person.do["tunnel"] = func() (string, error) {
			if !opened {
				opened = true
				return mpdvirt.ActionOpen, nil
			}
			check(t, l.world.Mac().Activate("mpd-150"))
			return mpdvirt.ActionAgain, nil
		}
		person.do["ca-trust"] = func() (string, error) { return mpdvirt.ActionRun, nil }
		report := l.diag()
		wantChecks(t, report, statuses{})
		if !slices.Equal(person.asked, []string{"tunnel", "ca-trust"}) || report.Verdict != "which VM answers: mpd-150 (its own DNS says so)." {
			t.Errorf("asked %q; %s", person.asked, report.Verdict)
		}
		if opened, err := l.world.Mac().Opened(); err != nil || len(opened) != 1 || !strings.HasSuffix(opened[0].Target, "mpd-150.mobileconfig") {
			t.Errorf("opened %+v, %v", opened, err)
		}
		wantChecks(t, l.diag(), statuses{}) // and nothing more is asked
		if len(person.asked) != 2 {
			t.Errorf("asked %q", person.asked)
		}
	})
	bubble(t, "copied", func(t *testing.T) {
		l, person := sick(t)
		copied := false
		person.do["tunnel"] = func() (string, error) {
			if copied {
				return mpdvirt.ActionQuit, nil
			}
			copied = true
			return mpdvirt.ActionCopy, nil
		}
		l.diag()
		if text, err := l.world.Mac().Clipboard(); err != nil || text != l.read(".mpd-virt/conf/wireguard/150/client.conf") {
			t.Errorf("the clipboard has %q, %v", text, err)
		}
	})
	for name, action := range map[string]func() (string, error){
		"quit":         func() (string, error) { return mpdvirt.ActionQuit, nil },
		"end of input": func() (string, error) { return "", mpdvirt.ErrDeclined },
	} {
		bubble(t, name, func(t *testing.T) {
			l, person := sick(t)
			person.do["tunnel"] = action
			report := l.diag()
			if len(person.asked) != 1 || report.Check("tunnel").Status != fail || report.Check("ca-trust").Status != warn {
				t.Errorf("asked %q", person.asked)
			}
		})
	}
	bubble(t, "skipped, and not mended", func(t *testing.T) {
		l, person := sick(t)
		person.do["ca-trust"] = func() (string, error) { return mpdvirt.ActionAgain, nil }
		report := l.diag()
		if !slices.Equal(person.asked, []string{"tunnel", "ca-trust"}) || report.Check("tunnel").Status != fail || report.Check("ca-trust").Status != warn {
			t.Errorf("asked %q", person.asked)
		}
	})
	bubble(t, "F112 the dialog is refused", func(t *testing.T) {
		l, person := sick(t)
		check(t, l.world.Mac().Change(func(s *mpdvirttest.MacSettings) { s.Dialog = "cancelled" }))
		person.do["ca-trust"] = func() (string, error) { return mpdvirt.ActionRun, nil }
		report := l.diag()
		if c := report.Check("ca-trust"); c.Status != warn {
			t.Errorf("%+v", c)
		}
		if !slices.ContainsFunc(l.seen(), func(e mpdvirt.Event) bool { return e.Kind == mpdvirt.Note && strings.Contains(e.Text, "security") }) {
			t.Error("nobody is told why")
		}
	})
	bubble(t, "without a person nothing waits", func(t *testing.T) {
		l := newLab(t, options{})
		l.setup(adoption)
		report := l.diag()
		for _, id := range []string{"tunnel", "ca-trust"} {
			if c := report.Check(id); len(c.Fixes) == 0 {
				t.Errorf("%+v", c)
			}
		}
		if calls, _ := l.world.Mac().Calls(); slices.ContainsFunc(calls, func(argv []string) bool { return strings.HasSuffix(argv[0], "sudo") }) {
			t.Errorf("calls %q", calls)
		}
	})
}

// What is asked says what to do, and offers what can be done.
func TestMendQuestion(t *testing.T) {
	bubble(t, "trust", func(t *testing.T) {
		l, person := sick(t)
		l.diag()
		q := person.seen[len(person.seen)-1]
		var ids []string
		for _, a := range q.Actions {
			ids = append(ids, a.ID)
		}
		if !slices.Equal(ids, []string{"again", "run", "skip", "quit"}) || len(q.Commands) != 1 || !strings.HasPrefix(q.Commands[0], "sudo /usr/bin/security add-trusted-cert") {
			t.Errorf("%v, %q", ids, q.Commands)
		}
	})
}

// A clone ends with the same questions, a setup with none.
func TestMendAfterClone(t *testing.T) {
	bubble(t, "clone", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		person := &helper{do: map[string]func() (string, error){"tunnel": func() (string, error) {
			f.Tunnel(f.parallels.VM("mpd-150"))
			return mpdvirt.ActionAgain, nil
		}}}
		cfg := f.Config()
		cfg.Prompter = person
		m, err := mpdvirt.New(cfg)
		check(t, err)
		res, err := m.Clone(t.Context(), order(150))
		if err != nil || !slices.Equal(person.asked, []string{"tunnel", "ca-trust"}) || res.Report.Check("dns-identity").Status != mpdvirt.OK {
			t.Errorf("clone: %v, asked %q, %+v", err, person.asked, res)
		}
		f.Tunnel(nil)
		if _, err := m.Setup(t.Context(), mpdvirt.SetupRequest{Octet: 150}); err != nil || len(person.asked) != 2 {
			t.Errorf("setup: %v, asked %q; it asks nothing at its end", err, person.asked)
		}
	})
}
