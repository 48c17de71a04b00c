package mpdvirt

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/cloudinit"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/image"
)

// Names in the folder of a VM while it is made.
const (
	makingName = "making"
	diskName   = "disk.raw"
	seedName   = "seed.iso"
)

// built makes the VM, stopped, with its seed attached, and records which one it
// is.
func (m *Manager) built(ctx context.Context, r *run, c creating, t *target, on Host) (err error) {
	dir := filepath.Join(m.state.Dir(r.octet), makingName)
	if err := m.tidy(r.octet); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.tidy(r.octet)) }()
	if err := m.files.EnsureDir(dir); err != nil {
		return err
	}
	disk, seed := filepath.Join(dir, diskName), filepath.Join(dir, seedName)
	from, err := m.imageFor(ctx, r, t, on)
	if err != nil {
		return err
	}
	if err := r.step(StepDisk, func() (string, error) { return m.disk(ctx, r, t, from, disk) }); err != nil {
		return err
	}
	return r.step(StepCreate, func() (string, error) {
		mac, err := m.seeded(ctx, r, t, seed)
		if err != nil {
			return "", err
		}
		spec := hypervisor.CreateSpec{
			Octet: r.octet, Arch: on.Arch, RAM: t.journal.Making.RAM, Cores: on.cores(),
			MAC: mac, Disk: disk, Seed: seed,
		}
		made := standin(r.octet)
		err = m.does(c, r.octet, func() (err error) {
			made, err = c.Create(ctx, spec, func(line string) { r.emit(Event{Kind: StepOutput, Step: StepCreate, Text: line}) })
			return err
		}, "create %s", r.octet.VMName())
		if err != nil && made.UUID == "" && ctx.Err() == nil {
			// Nothing was made: a VM of this name is somebody else's.
			t.journal.Begun = false
			return "", errors.Join(err, t.journal.Save())
		}
		return r.octet.VMName() + ", " + made.UUID, t.recorded(made.UUID, err)
	})
}

// tidy removes what a VM was made from, first the seed, which holds its private
// host key.
func (m *Manager) tidy(o Octet) error {
	return m.files.RemoveDir(filepath.Join(m.state.Dir(o), makingName), seedName)
}

// imageFor is the image that the order is made from, verified if anybody
// vouches for it.
func (m *Manager) imageFor(ctx context.Context, r *run, t *target, on Host) (from image.Image, err error) {
	order := *t.journal.Making
	err = r.step(StepImage, func() (string, error) {
		if order.Image != "" {
			from, err = image.Local(order.Image)
			return order.Image + ", as it is", err
		}
		source, err := m.imageSource(order, on)
		if err != nil {
			return "", err
		}
		from.Packed = true
		if m.rehearsal != nil {
			from.Path, err = m.rehearsal.fetch(ctx, m, source)
			return filepath.Base(from.Path) + ", SHA-512 as pinned", err
		}
		from.Path, err = image.Fetch(ctx, image.Options{
			Dir: m.cache(), Source: source, Transport: m.cfg.Transport, DialContext: m.cfg.DialContext,
			Progress: r.progress(StepImage),
			Waiting:  func() { r.note("waiting for another run to download the image") },
		})
		return filepath.Base(from.Path) + ", SHA-512 as pinned", err
	})
	return from, err
}

// cache is where images are kept.
func (m *Manager) cache() string {
	return filepath.Join(filepath.Dir(m.state.SharedLockFile()), "cache")
}

// progressGrain is how many bytes go through between two events.
const progressGrain = 1 << 20

// progress makes events of bytes that come in, not too many.
func (r *run) progress(step string) func(done, total int64) {
	told := int64(-1)
	return func(done, total int64) {
		if told >= 0 && done != total && done < told+progressGrain && done >= told {
			return
		}
		told = done
		r.emit(Event{Kind: StepProgress, Step: step, Done: done, Total: total})
	}
}

// disk makes the disk of the VM.
func (m *Manager) disk(ctx context.Context, r *run, t *target, from image.Image, to string) (string, error) {
	if m.rehearsal != nil {
		return "", m.rehearsal.unpack(ctx, r, t, from, to)
	}
	raw := from.Path
	if from.Packed {
		var err error
		raw, err = image.Raw(ctx, image.RawOptions{
			Dir: m.cache(), Archive: from.Path, Run: r.runner(),
			Waiting: func() { r.note("waiting for another run to unpack the image") },
		})
		if err != nil {
			return "", err
		}
	}
	size := t.journal.Making.Disk
	return size.String() + ", takes only the space that it uses", tooSmall(image.Place(ctx, raw, to, size))
}

// seeded makes what the VM is told at its first boot, in file, pins the host
// key that is in it, and records that the VM is about to be made.
func (m *Manager) seeded(ctx context.Context, r *run, t *target, file string) (net.HardwareAddr, error) {
	login, label, err := m.identities(ctx, r).PublicKey(ctx)
	if err != nil {
		return nil, err
	}
	line, err := cloudinit.ParsePublicKey(bytes.Join([][]byte{bytes.TrimSpace(ssh.MarshalAuthorizedKey(login)), []byte(label)}, []byte(" ")))
	if err != nil {
		return nil, err
	}
	private, public, err := cloudinit.GenerateHostKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	defer clear(private)
	random := make([]byte, 8+6)
	rand.Read(random) // never fails
	if m.rehearsal != nil {
		copy(random[8:], standinMAC)
	}
	mac := net.HardwareAddr(random[8:])
	mac[0] = mac[0]&^1 | 2 // of one machine, and of nobody's making
	j := t.journal
	network := netip.PrefixFrom(j.Canonical, 24)
	seed := cloudinit.Seed{
		InstanceID: r.octet.VMName() + "-" + hex.EncodeToString(random[:8]), HostName: r.octet.VMName(),
		User: j.User, PublicKey: line, HostKey: private, MAC: mac,
		Addr: network, Gateway: network.Masked().Addr().Next(),
	}
	if err := seed.WriteFile(m.files, file); err != nil {
		return nil, err
	}
	if err := guest.WritePins(m.files.Opaque(), m.state.KnownHosts(r.octet), r.octet.VMName(), []ssh.PublicKey{public}); err != nil {
		return nil, hint.Wrap(fmt.Errorf("pin the host key: %w", err), hint.Of(err))
	}
	j.Remade()
	j.HostKey = ssh.FingerprintSHA256(public)
	return mac, j.Save()
}
