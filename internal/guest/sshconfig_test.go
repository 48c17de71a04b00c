package guest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func TestReadSSHConfig(t *testing.T) {
	tests := []struct {
		name, out string
		status    int
		err       error
		files     []string
		agent     string
		fails     bool
	}{
		{name: "OpenSSH 9.2 with no configuration", out: "host 10.0.0.1\nport 22\nidentityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\n", files: []string{"~/.ssh/id_rsa", "~/.ssh/id_ed25519"}},
		{name: "an agent of its own", out: "identityagent ~/Library/Group Containers/x/agent.sock\n", agent: "~/Library/Group Containers/x/agent.sock"},
		{name: "the environment's agent", out: "identityagent SSH_AUTH_SOCK\n"},
		{name: "no agent", out: "identityagent none\nidentityfile none\n", agent: "none"},
		{name: "CRLF and case", out: "IdentityFile /a b\r\n", files: []string{"/a b"}},
		{name: "no ssh", err: hypervisor.ErrToolMissing},
		{name: "bad configuration", status: 255, fails: true},
		{name: "cannot run", err: errors.New("exec format error"), fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
				if got := c.String(); got != "ssh -F /c -G -- 10.0.0.1" || c.Limit == 0 || c.Limit > 10*time.Second {
					t.Errorf("ran %q for at most %v", got, c.Limit)
				}
				return hypervisor.Result{Stdout: []byte(tt.out), Status: tt.status, Stderr: []byte("line 3: bad\nx")}, tt.err
			}
			files, agent, err := ReadSSHConfig(t.Context(), run, []string{"-F", "/c"}, "10.0.0.1")
			if (err != nil) != tt.fails || agent != tt.agent || !slices.Equal(files, tt.files) {
				t.Errorf("got %q, %q, %v", files, agent, err)
			}
		})
	}
}

func FuzzSSHConfig(f *testing.F) {
	f.Add([]byte("identityfile ~/.ssh/id_rsa\nidentityagent none\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		files, agent := parseSSHConfig(out)
		for _, s := range append(files, agent) {
			if strings.Contains(s, "\n") || !strings.Contains(string(out), s) {
				t.Errorf("%q is not a value in %q", s, out)
			}
		}
	})
}
