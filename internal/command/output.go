package command

import (
	"bytes"
	"errors"
)

// MaxOutput is how much a program may print, in bytes, on each of its two
// outputs.
const MaxOutput = 16 << 20

// ErrTooMuchOutput: the program printed more than MaxOutput and was ended. Cut
// output is never handed on, it could be read as a shorter answer.
var ErrTooMuchOutput = errors.New("printed more than 16 MiB")

// capture keeps what a program prints, up to MaxOutput.
type capture struct {
	buf  bytes.Buffer
	over bool
	full func() // called when the program has printed too much
}

// Write never fails: a failure would end the copying and leave a program that
// ignores the closed pipe running, while full ends the program.
func (c *capture) Write(p []byte) (int, error) {
	if c.over {
		return len(p), nil
	}
	if c.buf.Len()+len(p) > MaxOutput {
		c.over = true
		c.full()
		return len(p), nil
	}
	return c.buf.Write(p)
}

// bytes is what was printed, never nil: nil would mean "had the terminal".
func (c *capture) bytes() []byte {
	if c.buf.Len() == 0 {
		return []byte{}
	}
	return c.buf.Bytes()
}
