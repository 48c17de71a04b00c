package mpdvirt_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

const octet mpdvirt.Octet = 150

var (
	firstAddr = netip.MustParseAddr("10.211.55.37")
	canonical = octet.In(firstAddr)
	adoption  = mpdvirt.SetupRequest{Octet: octet, Backend: "general", Addr: firstAddr, User: "dev"}
	alone     = mpdvirt.SetupRequest{Octet: octet}
)

// bubble runs a subtest beside others, on fake time.
func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	})
}

// lab is a Manager in a world of its own, with one VM at firstAddr, and what
// its observer saw.
type lab struct {
	*mpdvirt.Manager
	t     testing.TB
	world *mpdvirttest.World
	vm    *mpdvirttest.VM
	cfg   mpdvirt.Config

	mu     sync.Mutex
	events []mpdvirt.Event
}

// options is what a lab is made from; the zero value is a good one.
type options struct {
	world  mpdvirttest.Options
	vm     mpdvirttest.VMOptions
	config func(*mpdvirt.Config)
}

func newLab(t testing.TB, o options) *lab {
	t.Helper()
	world, err := mpdvirttest.New(o.world)
	check(t, err)
	t.Cleanup(func() { check(t, world.Close()) })
	l := &lab{t: t, world: world, cfg: world.Config()}
	l.vm = l.addVM(o.vm)
	l.cfg.Observer = l.observe
	if o.config != nil {
		o.config(&l.cfg)
	}
	l.Manager = l.manager()
	return l
}

// adopted is a lab whose VM is set up; its tunnel is on, and the Mac trusts the
// CA.
func adopted(t testing.TB, o options) *lab {
	t.Helper()
	l := newLab(t, o)
	l.setup(adoption)
	l.world.Tunnel(l.vm)
	ca := []byte(l.read(".mpd-virt/conf/caroot/rootCA.pem"))
	check(t, errors.Join(l.world.Mac().AddCertificate(ca), l.world.Mac().SetTrust(ca, "root")))
	l.forget()
	return l
}

// manager is one more Manager for the same Mac.
func (l *lab) manager() *mpdvirt.Manager {
	l.t.Helper()
	m, err := mpdvirt.New(l.cfg)
	check(l.t, err)
	return m
}

func (l *lab) addVM(o mpdvirttest.VMOptions) *mpdvirttest.VM {
	l.t.Helper()
	vm, err := l.world.AddVM(o)
	check(l.t, err)
	return vm
}

func (l *lab) observe(e mpdvirt.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// forget drops the events of before.
func (l *lab) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = nil
}

func (l *lab) seen() []mpdvirt.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// setup must go well.
func (l *lab) setup(req mpdvirt.SetupRequest) *mpdvirt.SetupResult {
	l.t.Helper()
	res, err := l.Setup(l.t.Context(), req)
	check(l.t, err)
	return res
}

// refused is a setup that must fail.
func (l *lab) refused(req mpdvirt.SetupRequest) *mpdvirt.Error {
	l.t.Helper()
	_, err := l.Setup(l.t.Context(), req)
	return wrapped(l.t, err)
}

// diag is the report on the lab's VM.
func (l *lab) diag() *mpdvirt.Report {
	l.t.Helper()
	report, err := l.Diag(l.t.Context(), mpdvirt.DiagRequest{Octet: octet})
	check(l.t, err)
	return report
}

// path is a file in the Mac's home folder.
func (l *lab) path(name string) string { return filepath.Join(l.world.Home(), name) }

func (l *lab) read(name string) string {
	l.t.Helper()
	data, err := os.ReadFile(l.path(name))
	check(l.t, err)
	return string(data)
}

func (l *lab) write(name, text string, perm fs.FileMode) {
	l.t.Helper()
	check(l.t, os.MkdirAll(filepath.Dir(l.path(name)), 0o700))
	check(l.t, os.WriteFile(l.path(name), []byte(text), perm))
	check(l.t, os.Chmod(l.path(name), perm))
}

func (l *lab) exists(name string) bool {
	_, err := os.Lstat(l.path(name))
	return err == nil
}

// tree is the Mac's home folder, path by path with mode and content, without
// logs.
func (l *lab) tree() map[string]string {
	l.t.Helper()
	all := map[string]string{}
	home := os.DirFS(l.world.Home())
	check(l.t, fs.WalkDir(home, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(name, ".log") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		all[name] = info.Mode().String() + " "
		if info.Mode().IsRegular() {
			data, err := fs.ReadFile(home, name)
			all[name] += string(data)
			return err
		}
		return nil
	}))
	return all
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		var e *mpdvirt.Error
		if errors.As(err, &e) {
			t.Fatalf("%v\nhint: %s", err, e.Hint)
		}
		t.Fatal(err)
	}
}

// wrapped is the *Error that err must be.
func wrapped(t testing.TB, err error) *mpdvirt.Error {
	t.Helper()
	var e *mpdvirt.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *mpdvirt.Error", err)
	}
	return e
}

// wantError checks the class of an error and words of its text and hint.
func wantError(t testing.TB, err, class error, words ...string) {
	t.Helper()
	e := wrapped(t, err)
	if !errors.Is(err, class) {
		t.Errorf("error %v is not %v", err, class)
	}
	for _, w := range words {
		if text := err.Error() + "\n" + e.Hint; !strings.Contains(text, w) {
			t.Errorf("error and hint do not say %q:\n%s", w, text)
		}
	}
}

// person is a Prompter; what is nil declines.
type person struct {
	confirm func(question string) bool
	pause   func(text, command string)
}

func (p person) Confirm(_ context.Context, question string) (bool, error) {
	if p.confirm == nil {
		return false, mpdvirt.ErrDeclined
	}
	return p.confirm(question), nil
}

func (p person) Choose(ctx context.Context, q mpdvirt.Question) (string, error) {
	return q.Actions[0].ID, p.Pause(ctx, q.Text, strings.Join(q.Commands, "\n"))
}

func (p person) Pause(_ context.Context, text, command string) error {
	if p.pause == nil {
		return mpdvirt.ErrDeclined
	}
	p.pause(text, command)
	return nil
}

func (p person) Passphrase(context.Context, string) ([]byte, error) { return nil, mpdvirt.ErrDeclined }
