package mpdvirt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/mutms/mpd-virt-macos/internal/bootstrap"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/probe"
	"github.com/mutms/mpd-virt-macos/internal/registry"
)

// Show returns all that is known of a registered VM, its backend's word on its
// state, and whether it answers one ping. It does not log in and takes no
// lock. The error is ErrNotRegistered or *EntryError if there is no usable
// entry.
func (m *Manager) Show(ctx context.Context, req ShowRequest) (*ShowResult, error) {
	r, err := m.begun("show", req.Octet)
	if err != nil {
		return nil, err
	}
	entry, err := m.registered(req.Octet)
	if err != nil {
		return nil, r.fail(err)
	}
	res := &ShowResult{Schema: ShowSchema, VM: viewOf(entry), Alias: entry.Name(), Dir: m.state.Dir(req.Octet)}
	m.addStatesOf(ctx, entry.Backend, []*VM{&res.VM})
	_, err = probe.Ping(ctx, r.runner(), goos, entry.Addr)
	res.Answers = err == nil
	m.addFiles(res)
	return res, r.fail(ctx.Err())
}

// addFiles adds what the VM's files say. What cannot be read is left out: diag
// is the verb that complains.
func (m *Manager) addFiles(res *ShowResult) {
	o := res.Octet
	if keys, err := guest.ReadPins(m.files, m.state.KnownHosts(o), o.VMName()); err == nil {
		for _, k := range keys {
			res.HostKeys = append(res.HostKeys, ssh.FingerprintSHA256(k))
		}
	}
	if conf := m.keys.ImportFile(o); exists(conf) {
		res.ClientConf = conf
	}
	if logs := m.logs(o); len(logs) > 0 {
		res.LastLog = filepath.Join(m.state.LogDir(o), logs[len(logs)-1])
	}
	if j, err := bootstrap.LoadJournal(m.files, m.journalFile(o), o); err == nil {
		res.Repo, res.Branch = j.Source.Repo, j.Source.Branch
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// notRegistered is ErrNotRegistered with the way on.
func (m *Manager) notRegistered(o Octet) error {
	next := fmt.Sprintf("mpd-virt setup %s --backend=%s --ip=ADDRESS --username=NAME", o, m.backendNames()[0])
	if m.unfinished(o) {
		next = m.unfinishedView(o).Next + "     (its setup did not finish)"
	}
	return hint.Wrap(registry.ErrNotRegistered, next)
}
