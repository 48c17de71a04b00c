package image

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

const (
	// block is what is read at once.
	block = 1 << 20
	// grain is the smallest hole that is made: small enough to lose little,
	// large enough for few calls.
	grain = 64 << 10
)

// eachBlock calls visit, in order, for the grains of r that are not all zero.
func eachBlock(ctx context.Context, r io.Reader, visit func(at int64, b []byte) error) error {
	buf, zero := make([]byte, block), make([]byte, grain)
	for at := int64(0); ; {
		n, err := io.ReadFull(&patient{ctx, r}, buf)
		for rest := buf[:n]; len(rest) > 0; {
			g := rest[:min(grain, len(rest))]
			rest = rest[len(g):]
			if !bytes.Equal(g, zero[:len(g)]) {
				if err := visit(at, g); err != nil {
					return err
				}
			}
			at += int64(len(g))
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// contentSum is a digest of a sparse file: of its length and of what is not
// zero in it, with the place. The zeros, two thirds of a fresh disk, cost next
// to nothing this way.
func contentSum(ctx context.Context, path string) (string, error) {
	f, info, err := openRead(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha512.New()
	number := func(n int64) { h.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	number(info.Size())
	err = eachBlock(ctx, f, func(at int64, b []byte) error {
		number(at)
		h.Write(b)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
