package macos

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Copy puts text on the clipboard, where every program of the user can read it.
func (m *Mac) Copy(ctx context.Context, text string) error {
	// pbcopy converts by the locale: without UTF-8, anything but ASCII is
	// damaged. LC_ALL, which the Runner sets, counts more than LC_CTYPE.
	c := hypervisor.Command{
		Argv:  []string{envTool, "LC_ALL=en_US.UTF-8", "LC_CTYPE=UTF-8", pbcopyTool},
		Stdin: []byte(text), Limit: Limit,
	}
	res, err := m.start(ctx, c)
	if err != nil {
		return err
	}
	if res.Status != 0 {
		return &CommandError{Command: Command{Argv: []string{pbcopyTool}}, Status: res.Status, Text: said(res)}
	}
	return nil
}

// Open opens a file with the program that macOS has for its kind, and returns
// without waiting for it. The path is absolute.
func (m *Mac) Open(ctx context.Context, path string) error {
	if err := absolute(path); err != nil {
		return err
	}
	return m.open(ctx, path)
}

// Reveal shows a file in the Finder. The path is absolute.
func (m *Mac) Reveal(ctx context.Context, path string) error {
	if err := absolute(path); err != nil {
		return err
	}
	return m.open(ctx, "-R", path)
}

// settingsScheme begins the address of every pane of the System Settings.
const settingsScheme = "x-apple.systempreferences:"

// OpenSettings opens a pane of the System Settings, such as PrivacyPane.
func (m *Mac) OpenSettings(ctx context.Context, pane string) error {
	if !strings.HasPrefix(pane, settingsScheme) {
		return fmt.Errorf("open %s: not a pane of the System Settings", plaintext.Short(pane))
	}
	return m.open(ctx, pane)
}

// absolute refuses paths that open could take for an option or an address.
func absolute(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("open %q: not an absolute path", plaintext.Short(path))
	}
	return nil
}

func (m *Mac) open(ctx context.Context, args ...string) error {
	argv := append([]string{openTool}, args...)
	res, err := m.ask(ctx, argv...)
	if err != nil {
		return err
	}
	if res.Status != 0 {
		return &CommandError{Command: Command{Argv: argv}, Status: res.Status, Text: said(res)}
	}
	return nil
}
