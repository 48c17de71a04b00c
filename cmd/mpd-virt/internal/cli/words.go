package cli

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoted shows an argument in a message: quoted, in ASCII, and not longer than
// a line.
func quoted(arg string) string { return strconv.QuoteToASCII(bounded(arg, 40)) }

// checkText refuses what can be no name, path, address or branch.
func checkText(s string) error {
	switch {
	case s == "":
		return errors.New("needs a value that is not empty")
	case len(s) > 1024:
		return errors.New("the value is longer than 1024 bytes: " + quoted(s))
	case s[0] == '-':
		return errors.New("the value begins with a dash: " + quoted(s))
	case !utf8.ValidString(s), strings.ContainsFunc(s, unprintable):
		return errors.New("the value has characters that cannot be shown: " + quoted(s))
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// nearest is the word that somebody who typed s meant, "" if none is near.
func nearest(s string, words []string) string {
	const longest = 32 // longer than all our words
	if len(s) > longest {
		return ""
	}
	best, least := "", len(s)/3+1
	for _, w := range words {
		if d := distance(s, w); d <= least && (best == "" || d < least) {
			best, least = w, d
		}
	}
	return best
}

// distance is how many letters must be put in, left out, replaced or swapped
// with their neighbour to make b of a.
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
