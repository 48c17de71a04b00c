package bootstrap

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// maxPlatform bounds platform.env; the real one has some hundred bytes.
const maxPlatform = 32 << 10

// CheckPlatform compares the VM's platform.env with what it should say. The
// error names the file and the field; nil data means that there is no file.
//
// The file is read as the in-VM program reads it: lines are trimmed, lines
// that begin with # are comments, a line is split at its first =, and one pair
// of double quotes is taken off the value.
func CheckPlatform(data []byte, o hypervisor.Octet, addr netip.Addr) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf(platformFile+": "+format, args...)
	}
	if data == nil {
		return fail("missing")
	}
	if len(data) > maxPlatform {
		return fail("larger than %d KiB", maxPlatform>>10)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return fail("a line without '='")
		}
		if _, twice := found[key]; twice {
			return fail("%.40s stands there twice", plaintext.Clean(key))
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		found[key] = value
	}
	for _, want := range [][2]string{{"MPD_VM_ID", o.String()}, {"MPD_VM_IP", addr.String()}} {
		switch got, ok := found[want[0]]; {
		case !ok:
			return fail("no %s", want[0])
		case got != want[1]:
			return fail("%s is %.40q, not %s", want[0], plaintext.Clean(got), want[1])
		}
	}
	return nil
}

// ReadPlatform reads platform.env from a VM, nil if there is none. A link is
// not followed.
func ReadPlatform(ctx context.Context, c *guest.Conn) ([]byte, error) {
	out, err := c.Query(ctx, guest.Script{Name: "platform.env", Text: platformText, Limit: 10 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", platformFile, err)
	}
	encoded, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "file")
	if !ok {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", platformFile, err)
	}
	return data, nil
}

// InstalledConf is the SHA-256, in lower-case hexadecimal, of the WireGuard conf
// that the VM uses; "" if there is none or sudo does not let us see it.
func InstalledConf(ctx context.Context, c *guest.Conn) (string, error) {
	out, err := c.Query(ctx, guest.Script{Name: "wireguard conf", Text: installedText, Limit: 10 * time.Second})
	if err != nil {
		return "", fmt.Errorf("look at the WireGuard conf: %w", err)
	}
	return plaintext.Clean(strings.TrimSpace(string(out))), nil
}

const installedText = `
if timeout 5 sudo -n true </dev/null >/dev/null 2>&1; then sudo -n sha256sum /etc/wireguard/mpd0.conf 2>/dev/null </dev/null | head -c 64; fi
`

const platformText = `
file=/var/lib/mpd/conf/platform.env
if [ -f "$file" ] && [ ! -L "$file" ]; then printf 'file '; head -c 32769 "$file" | base64 -w0; fi
`
