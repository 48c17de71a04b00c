package bootstrap

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// fetchText downloads $1 whole into a file of its own and prints the file's
// name. Nothing of it is run. What is refused here: a redirection (it could
// lead to plain http), a failed or cut transfer, an empty body, a page instead
// of a script, a script that bash cannot parse to its end. Exit statuses: 90 no
// tool, 91 transfer, 92 content.
const fetchText = `
file=$(mktemp /tmp/mpd-virt.XXXXXXXX) || exit 1
refuse() { rm -f "$file"; echo "$2" >&2; exit "$1"; }
if command -v wget >/dev/null; then
  wget -nv --tries=2 --timeout=30 --max-redirect=0 -O "$file" "$1" >&2 || refuse 91 "wget ended with status $?"
elif command -v curl >/dev/null; then
  curl -fsSL --proto =https --max-redirs 0 --max-time 120 -o "$file" "$1" >&2 || refuse 91 "curl ended with status $?"
else
  refuse 90 "neither wget nor curl is installed"
fi
[ -s "$file" ] || refuse 92 "the download is empty"
case $(head -n 1 "$file") in
  '#!'*bash*) ;;
  *) refuse 92 "what came is not a bash script";;
esac
[ -z "$(tail -c 1 "$file")" ] || refuse 92 "the download is cut: its last line has no end"
bash -n "$file" || refuse 92 "the download is cut or damaged: bash cannot parse it"
printf '%s\n' "$file"
`

// runFetchedText runs the file $1 with the source in its environment, and
// removes it whatever happens.
const runFetchedText = `
trap 'rm -f "$1"' EXIT
MPD_REPO=$2 MPD_BRANCH=$3 bash "$1"
`

// StandinFile stands, in a rehearsal, for the file that a step's script is
// downloaded to, whose name is another one each time.
const StandinFile = "/tmp/mpd-virt.RANDOM"

// tempName is what a path printed by fetchText looks like.
var tempName = regexp.MustCompile(`^/tmp/mpd-virt\.[A-Za-z0-9]+$`)

// fetched is a step whose script is downloaded by the VM and then run.
func fetched(id string) func(context.Context, *run) (string, error) {
	return func(ctx context.Context, r *run) (string, error) {
		source := r.Journal.Source
		url := source.URL(id)
		out, err := r.conn.Query(ctx, guest.Script{
			Name: id, Text: fetchText, Args: []string{url}, Limit: 5 * time.Minute, Changes: true, Standin: StandinFile,
		})
		if err != nil {
			return "", hint.Wrap(fmt.Errorf("fetch %s: %w", url, err),
				"wget's status 4 (curl's 6, 7, 28) is the network, 5 (curl's 60) a certificate, 8 (curl's 22) an answer such as \"not found\": is the branch right?\n"+
					"Mend that in the VM, then: mpd-virt setup "+r.Octet.String())
		}
		file := strings.TrimSpace(string(out))
		if !tempName.MatchString(file) {
			return "", fmt.Errorf("fetch %s: the VM's answer %.60q is not a file name", url, file)
		}
		return "", r.conn.Run(ctx, guest.Script{
			Name: id, Text: runFetchedText, Args: []string{file, source.Repo, source.Branch}, Output: r.output(id),
		})
	}
}

// script is a step whose script is in the clone.
func script(id string) func(context.Context, *run) (string, error) {
	return func(ctx context.Context, r *run) (string, error) {
		return "", r.conn.Run(ctx, cloneScript(id, r.output(id)))
	}
}

func cloneScript(id string, output func(string), args ...string) guest.Script {
	return guest.Script{
		Name: id, Text: `exec bash /opt/mpd/bootstrap/` + id + `.sh "$@"`, Args: args, Output: output,
	}
}

func sudoHolds(r *run) string {
	if !r.facts.Sudo {
		return "sudo still asks for a password"
	}
	return ""
}

func cloneHolds(r *run) string {
	if !r.facts.Clone {
		return cloneDir + "/bootstrap/30-networking.sh is not there"
	}
	return ""
}

func cloned(r *run) string {
	if r.facts.Revision == "" {
		return ""
	}
	return r.facts.Branch + " at " + r.facts.Revision
}

// pushed are the files that the VM gets from the Mac. The CA's key is among
// them because certificates are signed inside the VM.
func (r *run) pushed() []guest.File {
	return []guest.File{
		{Path: pushedWG, Mode: 0o600, Data: r.id.ServerConf},
		{Path: pushedCA, Mode: 0o644, Data: r.id.CACert},
		{Path: pushedCAKey, Mode: 0o600, Data: r.id.CAKey},
	}
}

// push brings over what differs. What was built from it before is then done
// again: step 60 installs the conf, the last step issues the certificates.
func push(ctx context.Context, r *run) (string, error) {
	r.Journal.void(StepWireGuard, StepMPD)
	if err := r.Journal.Save(); err != nil {
		return "", err
	}
	for _, f := range r.pushed() {
		if err := r.conn.Push(ctx, f); err != nil {
			return "", err
		}
	}
	return "WireGuard conf, CA certificate, CA key", nil
}

func pushHolds(r *run) string {
	for _, f := range r.pushed() {
		if r.facts.Files[f.Path] != fact(f.Mode, f.Data) {
			return f.Path + " is not on the VM as it was sent"
		}
	}
	return ""
}

func fact(mode fs.FileMode, data []byte) FileFact {
	return FileFact{fmt.Sprintf("%o", mode.Perm()), digest(data)}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func packagesHold(r *run) string {
	if missing := r.facts.MissingPackages; len(missing) > 0 {
		return "not installed: " + strings.Join(missing, ", ")
	}
	return ""
}

func buildHolds(r *run) string {
	if !r.facts.MPD {
		return mpdProgram + " does not run"
	}
	return ""
}

func wireGuardHolds(r *run) string {
	switch {
	case !r.facts.WireGuard:
		return "wg-quick@mpd0 is not active"
	case r.facts.WireGuardDigest != digest(r.id.ServerConf):
		return "/etc/wireguard/mpd0.conf is not the one that was sent"
	}
	return ""
}

func setupMPD(ctx context.Context, r *run) (string, error) {
	return "", r.conn.Run(ctx, guest.Script{
		Name: StepMPD, Text: "exec " + mpdProgram + ` "$1"`, Args: []string{r.facts.SetupOption}, Output: r.output(StepMPD),
	})
}

func mpdHolds(r *run) string {
	want := r.Journal.Canonical
	if len(r.facts.DNS) != 1 || r.facts.DNS[0] != want {
		return fmt.Sprintf("vm.service.mpd.test is %v on the VM, not %s", r.facts.DNS, want)
	}
	return ""
}

// Update runs the VM's own update script, which fetches, builds and sets up
// again, from the journal's source. Of cfg only Journal, Held, Now and Observer
// are used. The error is a *StepError.
func Update(ctx context.Context, c *guest.Conn, cfg Config) error {
	r := &run{Config: cfg, conn: c}
	err := r.step(ctx, step{id: StepUpdate, do: update}, true)
	if err != nil {
		return &StepError{StepUpdate, err}
	}
	return nil
}

func update(ctx context.Context, r *run) (string, error) {
	source := r.Journal.Source
	return "", r.conn.Run(ctx, guest.Script{
		Name: StepUpdate,
		Text: `MPD_REPO=$1 MPD_BRANCH=$2 exec bash /opt/mpd/bootstrap/` + StepUpdate + `.sh`,
		Args: []string{source.Repo, source.Branch}, Output: r.output(StepUpdate),
	})
}

// exitStatus is the status that a remote script delivered, -1 if it delivered
// none.
func exitStatus(err error) int {
	var exit *guest.ExitError
	if errors.As(err, &exit) {
		return exit.Status
	}
	return -1
}
