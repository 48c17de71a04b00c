package parallels

import (
	"strconv"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// The tools. The Runner looks for them on PATH and in /usr/local/bin.
const (
	prlctl    = "prlctl"
	prlsrvctl = "prlsrvctl"
)

// argvVersion works with the service down and without a licence.
func argvVersion() []string { return []string{prlctl, "--version"} }

// argvList lists all VMs, without the templates, with their states.
func argvList() []string { return []string{prlctl, "list", "-a", "-j"} }

// argvAddresses is argvList with the addresses of those that run. Parallels
// may ask each guest for it, so it is for one-time checks and not for tables.
func argvAddresses() []string { return []string{prlctl, "list", "-a", "-f", "-j"} }

// argvAddressesOf is argvAddresses for one VM.
func argvAddressesOf(uuid string) []string {
	return []string{prlctl, "list", uuid, "-a", "-f", "-j"}
}

// argvTemplates lists the templates and nothing else. The fields are named
// because the usual ones of this form are not certain.
func argvTemplates() []string {
	return []string{prlctl, "list", "-t", "-o", "uuid,name", "-j"}
}

// argvDetail is all about one VM.
func argvDetail(uuid string) []string { return []string{prlctl, "list", uuid, "-a", "-i", "-j"} }

// argvTemplateDetail is all about one template, which -a could hide.
func argvTemplateDetail(uuid string) []string { return []string{prlctl, "list", uuid, "-i", "-j"} }

// argvClone makes a VM from a VM or template. A full clone is what Parallels
// does without a flag.
func argvClone(source, name string, linked bool) []string {
	argv := []string{prlctl, "clone", source, "--name", name}
	if linked {
		argv = append(argv, "--linked")
	}
	return argv
}

func argvRename(uuid, name string) []string { return []string{prlctl, "set", uuid, "--name", name} }

// argvMemory and argvDisk are two calls, since a set is all or nothing: a disk
// that cannot grow would keep the memory from changing. Sizes are in MiB.
func argvMemory(uuid string, ram hypervisor.Size) []string {
	return []string{prlctl, "set", uuid, "--memsize", mebibytes(ram)}
}

func argvDisk(uuid string, disk hypervisor.Size) []string {
	return []string{prlctl, "set", uuid, "--device-set", "hdd0", "--size", mebibytes(disk)}
}

func mebibytes(s hypervisor.Size) string { return strconv.FormatInt(int64(s/hypervisor.MiB), 10) }

func argvLicense() []string { return []string{prlsrvctl, "info", "--license", "--json"} }

func argvNetwork() []string { return []string{prlsrvctl, "net", "info", "Shared", "-j"} }

// argvScope and argvConnect are what a person runs as root; see NetworkError.
func argvScope() []string {
	return []string{prlsrvctl, "net", "set", "Shared", "--ip-scope-start", "10.211.55.1", "--ip-scope-end", "10.211.55.99"}
}

func argvConnect() []string {
	return []string{prlsrvctl, "net", "set", "Shared", "--connect-host-to-net", "on"}
}
