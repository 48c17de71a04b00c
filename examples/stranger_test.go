// Package examples_test builds what is not in the module: a program of somebody
// else's that imports the SDK.
package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stranger copies the module testdata/stranger, so that go may complete its
// go.mod, and returns its folder and what runs go in it. Nothing is downloaded:
// all that the SDK needs is in the module cache, or its own tests would not run.
func stranger(t *testing.T) (run func(env []string, args ...string)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/stranger")); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	// The checksums are those that this module trusts.
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": strings.Replace(string(mod), "=> ../../..", "=> "+root, 1), "go.sum": string(sum)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(env []string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), append([]string{"GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off", "CGO_ENABLED=0"}, env...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s go %s: %v\n%s", strings.Join(env, " "), strings.Join(args, " "), err, out)
		}
	}
}

// TestStranger: a module of its own builds everywhere on the SDK, and its tests
// run.
func TestStranger(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go on PATH")
	}
	run := stranger(t)
	for _, system := range []string{"darwin/arm64", "darwin/amd64", "linux/amd64"} {
		t.Run(system, func(t *testing.T) {
			goos, arch, _ := strings.Cut(system, "/")
			run([]string{"GOOS=" + goos, "GOARCH=" + arch}, "build", "-o", os.DevNull, ".")
		})
	}
	t.Run("its own tests", func(t *testing.T) { run(nil, "test", "./...") })
}
