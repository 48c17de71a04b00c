package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// The keys of an env file.
const (
	keyOctet   = "MPD_VM_OCTET"
	keyName    = "MPD_VM_NAME"
	keyBackend = "MPD_VM_BACKEND"
	keyAddr    = "MPD_VM_IP"
	keyUser    = "MPD_VM_USER"
	keyUUID    = "MPD_VM_UUID"
	keyDisk    = "MPD_VM_DISK"
	keyRAM     = "MPD_VM_RAM"
)

// Entry is what is known of one VM. Octet, Backend, Addr and User are always
// set; the rest is zero if not known.
type Entry struct {
	Octet   hypervisor.Octet
	Backend string          // the backend's name; it need not be one we have
	Addr    netip.Addr      // where the VM answers
	User    hypervisor.User // whom we log in as
	UUID    string          // as the hypervisor writes it
	Disk    hypervisor.Size
	RAM     hypervisor.Size
}

// Name is the name of the VM: mpd-NNN.
func (e Entry) Name() string { return e.Octet.VMName() }

// EntryError says what is wrong with a file of the registry.
type EntryError struct {
	Octet hypervisor.Octet // zero for the default backend's file
	File  string
	Line  int    // from 1; 0 if no line is to blame
	Key   string // "" if no key is to blame
	Msg   string // safe to print
	Err   error  // the cause, if the file could not be read
}

func (e *EntryError) Error() string { return statefile.Locate(e.File, e.Line, e.Key, e.Msg) }

// Unwrap returns the cause.
func (e *EntryError) Unwrap() error { return e.Err }

// fileError makes an *EntryError of what package statefile says of file;
// fs.ErrNotExist stays what it is.
func fileError(o hypervisor.Octet, file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	e := &EntryError{Octet: o, File: file, Msg: err.Error(), Err: err}
	var (
		syntax *statefile.SyntaxError
		kind   *statefile.KindError
		owner  *statefile.OwnerError
		path   *fs.PathError
	)
	switch {
	case errors.As(err, &syntax):
		e.Line, e.Key, e.Msg = syntax.Line, syntax.Key, syntax.Msg
	case errors.As(err, &kind):
		e.Msg = fmt.Sprintf("is %s, not %s", kind.Got, kind.Want)
	case errors.As(err, &owner):
		e.Msg = fmt.Sprintf("belongs to another user (uid %d)", owner.UID)
	case errors.Is(err, statefile.ErrTooBig):
		e.Msg = fmt.Sprintf("more than %d bytes", statefile.MaxEnv)
	case errors.As(err, &path):
		e.Msg = path.Err.Error()
	}
	return e
}

// decoder reads the values of one file and keeps the first complaint.
type decoder struct {
	env   *statefile.Env
	octet hypervisor.Octet
	file  string
	err   error
}

// value hands the value of key to parse, and what parse says to the reader of
// the file. An optional key may be missing or empty.
func (d *decoder) value(key string, required bool, parse func(string) error) {
	if d.err != nil {
		return
	}
	text, line, ok := d.env.Get(key)
	if !required && text == "" {
		return
	}
	err := errors.New("missing")
	if ok {
		err = parse(text)
	}
	if err != nil {
		d.err = &EntryError{Octet: d.octet, File: d.file, Line: line, Key: key, Msg: err.Error()}
	}
}

// decode reads the entry of octet o. The error is an *EntryError.
func decode(env *statefile.Env, o hypervisor.Octet, file string) (Entry, error) {
	e := Entry{Octet: o}
	d := &decoder{env: env, octet: o, file: file}
	d.value(keyOctet, true, is(o.String()))
	d.value(keyName, true, is(o.VMName()))
	d.value(keyBackend, true, func(s string) error { e.Backend = s; return checkBackend(s) })
	d.value(keyAddr, true, into(&e.Addr, hypervisor.ParseAddr))
	d.value(keyUser, true, into(&e.User, hypervisor.ParseUser))
	d.value(keyUUID, false, func(s string) error { e.UUID = s; return checkUUID(s) })
	d.value(keyDisk, false, into(&e.Disk, hypervisor.ParseSize))
	d.value(keyRAM, false, into(&e.RAM, hypervisor.ParseSize))
	if d.err != nil {
		return Entry{}, d.err
	}
	return e, nil
}

func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*to, err = parse(s)
		return err
	}
}

// is accepts one value only, the one that goes with the name of the folder.
func is(want string) func(string) error {
	return func(s string) error {
		if s != want {
			return fmt.Errorf("%s, but the folder is that of %s", bounded(s), want)
		}
		return nil
	}
}

// encode sets the entry's keys in env. A line that says the same already, in
// whatever words, stays as it is.
func (e Entry) encode(env *statefile.Env) error {
	// The name comes last, as its text is known beforehand: of a new file that
	// was cut anywhere, no part passes for an entry with a shorter value.
	pairs := [...][2]string{
		{keyBackend, e.Backend}, {keyAddr, e.Addr.String()}, {keyUser, string(e.User)},
		{keyUUID, e.UUID}, {keyDisk, sizeText(e.Disk)}, {keyRAM, sizeText(e.RAM)},
		{keyOctet, e.Octet.String()}, {keyName, e.Name()},
	}
	for _, p := range pairs {
		key, want := p[0], p[1]
		text, _, _ := env.Get(key)
		if size, err := hypervisor.ParseSize(text); err == nil && (key == keyDisk || key == keyRAM) {
			text = size.String() // 8192M is 8G
		}
		switch {
		case text == want:
		case want == "":
			env.Delete(key)
		default:
			if err := env.Set(key, want); err != nil {
				return err
			}
		}
	}
	return nil
}

func sizeText(s hypervisor.Size) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

// validate refuses an entry that could not be read back as it is.
func (e Entry) validate() error {
	if !e.Octet.Valid() {
		return fmt.Errorf("octet %s is not valid", e.Octet)
	}
	if err := checkBackend(e.Backend); err != nil {
		return err
	}
	if _, err := hypervisor.ParseAddr(e.Addr.String()); err != nil {
		return err
	}
	if _, err := hypervisor.ParseUser(string(e.User)); err != nil {
		return err
	}
	if e.UUID != "" {
		if err := checkUUID(e.UUID); err != nil {
			return err
		}
	}
	for _, s := range []hypervisor.Size{e.Disk, e.RAM} {
		if back, err := hypervisor.ParseSize(s.String()); s != 0 && (err != nil || back != s) {
			return fmt.Errorf("%d bytes is not a size in whole MiB", int64(s))
		}
	}
	return nil
}

var (
	backendName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	uuidText    = regexp.MustCompile(`^[0-9A-Fa-f][0-9A-Fa-f-]{0,62}$`)
)

// checkBackend accepts what can be the name of a backend, ours or foreign.
func checkBackend(s string) error {
	if !backendName.MatchString(s) {
		return fmt.Errorf("%s is not a backend's name: lower-case letters, digits and '-', at most 32", bounded(s))
	}
	return nil
}

// checkUUID accepts hexadecimal digits and dashes, in braces or not: prlctl
// writes them with braces, utmctl without.
func checkUUID(s string) error {
	inner := s
	if len(s) > 2 && s[0] == '{' && s[len(s)-1] == '}' {
		inner = s[1 : len(s)-1]
	}
	if !uuidText.MatchString(inner) {
		return fmt.Errorf("%s is not a UUID", bounded(s))
	}
	return nil
}

// bounded quotes foreign text for a message.
func bounded(s string) string {
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return fmt.Sprintf("%+q", s)
}
