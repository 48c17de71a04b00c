package parallels

import (
	"slices"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

func TestArgv(t *testing.T) {
	for name, tc := range map[string]struct{ got, want []string }{
		"version":         {argvVersion(), []string{"prlctl", "--version"}},
		"list":            {argvList(), []string{"prlctl", "list", "-a", "-j"}},
		"addresses":       {argvAddresses(), []string{"prlctl", "list", "-a", "-f", "-j"}},
		"addresses of":    {argvAddressesOf("U"), []string{"prlctl", "list", "U", "-a", "-f", "-j"}},
		"templates":       {argvTemplates(), []string{"prlctl", "list", "-t", "-o", "uuid,name", "-j"}},
		"detail":          {argvDetail("U"), []string{"prlctl", "list", "U", "-a", "-i", "-j"}},
		"template detail": {argvTemplateDetail("U"), []string{"prlctl", "list", "U", "-i", "-j"}},
		"full clone":      {argvClone("U", "mpd-150", false), []string{"prlctl", "clone", "U", "--name", "mpd-150"}},
		"linked clone":    {argvClone("U", "mpd-150", true), []string{"prlctl", "clone", "U", "--name", "mpd-150", "--linked"}},
		"rename":          {argvRename("U", "mpd-150"), []string{"prlctl", "set", "U", "--name", "mpd-150"}},
		"memory":          {argvMemory("U", 8*hypervisor.GiB), []string{"prlctl", "set", "U", "--memsize", "8192"}},
		"odd memory":      {argvMemory("U", 1536*hypervisor.MiB), []string{"prlctl", "set", "U", "--memsize", "1536"}},
		"disk":            {argvDisk("U", 64*hypervisor.GiB), []string{"prlctl", "set", "U", "--device-set", "hdd0", "--size", "65536"}},
		"license":         {argvLicense(), []string{"prlsrvctl", "info", "--license", "--json"}},
		"network":         {argvNetwork(), []string{"prlsrvctl", "net", "info", "Shared", "-j"}},
		"scope":           {argvScope(), strings.Fields("prlsrvctl net set Shared --ip-scope-start 10.211.55.1 --ip-scope-end 10.211.55.99")},
		"connect":         {argvConnect(), strings.Fields("prlsrvctl net set Shared --connect-host-to-net on")},
		"start":           {vStart.argv("U"), []string{"prlctl", "start", "U"}},
		"resume":          {vResume.argv("U"), []string{"prlctl", "resume", "U"}},
		"suspend":         {vSuspend.argv("U"), []string{"prlctl", "suspend", "U"}},
		"stop":            {vStop.argv("U"), []string{"prlctl", "stop", "U"}},
		"kill":            {vKill.argv("U"), []string{"prlctl", "stop", "U", "--kill"}},
		"drop state":      {vDrop.argv("U"), []string{"prlctl", "stop", "U", "--drop-state"}},
		"delete":          {vDelete.argv("U"), []string{"prlctl", "delete", "U"}},
	} {
		if !slices.Equal(tc.got, tc.want) {
			t.Errorf("%s: %q, want %q", name, tc.got, tc.want)
		}
	}
}
