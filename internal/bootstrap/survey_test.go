package bootstrap

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// finished makes v a VM that is through the whole setup.
func (v *vm) finished() {
	v.file("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_CODENAME=trixie\nID=debian\nURL=\"https://a/?b=c\"\n")
	v.file("etc/machine-id", "0123456789abcdef0123456789abcdef\n")
	v.file("opt/mpd/bootstrap/30-networking.sh", "")
	v.file("var/lib/mpd/conf/platform.env", goodPlatform)
	for _, path := range []string{pushedWG, pushedCA, pushedCAKey} {
		v.file(path, "content of "+path+"\n")
	}
	v.mode(pushedWG, 0o600)
	v.mode(pushedCAKey, 0o600)
	v.tool("uname", `case $1 in -s) echo Linux;; -m) echo x86_64;; -n) echo mpd-150.lan;; esac`)
	v.tool("date", "echo 1795000000")
	v.tool("sudo", `shift; exec "$@"`)
	v.tool("git", `case $* in *--abbrev-ref*) echo main;; *--short*) echo 1a2b3c4;; esac`)
	v.tool("dpkg-query", "printf installed")
	v.tool("systemctl", "echo active")
	v.tool("dig", "echo 10.211.55.150")
	v.file("etc/wireguard/mpd0.conf", "installed conf\n")
	v.program("mpd", "echo '  --setup   set up this VM'")
}

// program plays /opt/mpd/bin/mpd.
func (v *vm) program(name, text string) {
	v.file("opt/mpd/bin/"+name, "#!/bin/sh\n"+text+"\n")
	v.mode("opt/mpd/bin/"+name, 0o755)
}

func (v *vm) mode(name string, mode os.FileMode) {
	v.t.Helper()
	if err := os.Chmod(filepath.Join(v.root, name), mode); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vm) remove(name string) {
	v.t.Helper()
	if err := os.RemoveAll(filepath.Join(v.root, name)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vm) link(target, name string) {
	v.t.Helper()
	v.remove(name)
	if err := os.Symlink(filepath.Join(v.root, target), filepath.Join(v.root, name)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vm) survey(args ...string) Facts {
	v.t.Helper()
	got := v.run(surveyText, false, args...)
	if got.status != 0 {
		v.t.Fatalf("survey: %+v", got)
	}
	f, err := parseFacts([]byte(got.stdout))
	if err != nil {
		v.t.Fatalf("%v in\n%s", err, got.stdout)
	}
	files := map[string]FileFact{}
	for path, fact := range f.Files {
		files[strings.TrimPrefix(path, v.root)] = fact
	}
	f.Files = files
	return f
}

func TestSurvey(t *testing.T) {
	content := func(path string) string { return digest([]byte("content of " + path + "\n")) }
	whole, err := parseFacts([]byte("system=Linux\narch=x86_64\nhost=mpd-150\ntime=1795000000\nid=debian\ncodename=trixie\n" +
		"machine=0123456789abcdef0123456789abcdef\nsudo=yes\nclone=yes\nbranch=main\nrevision=1a2b3c4\n" +
		"file:" + pushedWG + "=600 " + content(pushedWG) + "\nfile:" + pushedCA + "=644 " + content(pushedCA) + "\n" +
		"file:" + pushedCAKey + "=600 " + content(pushedCAKey) + "\nplatform=" + base64.StdEncoding.EncodeToString([]byte(goodPlatform)) + "\n" +
		"mpd=yes\noption=--setup\nwireguard=active\nwgconf=" + digest([]byte("installed conf\n")) + "\ndns=10.211.55.150\n"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(v *vm)
		want   func(f *Facts)
	}{
		{"finished", func(*vm) {}, func(*Facts) {}},
		{"fresh", func(v *vm) {
			v.remove("opt")
			v.remove("var")
			v.remove("etc/wireguard")
			v.tool("systemctl", "echo inactive; exit 3")
			v.tool("dpkg-query", "echo 'no packages found' >&2; exit 1")
		}, func(f *Facts) {
			f.Clone, f.Branch, f.Revision, f.Platform, f.MPD, f.WireGuard, f.WireGuardDigest, f.DNS = false, "", "", nil, false, false, "", nil
			f.Files = map[string]FileFact{}
			f.MissingPackages = []string{"podman", "nftables", "jq", "bind9-dnsutils", "wireguard-tools", "make"}
		}},
		{"sudo asks", func(v *vm) {
			v.tool("sudo", "echo 'We trust you have received the usual lecture'; echo 'sudo: a password is required' >&2; exit 1")
		}, func(f *Facts) { f.Sudo, f.WireGuardDigest = false, "" }},
		{"no sudo", func(v *vm) { v.tool("sudo", "exit 127") }, func(f *Facts) { f.Sudo, f.WireGuardDigest = false, "" }},
		{"another system", func(v *vm) { v.file("etc/os-release", "ID=\"ubuntu\"\nVERSION_CODENAME=noble\n") }, func(f *Facts) {
			f.ID, f.Codename = "ubuntu", "noble"
		}},
		{"single quotes", func(v *vm) { v.file("etc/os-release", "ID='debian'\nVERSION_CODENAME=trixie") }, func(*Facts) {}},
		{"no os-release", func(v *vm) { v.remove("etc/os-release") }, func(f *Facts) { f.ID, f.Codename = "", "" }},
		{"no machine-id", func(v *vm) { v.remove("etc/machine-id") }, func(f *Facts) { f.MachineID = "" }},
		{"a package is half installed", func(v *vm) {
			v.tool("dpkg-query", `case $* in *jq*) printf half-configured;; *) printf installed;; esac`)
		}, func(f *Facts) { f.MissingPackages = []string{"jq"} }},
		{"a pushed file is a link", func(v *vm) { v.link("etc/machine-id", pushedCAKey) }, func(f *Facts) {
			f.Files = map[string]FileFact{pushedWG: f.Files[pushedWG], pushedCA: f.Files[pushedCA]}
		}},
		{"a pushed file is a folder", func(v *vm) { v.remove(pushedCA); v.mkdir(pushedCA) }, func(f *Facts) {
			f.Files = map[string]FileFact{pushedWG: f.Files[pushedWG], pushedCAKey: f.Files[pushedCAKey]}
		}},
		{"a pushed file is open", func(v *vm) { v.mode(pushedCAKey, 0o644) }, func(f *Facts) {
			f.Files = map[string]FileFact{pushedWG: f.Files[pushedWG], pushedCA: f.Files[pushedCA], pushedCAKey: {"644", content(pushedCAKey)}}
		}},
		{"platform.env is a link", func(v *vm) { v.link("etc/machine-id", platformFile) }, func(f *Facts) { f.Platform = nil }},
		{"platform.env is empty", func(v *vm) { v.file(platformFile, "") }, func(f *Facts) { f.Platform = []byte{} }},
		{"platform.env is huge", func(v *vm) { v.file(platformFile, strings.Repeat("x", 10<<20)) }, func(f *Facts) {
			f.Platform = bytes.Repeat([]byte("x"), maxPlatform+1)
		}},
		{"later mpd", func(v *vm) { v.program("mpd", "echo 'usage: [--vm-setup]' >&2") }, func(f *Facts) { f.SetupOption = "--vm-setup" }},
		{"mpd with both options", func(v *vm) { v.program("mpd", "echo '--vm-setup, --setup'") }, func(*Facts) {}},
		{"mpd that explains nothing", func(v *vm) { v.program("mpd", "exit 2") }, func(*Facts) {}},
		{"mpd crashes", func(v *vm) { v.program("mpd", "kill -11 $$") }, func(f *Facts) { f.MPD = false }},
		{"mpd is for another machine", func(v *vm) { v.file("opt/mpd/bin/mpd", "\x7fELF\x00") }, func(f *Facts) { f.MPD = false }},
		{"mpd cannot be executed", func(v *vm) { v.mode("opt/mpd/bin/mpd", 0o644) }, func(f *Facts) { f.MPD = false }},
		{"wg-quick failed", func(v *vm) { v.tool("systemctl", "echo failed; exit 3") }, func(f *Facts) {
			f.WireGuard, f.WireGuardDigest, f.DNS = false, "", nil
		}},
		{"conf is not installed", func(v *vm) { v.remove("etc/wireguard") }, func(f *Facts) { f.WireGuardDigest = "" }},
		{"no DNS answer", func(v *vm) { v.tool("dig", "echo ';; no servers could be reached'; exit 9") }, func(f *Facts) { f.DNS = nil }},
		{"several DNS answers", func(v *vm) { v.tool("dig", `printf '10.0.0.%s\n' 1 2 3 4 5 6`) }, func(f *Facts) {
			f.DNS = nil
			for _, a := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"} {
				f.DNS = append(f.DNS, netip.MustParseAddr(a))
			}
		}},
		{"detached clone", func(v *vm) { v.tool("git", "echo 'fatal: not a git repository' >&2; exit 128") }, func(f *Facts) {
			f.Branch, f.Revision = "", ""
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVM(t)
			v.finished()
			tt.change(v)
			want := whole
			tt.want(&want)
			if d := cmp.Diff(want, v.survey("dns"), cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestPlatformText(t *testing.T) {
	tests := []struct {
		name   string
		change func(v *vm)
		want   string
	}{
		{"none", func(v *vm) {}, ""},
		{"there", func(v *vm) { v.file(platformFile, "a=b\n") }, "file YT1iCg=="},
		{"empty", func(v *vm) { v.file(platformFile, "") }, "file "},
		{"NUL and all", func(v *vm) { v.file(platformFile, "\x00\xff\r\n") }, "file AP8NCg=="},
		{"folder", func(v *vm) { v.mkdir(platformFile) }, ""},
		{"link", func(v *vm) {
			v.mkdir(filepath.Dir(platformFile))
			v.file("etc/x", "a=b")
			v.link("etc/x", platformFile)
		}, ""},
		{"huge", func(v *vm) { v.file(platformFile, strings.Repeat("x", 10<<20)) },
			"file " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), maxPlatform+1))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVM(t)
			tt.change(v)
			if got := v.run(platformText, false); got.status != 0 || got.stdout != tt.want {
				t.Errorf("%.100q, status %d, want %.100q", got.stdout, got.status, tt.want)
			}
		})
	}
}

func TestLockText(t *testing.T) {
	const lockFile = "var/lib/dpkg/lock-frontend"
	tests := []struct{ name, locks, want string }{
		{"nobody", "", ""},
		{"held", "1: FLOCK  ADVISORY  WRITE 1 00:19:7 0 EOF\n2: POSIX  ADVISORY  WRITE 812 08:01:INODE 0 EOF\n", "held\n"},
		{"another file", "1: POSIX  ADVISORY  WRITE 812 08:01:1INODE 0 EOF\n2: POSIX  ADVISORY  WRITE 812 08:01:INODE1 0 EOF\n", ""},
		{"another kind of lock", "1: FLOCK  ADVISORY  WRITE 812 08:01:INODE 0 EOF\n", ""},
		{"somebody waits", "1: POSIX  ADVISORY  WRITE 812 08:01:INODE 0 EOF\n1: -> POSIX  ADVISORY  WRITE 813 08:01:INODE 0 EOF\n", "held\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newVM(t)
			v.file("proc/locks", strings.ReplaceAll(tt.locks, "INODE", inode(t, v.file(lockFile, ""))))
			if got := v.run(lockText, false); got.status != 0 || got.stdout != tt.want {
				t.Errorf("%+v, want %q", got, tt.want)
			}
		})
	}
	t.Run("no dpkg", func(t *testing.T) {
		if got := newVM(t).run(lockText, false); got.status != 0 || got.stdout != "" {
			t.Errorf("%+v, want nothing", got)
		}
	})
}

func inode(t *testing.T, path string) string {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(st.Ino)
}
