package bootstrap

import (
	"net/url"
	"strings"
	"testing"
)

var goodSource = Source{
	Repo: "https://github.com/mutms/mpd.git", Branch: "main", Base: "https://raw.githubusercontent.com/mutms/mpd",
}

func TestSourceValidate(t *testing.T) {
	repo := func(s string) Source { x := goodSource; x.Repo = s; return x }
	branch := func(s string) Source { x := goodSource; x.Branch = s; return x }
	base := func(s string) Source { x := goodSource; x.Base = s; return x }
	tests := []struct {
		name   string
		source Source
		want   string // "" if good, else a part of the error
	}{
		{"default", goodSource, ""},
		{"ssh URL", repo("ssh://git@example.org:2222/mpd.git"), ""},
		{"scp form", repo("git@example.org:mutms/mpd.git"), ""},
		{"path on the VM", repo("/srv/git/mpd.git"), ""},
		{"home of the VM's user", repo("~/mpd"), ""},
		{"branch with slashes", branch("feature/x-1_2.3"), ""},
		{"branch with signs", branch("fix#12%20+a,b=c!"), ""},
		{"base with port", base("https://localhost:8443"), ""},
		{"base with slash", base("https://example.org/a/"), ""},
		{"base with IPv6", base("https://[::1]:8443/a"), ""},

		{"zero", Source{}, "repository"},
		{"no repository", repo(""), "repository"},
		{"repository like an option", repo("--upload-pack=id"), "repository"},
		{"repository with a command", repo("x$(id)"), "repository"},
		{"repository with a quote", repo("x'y"), "repository"},
		{"repository with a line end", repo("x\ny"), "repository"},
		{"repository with a blank", repo("ext::sh -c id"), "repository"},
		{"repository of 501 bytes", repo(strings.Repeat("x", 501)), "repository"},
		{"no branch", branch(""), "branch"},
		{"branch like an option", branch("-b"), "branch"},
		{"branch climbs", branch("../../x"), "branch"},
		{"branch is a range", branch("a..b"), "branch"},
		{"branch from the root", branch("/main"), "branch"},
		{"branch ends with a slash", branch("main/"), "branch"},
		{"branch with an empty part", branch("a//b"), "branch"},
		{"branch with a dot part", branch("a/.b"), "branch"},
		{"branch ends with a dot", branch("main."), "branch"},
		{"branch like a lock", branch("main.lock"), "branch"},
		{"branch is @", branch("@"), "branch"},
		{"revision", branch("main~1"), "branch"},
		{"refspec", branch("a:b"), "branch"},
		{"branch with a pattern", branch("ma*n"), "branch"},
		{"branch with a query", branch("main?x"), "branch"},
		{"branch with a backslash", branch(`a\b`), "branch"},
		{"branch with a control", branch("a\x1b[31m"), "branch"},
		{"branch with DEL", branch("a\x7f"), "branch"},
		{"branch that is not ASCII", branch("größe"), "branch"},
		{"no base", base(""), "bootstrap URL"},
		{"http", base("http://example.org"), "bootstrap URL"},
		{"file", base("file:///tmp"), "bootstrap URL"},
		{"no scheme", base("example.org/x"), "bootstrap URL"},
		{"no host", base("https:///x"), "bootstrap URL"},
		{"only a port", base("https://:443/x"), "bootstrap URL"},
		{"opaque", base("https:x"), "bootstrap URL"},
		{"query", base("https://example.org/?a=b"), "bootstrap URL"},
		{"fragment", base("https://example.org/#a"), "bootstrap URL"},
		{"empty fragment", base("https://example.org/#"), "bootstrap URL"},
		{"repository with a token", repo("https://token@example.org/x.git"), "repository"},
		{"repository with a password", repo("ssh://git:secret@example.org/x.git"), "repository"},
		{"password", base("https://me:secret@example.org/"), "bootstrap URL"},
		{"user", base("https://token@example.org/"), "bootstrap URL"},
		{"bad escape", base("https://example.org/%zz"), "bootstrap URL"},
		{"base with a quote", base("https://example.org/'"), "bootstrap URL"},
		{"base with a blank", base("https://example.org/ -O /etc/passwd"), "bootstrap URL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.source.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%+v: %v", tt.source, err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want+" ")):
				t.Errorf("%+v: %v, want an error about the %s", tt.source, err, tt.want)
			case err != nil && (!showable(err.Error()) || strings.Contains(err.Error(), "secret")):
				t.Errorf("error %q is not fit to be shown", err)
			}
		})
	}
}

func TestSourceURL(t *testing.T) {
	tests := []struct{ base, branch, want string }{
		{"https://example.org/mpd", "main", "https://example.org/mpd/main/bootstrap/20-git-clone.sh"},
		{"https://example.org/mpd/", "main", "https://example.org/mpd/main/bootstrap/20-git-clone.sh"},
		{"https://example.org", "feature/x", "https://example.org/feature/x/bootstrap/20-git-clone.sh"},
		{"https://example.org", "fix#12", "https://example.org/fix%2312/bootstrap/20-git-clone.sh"},
		{"https://example.org", "50%2F", "https://example.org/50%252F/bootstrap/20-git-clone.sh"},
	}
	for _, tt := range tests {
		if got := (Source{Base: tt.base, Branch: tt.branch}).URL(StepClone); got != tt.want {
			t.Errorf("base %s, branch %s: %s, want %s", tt.base, tt.branch, got, tt.want)
		}
	}
}

func FuzzSource(f *testing.F) {
	f.Add(goodSource.Repo, goodSource.Branch, goodSource.Base)
	f.Add("-x", "a%2F#b", "https://u:p@example.org:443/#")
	f.Add("a b", "a//b.lock", "https://[::1%25en0]/x")
	f.Fuzz(func(t *testing.T, repo, branch, base string) {
		s := Source{Repo: repo, Branch: branch, Base: base}
		if err := s.Validate(); err != nil {
			return
		}
		for _, text := range []string{repo, branch, base} {
			if text == "" || text[0] == '-' || strings.ContainsAny(text, " \n\x00'\"$`\\") {
				t.Errorf("%+v was accepted", s)
			}
		}
		u, err := url.Parse(s.URL(StepClone))
		if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%+v gives the address %s: %v", s, s.URL(StepClone), err)
		}
		if want := "/" + branch + "/bootstrap/20-git-clone.sh"; !strings.HasSuffix(u.Path, want) {
			t.Errorf("path %s of %+v does not end in %s", u.Path, s, want)
		}
	})
}
