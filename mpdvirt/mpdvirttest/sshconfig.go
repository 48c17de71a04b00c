package mpdvirttest

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sshOptions are settings of OpenSSH's client, by lower-case name. The first
// value wins, except for identityfile, of which all count.
type sshOptions map[string][]string

func (o sshOptions) add(key, value string) {
	key = strings.ToLower(key)
	if len(o[key]) == 0 || key == "identityfile" && !slices.Contains(o[key], value) {
		o[key] = append(o[key], value)
	}
}

func (o sshOptions) first(key, fallback string) string {
	if v := o[key]; len(v) > 0 {
		return v[0]
	}
	return fallback
}

// readSSHConfig adds the settings that a file has for a host.
func (w *World) readSSHConfig(file, host string, o sshOptions, depth int) error {
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil || depth > 16 {
		return fmt.Errorf("%s: cannot be read, or too many includes", file)
	}
	active := true
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, rest := line, ""
		if j := strings.IndexAny(line, " \t="); j >= 0 {
			key, rest = line[:j], strings.TrimLeft(line[j:], " \t=")
		}
		words := sshWords(rest)
		if len(words) == 0 {
			return fmt.Errorf("%s line %d: no argument after keyword %q", file, i+1, key)
		}
		switch strings.ToLower(key) {
		case "host":
			active = matchHost(words, host)
		case "match":
			active = words[0] == "all"
		case "include":
			if !active {
				continue
			}
			for _, pattern := range words {
				if err := w.includeSSHConfig(pattern, host, o, depth+1); err != nil {
					return err
				}
			}
		default:
			if active {
				o.add(key, strings.Join(words, " "))
			}
		}
	}
	return nil
}

func (w *World) includeSSHConfig(pattern, host string, o sshOptions, depth int) error {
	switch {
	case strings.HasPrefix(pattern, "~/"):
		pattern = filepath.Join(w.home, pattern[2:])
	case !filepath.IsAbs(pattern):
		pattern = filepath.Join(w.home, ".ssh", pattern)
	}
	names, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := w.readSSHConfig(name, host, o, depth); err != nil {
			return err
		}
	}
	return nil
}

// sshWords splits arguments at blanks outside of double quotes; # begins a
// comment.
func sshWords(s string) []string {
	var words []string
	for s = strings.TrimSpace(s); s != "" && s[0] != '#'; s = strings.TrimSpace(s) {
		if s[0] == '"' {
			word, rest, _ := strings.Cut(s[1:], `"`)
			words = append(words, word)
			s = rest
			continue
		}
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			end = len(s)
		}
		words = append(words, s[:end])
		s = s[end:]
	}
	return words
}

func matchHost(patterns []string, host string) bool {
	found := false
	for _, p := range patterns {
		negated := strings.HasPrefix(p, "!")
		if ok, err := path.Match(strings.TrimPrefix(p, "!"), host); err == nil && ok {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}
