package mpdvirt_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/identity"
	"github.com/mutms/mpd-virt-macos/internal/macos"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

var (
	removal = mpdvirt.UninstallRequest{Yes: true}
	forced  = mpdvirt.UninstallRequest{Force: true, Yes: true}
)

// attended is a lab with a person at the terminal, who says yes.
func attended(config ...func(*mpdvirt.Config)) options {
	return options{config: func(c *mpdvirt.Config) {
		c.Prompter = person{confirm: func(string) bool { return true }}
		for _, f := range config {
			f(c)
		}
	}}
}

// unregistered is a Mac whose VMs were all deleted: keys, SSH entries and cache
// are there, and macOS has the CA, the resolver file and a route. The other
// result is the home folder before.
func unregistered(t *testing.T, o options) (*lab, map[string]string) {
	t.Helper()
	l := newLab(t, o)
	l.write(".ssh/config", "Host *\n", 0o640)
	before := l.tree()
	l.uninstallKeys(t)
	l.write(".mpd-virt/cache/image.tar.xz", "an image", 0o600)
	l.write(".mpd-virt/.lock-150", "", 0o600)
	l.write(".mpd-virt/.lock-clone", "", 0o600)
	l.write(".mpd-virt/ssh_config", "Host mpd-150\n", 0o600)
	l.write(".ssh/config", "Include \""+l.path(".mpd-virt/ssh_config")+"\" # added by mpd-virt\nHost *\n", 0o640)
	l.spread(t)
	return l, before
}

// uninstallKeys makes those of the CA and of mpd-150.
func (l *lab) uninstallKeys(t *testing.T) *identity.Store {
	t.Helper()
	store := identity.Open(l.path(".mpd-virt/conf"), l.cfg.Now)
	_, err := store.Ensure(octet, canonical)
	check(t, err)
	return store
}

// spread puts on the Mac what this program puts there.
func (l *lab) spread(t *testing.T) {
	t.Helper()
	l.macTrusts(t, l.read(".mpd-virt/conf/caroot/rootCA.pem"))
	l.resolverFile(t, "mpd.test", string(macos.OursResolverFile()))
	check(t, l.world.Mac().AddRoute(identity.ContainerNet(), canonical))
}

func (l *lab) macTrusts(t *testing.T, text string) {
	t.Helper()
	check(t, l.world.Mac().AddCertificate([]byte(text)))
	check(t, l.world.Mac().SetTrust([]byte(text), "root"))
}

func (l *lab) resolverPath(name string) string {
	return filepath.Join(l.world.Root(), "etc/resolver", name)
}

func (l *lab) resolverFile(t *testing.T, name, text string) {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(l.resolverPath(name)), 0o755))
	check(t, os.WriteFile(l.resolverPath(name), []byte(text), 0o644))
}

// macHas is what macOS has of anybody's CA, resolver files and routes.
func (l *lab) macHas(t *testing.T) (out []string) {
	t.Helper()
	mac := l.world.Mac()
	certs, err := mac.Certificates()
	check(t, err)
	for _, c := range certs {
		out = append(out, "certificate "+c.Subject.CommonName)
	}
	settings, err := mac.TrustSettings()
	check(t, err)
	for range settings {
		out = append(out, "trust")
	}
	routes, err := mac.StaticRoutes()
	check(t, err)
	for _, r := range routes {
		out = append(out, "route "+r.String())
	}
	files, err := os.ReadDir(l.resolverPath(""))
	if !errors.Is(err, os.ErrNotExist) {
		check(t, err)
	}
	for _, f := range files {
		out = append(out, "resolver "+f.Name())
	}
	slices.Sort(out)
	return out
}

var everything = []string{"certificate mpd Root CA", "resolver mpd.test", "route 10.163.0.0/24", "trust"}

// sudos counts how often the person had to type a password.
func (l *lab) sudos(t *testing.T) (n int) {
	t.Helper()
	calls, err := l.world.Mac().Calls()
	check(t, err)
	for _, c := range calls {
		if filepath.Base(c[0]) == "sudo" && slices.Equal(c[1:], []string{"-v"}) {
			n++
		}
	}
	return n
}

func (l *lab) wantMacHas(t *testing.T, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, l.macHas(t)); d != "" {
		t.Errorf("on the Mac -want +got:\n%s", d)
	}
	if strange, err := l.world.Mac().NotPlayed(); err != nil || len(strange) > 0 {
		t.Errorf("not played: %v, %v", strange, err)
	}
}

func (l *lab) wantTree(t *testing.T, want map[string]string) {
	t.Helper()
	if d := cmp.Diff(want, l.tree()); d != "" {
		t.Errorf("home folder -want +got:\n%s", d)
	}
}

// noted are the notes of the run.
func (l *lab) noted() string {
	var out []string
	for _, e := range l.seen() {
		if e.Kind == mpdvirt.Note {
			out = append(out, e.Text)
		}
	}
	return strings.Join(out, "\n")
}

// again is a second uninstall, which must find nothing.
func (l *lab) again(t *testing.T) {
	t.Helper()
	sudos, tree := l.sudos(t), l.tree()
	res, err := l.Uninstall(t.Context(), mpdvirt.UninstallRequest{})
	if check(t, err); len(res.Removed)+len(res.Commands) > 0 || l.sudos(t) != sudos {
		t.Errorf("F115 the second one: %+v", res)
	}
	l.wantTree(t, tree)
}

func TestUninstall(t *testing.T) {
	bubble(t, "F115 all of it, shown, asked about once, and gone", func(t *testing.T) {
		var asked []string
		shown := ""
		var l *lab
		l, before := unregistered(t, attended(func(c *mpdvirt.Config) {
			c.Prompter = person{confirm: func(q string) bool { asked, shown = append(asked, q), l.noted(); return true }}
		}))
		res, err := l.Uninstall(t.Context(), mpdvirt.UninstallRequest{})
		check(t, err)
		if res.Schema != mpdvirt.UninstallSchema || len(res.Removed) != 7 || len(res.Left)+len(res.Commands) > 0 || len(asked) != 1 || l.sudos(t) != 1 {
			t.Errorf("asked %q, sudo asked %d times, result %q %q", asked, l.sudos(t), res.Removed, res.Left)
		}
		for _, what := range append(slices.Clone(res.Removed), "sudo /usr/bin/security delete-certificate -Z ", "sudo /bin/rm -f /etc/resolver/mpd.test", "sudo /sbin/route -n delete -net 10.163.0.0/24 10.211.55.150") {
			if !strings.Contains(shown, what) {
				t.Errorf("before the question it does not show %q:\n%s", what, shown)
			}
		}
		l.wantMacHas(t)
		l.wantTree(t, before)
		l.again(t)
	})
	bubble(t, "F113 with --force, after a setup", func(t *testing.T) {
		l := newLab(t, attended())
		l.write(".ssh/config", "Host *\n", 0o600)
		before := l.tree()
		l.setup(adoption)
		vm := l.vm.Tree()
		l.spread(t)
		res, err := l.Uninstall(t.Context(), forced)
		check(t, err)
		if !slices.Contains(res.Left, "the VM mpd-150 on general, at 10.211.55.150") {
			t.Errorf("left %q", res.Left)
		}
		if d := cmp.Diff(vm, l.vm.Tree()); d != "" {
			t.Errorf("the VM -before +after:\n%s", d)
		}
		l.wantMacHas(t)
		l.wantTree(t, before)
		l.again(t)
	})
	bubble(t, "nobody there, and nothing that needs root", func(t *testing.T) {
		l := newLab(t, options{})
		before := l.tree()
		l.uninstallKeys(t)
		res, err := l.Uninstall(t.Context(), removal)
		if check(t, err); len(res.Removed) != 2 || l.sudos(t) != 0 {
			t.Errorf("%+v", res)
		}
		l.wantTree(t, before)
	})
	for name, o := range map[string]options{"F115 a clean Mac": {}, "no Mac": {world: mpdvirttest.Options{NoMac: true}}} {
		bubble(t, name, func(t *testing.T) {
			l := newLab(t, o)
			l.again(t)
		})
	}
	bubble(t, "what was on a system that is no Mac", func(t *testing.T) {
		l := newLab(t, options{world: mpdvirttest.Options{NoMac: true}})
		before := l.tree()
		l.setup(adoption)
		res, err := l.Uninstall(t.Context(), forced)
		if check(t, err); !strings.Contains(strings.Join(res.Left, "\n"), "this is no Mac") {
			t.Errorf("left %q", res.Left)
		}
		l.wantTree(t, before)
		l.again(t)
	})
}

// F113: nothing is forgotten unless that was asked for.
func TestUninstallRegistered(t *testing.T) {
	bubble(t, "F113", func(t *testing.T) {
		l := adopted(t, attended())
		l.write(".mpd-virt/151/journal.json", "{}", 0o600)
		l.write(".mpd-virt/152/env", "nonsense\n", 0o600)
		l.world.Tunnel(nil)
		l.spread(t)
		before := l.tree()
		res, err := l.Uninstall(t.Context(), removal)
		if res != nil {
			t.Errorf("%+v", res)
		}
		e := wrapped(t, err)
		want := "mpd-virt delete 150\nmpd-virt delete 151\nmpd-virt delete 152\nmpd-virt uninstall --force "
		if !strings.HasPrefix(e.Hint, want) || !strings.Contains(err.Error(), "mpd-150, mpd-151 (unfinished), mpd-152 (broken)") || errors.Is(err, mpdvirt.ErrRefused) {
			t.Errorf("%v\n%s", err, e.Hint)
		}
		l.wantTree(t, before)
		l.wantMacHas(t, everything...)

		res, err = l.Uninstall(t.Context(), forced)
		if check(t, err); len(res.Left) != 3 || !strings.HasPrefix(res.Left[1], "the VM mpd-152, if there is one") {
			t.Errorf("left %q", res.Left)
		}
		l.wantMacHas(t)
		l.again(t)
	})
	t.Run("F113 a running VM of Parallels", func(t *testing.T) {
		f := clonedMac(t)
		uuid := f.parallels.UUID("mpd-150")
		res, err := f.m.Uninstall(t.Context(), forced)
		check(t, err)
		want := "the VM mpd-150 on parallels, at 10.211.55.150, UUID " + strings.Trim(uuid, "{}") + ", running"
		if !slices.Contains(res.Left, want) || f.machines(t)[uuid] != "mpd-150 "+string(hypervisor.Running) {
			t.Errorf("left %q, want %q; machines %v", res.Left, want, f.machines(t))
		}
	})
}

func TestUninstallAsks(t *testing.T) {
	for name, answer := range map[string]mpdvirt.Prompter{
		"nobody there": nil, "no": person{confirm: func(string) bool { return false }}, "end of input": person{},
	} {
		bubble(t, name, func(t *testing.T) {
			l, _ := unregistered(t, options{config: func(c *mpdvirt.Config) { c.Prompter = answer }})
			before := l.tree()
			_, err := l.Uninstall(t.Context(), mpdvirt.UninstallRequest{})
			wantError(t, err, mpdvirt.ErrDeclined)
			if e := wrapped(t, err); answer == nil && (strings.Count(e.Hint, "\nsudo ") != 3 || !strings.HasSuffix(e.Hint, "\nmpd-virt uninstall --yes")) {
				t.Errorf("hint %q", e.Hint)
			}
			l.wantTree(t, before)
			l.wantMacHas(t, everything...)
		})
	}
	bubble(t, "yes, but nobody there to type a password", func(t *testing.T) {
		l, _ := unregistered(t, options{})
		before := l.tree()
		_, err := l.Uninstall(t.Context(), removal)
		if e := wrapped(t, err); strings.Count(e.Hint, "\nsudo ") != 3 || l.sudos(t) != 0 {
			t.Errorf("%v, hint %q", err, e.Hint)
		}
		l.wantTree(t, before)
		l.wantMacHas(t, everything...)
	})
}

// F114: only what is certainly ours goes.
func TestUninstallForeign(t *testing.T) {
	ours := string(macos.OursResolverFile())
	for _, tt := range []struct {
		name  string
		files map[string]string
		left  []string
	}{
		{"F114 other content", map[string]string{"mpd.test": "nameserver 127.0.0.1\n"}, []string{"/etc/resolver/mpd.test: its content is not of this program"}},
		{"F114 the same by somebody else", map[string]string{"mpd.test": "nameserver 10.163.0.3\n"}, []string{"/etc/resolver/mpd.test: it does what ours does, but this program did not write it"}},
		{"F114 another name", map[string]string{"mpd.test.bak": "domain mpd.test\nnameserver 10.163.0.3\n", "other": ours + "domain other\n"}, []string{"/etc/resolver/mpd.test.bak: its content is not of this program"}},
	} {
		bubble(t, tt.name, func(t *testing.T) {
			l := newLab(t, attended())
			l.uninstallKeys(t)
			for name, text := range tt.files {
				l.resolverFile(t, name, text)
			}
			res, err := l.Uninstall(t.Context(), removal)
			check(t, err)
			if d := cmp.Diff(tt.left, res.Left); d != "" {
				t.Errorf("left -want +got:\n%s", d)
			}
			for name, text := range tt.files {
				if data, err := os.ReadFile(l.resolverPath(name)); err != nil || string(data) != text {
					t.Errorf("%s is %q, %v", name, data, err)
				}
			}
			l.again(t)
		})
	}
	bubble(t, "routes, a certificate and a tunnel of others", func(t *testing.T) {
		l, before := unregistered(t, attended())
		mac := l.world.Mac()
		check(t, mac.AddCertificate([]byte(otherCA(t, l))))
		for _, dest := range []string{"10.163.0.3/32", "10.163.0.0/16", "10.20.0.0/16"} {
			check(t, mac.AddRoute(netip.MustParsePrefix(dest), canonical))
		}
		conf := l.read(".mpd-virt/conf/wireguard/150/client.conf")
		check(t, mac.ImportTunnel("mpd-150", conf))
		check(t, mac.ImportTunnel("home", conf))
		res, err := l.Uninstall(t.Context(), removal)
		check(t, err)
		var starts []string
		for _, what := range res.Left {
			starts = append(starts, strings.Join(strings.Fields(what)[:2], " "))
		}
		slices.Sort(starts)
		if d := cmp.Diff([]string{"a certificate", "static route", "tunnel mpd-150"}, starts); d != "" {
			t.Errorf("left -want +got:\n%s\n%q", d, res.Left)
		}
		l.wantMacHas(t, "certificate mpd Root CA", "route 10.163.0.0/16", "route 10.163.0.3/32", "route 10.20.0.0/16")
		l.wantTree(t, before)
	})
	bubble(t, "files in our folder", func(t *testing.T) {
		l, before := unregistered(t, attended())
		l.write(".mpd-virt/notes.txt", "mine", 0o600)
		l.write(".mpd-virt/.DS_Store", "", 0o600)
		l.write(".mpd-virt/trust-123/settings.plist", "", 0o600)
		l.write(".mpd-virt/.mpd-virt-1.tmp", "", 0o600)
		res, err := l.Uninstall(t.Context(), removal)
		if check(t, err); !slices.Equal(res.Left, []string{l.path(".mpd-virt/notes.txt") + ": not of this program"}) {
			t.Errorf("left %q", res.Left)
		}
		before[".mpd-virt"], before[".mpd-virt/notes.txt"], before[".mpd-virt/.DS_Store"] = l.tree()[".mpd-virt"], "-rw------- mine", "-rw------- "
		l.wantTree(t, before)
		l.again(t)
		check(t, os.Remove(l.path(".mpd-virt/notes.txt")))
		_, err = l.Uninstall(t.Context(), removal)
		if check(t, err); l.exists(".mpd-virt") {
			t.Error("the empty folder is left")
		}
	})
}

// otherCA is a certificate that has the name of ours.
func otherCA(t *testing.T, l *lab) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "conf")
	store := identity.Open(dir, l.cfg.Now)
	_, err := store.Ensure(octet, canonical)
	check(t, err)
	ca, err := store.CA()
	check(t, err)
	return string(ca.Cert)
}
