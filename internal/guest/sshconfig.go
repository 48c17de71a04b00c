package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// configLimit bounds `ssh -G`: it reads files, but a "Match exec" in them may
// start a program that hangs.
const configLimit = 5 * time.Second

// ReadSSHConfig asks `ssh -G` which key files and which agent the user's
// configuration names for a host. args go before -G, such as -F and a file.
// The names are as in the configuration, for [IdentityConfig]: they may begin
// with "~/". agentSocket is "none" if no agent may be used, and "" if the one
// of the environment's SSH_AUTH_SOCK is meant. Where there is no ssh, nothing
// is returned and it is no error.
func ReadSSHConfig(ctx context.Context, run hypervisor.Runner, args []string, host string) (files []string, agentSocket string, err error) {
	argv := append(append([]string{"ssh"}, args...), "-G", "--", host)
	result, err := run(ctx, hypervisor.Command{Argv: argv, Limit: configLimit})
	switch {
	case errors.Is(err, hypervisor.ErrToolMissing):
		return nil, "", nil
	case err != nil:
		return nil, "", err
	case result.Status != 0:
		return nil, "", fmt.Errorf("ssh -G %s: exit status %d: %s", host, result.Status, firstLine(string(result.Stderr)))
	}
	files, agentSocket = parseSSHConfig(result.Stdout)
	return files, agentSocket, nil
}

func parseSSHConfig(out []byte) (files []string, agentSocket string) {
	for line := range bytes.Lines(out) {
		keyword, value, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		switch strings.ToLower(keyword) {
		case "identityfile":
			if value != "" && value != "none" {
				files = append(files, value)
			}
		case "identityagent":
			if agentSocket = value; value == "SSH_AUTH_SOCK" || value == "$SSH_AUTH_SOCK" {
				agentSocket = ""
			}
		}
	}
	return files, agentSocket
}
