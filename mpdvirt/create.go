package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/host"
	"github.com/mutms/mpd-virt-macos/internal/image"
)

// Steps that Create does before those of Setup, as events and results name
// them. StepStart is the last.
const (
	StepImage     = "image"       // downloads and verifies
	StepDisk      = "disk"        // unpacks and grows
	StepCreate    = "create"      // makes the VM
	StepFirstBoot = "first-boot"  // waits for SSH and cloud-init
	StepSeed      = "remove-seed" // takes away what the first boot was told
)

// What a created VM gets if the request does not say.
const (
	defaultRAM  = 8 * hypervisor.GiB
	defaultDisk = 80 * hypervisor.GiB
	leastRAM    = hypervisor.GiB
)

// creating is a whole backend that is also a Creator.
type creating interface {
	hypervisor.Hypervisor
	hypervisor.Creator
}

// Create makes a VM from a Debian image and sets it up. Its SSH host key is made
// here and pinned before it starts for the first time, so that even the first
// connection is to nobody else.
//
// What is being made is recorded before it is made. A Create that failed before
// the VM had its first boot behind it takes away what it made, unless the
// request says Keep; one that was interrupted is continued by the next with the
// same request, or by Delete taken away. After the first boot, Setup goes on.
//
// With a Prompter, Create ends as Diag does: with the person mending what
// failed. The error is errors.ErrUnsupported if the backend creates no VMs,
// ErrUsage if it cannot be made as asked, ErrExists if the octet is registered,
// ErrRefused if the VM's name or address is another's, and else that of Setup.
func (m *Manager) Create(ctx context.Context, req CreateRequest) (*SetupResult, error) {
	r, err := m.begun("create", req.Octet)
	if err != nil {
		return nil, err
	}
	b, err := m.chosenBackend(req.Backend, can[creating])
	if err != nil {
		return nil, r.fail(err)
	}
	c, ok := b.(creating)
	if !ok {
		return nil, r.fail(cannotMake(b, "create VMs", req.Octet))
	}
	making, on, err := m.createOrder(req)
	if err != nil {
		return nil, r.fail(err)
	}
	lock, err := m.lockOctet(ctx, req.Octet, r.verb)
	if err != nil {
		return nil, r.fail(err)
	}
	defer lock.Unlock()
	t, err := m.ordered(ctx, r, c, order{
		octet: req.Octet, user: req.User, making: making,
		source:  SetupRequest{Repo: req.Repo, Branch: req.Branch, BootstrapURL: req.BootstrapURL},
		refused: func(ctx context.Context) error { return m.cannotCreate(ctx, r, c, making) },
	})
	if err != nil {
		return nil, r.fail(err)
	}
	if err := r.openLog(); err != nil {
		return nil, r.fail(err)
	}
	defer r.end()
	r.emit(Event{Kind: VerbStarted, Text: fmt.Sprintf("%s on %s, from a disk image: %s memory, %d cores, %s disk", r.octet.VMName(), b.Name(), making.RAM, on.cores(), making.Disk)})
	err = m.created(ctx, r, c, t, on, req.Keep)
	return m.setUp(ctx, r, t, nil, err, lock)
}

// createOrder is what the request asks for, with all that it leaves open.
func (m *Manager) createOrder(req CreateRequest) (bootstrap.Making, Host, error) {
	none := bootstrap.Making{}
	if _, err := hypervisor.ParseUser(string(req.User)); err != nil {
		return none, Host{}, err
	}
	on, err := m.host()
	if err != nil {
		return none, Host{}, err
	}
	o := bootstrap.Making{RAM: req.RAM, Disk: req.Disk, Image: req.Image, Build: req.ImageBuild, Kind: req.ImageKind, SHA512: req.ImageSHA512}
	if o.RAM == 0 {
		o.RAM = on.goodRAM()
	}
	if o.Disk == 0 {
		o.Disk = defaultDisk
	}
	switch {
	case o.RAM > on.Memory:
		err = hint.Wrap(usage("this machine has %s of memory, so a VM cannot have %s", gib(on.Memory), o.RAM), fmt.Sprintf("a good value: --vm-ram=%s", on.goodRAM()))
	case o.RAM < leastRAM || o.RAM%hypervisor.MiB != 0:
		err = hint.Wrap(usage("a VM with %s of memory does not run mpd: at least %s is wanted", o.RAM, leastRAM), fmt.Sprintf("a good value: --vm-ram=%s", on.goodRAM()))
	case o.Disk < 0 || o.Disk%hypervisor.MiB != 0:
		err = hint.Wrap(usage("a disk has a whole number of MiB"), fmt.Sprintf("a good value: --vm-disk=%s", defaultDisk))
	case o.Image != "" && (o.Build != "" || o.Kind != "" || o.SHA512 != ""):
		err = usage("an image file and one to download are given, of which only one can be meant")
	case o.Image != "" && !filepath.IsAbs(o.Image):
		err = usage("image %+q: an absolute path is wanted", o.Image)
	case o.SHA512 != "" && o.Build == "" && o.Kind == "":
		err = usage("a SHA-512 is given without the build or kind that it is of")
	case o.Image == "":
		_, err = m.imageSource(o, on)
	}
	return o, on, err
}

// goodRAM is at most half of the machine's memory, in whole GiB.
func (h Host) goodRAM() Size {
	return max(leastRAM, min(defaultRAM, h.Memory/2/hypervisor.GiB*hypervisor.GiB))
}

// cores are half of the machine's, and two if it has them.
func (h Host) cores() int { return max(h.Cores/2, min(2, h.Cores), 1) }

// gib is an amount of memory for people.
func gib(s Size) string { return fmt.Sprintf("%.1f GiB", float64(s)/float64(hypervisor.GiB)) }

// host is this machine.
func (m *Manager) host() (Host, error) {
	if m.cfg.Host != (Host{}) {
		return m.cfg.Host, nil
	}
	info, err := host.Look()
	return Host{Arch: info.Arch, Memory: info.Memory, Cores: info.Cores}, err
}

// imageSource is the archive that an order without a file is made from.
func (m *Manager) imageSource(o bootstrap.Making, on Host) (image.Source, error) {
	if o.Build == "" && o.Kind == "" && m.cfg.Image != (ImageSource{}) {
		return image.Source{URL: m.cfg.Image.URL, SHA512: m.cfg.Image.SHA512}, nil
	}
	if o.Disk < image.DebianSize {
		return image.Source{}, tooSmall(&image.TooSmallError{Want: o.Disk, Image: image.DebianSize})
	}
	s, err := image.Build{Arch: on.Arch, Kind: image.Kind(o.Kind), Date: o.Build, SHA512: o.SHA512}.Source()
	if err != nil {
		err = usage("%w", err)
	}
	return s, err
}

// tooSmall is the error for a disk that cannot hold its image.
func tooSmall(err error) error {
	if !errors.As(err, new(*image.TooSmallError)) {
		return err
	}
	return hint.Wrap(usage("%w", err), fmt.Sprintf("a good value: --vm-disk=%s", defaultDisk))
}

// cannotCreate says why the order cannot be carried out, before it is recorded.
func (m *Manager) cannotCreate(ctx context.Context, r *run, c creating, o bootstrap.Making) error {
	if err := c.CanCreate(ctx, r.octet); err != nil {
		return err
	}
	if _, _, err := m.identities(ctx, r).PublicKey(ctx); err != nil {
		return err
	}
	if o.Image != "" {
		_, err := image.Local(o.Image)
		return err
	}
	return nil
}

// created makes the VM and takes it through its first boot, as far as earlier
// runs have not. On failure there is nothing of it, unless keep is set.
func (m *Manager) created(ctx context.Context, r *run, c creating, t *target, on Host, keep bool) error {
	if t.known != nil {
		return t.started(ctx, r, c)
	}
	err := m.firstLife(ctx, r, c, t, on, false)
	// Which network macOS gives to VMs is only certain once one runs.
	if moved := (*movedError)(nil); errors.As(err, &moved) {
		if err = m.discard(ctx, r, c, t); err == nil {
			t.journal.Canonical = r.octet.In(moved.now.Addr())
			err = m.login(ctx, r, t).unanswered(ctx, t.journal.Canonical)
		}
		if err == nil {
			err = m.firstLife(ctx, r, c, t, on, true)
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil, keep, t.journal.First.IsValid():
		return t.resumable(err)
	}
	return m.undo(ctx, r, c, t, err)
}

// firstLife takes the VM from where it is to running without its seed; again if
// it is the second VM that is made, see firstBoot.
func (m *Manager) firstLife(ctx context.Context, r *run, c creating, t *target, on Host, again bool) error {
	machine, err := t.ours(ctx, netip.Addr{})
	switch {
	case errors.Is(err, hypervisor.ErrNoMachine):
		err = m.built(ctx, r, c, t, on)
	case err == nil: // whoever made it may not have lived to tidy up
		err = errors.Join(t.recorded(machine.UUID, nil), m.tidy(r.octet))
	}
	if err == nil && !t.journal.First.IsValid() {
		err = m.firstBoot(ctx, r, c, t, again)
	}
	if err != nil {
		return err
	}
	return r.step(StepStart, func() (string, error) { return "running", m.turnOn(ctx, c, r.octet, t.journal.UUID) })
}

// undo takes away what was made, because of err.
func (m *Manager) undo(ctx context.Context, r *run, c creating, t *target, err error) error {
	if left := m.discard(ctx, r, c, t); left != nil {
		return t.resumable(hint.Wrap(fmt.Errorf("%w; and what was made could not be removed: %w", err, left), hint.Of(err)))
	}
	if t.journal.UUID != "" {
		r.note("removed %s again; with --keep it would be left to be looked at", r.octet.VMName())
	}
	if left := m.state.Remove(r.octet); left != nil {
		return errors.Join(err, left)
	}
	if hint.Of(err) == "" {
		err = hint.Wrap(err, orderCommand(t.journal)+"     (tries again)")
	}
	return err
}

// discard destroys the VM of the order, if there is one.
func (m *Manager) discard(ctx context.Context, r *run, c creating, t *target) error {
	machine, err := t.ours(ctx, netip.Addr{})
	if errors.Is(err, hypervisor.ErrNoMachine) {
		return nil
	}
	if err != nil {
		return err
	}
	return m.destroy(ctx, c, r.octet, machine.UUID)
}
