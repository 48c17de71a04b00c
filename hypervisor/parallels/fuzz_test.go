package parallels

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// seeds adds all recorded answers, whole and cut, and some oddities.
func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "prlctl", "*"))
	if err != nil || len(files) == 0 {
		f.Fatal("no recorded answers", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
		f.Add(data[len(data)/2:])
		f.Add(append([]byte("Progress [ 12 %]\r\n"), data...))
	}
	for _, s := range []string{"", "[]", "{}", "[{}]", "null", "[[{", "\x00[\x00]", `"ipAddresses":[]}`, brief(u150 + " running 10.211.55.7;rm VM mpd-150 exist stopped")} {
		f.Add([]byte(s))
	}
}

// checkVMs are what must hold of all that was decoded from out.
func checkVMs(t *testing.T, out []byte, vms []vm) {
	t.Helper()
	seen := map[string]bool{}
	for _, v := range vms {
		if !uuidText.MatchString(v.uuid) || !bytes.Contains(out, []byte(v.uuid)) {
			t.Errorf("UUID %q is not in %q", v.uuid, out)
		}
		if seen[plainUUID(v.uuid)] {
			t.Errorf("UUID %q twice", v.uuid)
		}
		seen[plainUUID(v.uuid)] = true
		if strings.ContainsFunc(string(v.state), unicode.IsControl) || len([]rune(v.state)) > maxWord || v.state == hypervisor.Missing {
			t.Errorf("state %q", v.state)
		}
		// A name has no more in it than a string of the answer: names cannot be
		// put together from pieces.
		if quoted, _ := json.Marshal(v.name); len(v.name) > len(out) && len(quoted) > 6*len(out) {
			t.Errorf("name %q of %d bytes", v.name, len(out))
		}
		for _, a := range v.addrs {
			if !sharedNetwork().Contains(a) || a == gateway() || a == host() || v.state != hypervisor.Running {
				t.Errorf("address %v of a VM that is %s", a, v.state)
			}
		}
	}
}

func FuzzList(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, decode := range []func([]byte) ([]vm, error){decodeList, decodeTemplates} {
			vms, err := decode(out)
			if err != nil && vms != nil {
				t.Errorf("%v beside %v", vms, err)
			}
			checkVMs(t, out, vms)
			// No VMs are believed only where an empty list stands alone.
			if err == nil && len(vms) == 0 && bytes.ContainsAny(out, "{}") {
				t.Errorf("%q is taken for no VMs", out)
			}
		}
	})
}

func FuzzDetail(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, out []byte) {
		d, err := decodeDetail(out, u150)
		if err != nil {
			return
		}
		checkVMs(t, out, []vm{d.vm})
		if !sameUUID(d.uuid, u150) || d.ram < 0 || d.disk < 0 || d.ram%hypervisor.MiB != 0 || d.disk%hypervisor.MiB != 0 {
			t.Errorf("%+v", d)
		}
		for _, m := range d.macs {
			if !macText.MatchString(m) {
				t.Errorf("MAC %q", m)
			}
		}
	})
}

func FuzzNetwork(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, out []byte) {
		n, err := decodeNetwork(out)
		if err != nil {
			if n != (network{}) {
				t.Errorf("%+v beside %v", n, err)
			}
			return
		}
		found := n.findings()
		if len(found) > 1 {
			t.Errorf("%d findings", len(found))
		}
		if len(found) == 0 && (!sharedNetwork().Contains(n.adapter) || n.end.Compare(hypervisor.FirstOctet.In(gateway())) >= 0 && n.start.Compare(hypervisor.LastOctet.In(gateway())) <= 0) {
			t.Errorf("nothing is wrong with %+v", n)
		}
		for _, e := range found {
			if strings.ContainsFunc(e.Error(), unicode.IsControl) {
				t.Errorf("control characters in %q", e)
			}
		}
	})
}

func FuzzLicense(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, out []byte) {
		l, err := decodeLicense(out)
		if err != nil && l != (license{}) {
			t.Errorf("%+v beside %v", l, err)
		}
		if err := l.refuses(); err != nil && strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("control characters in %q", err)
		}
	})
}

func FuzzLeases(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, l := range decodeLeases(data) {
			if !sharedNetwork().Contains(l.addr) || !macText.MatchString(l.mac) || !bytes.Contains(bytes.ToLower(data), []byte(l.mac)) ||
				!bytes.Contains(data, []byte(l.addr.String())) {
				t.Errorf("%+v", l)
			}
		}
	})
}

func FuzzState(f *testing.F) {
	for _, s := range []string{"running", "exist stopped", "", "missing", "\x1b[2J", strings.Repeat("x", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		s := parseState(word)
		if s == "" || s == hypervisor.Missing || strings.ContainsFunc(string(s), unicode.IsControl) || len([]rune(s)) > maxWord {
			t.Errorf("parseState(%q) = %q", word, s)
		}
		if again := parseState(string(s)); again != s {
			t.Errorf("parseState(%q) = %q, and of that %q", word, s, again)
		}
	})
}

// What the tool says for people ends up in errors: one line, without controls.
func FuzzRefusal(f *testing.F) {
	f.Add([]byte(saysBusy), []byte("Starting the VM...\n"), 255)
	f.Add([]byte("\n\r\x1b]0;x\x07\n"+configured), []byte{}, 253)
	f.Fuzz(func(t *testing.T, stderr, stdout []byte, status int) {
		r := refused([]string{"prlctl", "set"}, hypervisor.Result{Stdout: stdout, Stderr: stderr, Status: status})
		text := advised(r).Error()
		if strings.ContainsFunc(text, unicode.IsControl) || len([]rune(text)) > 400 {
			t.Errorf("refusal %q", text)
		}
	})
}
