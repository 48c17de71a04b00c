package hypervisor

import "testing"

func TestCommandString(t *testing.T) {
	c := Command{Argv: []string{"prlctl", "list", "--all"}, Stdin: []byte("not shown")}
	if got := c.String(); got != "prlctl list --all" {
		t.Errorf("String = %q", got)
	}
	if got := (Command{}).String(); got != "" {
		t.Errorf("String of nothing = %q", got)
	}
}
