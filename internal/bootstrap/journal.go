package bootstrap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
	"github.com/mutms/mpd-virt-macos/internal/shell"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

const journalSchema = "mpd-virt/journal/1"

// Journal says what is known of one VM's setup: how it was asked for, which
// machine answered, and which steps that machine has behind it. It lets a
// setup that was killed, dropped or refused go on where it must.
type Journal struct {
	Schema    string               `json:"schema"`
	Octet     hypervisor.Octet     `json:"octet"`
	Backend   string               `json:"backend"`
	UUID      string               `json:"uuid,omitempty"`     // of the located machine
	First     netip.Addr           `json:"first,omitzero"`     // where it was adopted
	Canonical netip.Addr           `json:"canonical,omitzero"` // where it shall be
	User      hypervisor.User      `json:"user"`
	Source    Source               `json:"source"`
	HostKey   string               `json:"host_key,omitempty"` // pinned fingerprint; "" before first contact
	MachineID string               `json:"machine_id,omitempty"`
	Moving    bool                 `json:"moving,omitempty"` // step 30 was started at First and is not known to be done
	Done      map[string]time.Time `json:"done,omitempty"`   // by step ID
	// Making is what VM is being made under this octet, recorded before it is
	// made; nil for an adopted VM, and again when its setup is done. First is
	// not valid until the VM has been seen at an address.
	Making *Making `json:"making,omitempty"`
	// Begun: the hypervisor was told to make the VM. Before that, a VM of its
	// name is somebody else's.
	Begun bool `json:"begun,omitempty"`
	// Seed is the drive from which the first boot of a created VM reads its
	// host key; it is to be taken away. "" if there is none, or it is not known.
	Seed string `json:"seed,omitempty"`
	// Rotate: the VM still has its template's host keys and machine-id.
	Rotate bool `json:"rotate,omitempty"`

	files *statefile.Files
	file  string
	saved []byte // what is in file, as far as this run knows
}

// Making is an order for a VM: a clone of a template, or without one a VM made
// from a disk image.
type Making struct {
	Template string          `json:"template,omitempty"`
	Linked   bool            `json:"linked,omitempty"`
	RAM      hypervisor.Size `json:"ram,omitempty"`
	Disk     hypervisor.Size `json:"disk,omitempty"`
	Image    string          `json:"image,omitempty"`  // a file
	Build    string          `json:"build,omitempty"`  // of Debian's images
	Kind     string          `json:"kind,omitempty"`   // of Debian's images
	SHA512   string          `json:"sha512,omitempty"` // of the build's archive
}

// Clones says whether the order is for a clone.
func (m *Making) Clones() bool { return m != nil && m.Template != "" }

// Spec is the order of a clone in the backend's terms.
func (m *Making) Spec(o hypervisor.Octet) hypervisor.CloneSpec {
	return hypervisor.CloneSpec{Octet: o, Template: m.Template, Linked: m.Linked, RAM: m.RAM, Disk: m.Disk}
}

// NewJournal is an empty journal that Save writes to file in files, of which nil
// is the disk.
func NewJournal(files *statefile.Files, file string) *Journal {
	return &Journal{Schema: journalSchema, Done: map[string]time.Time{}, files: files, file: file}
}

// LoadJournal reads the journal of a VM. The error wraps fs.ErrNotExist if
// there is none; a damaged one is a *JournalError, because what it knew cannot
// be guessed.
func LoadJournal(files *statefile.Files, file string, o hypervisor.Octet) (*Journal, error) {
	data, err := files.Read(file, 64<<10)
	if err != nil {
		return nil, err
	}
	j, err := parseJournal(data, o)
	if err != nil {
		return nil, hint.Wrap(&JournalError{file, err},
			"rm "+shell.Quote(file)+"     (then run setup again: it repeats all steps)")
	}
	j.files, j.file, j.saved = files, file, data
	return j, nil
}

// JournalError says that a journal is damaged or another VM's. It does not wrap
// Err: a bad value in a file is not the caller's bad value.
type JournalError struct {
	File string
	Err  error
}

// Msg is the error without the file's name.
func (e *JournalError) Msg() string { return "damaged: " + e.Err.Error() }

func (e *JournalError) Error() string { return e.File + ": " + e.Msg() }

func parseJournal(data []byte, o hypervisor.Octet) (*Journal, error) {
	j := new(Journal) // no schema of its own: a text without one is no journal
	if err := json.Unmarshal(data, j); err != nil {
		// A time's error shows the text that is none, with its DEL as it came.
		return nil, errors.New(plaintext.Clean(err.Error()))
	}
	if j.Schema != journalSchema {
		return nil, fmt.Errorf("schema %.40q is not %s", j.Schema, journalSchema)
	}
	if err := j.validate(o); err != nil {
		return nil, err
	}
	return j, nil
}

func (j *Journal) validate(o hypervisor.Octet) error {
	if j.Octet != o {
		return fmt.Errorf("it is the journal of octet %s", j.Octet)
	}
	if _, err := hypervisor.ParseUser(string(j.User)); err != nil {
		return err
	}
	for _, a := range []netip.Addr{j.First, j.Canonical} {
		if j.Making != nil && !a.IsValid() {
			continue
		}
		if _, err := hypervisor.ParseAddr(a.String()); err != nil {
			return err
		}
	}
	if j.Backend == "" {
		return errors.New("no backend")
	}
	if j.Done == nil {
		j.Done = map[string]time.Time{}
	}
	return j.Source.Validate()
}

// File is where the journal is written.
func (j *Journal) File() string { return j.file }

// Exists says whether there is anything where it is written.
func (j *Journal) Exists() bool {
	_, err := j.files.Lstat(j.file)
	return err == nil
}

// Save writes the journal, if it is not written already; the folder must exist.
func (j *Journal) Save() error {
	data, err := j.text()
	if err != nil {
		return fmt.Errorf("write %s: %w", j.file, err)
	}
	if bytes.Equal(data, j.saved) {
		return nil
	}
	if err := j.files.Opaque().Write(j.file, data, 0o600); err != nil {
		return err
	}
	j.saved = data
	return nil
}

func (j *Journal) text() ([]byte, error) {
	data, err := json.MarshalIndent(j, "", "  ")
	return append(data, '\n'), err
}

// Addresses are where the VM can be, likeliest first: two if a run ended
// around step 30.
func (j *Journal) Addresses() []netip.Addr {
	_, moved := j.Done[StepNetwork]
	switch {
	case moved || j.First == j.Canonical:
		return []netip.Addr{j.Canonical}
	case j.Moving:
		return []netip.Addr{j.Canonical, j.First}
	default:
		return []netip.Addr{j.First}
	}
}

// Remade makes j that of a VM which is about to be made anew: what was known of
// an earlier one under this order is void.
func (j *Journal) Remade() {
	j.UUID, j.Seed, j.First, j.HostKey, j.MachineID = "", "", netip.Addr{}, "", ""
	j.Begun, j.Rotate, j.Moving = true, j.Making.Clones(), false
	clear(j.Done)
}

// Seen takes in that the VM is at addr now. If nothing led to expect it there,
// what was done is to be looked at again.
func (j *Journal) Seen(addr netip.Addr) {
	if !slices.Contains(j.Addresses(), addr) {
		clear(j.Done)
		j.First = addr
	}
}

// SetSource changes where the VM's software comes from. What was made from
// another source is then done again.
func (j *Journal) SetSource(s Source) {
	if s != j.Source {
		j.Source = s
		j.void(StepSudoers, StepClone, StepBuild, StepMPD)
	}
}

// void forgets that the named steps are done, all of them without names. What
// stays known is that a VM which had its canonical address may still be there.
func (j *Journal) void(ids ...string) {
	for id := range j.Done {
		if len(ids) == 0 || slices.Contains(ids, id) {
			delete(j.Done, id)
			j.Moving = j.Moving || id == StepNetwork
		}
	}
}

// Missing says whether err means that there is no journal.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
