package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// played is a world whose virsh knows one VM. That of package virsh's own tests
// knows more.
func played(t *testing.T) (config mpdvirt.Config, calls *[]string) {
	t.Helper()
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	calls = new([]string)
	world.HandleCommand("virsh", func(_ context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		*calls = append(*calls, c.String())
		answer := "Running hypervisor: QEMU 7.2.22\n"
		switch word, _, _ := strings.Cut(c.Argv[4], " "); word {
		case "net-dumpxml":
			answer = "<network><ip address='192.168.122.1' netmask='255.255.255.0'/></network>"
		case "list":
			answer = "5c0ffee0-0001-4d1e-8b00-0123456789ab mpd-150\nDomain: 'mpd-150'\n  state.state=1\n  state.reason=1\n\nend"
		}
		return hypervisor.Result{Stdout: []byte(answer)}, nil
	})
	return world.Config(), calls
}

func TestList(t *testing.T) {
	config, calls := played(t)
	var out bytes.Buffer
	if err := run(t.Context(), config, []string{"-connect=qemu+ssh://there/system"}, &out); err != nil {
		t.Fatal(err)
	}
	want := "libvirt can [setup diag update delete create start stop]\n5c0ffee0-0001-4d1e-8b00-0123456789ab running    \"mpd-150\"\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	for _, call := range *calls {
		if !strings.HasPrefix(call, "virsh --quiet --connect qemu+ssh://there/system ") {
			t.Errorf("%s", call)
		}
	}
}

// The backend is one like all others: the Manager takes its word.
func TestCreateIsRefused(t *testing.T) {
	config, _ := played(t)
	config.Host = mpdvirt.Host{Arch: "arm64", Memory: 32 * hypervisor.GiB, Cores: 4}
	err := run(t.Context(), config, []string{"create", "150", "dev"}, &bytes.Buffer{})
	if !errors.Is(err, mpdvirt.ErrRefused) || !errors.Is(err, hypervisor.ErrTaken) {
		t.Errorf("create of a VM whose name is taken: %v", err)
	}
	if err := run(t.Context(), config, []string{"delete", "150"}, &bytes.Buffer{}); !errors.Is(err, mpdvirt.ErrNotRegistered) {
		t.Errorf("delete: %v", err)
	}
}

func TestUsage(t *testing.T) {
	config, _ := played(t)
	for _, args := range [][]string{{"create"}, {"create", "99", "dev"}, {"delete"}, {"delete", "x"}, {"other"}, {"-nonsense"}} {
		if err := run(t.Context(), config, args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

func TestNoLibvirt(t *testing.T) {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer world.Close()
	var out bytes.Buffer
	if err := run(t.Context(), world.Config(), nil, &out); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("%v", err)
	}
}
