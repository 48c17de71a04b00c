// Package registry keeps what mpd-virt knows of each VM: the folders NNN below
// ~/.mpd-virt with their env files, and the default backend in
// conf/backend.env.
//
// [Registry.List] and [Registry.Load] read; they take no lock and change
// nothing. [Registry.Save] and [Registry.Remove] want the caller to hold the
// lock of the octet ([Registry.LockFile]), [Registry.SetDefaultBackend] the
// shared one ([Registry.SharedLockFile]).
//
// Reading is tolerant in form and strict in meaning: an entry that does not
// say what it must is an [EntryError] with file, line and key, is listed with
// that error, and is never overwritten.
//
// Out of scope: whether the VM still exists (a backend's business), and the
// other files in the folder of a VM, which only Remove touches.
package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// ErrNotRegistered: there is no entry for the octet. The folder may exist
// all the same, if a setup has not reached registration.
var ErrNotRegistered = errors.New("not registered")

const envName = "env"

// Registry is the registry below one state folder. It holds no state of its
// own, and its methods may be called at the same time.
type Registry struct {
	root  string
	files *statefile.Files // nil is the disk
}

// Open returns the registry below root, which is ~/.mpd-virt. It touches
// nothing; root need not exist.
func Open(root string) *Registry { return &Registry{root: root} }

// In is the same registry with its files in the given place.
func (r *Registry) In(files *statefile.Files) *Registry { return &Registry{root: r.root, files: files} }

// Dir is the folder of the VM.
func (r *Registry) Dir(o hypervisor.Octet) string { return filepath.Join(r.root, o.String()) }

// EnvFile is the registry entry of the VM.
func (r *Registry) EnvFile(o hypervisor.Octet) string { return filepath.Join(r.Dir(o), envName) }

// KnownHosts is the file with the host keys pinned for the VM.
func (r *Registry) KnownHosts(o hypervisor.Octet) string {
	return filepath.Join(r.Dir(o), "known_hosts")
}

// LogDir is the folder with the logs of the VM's setup.
func (r *Registry) LogDir(o hypervisor.Octet) string { return filepath.Join(r.Dir(o), "logs") }

// LockFile is the lock that guards all that belongs to the VM. It stands
// outside the VM's folder because it outlives it.
func (r *Registry) LockFile(o hypervisor.Octet) string {
	return filepath.Join(r.root, ".lock-"+o.String())
}

// SharedLockFile is the lock that guards what all VMs share.
func (r *Registry) SharedLockFile() string { return filepath.Join(r.root, ".lock") }

// Load reads the entry of one VM. ErrNotRegistered if there is none, an
// *EntryError if it is broken.
func (r *Registry) Load(o hypervisor.Octet) (Entry, error) {
	if !o.Valid() {
		return Entry{}, fmt.Errorf("octet %s: %w", o, ErrNotRegistered)
	}
	err := r.files.CheckDir(r.root)
	if err == nil {
		var e Entry
		if e, err = r.read(o); err == nil {
			return e, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, fmt.Errorf("%s: %w", o.VMName(), ErrNotRegistered)
	}
	var broken *EntryError
	if errors.As(err, &broken) {
		err := fmt.Errorf("registry entry of %s is broken: %w", o.VMName(), err)
		if broken.Err == nil || broken.Line > 0 { // the text is wrong, not the file
			err = hint.Wrap(err, "correct the file in an editor")
		}
		return Entry{}, err
	}
	return Entry{}, fmt.Errorf("read the registry: %w", err)
}

// read reads one entry of a root that was checked: fs.ErrNotExist if folder or
// file are missing, else the error is an *EntryError.
func (r *Registry) read(o hypervisor.Octet) (Entry, error) {
	if err := r.files.CheckDir(r.Dir(o)); err != nil {
		return Entry{}, fileError(o, r.Dir(o), err)
	}
	env, err := r.readEnv(o, r.EnvFile(o))
	if err != nil {
		return Entry{}, err
	}
	return decode(env, o, r.EnvFile(o))
}

// readEnv reads a KEY=value file: fs.ErrNotExist if it is missing, else the
// error is an *EntryError.
func (r *Registry) readEnv(o hypervisor.Octet, file string) (*statefile.Env, error) {
	data, err := r.files.Read(file, statefile.MaxEnv)
	if err != nil {
		return nil, fileError(o, file, err)
	}
	env, err := statefile.ParseEnv(file, data)
	if err != nil {
		return nil, fileError(o, file, err)
	}
	return env, nil
}

// Item is one folder of the registry.
type Item struct {
	Entry      Entry // only Octet is set if Err is not nil or Unfinished is set
	Err        error // *EntryError if the entry is broken
	Unfinished bool  // a folder without env: a setup that has not registered yet
}

// List reads all entries, in the order of their octets; none if there is no
// registry yet. Broken ones are in the list with their error. The error is for
// a root that cannot be read at all.
func (r *Registry) List() ([]Item, error) {
	err := r.files.CheckDir(r.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	names, err := r.files.ReadDir(r.root) // sorted, and octets all have three digits
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	var items []Item
	for _, n := range names {
		o, err := hypervisor.ParseOctet(n.Name())
		if err != nil {
			continue // conf, cache, locks, and what users put there
		}
		if item, there := r.item(o); there {
			items = append(items, item)
		}
	}
	return items, nil
}

// item reads one entry for List; not there if it was deleted meanwhile.
func (r *Registry) item(o hypervisor.Octet) (item Item, there bool) {
	e, err := r.read(o)
	switch {
	case err == nil:
		return Item{Entry: e}, true
	case errors.Is(err, fs.ErrNotExist):
		_, err := r.files.Lstat(r.Dir(o))
		return Item{Entry: Entry{Octet: o}, Unfinished: true}, err == nil
	}
	return Item{Entry: Entry{Octet: o}, Err: err}, true
}

// Save writes an entry, and makes the folder if need be. Unknown keys and
// comments of an existing file stay; an optional value that is zero in e is
// removed from it. A broken existing file is an *EntryError and stays as it
// is. Nothing is written if the file says all that already.
func (r *Registry) Save(e Entry) error {
	if err := e.validate(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := r.save(e); err != nil {
		return fmt.Errorf("register %s: %w", e.Name(), err)
	}
	return nil
}

func (r *Registry) save(e Entry) error {
	for _, dir := range []string{r.root, r.Dir(e.Octet)} {
		if err := r.files.EnsureDir(dir); err != nil {
			return err
		}
	}
	file := r.EnvFile(e.Octet)
	env, err := r.readEnv(e.Octet, file)
	exists := err == nil
	switch {
	case errors.Is(err, fs.ErrNotExist):
		env = new(statefile.Env)
	case err != nil:
		return err
	default:
		if _, err := decode(env, e.Octet, file); err != nil {
			return err
		}
	}
	before := string(env.Bytes())
	if err := e.encode(env); err != nil {
		return err
	}
	if exists && before == string(env.Bytes()) {
		return nil
	}
	return r.files.Write(file, env.Bytes(), 0o600)
}

// Remove removes the entry and then the rest of the VM's folder, so that a
// kill in between leaves an unfinished entry and never a broken one. What is
// already gone is fine. A symbolic link in place of the folder is refused.
func (r *Registry) Remove(o hypervisor.Octet) error {
	if !o.Valid() {
		return fmt.Errorf("unregister: octet %s is not valid", o)
	}
	if err := r.files.RemoveDir(r.Dir(o), envName); err != nil {
		return fmt.Errorf("unregister %s: %w", o.VMName(), err)
	}
	return nil
}
