package emu

import (
	"crypto/sha256"
	"fmt"
)

// UUID makes one up, in lower case: the same for the same seed in every run, and
// of the form of a random one.
func UUID(seed string) string {
	h := sha256.Sum256([]byte(seed))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
