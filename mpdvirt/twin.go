package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/image"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// What the verbs do otherwise in a rehearsal, because it has no effect on which
// they could go on.

// rehearsing is m with twins of all that it could change something with.
func (m *Manager) rehearsing(p *rehearsal) *Manager {
	files := statefile.NewDraft(p.file)
	cfg := m.cfg
	cfg.Prompter = planPrompter{p, m.cfg.Prompter}
	cfg.Observer, cfg.LockWait = p.event, 0
	cfg.Backends = slices.Clone(m.cfg.Backends)
	for i, b := range cfg.Backends {
		if r, ok := b.(hypervisor.Rehearser); ok {
			cfg.Backends[i] = r.Rehearse(p.command)
		}
	}
	twin := &Manager{cfg: cfg, state: m.state.In(files), keys: m.keys.In(files), alias: m.alias, files: files, sshArgs: m.sshArgs, rehearsal: p}
	twin.alias.In = files
	return twin
}

// does is a method of a backend that changes something: do calls it. In a
// rehearsal, the method of a backend that does not rehearse is told by its text
// instead. A VM that would be turned on is not there to be asked any more.
func (m *Manager) does(b hypervisor.Hypervisor, o Octet, do func() error, format string, args ...any) error {
	p := m.rehearsal
	if p == nil {
		return do()
	}
	if !can[hypervisor.Rehearser](b) {
		p.add(PlanAction{Kind: PlanBackend, Text: b.Name() + ": " + fmt.Sprintf(format, args...)})
		p.leaves(o)
		return nil
	}
	before := p.actions()
	err := do()
	if p.actions() > before {
		p.leaves(o)
	}
	return err
}

// scratch is a folder for a file that a tool writes and that is read and removed at
// once: dir, or in a rehearsal the system's own for that, so that nothing is left
// in dir if it is killed.
func (m *Manager) scratch(dir string) string {
	if m.rehearsal != nil {
		return ""
	}
	return dir
}

// connected is the connection of a rehearsal to the VM at addr: a real one that
// tells, or none.
func (l *login) connected(ctx context.Context, addr netip.Addr, dial func() (*guest.Conn, error)) (*guest.Conn, error) {
	p := l.m.rehearsal
	if p.gone(l.r.octet) {
		p.wait("%s@%s can be logged in to", l.t.journal.User, addr)
		return guest.Absent(netip.AddrPortFrom(addr, 22), p)
	}
	c, err := dial()
	if err == nil && p != nil {
		c.Rehearse(p)
	}
	return c, err
}

// looked is what Diag changes by itself: the SSH entries. If it cannot, its report
// says so.
func (m *Manager) looked(ctx context.Context, r *run) error {
	_, err := m.ensureAliases(ctx, r)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return hint.Wrap(&classified{errors.New(err.Error()), ErrUnhealthy}, hint.Of(err)) // a busy lock, too
}

// fetch tells what has to be downloaded.
func (p *rehearsal) fetch(ctx context.Context, m *Manager, s image.Source) (path string, err error) {
	f, err := image.ExpectFetch(ctx, m.cache(), s)
	if err != nil || m.planned(f.Path) { // the VM is made anew
		return f.Path, err
	}
	if err := m.files.EnsureDir(m.cache()); err != nil {
		return "", err
	}
	if !f.There {
		p.add(PlanAction{Kind: PlanDownload, URL: s.URL, SHA512: s.SHA512})
		if err := m.files.Opaque().Write(f.Path, nil, 0o600); err != nil {
			return "", err
		}
	}
	for _, path := range f.Remove {
		if err := m.files.Remove(path); err != nil {
			return "", err
		}
	}
	return f.Path, nil
}

// unpack tells how the disk of a VM is made.
func (p *rehearsal) unpack(ctx context.Context, r *run, t *target, from image.Image, to string) error {
	m, raw := r.m, from.Path
	if from.Packed {
		var err error
		if raw, err = p.extract(ctx, r, t, from.Path); err != nil {
			return err
		}
	}
	if !m.planned(raw) {
		if err := image.ExpectPlace(raw, to, t.journal.Making.Disk); err != nil {
			return tooSmall(err)
		}
	}
	return m.files.Opaque().Write(to, nil, 0o600)
}

// extract tells how an archive is unpacked. One of the cache is what its digest
// says, also before it was downloaded.
func (p *rehearsal) extract(ctx context.Context, r *run, t *target, archive string) (raw string, err error) {
	m, order, sum := r.m, *t.journal.Making, ""
	if order.Image == "" {
		on, err := m.host()
		if err != nil {
			return "", err
		}
		source, err := m.imageSource(order, on)
		if err != nil {
			return "", err
		}
		sum = source.SHA512
	}
	u, err := image.ExpectRaw(ctx, image.RawOptions{Dir: m.cache(), Archive: archive, Run: r.runner()}, sum)
	if err == nil {
		err = m.files.EnsureDir(m.cache())
	}
	if err != nil || u.Argv == nil || m.planned(u.Raw) {
		return u.Raw, err
	}
	for _, path := range u.Remove {
		if err := m.files.RemoveDir(path, ""); err != nil {
			return "", err
		}
	}
	p.add(PlanAction{Kind: PlanCommand, Argv: u.Argv})
	for _, path := range []string{u.Raw, u.Stamp} {
		if err := m.files.Opaque().Write(path, nil, 0o600); err != nil {
			return "", err
		}
	}
	return u.Raw, nil
}

// planned says whether the plan has made a file.
func (m *Manager) planned(path string) bool {
	_, err := m.files.Lstat(path)
	return err == nil && m.files.Pending(path)
}

// standin is a VM that a backend would make which does not rehearse.
func standin(o Octet) hypervisor.Made {
	return hypervisor.Made{Machine: hypervisor.Machine{UUID: hypervisor.NilUUID, Name: o.VMName(), State: hypervisor.Stopped}}
}

// teller is who is told what would be done to the VM; nil if it is for real.
func (m *Manager) teller() guest.Teller {
	if m.rehearsal == nil {
		return nil
	}
	return m.rehearsal
}

// Stand-ins of a rehearsal for what is made at random.
const (
	standinMAC = "\x02\x00\x00\x00\x00\x01"
	// standinAddr is of a network for documentation (RFC 5737).
	standinAddr = "192.0.2.1"
	standinCA   = "NEW-CA"
)
