package emu

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type numbers struct {
	N     int
	Words []string `json:",omitempty"`
}

var errRefused, errOther = errors.New("refused"), errors.New("other")

func newNumbers(file string) *Store[numbers] {
	return &Store[numbers]{Name: "numemu", File: file, First: numbers{N: 7}, Keep: func(err error) bool { return errors.Is(err, errRefused) }}
}

func set(s *Store[numbers], n int, err error) error {
	return s.Do(func(st *numbers, _ time.Time) error {
		st.N = n
		return err
	})
}

func value(t *testing.T, s *Store[numbers]) (n int) {
	t.Helper()
	if err := s.Do(func(st *numbers, _ time.Time) error { n = st.N; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// both runs a test over a Store in memory and one in a file; again opens the
// same state anew, which memory has only once.
func both(t *testing.T, f func(t *testing.T, s, again *Store[numbers])) {
	t.Run("memory", func(t *testing.T) {
		s := newNumbers("")
		f(t, s, s)
	})
	t.Run("file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		f(t, newNumbers(file), newNumbers(file))
	})
}

func TestStore(t *testing.T) {
	both(t, func(t *testing.T, s, again *Store[numbers]) {
		if n := value(t, s); n != 7 {
			t.Errorf("it begins with %d", n)
		}
		if err := set(s, 8, nil); err != nil || value(t, again) != 8 {
			t.Errorf("8: %v, %d", err, value(t, again))
		}
		if err := set(again, 9, errRefused); !errors.Is(err, errRefused) || value(t, s) != 9 {
			t.Errorf("a refusal is not kept: %v, %d", err, value(t, s))
		}
	})
}

// A change that failed for a reason of the emulator does not reach the file.
func TestStoreUnkept(t *testing.T) {
	for _, keep := range []func(error) bool{nil, func(error) bool { return false }} {
		s := newNumbers(filepath.Join(t.TempDir(), "state"))
		s.Keep = keep
		if err := set(s, 8, errOther); !errors.Is(err, errOther) || value(t, s) != 7 {
			t.Errorf("%v, %d", err, value(t, s))
		}
	}
}

func TestStoreTogether(t *testing.T) {
	both(t, func(t *testing.T, s, again *Store[numbers]) {
		var wg sync.WaitGroup
		for _, store := range []*Store[numbers]{s, again, s, again} {
			wg.Go(func() {
				for range 3 {
					if err := store.Do(func(st *numbers, _ time.Time) error { st.N++; return nil }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := value(t, s); n != 7+12 {
			t.Errorf("12 changes made 7 into %d", n)
		}
	})
}

func TestStoreZero(t *testing.T) {
	var s Store[numbers]
	if n := value(t, &s); n != 0 {
		t.Errorf("it begins with %d", n)
	}
	if d := time.Since(s.Now()); d < 0 || d > time.Minute {
		t.Errorf("its clock is %v off", d)
	}
}

func TestStoreClock(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s := Store[numbers]{Clock: func() time.Time { return at }}
	err := s.Do(func(_ *numbers, now time.Time) error {
		if !now.Equal(at) || !s.Now().Equal(at) {
			t.Errorf("%v and %v", now, s.Now())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A file that is as it should be is not written again, and only we may read it.
func TestStoreFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	s := newNumbers(file)
	value(t, s)
	before, err := os.Stat(file)
	if err != nil || before.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", before, err)
	}
	value(t, s)
	if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was written for nothing: %v", err)
	}
}

func TestStoreBadFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "no JSON": "{\"N\":", "other JSON": "[1]"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := set(newNumbers(file), 8, nil)
			if err == nil || !strings.HasPrefix(err.Error(), "numemu: read the state: ") {
				t.Errorf("error %v", err)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != text {
				t.Errorf("it is %q now, %v", got, err)
			}
		})
	}
	err := set(newNumbers(filepath.Join(dir, "none", "state")), 8, nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "numemu: ") {
		t.Errorf("no folder: %v", err)
	}
}

func TestLater(t *testing.T) {
	var l Later
	var ran []int
	l.Run()
	l.Add(func() { ran = append(ran, 1) })
	l.Add(func() {
		ran = append(ran, 2)
		l.Add(func() { ran = append(ran, 3) }) // for the next time
	})
	l.Run()
	if !slices.Equal(ran, []int{1, 2}) {
		t.Errorf("first %v", ran)
	}
	l.Run()
	l.Run()
	if !slices.Equal(ran, []int{1, 2, 3}) {
		t.Errorf("then %v", ran)
	}
}
