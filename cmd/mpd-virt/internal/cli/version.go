package cli

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
)

// Build is what a binary knows of its origin.
type Build struct {
	Schema  string `json:"schema"`
	Version string `json:"version"`          // "(devel)" if it was built from a checkout
	Commit  string `json:"commit,omitempty"` // with "+changes" if the checkout had some
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

const versionSchema = "mpd-virt/version/1"

func versionVerb() verb {
	return verb{
		name:     "version",
		usage:    "[flags]",
		short:    "say which mpd-virt this is",
		about:    `The version, the commit it was built from, and what built it for what.`,
		examples: []string{"mpd-virt version", "mpd-virt version --json"},
		define: func(*flags) action {
			return func(_ context.Context, a *app) error {
				b := a.env.Build
				if b == (Build{}) {
					b = thisBuild()
				}
				b.Schema = versionSchema
				if a.json {
					return a.writeJSON(b)
				}
				a.say("mpd-virt %s (%s)", b.Version, strings.Join(b.details(), ", "))
				return nil
			}
		},
	}
}

func (b Build) details() []string {
	var out []string
	if b.Commit != "" {
		out = append(out, b.Commit)
	}
	return append(out, b.Go, b.OS+"/"+b.Arch)
}

func thisBuild() Build {
	b := Build{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if b.Commit != "" {
		b.Commit += dirty
	}
	return b
}
