package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// BenchmarkStart is a whole process of the built command, from start to end,
// beside a Go program that only prints a word. What counts is the ratio.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	hello, command := filepath.Join(dir, "hello"), filepath.Join(dir, "mpd-virt")
	source := filepath.Join(dir, "hello.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"hello\\n\") }\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	build(b, hello, source)
	build(b, command, "github.com/mutms/mpd-virt-macos/cmd/mpd-virt")

	b.Run("hello", func(b *testing.B) { startAgain(b, "", hello) })
	b.Run("version", func(b *testing.B) { startAgain(b, b.TempDir(), command, "version") })
	for _, n := range []int{0, 10, int(hypervisor.LastOctet-hypervisor.FirstOctet) + 1} {
		b.Run(fmt.Sprintf("list/entries=%d", n), func(b *testing.B) {
			home := b.TempDir()
			registered(b, home, n)
			startAgain(b, home, command, "list", "--json")
		})
	}
}

func build(b *testing.B, to, what string) {
	b.Helper()
	out, err := exec.Command("go", "build", "-trimpath", "-o", to, what).CombinedOutput()
	if err != nil {
		b.Fatalf("go build %s: %v\n%s", what, err, out)
	}
}

// startAgain runs a program again and again.
func startAgain(b *testing.B, home, program string, args ...string) {
	b.Helper()
	for b.Loop() {
		cmd := exec.Command(program, args...)
		cmd.Env = []string{"HOME=" + home, "LANG=C.UTF-8", "TERM=xterm"}
		if out, err := cmd.Output(); err != nil || len(out) == 0 {
			b.Fatalf("%s %q: %v, printed %q", program, args, err, out)
		}
	}
}

// registered makes a home folder whose registry has n VMs.
func registered(b *testing.B, home string, n int) {
	b.Helper()
	for i := range n {
		octet := int(hypervisor.FirstOctet) + i
		dir := filepath.Join(home, ".mpd-virt", fmt.Sprint(octet))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "env"), []byte(entryText(octet)), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// entryText is the registry entry of a VM that was adopted without a
// hypervisor.
func entryText(octet int) string {
	return fmt.Sprintf("MPD_VM_OCTET=%d\nMPD_VM_NAME=mpd-%d\nMPD_VM_BACKEND=general\nMPD_VM_IP=10.0.0.%d\nMPD_VM_USER=dev\n", octet, octet, octet)
}
