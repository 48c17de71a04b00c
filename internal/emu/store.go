package emu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

const (
	maxState = 64 << 20
	lockWait = 10 * time.Second
)

// Store keeps the state of an emulator, in memory or in a file that many
// processes use at once. The zero value begins with the zero T, in memory. The
// fields are set before the first use; the methods may be called at the same
// time, and a Store must not be copied after that.
type Store[T any] struct {
	// Name begins the errors of reading the state: the emulator's package.
	Name string
	// File keeps the state as JSON, so that T's fields must be exported. It is
	// in a folder that exists, and a lock file stands beside it. "" keeps the
	// state in memory.
	File string
	// First is the state to begin with; a file that exists has its own.
	First T
	// Clock is the time; nil is time.Now.
	Clock func() time.Time
	// Keep says of an error of a change that the change is written to the file
	// all the same, since the error is the played program's own: a refusal is
	// part of the play. nil is none. In memory each change is kept, so a change
	// that fails for another reason should do so before it has done anything.
	Keep func(err error) bool

	mu  sync.Mutex
	mem *T // nil before the first change in memory
}

// Now is the time by the Store's clock.
func (s *Store[T]) Now() time.Time {
	if s.Clock == nil {
		return time.Now()
	}
	return s.Clock()
}

// Do looks at the state or changes it, alone among all goroutines and, with a
// file, processes. The error is f's, or one of reading and writing the file,
// after which nothing was changed.
//
// st is f's as long as f runs. f must not call Do, and so no hook of a caller
// that may do so: see [Later]. To find early that a file cannot be used, call Do
// with a function that does nothing.
func (s *Store[T]) Do(f func(st *T, now time.Time) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.File == "" {
		if s.mem == nil {
			first := s.First
			s.mem = &first
		}
		return f(s.mem, s.Now())
	}
	// Not bounded by a command's context: a change is short, and half a command
	// must still be written down.
	lock, err := statefile.Acquire(context.Background(), s.File+".lock", "emulator", lockWait)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return errors.Join(s.inFile(f), lock.Unlock())
}

// inFile is Do with the file's lock held.
func (s *Store[T]) inFile(f func(st *T, now time.Time) error) error {
	st, was, err := s.load()
	if err != nil {
		return fmt.Errorf("%s: read the state: %w", s.Name, err)
	}
	if err = f(st, s.Now()); err != nil && (s.Keep == nil || !s.Keep(err)) {
		return err
	}
	if saved := s.save(st, was); saved != nil {
		return fmt.Errorf("%s: write the state: %w", s.Name, saved)
	}
	return err
}

func (s *Store[T]) load() (st *T, data []byte, err error) {
	data, err = statefile.Read(s.File, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		first := s.First
		return &first, nil, nil
	}
	st = new(T)
	if err == nil {
		err = json.Unmarshal(data, st)
	}
	return st, data, err
}

// save writes the state if it is another than it was.
func (s *Store[T]) save(st *T, was []byte) error {
	data, err := json.MarshalIndent(st, "", "\t")
	if err != nil {
		return err
	}
	if data = append(data, '\n'); bytes.Equal(data, was) {
		return nil
	}
	return statefile.Write(s.File, data, 0o600)
}

// Later is a list of functions that a change of a state asks for and that must
// not run inside of it, such as a caller's hooks. The zero value is empty. It
// belongs to one call of a program, and so to one goroutine.
type Later []func()

// Add puts f behind the others.
func (l *Later) Add(f func()) { *l = append(*l, f) }

// Run calls the functions in their order and forgets them. It is called after
// Store.Do, whatever that returned.
func (l *Later) Run() {
	todo := *l
	*l = nil
	for _, f := range todo {
		f()
	}
}
