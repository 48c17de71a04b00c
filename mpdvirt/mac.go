package mpdvirt

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/macos"
)

// mac is macOS's own tools. Without a Prompter nobody can type a password.
func (m *Manager) mac(r *run) *macos.Mac {
	mac := macos.New(r.runner())
	mac.NoTerminal = m.cfg.Prompter == nil
	return mac
}

// isMac says whether this machine is one.
func isMac(ctx context.Context, mac *macos.Mac) bool {
	_, err := mac.Version(ctx)
	return !errors.Is(err, hypervisor.ErrToolMissing)
}

// system is the path of a file of macOS, as this Manager reads it.
func (m *Manager) system(path string) string { return filepath.Join(m.cfg.SystemRoot, path) }

// runFixes runs commands of fixes, which the person has seen. An error says
// what is left to do; nil proves nothing: the caller looks again.
func (m *Manager) runFixes(ctx context.Context, r *run, fixes []Fix) error {
	var commands []macos.Command
	for _, f := range fixes {
		if f.runnable() {
			commands = append(commands, f.command())
		}
	}
	if m.rehearsal != nil {
		m.rehearsal.asRoot(commands)
		return nil
	}
	return m.mac(r).Sudo(ctx, commands, func(c macos.Command) { r.debug("run " + c.String()) })
}

// maxCopy is how much of a file is copied to the clipboard.
const maxCopy = 64 << 10

// copyFile puts the content of a file on the clipboard.
func (m *Manager) copyFile(ctx context.Context, r *run, path string) error {
	data, err := os.ReadFile(path)
	if err == nil && len(data) > maxCopy {
		err = errors.New(path + " is too large for the clipboard")
	}
	if err != nil {
		return err
	}
	return m.mac(r).Copy(ctx, string(data))
}

// open opens a file or a pane of the System Settings.
func (m *Manager) open(ctx context.Context, r *run, what string) error {
	if filepath.IsAbs(what) {
		return m.mac(r).Open(ctx, what)
	}
	return m.mac(r).OpenSettings(ctx, what)
}
