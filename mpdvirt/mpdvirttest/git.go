package mpdvirttest

import (
	"context"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

// git answers what one asks of a clone that exists.
func (v *VM) git(_ context.Context, p *debian.Process, args []string) int {
	dir, rest := p.Dir, args[1:]
	for len(rest) > 1 && (rest[0] == "-C" || rest[0] == "-c") {
		if rest[0] == "-C" {
			dir = p.Path(rest[1])
		}
		rest = rest[2:]
	}
	head, err := p.FS.ReadFile(dir + "/.git/HEAD")
	if err != nil {
		p.Errorf("fatal: not a git repository (or any of the parent directories): .git")
		return 128
	}
	commit, err := p.FS.ReadFile(dir + "/.git/refs/heads/current")
	config, confErr := p.FS.ReadFile(dir + "/.git/config")
	if err != nil || confErr != nil || len(commit) < 8 {
		p.Errorf("fatal: bad object HEAD")
		return 128
	}
	branch := strings.TrimSpace(strings.TrimPrefix(string(head), "ref: refs/heads/"))
	_, url, _ := strings.Cut(string(config), "url = ")
	switch strings.Join(rest, " ") {
	case "rev-parse HEAD":
		p.Printf("%s", commit)
	case "rev-parse --short HEAD":
		p.Printf("%s\n", commit[:7])
	case "rev-parse --abbrev-ref HEAD", "branch --show-current", "symbolic-ref --short HEAD":
		p.Printf("%s\n", branch)
	case "remote get-url origin", "config --get remote.origin.url":
		p.Printf("%s", url)
	case "status --porcelain":
	default:
		return p.Errorf("git: not played by mpdvirttest: %s", strings.Join(rest, " "))
	}
	return 0
}
