package utm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// checkVMs are what must hold of all that was decoded from out.
func checkVMs(t *testing.T, out []byte, vms []hypervisor.Machine, err error) {
	t.Helper()
	if err != nil && vms != nil {
		t.Errorf("%v beside %v", vms, err)
	}
	if err == nil && vms == nil {
		t.Error("no VMs that are not known to be none")
	}
	if err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
		t.Errorf("control characters in %q", err)
	}
	for _, m := range vms {
		if !uuidText.MatchString(m.UUID) || !bytes.Contains(out, []byte(m.UUID)) || !bytes.Contains(out, []byte(m.Name)) {
			t.Errorf("%+v is not in %q", m, out)
		}
	}
}

func FuzzTable(f *testing.F) {
	for _, s := range []string{"", head, head + u150 + " stopped  mpd-150\n", head + u150 + " started  a b \n" + u151 + " defragmenting x\n", head + u150} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		vms, err := decodeTable(out)
		checkVMs(t, out, vms, err)
		if err != nil {
			return
		}
		// What is read is all that was printed: written again it is as long, where
		// no state was changed for showing.
		if n := bytes.Count(out, []byte("\n")) - 1; n != len(vms) {
			t.Errorf("%d VMs of %d lines", len(vms), n)
		}
	})
}

func FuzzRecords(f *testing.F) {
	for _, s := range []string{"", "vms\n\n", "drives\n\n", "vms\n" + u150 + "\x1fstarted\x1fa\nb\x1e\n", "drives\n" + u150 + "\x1ffalse\x1f12\x1e\n", "vms\n\x1e"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		vms, err := decodeVMs(out)
		checkVMs(t, out, vms, err)
		if err == nil && bytes.Count(out, []byte("\x1e")) != len(vms) {
			t.Errorf("%d VMs of %q", len(vms), out)
		}
		drives, err := decodeDrives(out)
		if (err == nil) != (drives != nil) {
			t.Errorf("%v beside %v", drives, err)
		}
		var again strings.Builder
		again.WriteString("drives\n")
		for _, d := range drives {
			fmt.Fprintf(&again, "%s\x1f%v\x1f%d\x1e", d.ID, d.Removable, d.HostSize/hypervisor.MiB)
			if d.HostSize < 0 || strings.ContainsFunc(d.ID, unicode.IsControl) {
				t.Errorf("%+v", d)
			}
		}
		if back, err2 := decodeDrives([]byte(again.String() + "\n")); err == nil && (err2 != nil || len(back) != len(drives)) {
			t.Errorf("%v, and again %v, %v", drives, back, err2)
		}
	})
}

func FuzzMade(f *testing.F) {
	f.Add([]byte("virtual machine id " + u150 + "\n"))
	f.Add([]byte("virtual machine id " + u150 + " of application \"UTM\""))
	f.Fuzz(func(t *testing.T, out []byte) {
		uuid, err := decodeMade(out)
		if (err == nil) != uuidText.MatchString(uuid) || !bytes.Contains(out, []byte(uuid)) {
			t.Errorf("%q, %v of %q", uuid, err, out)
		}
	})
}

func FuzzState(f *testing.F) {
	for _, s := range []string{"started", "", "missing", "running", "\x1b[2J", strings.Repeat("x", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		s := parseState(word)
		if s == "" || s == hypervisor.Missing || strings.ContainsFunc(string(s), unicode.IsControl) || len([]rune(s)) > maxWord {
			t.Errorf("parseState(%q) = %q", word, s)
		}
		if !strings.Contains("stopped starting started pausing paused resuming stopping", strings.Trim(word, " ")) && s.Known() && !strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) }) {
			t.Errorf("the word %q is known as %q", word, s)
		}
	})
}

// What the tools say for people ends up in errors: one line, without controls.
func FuzzRefusal(f *testing.F) {
	f.Add([]byte(said), 0)
	f.Add([]byte("\n\r\x1b]0;x\x07\n(-1743)"), 1)
	f.Fuzz(func(t *testing.T, stderr []byte, status int) {
		for _, tool := range []string{ctl, osascript} {
			e := refused([]string{tool, "list", "list"}, hypervisor.Result{Stderr: stderr, Status: status})
			if e == nil {
				if status != 0 || len(bytes.TrimSpace(stderr)) != 0 {
					t.Errorf("%q with status %d is taken for success", stderr, status)
				}
				continue
			}
			if text := advised(e).Error(); strings.ContainsFunc(text, unicode.IsControl) || len([]rune(text)) > 400 {
				t.Errorf("refusal %q", text)
			}
		}
	})
}

// The network is a /24 of private addresses, or none.
func FuzzNetwork(f *testing.F) {
	f.Add([]byte("bridge100: flags\n\tinet 192.168.64.1 netmask 0xffffff00 broadcast 192.168.64.255\n\tmember: vmenet0\n"))
	f.Add([]byte("192.168.65.1\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, decode := range []func([]byte) (p interface{ IsValid() bool }, err error){
			func(b []byte) (interface{ IsValid() bool }, error) { return decodeBridge(b) },
			func(b []byte) (interface{ IsValid() bool }, error) { return decodeRecorded(b) },
		} {
			if p, err := decode(out); err != nil && p.IsValid() {
				t.Errorf("%v beside %v", p, err)
			}
		}
		if p, _ := decodeBridge(out); p.IsValid() && (p.Bits() != 24 || !p.Addr().IsPrivate() || p != p.Masked()) {
			t.Errorf("network %v", p)
		}
	})
}

// What passes the check of a spec reaches the tool as it is, one argument each.
func FuzzCreateSpec(f *testing.F) {
	f.Add(uint8(150), "arm64", "/Users/it's/disk.raw", "/a/\u00ac $(x)\n\"\\/seed.iso")
	f.Add(uint8(0), "-x", "disk", "\x00")
	f.Fuzz(func(t *testing.T, octet uint8, arch, disk, seed string) {
		s := spec()
		s.Octet, s.Arch, s.Disk, s.Seed = hypervisor.Octet(octet), arch, disk, seed
		if check(s) != nil {
			return
		}
		argv := argvMake(s)
		if len(argv) != 10 || argv[3] != s.Octet.VMName() || argv[8] != disk || argv[9] != seed {
			t.Errorf("argv %q", argv)
		}
		for _, a := range argv {
			if a == "" || strings.ContainsRune(a, 0) || a[0] == '-' && a != "-" {
				t.Errorf("argument %q", a)
			}
		}
	})
}
