package sshconfig

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

func testVM(o hypervisor.Octet) VM {
	return VM{
		Octet:               o,
		Addr:                o.In(netip.MustParseAddr("10.211.55.1")),
		User:                "dev",
		KnownHosts:          "/Users/dev/.mpd-virt/" + o.String() + "/known_hosts",
		ContainerKnownHosts: "/Users/dev/.mpd-virt/" + o.String() + "/known_hosts.containers",
	}
}

func TestRender(t *testing.T) {
	vm := testVM(150)
	vm.Port = 2222
	got, err := Render([]VM{vm})
	if err != nil {
		t.Fatal(err)
	}
	const want = header + `
Host mpd-150
    HostName 10.211.55.150
    Port 2222
    User dev
    HostKeyAlias mpd-150
    UserKnownHostsFile "/Users/dev/.mpd-virt/150/known_hosts"
    StrictHostKeyChecking yes
    UpdateHostKeys no

Host mpd-150-php
    HostName php.runtime.mpd.test
    User dev
    ProxyJump mpd-150
    UserKnownHostsFile "/Users/dev/.mpd-virt/150/known_hosts.containers"
    StrictHostKeyChecking accept-new

Host mpd-150-node
    HostName node.runtime.mpd.test
    User dev
    ProxyJump mpd-150
    UserKnownHostsFile "/Users/dev/.mpd-virt/150/known_hosts.containers"
    StrictHostKeyChecking accept-new

Host mpd-150-util
    HostName util.runtime.mpd.test
    User dev
    ProxyJump mpd-150
    UserKnownHostsFile "/Users/dev/.mpd-virt/150/known_hosts.containers"
    StrictHostKeyChecking accept-new
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("Render (-want +got):\n%s", diff)
	}
}

func TestRenderIsSortedAndBlocksAreIndependent(t *testing.T) {
	vms := []VM{testVM(200), testVM(100), testVM(150)}
	given := slices.Clone(vms)
	all, err := Render(vms)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(vms, given) {
		t.Error("Render sorted the caller's slice")
	}
	if other, _ := Render([]VM{vms[1], vms[2], vms[0]}); !bytes.Equal(other, all) {
		t.Error("another order of the same VMs gives another text")
	}
	want := header
	for _, o := range []hypervisor.Octet{100, 150, 200} {
		one, err := Render([]VM{testVM(o)})
		if err != nil {
			t.Fatal(err)
		}
		want += strings.TrimPrefix(string(one), header)
	}
	if diff := cmp.Diff(want, string(all)); diff != "" {
		t.Errorf("three VMs are not three times one (-want +got):\n%s", diff)
	}
	if none, err := Render(nil); err != nil || string(none) != header {
		t.Errorf("Render(nil) = %q, %v; want the header", none, err)
	}
}

func TestRenderRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*VM)
		want   string // part of the error
	}{
		{"no octet", func(vm *VM) { vm.Octet = 0 }, "octet 000 is out of range"},
		{"broadcast octet", func(vm *VM) { vm.Octet = 255 }, "octet 255 is out of range"},
		{"no address", func(vm *VM) { vm.Addr = netip.Addr{} }, "not an IPv4 address"},
		{"IPv6 with zone", func(vm *VM) { vm.Addr = netip.MustParseAddr("fe80::1%en0") }, "not an IPv4 address"},
		{"no user", func(vm *VM) { vm.User = "" }, "not a valid user"},
		{"user with newline", func(vm *VM) { vm.User = "dev\nProxyCommand id" }, "not a valid user"},
		{"no pins", func(vm *VM) { vm.KnownHosts = "" }, "not absolute"},
		{"relative pins", func(vm *VM) { vm.KnownHosts = "150/known_hosts" }, "not absolute"},
		{"pins with newline", func(vm *VM) { vm.KnownHosts = "/a\nProxyCommand id" }, "control character"},
		{"pins with CR", func(vm *VM) { vm.KnownHosts = "/a\rb" }, "control character"},
		{"pins with NUL", func(vm *VM) { vm.KnownHosts = "/a\x00b" }, "control character"},
		{"pins with DEL", func(vm *VM) { vm.KnownHosts = "/a\x7fb" }, "control character"},
		{"pins with variable", func(vm *VM) { vm.KnownHosts = "/a${HOME}" }, `"${"`},
		{"no container keys", func(vm *VM) { vm.ContainerKnownHosts = "" }, "not absolute"},
		{"container keys with newline", func(vm *VM) { vm.ContainerKnownHosts = "/a\n" }, "control character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			vm := testVM(150)
			tt.change(&vm)
			got, err := Render([]VM{testVM(100), vm})
			if got != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Render = %q, %v; want an error with %q", got, err, tt.want)
			}
			if strings.ContainsAny(err.Error(), "\n\r\x00\x7f") {
				t.Errorf("raw control characters in the error %q", err)
			}
		})
	}
	if _, err := Render([]VM{testVM(150), testVM(100), testVM(150)}); err == nil || !strings.Contains(err.Error(), "mpd-150 is there twice") {
		t.Errorf("the same octet twice: %v", err)
	}
	vm := testVM(150)
	vm.KnownHosts = "/a\tb"
	if _, err := Render([]VM{vm}); hint.Of(err) == "" {
		t.Errorf("no next step with %v", err)
	}
}

// However a path looks, it stays one argument of one setting.
func FuzzRenderPath(f *testing.F) {
	for _, path := range []string{"/a b", `/a"b`, `/a\"b`, `/a\`, "/%h", "/a # b", "/a'b", "/a\nb", "/${HOME}", "a"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		vm := testVM(150)
		plain, err := Render([]VM{vm})
		if err != nil {
			t.Fatal(err)
		}
		vm.KnownHosts = path
		got, err := Render([]VM{vm})
		if err != nil {
			if got != nil {
				t.Fatalf("an error and a text: %v", err)
			}
			return
		}
		is, was := strings.Split(string(got), "\n"), strings.Split(string(plain), "\n")
		if len(is) != len(was) {
			t.Fatalf("path %q changes the number of lines", path)
		}
		const keyword = "    UserKnownHostsFile "
		at := slices.IndexFunc(was, func(s string) bool { return strings.HasPrefix(s, keyword) })
		if back, ok := unquote(strings.TrimPrefix(is[at], keyword)); !ok || back != path {
			t.Fatalf("path %q is read back as %q, %v from %q", path, back, ok, is[at])
		}
		is[at] = was[at]
		if !slices.Equal(is, was) {
			t.Fatalf("path %q changes other lines:\n%s", path, got)
		}
	})
}

// unquote reads an argument as ssh does: one pair of double quotes, a
// backslash before a quote or backslash, then tokens, of which only "%%" is
// harmless.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	var out []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return "", false
		case c == '\\' || c == '%':
			if i++; i == len(s) || s[i] != c && (c == '%' || s[i] != '"') {
				return "", false
			}
			out = append(out, s[i])
		default:
			out = append(out, c)
		}
	}
	return string(out), true
}
