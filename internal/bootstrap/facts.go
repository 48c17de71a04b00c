package bootstrap

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// Where the scripts keep things on the VM. Source: the in-VM scripts.
const (
	cloneDir     = "/opt/mpd"
	mpdProgram   = "/opt/mpd/bin/mpd"
	pushedWG     = "/var/lib/mpd/conf/wireguard/mpd0.conf"
	pushedCA     = "/var/lib/mpd/conf/caroot/rootCA.pem"
	pushedCAKey  = "/var/lib/mpd/conf/caroot/rootCA-key.pem"
	platformFile = "/var/lib/mpd/conf/platform.env"
)

// surveyText asks the VM all that the steps want to know in one session. It
// changes nothing. What can hang is bounded: sudo by a broken PAM, dig by an
// absent server (asked only with the argument dns, when one should run).
const surveyText = `
say() { printf '%s=%s\n' "$1" "$2"; }
first() { head -c "$2" "$1" 2>/dev/null | head -n 1; }
say system "$(uname -s)"
say arch "$(uname -m)"
say host "$(uname -n)"
say time "$(date +%s)"
say machine "$(first /etc/machine-id 64)"
while IFS='=' read -r key value || [ -n "$key" ]; do
  value=${value#[\"\']}; value=${value%[\"\']}
  case $key in ID) say id "$value";; VERSION_CODENAME) say codename "$value";; esac
done </etc/os-release
if timeout 10 sudo -n true </dev/null >/dev/null 2>&1; then say sudo yes; sudo=yes; else say sudo no; sudo=no; fi
if [ -f /opt/mpd/bootstrap/30-networking.sh ]; then
  say clone yes
  say branch "$(git -C /opt/mpd rev-parse --abbrev-ref HEAD 2>/dev/null)"
  say revision "$(git -C /opt/mpd rev-parse --short HEAD 2>/dev/null)"
fi
for file in /var/lib/mpd/conf/wireguard/mpd0.conf /var/lib/mpd/conf/caroot/rootCA.pem /var/lib/mpd/conf/caroot/rootCA-key.pem; do
  if [ -f "$file" ] && [ ! -L "$file" ]; then
    say "file:$file" "$(stat -c %a "$file") $(sha256sum <"$file" | head -c 64)"
  fi
done
if [ -f /var/lib/mpd/conf/platform.env ] && [ ! -L /var/lib/mpd/conf/platform.env ]; then say platform "$(head -c 32769 /var/lib/mpd/conf/platform.env | base64 -w0)"; fi
for package in podman nftables jq bind9-dnsutils wireguard-tools make; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || say missing "$package"
done
if [ -x /opt/mpd/bin/mpd ]; then
  help=$(timeout 10 /opt/mpd/bin/mpd --help </dev/null 2>&1)
  if [ $? -lt 124 ]; then say mpd yes; fi
  case " $help" in
    *[!a-z-]--setup*) say option --setup;;
    *--vm-setup*) say option --vm-setup;;
  esac
fi
if [ "$(systemctl is-active wg-quick@mpd0 2>/dev/null)" = active ]; then
  say wireguard active
  if [ $sudo = yes ]; then say wgconf "$(sudo -n sha256sum /etc/wireguard/mpd0.conf 2>/dev/null </dev/null | head -c 64)"; fi
  if [ "$1" = dns ]; then
    dig +short +time=1 +tries=2 @10.163.0.3 vm.service.mpd.test A 2>/dev/null | head -n 4 |
      while read -r answer; do say dns "$answer"; done
  fi
fi
`

// defaultOption makes mpd set itself up, unless its help names the other one.
const defaultOption = "--setup"

// Facts is what one survey of a VM found. Every text in it comes from the VM:
// it is cleaned of control characters and otherwise untrusted.
type Facts struct {
	System, Arch string // as uname prints them
	ID, Codename string // of /etc/os-release
	Host         string // host name, without domain
	MachineID    string
	Time         time.Time
	Sudo         bool // passwordless

	Clone            bool // /opt/mpd holds the bootstrap scripts
	Branch, Revision string
	Files            map[string]FileFact // by path
	Platform         []byte              // platform.env, at most 32 KiB and a byte; nil if there is none
	MissingPackages  []string
	MPD              bool   // /opt/mpd/bin/mpd runs
	SetupOption      string // --setup or --vm-setup
	WireGuard        bool   // wg-quick@mpd0 is active
	WireGuardDigest  string // SHA-256 of the installed conf
	DNS              []netip.Addr
}

// FileFact is what a pushed file looks like on the VM.
type FileFact struct {
	Mode   string // octal, as stat prints it
	Digest string // SHA-256, lower-case hex
}

// survey asks a VM for its Facts, for Facts.DNS only if its name server should
// be there. It changes nothing.
func survey(ctx context.Context, c *guest.Conn, dns bool) (Facts, error) {
	s := guest.Script{Name: "survey", Text: surveyText, Limit: time.Minute}
	if dns {
		s.Args = []string{"dns"}
	}
	out, err := c.Query(ctx, s)
	if err != nil {
		return Facts{}, fmt.Errorf("look at the VM: %w", err)
	}
	return parseFacts(out)
}

// parseFacts reads the survey's KEY=value lines. An unknown key is an error:
// the text is ours, so somebody else must have printed it.
func parseFacts(out []byte) (Facts, error) {
	f := Facts{Files: map[string]FileFact{}, SetupOption: defaultOption}
	for line := range bytes.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "=")
		if err := f.set(key, value); err != nil {
			return Facts{}, fmt.Errorf("the VM's answer is not readable: %w", err)
		}
	}
	return f, nil
}

func (f *Facts) set(key, raw string) error {
	value := plaintext.Clean(raw)
	if path, ok := strings.CutPrefix(key, "file:"); ok {
		mode, digest, _ := strings.Cut(value, " ")
		f.Files[plaintext.Clean(path)] = FileFact{mode, digest}
		return nil
	}
	switch key {
	case "system":
		f.System = value
	case "arch":
		f.Arch = value
	case "host":
		f.Host, _, _ = strings.Cut(value, ".")
	case "machine":
		f.MachineID = value
	case "id":
		f.ID = value
	case "codename":
		f.Codename = value
	case "time":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("clock %.20q", value)
		}
		f.Time = time.Unix(n, 0)
	case "sudo":
		f.Sudo = value == "yes"
	case "clone":
		f.Clone = value == "yes"
	case "branch":
		f.Branch = value
	case "revision":
		f.Revision = value
	case "platform":
		data, err := base64.StdEncoding.DecodeString(raw)
		if err != nil {
			return fmt.Errorf("platform.env: %w", err)
		}
		f.Platform = data
	case "missing":
		f.MissingPackages = append(f.MissingPackages, value)
	case "mpd":
		f.MPD = value == "yes"
	case "option":
		if value != "--setup" && value != "--vm-setup" {
			return fmt.Errorf("option %.20q", value)
		}
		f.SetupOption = value
	case "wireguard":
		f.WireGuard = value == "active"
	case "wgconf":
		f.WireGuardDigest = value
	case "dns":
		if a, err := netip.ParseAddr(value); err == nil {
			f.DNS = append(f.DNS, a)
		}
	default:
		return fmt.Errorf("unexpected line %.60q", plaintext.Clean(key))
	}
	return nil
}
