package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

var errKilled = errors.New("killed")

// killedAt is s whose process dies at its nth write: before it, with what the
// writer had open left behind, or just after it.
func killedAt(s *Store, n int, after bool) *Store {
	dying := *s
	dying.write = func(path string, data []byte, mode fs.FileMode) error {
		if n--; n > 0 || n == 0 && after {
			if err := statefile.Write(path, data, mode); err != nil || n > 0 {
				return err
			}
			return errKilled
		}
		temp := filepath.Join(filepath.Dir(path), ".mpd-virt-x.tmp")
		return errors.Join(errKilled, os.WriteFile(temp, data, 0o600))
	}
	return &dying
}

// TestRotateAfterAKill (F7): wherever a rotation is killed, the old certificate
// is still known, and Rotate or Ensure goes on to one new CA.
func TestRotateAfterAKill(t *testing.T) {
	const writes = 3
	for n := 1; n <= writes; n++ {
		for _, after := range []bool{false, true} {
			for _, next := range []string{"Rotate", "Ensure"} {
				t.Run(fmt.Sprintf("write %d, done: %v, then %s", n, after, next), func(t *testing.T) {
					s := newStore(t)
					ensure(t, s, 150)
					before, old := tree(t, s), current(t, s)
					if r, err := killedAt(s, n, after).Rotate(); !errors.Is(err, errKilled) || r != nil {
						t.Fatalf("Rotate = %v, %v; the test kills it at write %d", r, err, n)
					}
					newKey := n > 2 || n == 2 && after
					whole := !newKey || n == 3 && after
					wantBetween(t, s, old, newKey, whole)
					if next == "Ensure" {
						id := ensure(t, s, 150)
						if rotated := id.Fingerprint != old.Fingerprint; rotated != newKey {
							t.Errorf("Ensure returns another CA: %v, want %v", rotated, newKey)
						}
						if got, want := len(id.Created), map[bool]int{true: 0, false: 1}[whole]; got != want {
							t.Errorf("Ensure created %q", id.Created)
						}
					}
					// The caller, run again, finishes.
					r := rotate(t, s)
					wantCAs(t, "Rotation.Previous", r.Previous, nil, old)
					roots, err := s.Roots()
					wantCAs(t, "Roots", roots, err, r.CA, old)
					wantNoOldKey(t, tree(t, s), before)
					loaded, err := s.Load(150)
					if err != nil || loaded.Fingerprint != r.CA.Fingerprint {
						t.Errorf("Load: %v, %v", loaded, err)
					}
					if settled := rotate(t, s); settled.Made || settled.CA.Fingerprint != r.CA.Fingerprint {
						t.Errorf("once more: %+v, want the same CA", settled)
					}
					if next == "Rotate" && !whole && !r.Made {
						t.Error("Made is false for the call that completed the CA")
					}
				})
			}
		}
	}
	s := newStore(t)
	ensure(t, s, 150)
	if _, err := killedAt(s, writes+1, false).Rotate(); err != nil {
		t.Errorf("a rotation has more than %d writes: %v", writes, err)
	}
}

// wantBetween checks what is said of a rotation that was killed.
func wantBetween(t *testing.T, s *Store, old *CA, newKey, whole bool) {
	t.Helper()
	ca, err := s.CA()
	switch {
	case whole && err != nil:
		t.Errorf("CA: %v", err)
	case whole && (ca.Fingerprint == old.Fingerprint) == newKey:
		t.Errorf("CA = %s, the old one is %s, and the new key is there: %v", ca, old, newKey)
	case !whole && !errors.Is(err, fs.ErrNotExist):
		t.Errorf("CA = %v, %v; want fs.ErrNotExist", ca, err)
	}
	previous, err := s.Previous()
	if newKey {
		wantCAs(t, "Previous", previous, err, old)
	} else {
		wantCAs(t, "Previous", previous, err)
	}
	roots, err := s.Roots()
	if err != nil || !slices.Contains(fingerprints(roots), old.Fingerprint) {
		t.Errorf("Roots = %v, %v; the old CA is not among them", roots, err)
	}
	if !whole || !newKey { // what counts as the current one must not be forgotten
		if err := s.Retire(old.Fingerprint); err == nil || hint.Of(err) == "" {
			t.Errorf("Retire of the certificate in rootCA.pem: %v, want a refusal with a hint", err)
		}
	}
}

// TestRotateTakesKeysOfTheDead: what a killed writer left may be a key.
func TestRotateTakesKeysOfTheDead(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	if _, err := killedAt(s, 2, false).Rotate(); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	rotate(t, s)
	for name := range tree(t, s) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s was left", name)
		}
	}
}

// TestRotateOnAFullDisk: a write that fails is an error, and the old CA is in
// force until the new key is written.
func TestRotateOnAFullDisk(t *testing.T) {
	s := newStore(t)
	ensure(t, s, 150)
	old := current(t, s)
	full := *s
	full.write = func(string, []byte, fs.FileMode) error { return errKilled }
	if _, err := full.Rotate(); !errors.Is(err, errKilled) {
		t.Errorf("Rotate = %v", err)
	}
	if got := current(t, s); got.Fingerprint != old.Fingerprint {
		t.Error("the CA changed")
	}
}
