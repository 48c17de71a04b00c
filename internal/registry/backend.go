package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

const keyDefaultBackend = "MPD_VIRT_DEFAULT_BACKEND"

func (r *Registry) backendFile() string { return filepath.Join(r.root, "conf", "backend.env") }

// DefaultBackend is the backend to use where none is named, "" if none was
// set. A broken file is an *EntryError.
func (r *Registry) DefaultBackend() (string, error) {
	name, err := r.defaultBackend()
	var broken *EntryError
	if errors.As(err, &broken) {
		return "", hint.Wrap(fmt.Errorf("default backend: %w", err), "mpd-virt backend set-default NAME")
	}
	if err != nil {
		return "", fmt.Errorf("default backend: %w", err)
	}
	return name, nil
}

func (r *Registry) defaultBackend() (string, error) {
	for _, dir := range []string{r.root, filepath.Dir(r.backendFile())} {
		if err := r.files.CheckDir(dir); errors.Is(err, fs.ErrNotExist) {
			return "", nil
		} else if err != nil {
			return "", err
		}
	}
	env, err := r.readEnv(0, r.backendFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name, line, ok := env.Get(keyDefaultBackend)
	if !ok {
		return "", nil
	}
	if err := checkBackend(name); err != nil {
		return "", &EntryError{File: r.backendFile(), Line: line, Key: keyDefaultBackend, Msg: err.Error()}
	}
	return name, nil
}

// SetDefaultBackend records the backend to use where none is named. Other
// lines of the file stay. Of a broken file the lines that can be read stay: to
// set the value anew is how a user repairs it.
func (r *Registry) SetDefaultBackend(name string) error {
	if err := r.setDefaultBackend(name); err != nil {
		return fmt.Errorf("set default backend: %w", err)
	}
	return nil
}

func (r *Registry) setDefaultBackend(name string) error {
	if err := checkBackend(name); err != nil {
		return err
	}
	file := r.backendFile()
	for _, dir := range []string{r.root, filepath.Dir(file)} {
		if err := r.files.EnsureDir(dir); err != nil {
			return err
		}
	}
	// What cannot be read at all (no permission, too big) is replaced like a
	// missing file; a link or folder in its place is refused by Write.
	data, _ := r.files.Read(file, statefile.MaxEnv)
	env, err := statefile.ParseEnv(file, data)
	if err != nil {
		env = salvage(file, data)
	}
	before := string(env.Bytes())
	if err := env.Set(keyDefaultBackend, name); err != nil {
		return err
	}
	if before == string(env.Bytes()) {
		return nil
	}
	return r.files.Write(file, env.Bytes(), 0o600)
}

// salvage keeps the lines of a broken file that are good by themselves; of a
// key that is given twice, the first.
func salvage(file string, data []byte) *statefile.Env {
	var text strings.Builder
	seen := make(map[string]bool)
	for line := range strings.Lines(string(data)) {
		alone, err := statefile.ParseEnv(file, []byte(line))
		if err != nil {
			continue
		}
		again := false
		for _, key := range alone.Keys() { // at most one
			again = seen[key]
			seen[key] = true
		}
		if !again {
			text.WriteString(line)
		}
	}
	env, err := statefile.ParseEnv(file, []byte(text.String()))
	if err != nil { // a byte order mark further down is good only by itself
		return new(statefile.Env)
	}
	return env
}
