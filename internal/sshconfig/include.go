package sshconfig

import (
	"bytes"
	"slices"
)

// The comments that end our line and make it ours: an Include of our file
// that has none is the user's. ssh takes a '#' after an argument as the start
// of a comment (measured with 9.2); versions too old for that take the words
// as further files to include, and pass over those that do not exist.
const (
	markAdded = ` # added by mpd-virt`
	// markMade is the mark in a file that did not exist before. The fact is
	// kept in the line itself, because anything beside the file can be lost,
	// or can outlive it and speak of another file.
	markMade = ` # added by mpd-virt, which made this file`
)

// AddInclude returns config, the text of ~/.ssh/config, with our line that
// includes the file at the absolute path include as its first line, where no
// Host or Match of the user's restricts it and where its values win. All
// other bytes stay as they are. The line ends as the first line of config
// does, with CRLF or LF.
//
// Where our line already stands first, with either ending, and only there,
// config itself is returned. Further copies, and one that stands elsewhere,
// are removed. A line is a copy only if it is byte for byte ours but for a
// CR at its end; no other line is looked into.
//
// The only error is a path that cannot be written in SSH settings.
func AddInclude(config []byte, include string) ([]byte, error) {
	return addInclude(config, include, false)
}

// addInclude is AddInclude; made says that the file does not exist yet. A
// line that says so keeps saying it when it is moved.
func addInclude(config []byte, include string, made bool) ([]byte, error) {
	lines, err := ownLines(include)
	if err != nil {
		return nil, err
	}
	found := lines.find(config)
	if found.count == 1 && found.first {
		return config, nil
	}
	line := lines.added
	if made || found.made {
		line = lines.made
	}
	return slices.Concat(line, ending(found.rest), found.rest), nil
}

// RemoveInclude returns config without our line, wherever and however often it
// stands. It undoes AddInclude exactly: for a config without our line,
// RemoveInclude(AddInclude(config)) is config, byte for byte. Where the line
// is not found, config itself is returned.
func RemoveInclude(config []byte, include string) []byte {
	lines, err := ownLines(include)
	if err != nil {
		return config // such a line was never written
	}
	return lines.find(config).rest
}

// own holds our line in its two forms, without line ending.
type own struct{ added, made []byte }

func ownLines(include string) (own, error) {
	path, err := includePath(include)
	if err != nil {
		return own{}, err
	}
	line := "Include " + path
	return own{[]byte(line + markAdded), []byte(line + markMade)}, nil
}

// found is what find sees in a file.
type found struct {
	rest  []byte // all other lines; the file itself if there is no line of ours
	count int    // how many lines are ours
	first bool   // the first line of the file is
	made  bool   // one of them says that we made the file
}

func (o own) find(config []byte) found {
	f := found{rest: config}
	var rest []byte
	at := 0
	for line := range bytes.Lines(config) {
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		made := bytes.Equal(text, o.made)
		if made || bytes.Equal(text, o.added) {
			f.count++
			f.first = f.first || at == 0
			f.made = f.made || made
		} else {
			rest = append(rest, line...)
		}
		at += len(line)
	}
	if f.count > 0 {
		f.rest = rest
	}
	return f
}

// ending is how the first line of config ends. ssh reads both endings, also
// mixed; the user's editor may not.
func ending(config []byte) []byte {
	if i := bytes.IndexByte(config, '\n'); i > 0 && config[i-1] == '\r' {
		return []byte("\r\n")
	}
	return []byte("\n")
}
