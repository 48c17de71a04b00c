package guest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSurvey(t *testing.T) {
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "id_rsa"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := []string{"~/.ssh/id_rsa: not a private key that can be read"}
	for name, tt := range map[string]struct {
		cfg  IdentityConfig
		want Survey
	}{
		"nothing":       {IdentityConfig{}, Survey{}},
		"a file":        {IdentityConfig{Home: home}, Survey{Notes: damaged}},
		"an agent":      {IdentityConfig{AgentSocket: "/agent", DialAgent: keyring(t, 7)}, Survey{Keys: []string{"key h in the agent"}}},
		"no such agent": {IdentityConfig{Home: home, AgentSocket: filepath.Join(home, "s")}, Survey{Agent: "agent at ~/s: connect: no such file or directory", Notes: damaged}},
	} {
		t.Run(name, func(t *testing.T) {
			got := NewIdentities(tt.cfg).Survey(t.Context())
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	if got := (*Identities)(nil).Survey(t.Context()); len(got.Keys) > 0 {
		t.Errorf("%+v", got)
	}
}
