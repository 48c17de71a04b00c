package hint

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestHint(t *testing.T) {
	if Wrap(nil, "x") != nil {
		t.Error("Wrap(nil) is not nil")
	}
	inner := Wrap(fs.ErrNotExist, "make it")
	outer := fmt.Errorf("read x: %w", inner)
	if got := Of(outer); got != "make it" {
		t.Errorf("Of(wrapped) = %q, want the inner hint", got)
	}
	if got := Of(Wrap(outer, "first this")); got != "first this" {
		t.Errorf("Of = %q, want the outermost hint", got)
	}
	if !errors.Is(outer, fs.ErrNotExist) || outer.Error() != "read x: file does not exist" {
		t.Errorf("the hint changed the error: %v", outer)
	}
	if Of(fs.ErrNotExist) != "" {
		t.Error("a plain error has a hint")
	}
}

// stranger is an error of a backend that cannot use this package.
type stranger struct{}

func (stranger) Error() string { return "no" }
func (stranger) Hint() string  { return "do that" }

func TestHintOfStrangers(t *testing.T) {
	if got := Of(fmt.Errorf("start: %w", stranger{})); got != "do that" {
		t.Errorf("Of = %q", got)
	}
}
