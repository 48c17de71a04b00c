package mpdvirt_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const caFile = ".mpd-virt/conf/caroot/rootCA.pem"

// yes is a person who says yes to everything.
var yes = person{confirm: func(string) bool { return true }}

// owned is a lab with a VM and so with a CA, which the Mac does not trust.
func owned(t testing.TB, who mpdvirt.Prompter) *lab {
	t.Helper()
	l := newLab(t, options{config: func(c *mpdvirt.Config) { c.Prompter = who }})
	l.setup(adoption)
	l.forget()
	return l
}

// calls are the commands of the Mac's tools that contain the words.
func (l *lab) calls(words string) (out []string) {
	l.t.Helper()
	all, err := l.world.Mac().Calls()
	check(l.t, err)
	for _, argv := range all {
		if line := strings.Join(argv, " "); strings.Contains(line, words) {
			out = append(out, line)
		}
	}
	return out
}

// onMac is what the Mac has: certificates in the system keychain and trust records.
func (l *lab) onMac() (certificates, records int) {
	l.t.Helper()
	certs, err := l.world.Mac().Certificates()
	check(l.t, err)
	settings, err := l.world.Mac().TrustSettings()
	check(l.t, err)
	played, err := l.world.Mac().NotPlayed()
	check(l.t, err)
	if len(played) > 0 {
		l.t.Errorf("not played: %q", played)
	}
	return len(certs), len(settings)
}

// notes are the texts of Note events.
func (l *lab) notes() (out []string) {
	for _, e := range l.seen() {
		if e.Kind == mpdvirt.Note {
			out = append(out, e.Text)
		}
	}
	return out
}

func TestTrust(t *testing.T) {
	bubble(t, "there and back, each twice", func(t *testing.T) {
		var l *lab
		asked := 0
		l = owned(t, person{confirm: func(string) bool {
			asked++
			if all := l.notes(); len(all) != asked || !strings.Contains(all[asked-1], "\n  sudo /usr/bin/security ") || len(l.calls("sudo")) > 4*(asked-1) {
				t.Errorf("question %d: was shown %q, and %q had run", asked, all, l.calls("sudo"))
			}
			return true
		}})
		before := l.tree()
		for _, tt := range []struct {
			remove, changed     bool
			verdict             string
			asked, certificates int
		}{
			{false, true, "trusted", 1, 1}, {false, false, "trusted", 1, 1},
			{true, true, "not trusted", 2, 0}, {true, false, "not trusted", 2, 0},
			{false, true, "trusted", 3, 1},
		} {
			res, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: tt.remove})
			check(t, err)
			if res.Schema != mpdvirt.TrustSchema || res.Changed != tt.changed || len(res.CAs) != 1 || !res.CAs[0].Current || res.CAs[0].Trust != tt.verdict || len(res.Left) != 0 {
				t.Errorf("%+v: %+v", tt, res)
			}
			if c, r := l.onMac(); c != tt.certificates || r != tt.certificates || asked != tt.asked {
				t.Errorf("%+v: %d certificates, %d records, asked %d times", tt, c, r, asked)
			}
		}
		if d := cmp.Diff(before, l.tree()); d != "" {
			t.Errorf("the home folder -before +after:\n%s", d)
		}
		if got := l.calls("sudo -k"); len(got) != 3 {
			t.Errorf("the right was taken back %d times", len(got))
		}
	})
	bubble(t, "yes is not asked, and shown all the same", func(t *testing.T) {
		l := owned(t, person{})
		_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Yes: true})
		if check(t, err); len(l.notes()) != 1 {
			t.Errorf("shown %q", l.notes())
		}
	})
	bubble(t, "in Japanese", func(t *testing.T) {
		l := owned(t, yes)
		check(t, l.world.Mac().Change(func(s *mpdvirttest.MacSettings) { s.Localised = true }))
		for _, remove := range []bool{false, true} {
			_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: remove})
			check(t, err)
		}
	})
}

func TestTrustStrangers(t *testing.T) {
	bubble(t, "a CA of the same name is left and named", func(t *testing.T) {
		other := owned(t, yes).read(caFile)
		l := owned(t, yes)
		check(t, l.world.Mac().AddCertificate([]byte(other)))
		check(t, l.world.Mac().SetTrust([]byte(other), "root"))
		_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{})
		check(t, err)
		for range 2 {
			res, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: true})
			if check(t, err); len(res.Left) != 1 || !strings.Contains(res.Left[0], `"mpd Root CA"`) {
				t.Errorf("left %q", res.Left)
			}
			if c, r := l.onMac(); c != 1 || r != 1 {
				t.Errorf("%d certificates, %d records", c, r)
			}
		}
	})
	bubble(t, "a record without a certificate", func(t *testing.T) {
		l := owned(t, yes)
		check(t, l.world.Mac().SetTrust([]byte(l.read(caFile)), "root"))
		res, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: true})
		if check(t, err); !res.Changed {
			t.Errorf("%+v", res)
		}
		if c, r := l.onMac(); c != 0 || r != 0 {
			t.Errorf("%d certificates, %d records", c, r)
		}
	})
	bubble(t, "a certificate without a record", func(t *testing.T) {
		l := owned(t, yes)
		check(t, l.world.Mac().AddCertificate([]byte(l.read(caFile))))
		_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: true})
		check(t, err)
		if c, r := l.onMac(); c != 0 || r != 0 {
			t.Errorf("%d certificates, %d records", c, r)
		}
	})
	bubble(t, "somebody said never to trust it", func(t *testing.T) {
		l := owned(t, yes)
		check(t, l.world.Mac().SetTrust([]byte(l.read(caFile)), "deny"))
		_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{})
		if e := wrapped(t, err); !strings.Contains(e.Error(), "never to trust") || !strings.Contains(e.Hint, "Keychain Access") || len(l.calls("sudo")) > 0 {
			t.Errorf("%v, %s", err, e.Hint)
		}
	})
}

// F111, F112: what goes wrong is told with what is left to do, and once it does not
// go wrong any more the same call finishes.
func TestTrustFails(t *testing.T) {
	type settings = mpdvirttest.MacSettings
	fault := func(f mpdvirttest.MacFault) func(l *lab) {
		return func(l *lab) { f.Times = -1; check(l.t, l.world.Mac().Inject(f)) }
	}
	for _, tt := range []struct {
		name   string
		breaks func(s *settings)
		faults func(l *lab)
		add    []string // words of error and hint; nil: it goes well
		half   bool     // the certificate is in the keychain afterwards
		remove []string
	}{
		{"F112 wrong password", func(s *settings) { s.Sudo = "wrong" }, nil, []string{"no right password", "sudo /usr/bin/security add-trusted-cert"}, false, []string{"no right password", "sudo /usr/bin/security delete-certificate -Z"}},
		{"F112 cancelled at the password", func(s *settings) { s.Sudo = "cancelled" }, nil, []string{"sudo: ", "add-trusted-cert"}, false, []string{"sudo: ", "delete-certificate"}},
		{"F112 not in sudoers", func(s *settings) { s.Sudo = "not in sudoers" }, nil, []string{"no administrator", "let an administrator"}, false, []string{"no administrator"}},
		{"the dialog is refused", func(s *settings) { s.Dialog = "cancelled" }, nil, []string{"system keychain", "refused", "add-trusted-cert"}, true, []string{"still has mpd Root CA", "sudo /usr/bin/security"}},
		{"no screen", func(s *settings) { s.Dialog = "headless" }, nil, []string{"nobody could see", "add-trusted-cert"}, true, []string{"still has mpd Root CA"}},
		{"nobody answers the dialog", func(s *settings) { s.Dialog = "hang" }, nil, []string{"system keychain", "add-trusted-cert"}, true, []string{"still has mpd Root CA"}},
		{"F111 no security", func(s *settings) { s.NoTools = []string{"security"} }, nil, []string{"security"}, false, []string{"security"}},
		{"F111 verify-cert hangs", nil, fault(mpdvirttest.MacFault{Kind: "hang", Tool: "security", Verb: "verify-cert"}), []string{"cannot tell"}, false, nil},
		{"F111 verify-cert says nothing", nil, fault(mpdvirttest.MacFault{Kind: "empty", Tool: "security", Verb: "verify-cert"}), []string{"cannot tell"}, false, nil},
		{"F111 verify-cert says nonsense", nil, fault(mpdvirttest.MacFault{Kind: "garbage", Tool: "security", Verb: "verify-cert"}), []string{"cannot tell"}, false, nil},
		{"F111 find-certificate hangs", nil, fault(mpdvirttest.MacFault{Kind: "hang", Tool: "security", Verb: "find-certificate"}), nil, true, []string{"cannot tell"}},
		{"F111 the records are nonsense", nil, fault(mpdvirttest.MacFault{Kind: "garbage", Tool: "security", Verb: "trust-settings-export"}), nil, true, nil},
		{"F111 neither records nor verdict", nil, func(l *lab) {
			fault(mpdvirttest.MacFault{Kind: "garbage", Tool: "security", Verb: "trust-settings-export"})(l)
			fault(mpdvirttest.MacFault{Kind: "garbage", Tool: "security", Verb: "verify-cert"})(l)
		}, []string{"cannot tell"}, false, []string{"cannot tell"}},
		{"F111 it does nothing and says nothing", nil, func(l *lab) {
			fault(mpdvirttest.MacFault{Kind: "no effect", Tool: "security", Verb: "add-trusted-cert"})(l)
			fault(mpdvirttest.MacFault{Kind: "no effect", Tool: "security", Verb: "delete-certificate"})(l)
		}, []string{"without an error", "mpd-virt trust"}, false, []string{"without an error", "delete-certificate"}},
		{"it complains and has done it", nil, func(l *lab) {
			fault(mpdvirttest.MacFault{Kind: "after", Tool: "security", Verb: "add-trusted-cert", Text: "a warning"})(l)
			fault(mpdvirttest.MacFault{Kind: "after", Tool: "security", Verb: "delete-certificate", Text: "a warning"})(l)
		}, nil, true, nil},
	} {
		try := func(t *testing.T, l *lab, req mpdvirt.TrustRequest, words []string) {
			t.Helper()
			var was mpdvirttest.MacSettings
			check(t, l.world.Mac().Change(func(s *settings) {
				if was = *s; tt.breaks != nil {
					tt.breaks(s)
				}
			}))
			if tt.faults != nil {
				tt.faults(l)
			}
			before, start := l.tree(), time.Now()
			_, err := l.Trust(t.Context(), req)
			if took := time.Since(start); took > macos.DialogLimit+time.Minute {
				t.Errorf("it took %v", took)
			}
			if d := cmp.Diff(before, l.tree()); d != "" {
				t.Errorf("the home folder -before +after:\n%s", d)
			}
			if words == nil {
				check(t, err)
			} else {
				e := wrapped(t, err)
				for _, w := range words {
					if text := e.Error() + "\n" + e.Hint; !strings.Contains(text, w) {
						t.Errorf("error and hint do not say %q:\n%s", w, text)
					}
				}
			}
			check(t, l.world.Mac().Change(func(s *settings) { *s = was }))
			check(t, l.world.Mac().Emulator().ClearFaults())
		}
		bubble(t, tt.name+", adding", func(t *testing.T) {
			l := owned(t, yes)
			try(t, l, mpdvirt.TrustRequest{}, tt.add)
			if c, _ := l.onMac(); (c > 0) != tt.half {
				t.Errorf("%d certificates in the keychain", c)
			}
			_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{})
			check(t, err)
		})
		bubble(t, tt.name+", removing", func(t *testing.T) {
			l := owned(t, yes)
			_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{})
			check(t, err)
			try(t, l, mpdvirt.TrustRequest{Remove: true}, tt.remove)
			_, err = l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: true})
			check(t, err)
			if c, r := l.onMac(); c != 0 || r != 0 {
				t.Errorf("%d certificates, %d records", c, r)
			}
		})
	}
}

// Where nobody can type a password, or nobody agrees, nothing is run.
func TestTrustNobody(t *testing.T) {
	for name, who := range map[string]mpdvirt.Prompter{
		"nobody there": nil, "no": person{confirm: func(string) bool { return false }}, "end of input": person{},
	} {
		for _, remove := range []bool{false, true} {
			for _, sure := range []bool{false, true} {
				if who != nil && sure {
					continue
				}
				bubble(t, name, func(t *testing.T) {
					l := owned(t, who)
					if remove {
						check(t, l.world.Mac().AddCertificate([]byte(l.read(caFile))))
					}
					_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: remove, Yes: sure})
					if wantError(t, err, mpdvirt.ErrDeclined); who == nil && !strings.Contains(wrapped(t, err).Hint, "\nsudo /usr/bin/security ") {
						t.Errorf("hint %q", wrapped(t, err).Hint)
					}
					if got := l.calls("sudo"); len(got) > 0 {
						t.Errorf("it ran %q", got)
					}
				})
			}
		}
	}
	bubble(t, "no Mac", func(t *testing.T) {
		l := adopted(t, options{world: mpdvirttest.Options{NoMac: true}, config: func(c *mpdvirt.Config) { c.Prompter = yes }})
		for _, remove := range []bool{false, true} {
			_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: remove, Yes: true})
			wantError(t, err, errors.ErrUnsupported, "security")
		}
	})
	bubble(t, "no CA", func(t *testing.T) {
		l := newLab(t, options{config: func(c *mpdvirt.Config) { c.Prompter = yes }})
		_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{})
		wantError(t, err, fs.ErrNotExist, "mpd-virt setup")
		res, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: true})
		if check(t, err); res.Changed || len(res.CAs) != 0 || l.exists(".mpd-virt") {
			t.Errorf("%+v", res)
		}
	})
	bubble(t, "a damaged CA", func(t *testing.T) {
		l := owned(t, yes)
		l.write(caFile, "damaged\n", 0o644)
		for _, remove := range []bool{false, true} {
			_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: remove})
			if e := wrapped(t, err); !strings.Contains(e.Error(), "rootCA.pem") || e.Hint == "" {
				t.Errorf("%v, hint %q", err, e.Hint)
			}
		}
	})
}

// Whoever ends the context while macOS asks has the prompt back at once, with the
// commands that are left, and the right of root is taken back.
func TestTrustCancelled(t *testing.T) {
	for _, remove := range []bool{false, true} {
		bubble(t, "F118", func(t *testing.T) {
			l := owned(t, yes)
			if remove {
				check(t, l.world.Mac().AddCertificate([]byte(l.read(caFile))))
				check(t, l.world.Mac().SetTrust([]byte(l.read(caFile)), "root"))
			}
			check(t, l.world.Mac().Change(func(s *mpdvirttest.MacSettings) { s.Dialog = "hang" }))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			_, err := l.Trust(ctx, mpdvirt.TrustRequest{Remove: remove})
			wantError(t, err, context.DeadlineExceeded, "sudo /usr/bin/security")
			if took := time.Since(start); took > time.Minute+time.Second || len(l.calls("sudo -k")) != 1 {
				t.Errorf("it took %v, and ran %q", took, l.calls("sudo"))
			}
		})
	}
}

// The result of a damaged store names what is damaged and still removes the rest.
func TestTrustRemoveOfRotated(t *testing.T) {
	bubble(t, "all CAs of the store", func(t *testing.T) {
		l := owned(t, yes)
		_, err := l.Trust(t.Context(), mpdvirt.TrustRequest{})
		check(t, err)
		l.vm.PowerOff() // so that the old CA stays
		if _, err := l.CARotate(t.Context(), mpdvirt.CARotateRequest{}); err == nil {
			t.Fatal("a VM that is off has the new CA")
		}
		if c, r := l.onMac(); c != 2 || r != 2 {
			t.Fatalf("%d certificates, %d records", c, r)
		}
		res, err := l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: true})
		if check(t, err); len(res.CAs) != 2 || !res.CAs[0].Current || res.CAs[1].Current {
			t.Errorf("%+v", res)
		}
		// Both are trusted again while the rotation is under way.
		res, err = l.Trust(t.Context(), mpdvirt.TrustRequest{})
		if check(t, err); len(res.CAs) != 2 || slices.ContainsFunc(res.CAs, func(c mpdvirt.CATrust) bool { return c.Trust != "trusted" }) {
			t.Errorf("%+v", res)
		}
		previous, err := os.ReadDir(l.path(".mpd-virt/conf/caroot/previous"))
		if check(t, err); len(previous) != 1 {
			t.Fatalf("%v", previous)
		}
		l.write(".mpd-virt/conf/caroot/previous/"+previous[0].Name(), "damaged\n", 0o644)
		_, err = l.Trust(t.Context(), mpdvirt.TrustRequest{Remove: true})
		if e := wrapped(t, err); !strings.Contains(e.Error(), previous[0].Name()) {
			t.Errorf("%v", err)
		}
		if c, r := l.onMac(); c != 1 || r != 1 {
			t.Errorf("%d certificates, %d records", c, r)
		}
	})
}
