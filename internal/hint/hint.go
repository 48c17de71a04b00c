// Package hint lets an error carry the next step: the command to run or the
// setting to change, which the command prints on a line of its own and which
// is not part of the error's text.
package hint

import "errors"

type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint is the next step.
func (h *hinted) Hint() string { return h.hint }

// Wrap returns err with a next step; nil stays nil. The text of the error is
// not changed. A hint of several lines is fine; it holds no secret and no
// control characters besides the newline.
func Wrap(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hinted{err, hint}
}

// Of is the hint that stands outermost in err, "" if there is none. Any error with
// a method Hint() string has one: backends of other people use that.
func Of(err error) string {
	var h interface {
		error
		Hint() string
	}
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
