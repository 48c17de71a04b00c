package mpdvirt_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

var deletion = mpdvirt.DeleteRequest{Octet: octet, Yes: true}

func TestDelete(t *testing.T) {
	for name, keep := range map[string]bool{"general": false, "keep the VM": true} {
		bubble(t, name, func(t *testing.T) {
			l := adopted(t, options{})
			vm, before := l.vm.Tree(), l.tree()
			res, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: octet, Yes: true, KeepVM: keep})
			check(t, err)
			if res.Schema != mpdvirt.DeleteSchema || res.Name != "mpd-150" || len(res.Removed) != 2 || len(res.Left) != 2 || !strings.HasPrefix(res.Left[0], "the VM itself") {
				t.Errorf("result %+v", res)
			}
			if d := cmp.Diff(vm, l.vm.Tree()); d != "" {
				t.Errorf("the VM -before +after:\n%s", d)
			}
			for name, was := range before {
				_, still := l.tree()[name]
				if keys := strings.HasPrefix(name, ".mpd-virt/conf") || strings.HasPrefix(name, ".ssh/id_"); keys && l.tree()[name] != was {
					t.Errorf("%s has changed", name)
				}
				if gone := strings.HasPrefix(name, ".mpd-virt/150") || name == ".ssh/config" || name == ".mpd-virt/ssh_config"; gone == still {
					t.Errorf("%s is still there: %t", name, still)
				}
			}
			if vms, err := l.List(t.Context()); err != nil || vms == nil || len(vms) != 0 {
				t.Errorf("list: %v, %v", vms, err)
			}
			_, err = l.Delete(t.Context(), deletion)
			wantError(t, err, mpdvirt.ErrNotRegistered, "mpd-virt list")

			// The next VM with this number gets the keys of the first.
			req := adoption
			req.Addr = canonical
			l.setup(req)
			for name, was := range before {
				if strings.HasPrefix(name, ".mpd-virt/conf") && l.tree()[name] != was {
					t.Errorf("%s has changed with the next VM", name)
				}
			}
		})
	}
}

// ~/.ssh/config is what it was, byte for byte, once the last VM is gone.
func TestDeleteRestoresSSHConfig(t *testing.T) {
	for name, text := range map[string]string{
		"ordinary":               "Host github.com\n  User git\n",
		"empty":                  "",
		"no newline at end":      "Host x\n  User y",
		"CRLF":                   "Host x\r\n\tUser y\r\n",
		"blank lines":            "\n\n\nHost x\n\n\n",
		"other includes":         "Include ~/.orbstack/ssh/config\nInclude ~/.colima/ssh_config\n",
		"byte order mark":        "\ufeffHost x\n",
		"quotes our line":        "# Include \"/x/.mpd-virt/ssh_config\" # added by mpd-virt\n",
		"bytes that are no text": "# \xff\xfe\x00\n",
	} {
		bubble(t, name, func(t *testing.T) {
			l := newLab(t, options{})
			l.write(".ssh/config", text, 0o640)
			l.setup(adoption)
			second(l)
			for _, o := range []mpdvirt.Octet{151, 150} {
				if got := l.read(".ssh/config"); !strings.HasPrefix(got, "Include ") || !strings.HasSuffix(got, text) {
					t.Errorf("with %s it is %q", o, got)
				}
				_, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: o, Yes: true})
				check(t, err)
			}
			info, err := os.Stat(l.path(".ssh/config"))
			check(t, err)
			if got := l.read(".ssh/config"); got != text || info.Mode().Perm() != 0o640 {
				t.Errorf("%o %q, want %q", info.Mode().Perm(), got, text)
			}
		})
	}
	bubble(t, "symlink", func(t *testing.T) {
		l := newLab(t, options{})
		l.write("dotfiles/config", "Host x\n", 0o600)
		check(t, os.Symlink("../dotfiles/config", l.path(".ssh/config")))
		l.setup(adoption)
		_, err := l.Delete(t.Context(), deletion)
		check(t, err)
		if target, err := os.Readlink(l.path(".ssh/config")); err != nil || target != "../dotfiles/config" || l.read("dotfiles/config") != "Host x\n" {
			t.Errorf("link to %q: %q, %v", target, l.read("dotfiles/config"), err)
		}
	})
}

func TestDeleteAsks(t *testing.T) {
	for name, answer := range map[string]mpdvirt.Prompter{
		"nobody there": nil, "no": person{confirm: func(string) bool { return false }}, "end of input": person{},
	} {
		bubble(t, name, func(t *testing.T) {
			l := adopted(t, options{config: func(c *mpdvirt.Config) { c.Prompter = answer }})
			before := l.tree()
			_, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: octet})
			wantError(t, err, mpdvirt.ErrDeclined)
			if e := wrapped(t, err); answer == nil && e.Hint != "mpd-virt delete 150 --yes" {
				t.Errorf("hint %q", e.Hint)
			}
			if d := cmp.Diff(before, l.tree()); d != "" {
				t.Errorf("-before +after:\n%s", d)
			}
		})
	}
	bubble(t, "yes", func(t *testing.T) {
		var asked []string
		l := adopted(t, options{config: func(c *mpdvirt.Config) {
			c.Prompter = person{confirm: func(q string) bool { asked = append(asked, q); return true }}
		}})
		_, err := l.Delete(t.Context(), mpdvirt.DeleteRequest{Octet: octet})
		if check(t, err); len(asked) != 1 || !strings.Contains(asked[0], "mpd-150") {
			t.Errorf("asked %q", asked)
		}
	})
}

// F10: a delete that ended early is finished by the next.
func TestDeleteUnfinished(t *testing.T) {
	for name, half := range map[string]func(l *lab) error{
		"only the SSH entries are gone": func(l *lab) error {
			return errors.Join(os.Remove(l.path(".mpd-virt/ssh_config")), os.Remove(l.path(".ssh/config")))
		},
		"the entry is gone": func(l *lab) error {
			return errors.Join(os.Remove(l.path(".mpd-virt/ssh_config")), os.Remove(l.path(".ssh/config")), os.Remove(l.path(".mpd-virt/150/env")))
		},
		"the entry is gone, its SSH entries are not": func(l *lab) error { return os.Remove(l.path(".mpd-virt/150/env")) },
		"the folder is empty": func(l *lab) error {
			return errors.Join(os.RemoveAll(l.path(".mpd-virt/150")), os.Mkdir(l.path(".mpd-virt/150"), 0o700))
		},
	} {
		bubble(t, "F10 "+name, func(t *testing.T) {
			l := adopted(t, options{})
			check(t, half(l))
			_, err := l.Delete(t.Context(), deletion)
			check(t, err)
			if l.exists(".mpd-virt/150") || l.exists(".ssh/config") || l.exists(".mpd-virt/ssh_config") {
				t.Error("something is left")
			}
		})
	}
	bubble(t, "a setup that did not finish", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepClone, Kind: mpdvirttest.Exit})
		l.refused(adoption)
		res, err := l.Delete(t.Context(), deletion)
		if check(t, err); !slices.Contains(res.Left, "the VM itself: it was never registered") || l.exists(".mpd-virt/150") {
			t.Errorf("%+v", res)
		}
	})
	bubble(t, "F88 a broken entry", func(t *testing.T) {
		l := adopted(t, options{})
		l.write(".mpd-virt/150/env", "nonsense\n", 0o600)
		_, err := l.Delete(t.Context(), deletion)
		var broken *mpdvirt.EntryError
		if !errors.As(err, &broken) || broken.Line != 1 || !l.exists(".mpd-virt/150/env") {
			t.Errorf("error %v", err)
		}
	})
}

func TestUpdate(t *testing.T) {
	update := mpdvirt.UpdateRequest{Octet: octet}
	bubble(t, "as recorded", func(t *testing.T) {
		l := adopted(t, options{})
		ran := len(l.vm.Steps())
		res, err := l.Update(t.Context(), update)
		check(t, err)
		if d := cmp.Diff([]string{"70-update", "diag"}, stepsOf(res)); d != "" || !res.Report.Healthy() || !strings.HasSuffix(res.Log, "-update.log") {
			t.Errorf("log %s, %v, steps -want +got:\n%s", res.Log, res.Report.Err(), d)
		}
		want := []string{mpdvirttest.StepUpdate, mpdvirttest.StepClone, mpdvirttest.StepBuild, mpdvirttest.StepSetup}
		if d := cmp.Diff(want, l.vm.Steps()[ran:]); d != "" {
			t.Errorf("scripts -want +got:\n%s", d)
		}
		ran = len(l.vm.Steps())
		if l.setup(alone); len(l.vm.Steps()) != ran {
			t.Error("setup then runs scripts again")
		}
	})
	bubble(t, "to another branch, which is kept", func(t *testing.T) {
		l := adopted(t, options{})
		l.world.SetBranch("next", strings.Repeat("b", 40))
		for _, req := range []mpdvirt.UpdateRequest{{Octet: octet, Branch: "next"}, update} {
			_, err := l.Update(t.Context(), req)
			check(t, err)
			if head, _, err := l.vm.File("/opt/mpd/.git/HEAD"); err != nil || !strings.Contains(string(head), "next") {
				t.Errorf("HEAD is %s, %v", head, err)
			}
		}
		ran := len(l.vm.Steps())
		if l.setup(alone); len(l.vm.Steps()) != ran {
			t.Errorf("setup then runs %v again", l.vm.Steps()[ran:])
		}
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepUpdate, Kind: mpdvirttest.Exit, Status: 1})
		if _, err := l.Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet, Branch: "main"}); err == nil {
			t.Error("an update that failed went well")
		}
		if journal := l.read(".mpd-virt/150/journal.json"); !strings.Contains(journal, `"branch": "next"`) {
			t.Errorf("an update that failed is recorded:\n%s", journal)
		}
		_, err := l.Update(t.Context(), mpdvirt.UpdateRequest{Octet: octet, Branch: "$(reboot)"})
		wantError(t, err, mpdvirt.ErrUsage)
	})
	for _, script := range []string{mpdvirttest.StepUpdate, mpdvirttest.StepClone, mpdvirttest.StepBuild, mpdvirttest.StepSetup} {
		bubble(t, "fails in "+script, func(t *testing.T) {
			l := adopted(t, options{})
			l.vm.Inject(mpdvirttest.Fault{Step: script, Kind: mpdvirttest.Exit, Status: 4, Text: "Error: out of luck"})
			res, err := l.Update(t.Context(), update)
			var exit *mpdvirt.StepError
			if e := wrapped(t, err); e.Step != "70-update" || e.Log == "" || e.Hint == "" || !errors.As(err, &exit) || exit.Status != 4 || exit.Last != "Error: out of luck" {
				t.Errorf("%+v", e)
			}
			if res == nil || res.Report != nil || len(res.Steps) != 1 {
				t.Errorf("%+v", res)
			}
			_, err = l.Update(t.Context(), update)
			check(t, err)
		})
	}
	bubble(t, "not registered", func(t *testing.T) {
		_, err := newLab(t, options{}).Update(t.Context(), update)
		wantError(t, err, mpdvirt.ErrNotRegistered, "mpd-virt setup 150")
	})
	bubble(t, "off", func(t *testing.T) {
		l := adopted(t, options{})
		l.vm.PowerOff()
		_, err := l.Update(t.Context(), update)
		var lost *mpdvirt.UnreachableError
		if !errors.As(err, &lost) {
			t.Errorf("error %v", err)
		}
	})
	bubble(t, "F19 host key changed", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.RotateHostKeys())
		_, err := l.Update(t.Context(), update)
		wantError(t, err, mpdvirt.ErrRefused, l.vm.HostKeyFingerprint())
	})
}
