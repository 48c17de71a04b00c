package bootstrap

import (
	"fmt"
	"net/url"
	"strings"
)

// Source says where the bootstrap scripts and the program come from. The zero
// value is not usable; the Manager fills in the defaults.
type Source struct {
	Repo   string `json:"repo"`   // what step 20 clones: an https or ssh URL, or a path on the VM
	Branch string `json:"branch"` // branch of Repo, and part of the scripts' address
	Base   string `json:"base"`   // the scripts of 10 and 20 are at Base/Branch/bootstrap/
}

// Validate says what is wrong with s. The values end up in shell commands on
// the VM, always quoted; the rules keep out what git would take for an option
// and what no address holds. The address of the scripts carries no login,
// because it is shown and logged.
func (s Source) Validate() error {
	if err := plain("repository", s.Repo); err != nil {
		return err
	}
	if u, err := url.Parse(s.Repo); err == nil && u.User != nil && hasLogin(u) {
		return fmt.Errorf("repository on %s holds a login, which would be shown and logged: let git on the VM know it instead", u.Host)
	}
	if err := plain("branch", s.Branch); err != nil {
		return err
	}
	if !branchName(s.Branch) {
		return fmt.Errorf("branch %q is not a name that git accepts", s.Branch)
	}
	if err := plain("bootstrap URL", s.Base); err != nil {
		return err
	}
	u, err := url.Parse(s.Base)
	if err == nil && u.User != nil {
		return fmt.Errorf("bootstrap URL of %s holds a login", u.Host)
	}
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Contains(s.Base, "#") {
		return fmt.Errorf("bootstrap URL %q is not a plain https address", s.Base)
	}
	return nil
}

// hasLogin says whether the user part of an address is a secret: over http it
// may be a token, elsewhere only a password is.
func hasLogin(u *url.URL) bool {
	_, password := u.User.Password()
	return password || u.Scheme == "https" || u.Scheme == "http"
}

func plain(what, s string) error {
	if s == "" || len(s) > 500 || s[0] == '-' {
		return fmt.Errorf("%s %.60q is empty, too long or begins with '-'", what, s)
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || strings.IndexByte("\"'`\\$;&|<>*?(){}", c) >= 0 {
			return fmt.Errorf("%s %.60q holds a character that no such address needs", what, s)
		}
	}
	return nil
}

// branchName says whether git accepts s, which is plain, as the name of a
// branch. Source: git-check-ref-format(1).
func branchName(s string) bool {
	if strings.Contains(s, "..") || strings.ContainsAny(s, "~^:[") || strings.HasSuffix(s, ".") || s == "@" {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// URL is where the script of the given step is fetched from. A branch may have
// characters that mean something else in an address, such as '#' and '%'.
func (s Source) URL(step string) string {
	branch := strings.ReplaceAll(url.PathEscape(s.Branch), "%2F", "/")
	return strings.TrimSuffix(s.Base, "/") + "/" + branch + "/bootstrap/" + step + ".sh"
}
