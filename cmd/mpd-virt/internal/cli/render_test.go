package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// rendered calls a renderer and returns what it wrote.
func rendered(t *testing.T, render func(a *app)) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := newTestApp(&out, &errs)
	render(a)
	if err := a.out.flush(); err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, line := range strings.Split(got, "\n") {
		if columns(line) >= 100 && !strings.HasPrefix(line, "        ") && !strings.Contains(line, "broken:") {
			t.Errorf("%d columns: %s", columns(line), line)
		}
	}
}

func TestFixLines(t *testing.T) {
	long := strings.Repeat("word ", 40)
	for _, tt := range []struct {
		text string
		want int
	}{{"", 1}, {"short", 1}, {long, 3}, {"mpd-virt " + long, 1}, {"a\n" + long + "\nb", 3}} {
		if got := fixLines(look{utf8: true}, tt.text); len(got) != tt.want {
			t.Errorf("%.20q: %d lines, want %d: %q", tt.text, len(got), tt.want, got)
		}
	}
}

var sampleReport = &mpdvirt.Report{
	Schema: mpdvirt.ReportSchema, Octet: 150, Name: "mpd-150", Backend: "parallels", Addr: netip.MustParseAddr("10.211.55.150"),
	Checks: []mpdvirt.Check{
		{ID: "registry", Phase: mpdvirt.Mandatory, Status: mpdvirt.OK, Summary: "/Users/dev/.mpd-virt/150/env"},
		{ID: "ping", Phase: mpdvirt.Mandatory, Status: mpdvirt.OK, Summary: "0.4 ms"},
		{ID: "dns-identity", Phase: mpdvirt.Optional, Status: mpdvirt.Fail, Summary: "vm.service.mpd.test is 10.211.55.151: mpd-151 answers",
			Fixes: []mpdvirt.Fix{{Text: "turn the tunnel mpd-151 off and mpd-150 on in WireGuard"}}},
		{ID: "portal", Phase: mpdvirt.Optional, Status: mpdvirt.Skipped, Summary: "not tried: dns-identity failed"},
		{ID: "ca-trust", Phase: mpdvirt.Optional, Status: mpdvirt.Warn, Summary: "mpd Root CA (SHA-256 9f3a…) is not trusted",
			Fixes: []mpdvirt.Fix{{
				Argv: []string{"security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", "/Library/Keychains/System.keychain",
					"/Users/dev/.mpd-virt/conf/caroot/rootCA.pem"},
				Root: true,
			}}},
	},
	Verdict: "mpd-151 answers (DNS), not mpd-150",
}

func TestWriteReport(t *testing.T) {
	got, _ := rendered(t, func(a *app) { a.writeReport(sampleReport) })
	check(t, got, `mpd-150 on parallels, 10.211.55.150

must hold
  ok   registry      ~/.mpd-virt/150/env
  ok   ping          0.4 ms

for *.mpd.test on this Mac
  FAIL dns-identity  vm.service.mpd.test is 10.211.55.151: mpd-151 answers
      fix: turn the tunnel mpd-151 off and mpd-150 on in WireGuard
  skip portal        not tried: dns-identity failed
  warn ca-trust      mpd Root CA (SHA-256 9f3a…) is not trusted
      fix:
        sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ~/.mpd-virt/conf/caroot/rootCA.pem

mpd-151 answers (DNS), not mpd-150. 1 failed, 1 warning, 1 not tried.
`)
}

func TestWriteReportEdges(t *testing.T) {
	got, _ := rendered(t, func(a *app) {
		a.writeReport(&mpdvirt.Report{Name: "mpd-150", Checks: []mpdvirt.Check{
			{ID: "a-check-with-a-long-name", Phase: mpdvirt.Mandatory, Status: mpdvirt.OK,
				Summary: strings.Repeat("many words that do not fit ", 6),
				Fixes:   []mpdvirt.Fix{{Text: strings.Repeat("a long way to mend it ", 6), Argv: []string{"true"}}}},
			{ID: "ping", Phase: mpdvirt.Mandatory, Status: mpdvirt.OK, Summary: "\x1b[2Jcleared\nline"},
		}})
	})
	check(t, got, `mpd-150

must hold
  ok   a-check-with-a-long-name  many words that do not fit many words that do not fit many words
                                 that do not fit many words that do not fit many words that do not
                                 fit many words that do not fit
      fix: a long way to mend it a long way to mend it a long way to mend it a long way to mend it
           a long way to mend it a long way to mend it
        true
  ok   ping                      cleared line

All checks hold.
`)
}

func TestWriteDiag(t *testing.T) {
	sick := &mpdvirt.Report{Name: "mpd-150", Checks: []mpdvirt.Check{{ID: "ping", Phase: mpdvirt.Mandatory, Status: mpdvirt.Fail}}}
	tests := []struct {
		name  string
		r     *mpdvirt.Report
		err   error
		quiet bool // the error is told by the report
		code  int
	}{
		{"healthy", sampleReport, nil, false, 0},
		{"sick", sick, nil, true, 3},
		{"no report", nil, &mpdvirt.LockedError{}, false, 5},
		{"report and error", sick, &mpdvirt.Error{Verb: "start", Err: sick.Err()}, true, 3},
		{"report and another error", sampleReport, context.Canceled, false, 130},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rendered(t, func(a *app) {
				err := a.writeDiag(tt.r, tt.err)
				var already shown
				if exitCode(t.Context(), err) != tt.code || errors.As(err, &already) != tt.quiet {
					t.Errorf("error is %v (exit %d, told %v), want exit %d", err, exitCode(t.Context(), err), errors.As(err, &already), tt.code)
				}
			})
		})
	}
}

func TestWriteSetup(t *testing.T) {
	vm := mpdvirt.VM{Octet: 150, Name: "mpd-150"}
	healthy := &mpdvirt.Report{Name: "mpd-150", Checks: []mpdvirt.Check{{ID: "ping", Phase: mpdvirt.Mandatory, Status: mpdvirt.OK}}}
	stdout, stderr := rendered(t, func(a *app) {
		if err := a.writeSetup(&mpdvirt.SetupResult{VM: vm, Report: healthy}, nil, "set up"); err != nil {
			t.Error(err)
		}
	})
	check(t, stdout, "mpd-150 is set up. Log in with\n  ssh mpd-150\n")
	check(t, stderr, "")

	stdout, _ = rendered(t, func(a *app) {
		if err := a.writeSetup(&mpdvirt.SetupResult{VM: vm, Report: sampleReport}, nil, "set up"); err != nil {
			t.Error(err)
		}
	})
	check(t, stdout, `
for *.mpd.test on this Mac
  FAIL dns-identity  vm.service.mpd.test is 10.211.55.151: mpd-151 answers
      fix: turn the tunnel mpd-151 off and mpd-150 on in WireGuard
  skip portal        not tried: dns-identity failed
  warn ca-trust      mpd Root CA (SHA-256 9f3a…) is not trusted
      fix:
        sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ~/.mpd-virt/conf/caroot/rootCA.pem

mpd-150 is set up. Log in with
  ssh mpd-150
`)

	// What the findings say the error does not say again.
	sick := &mpdvirt.Report{Name: "mpd-150", Checks: []mpdvirt.Check{
		{ID: "ping", Phase: mpdvirt.Mandatory, Status: mpdvirt.Fail, Summary: "no answer"}}}
	stdout, stderr = rendered(t, func(a *app) {
		err := a.writeSetup(&mpdvirt.SetupResult{VM: vm, Report: sick},
			&mpdvirt.Error{Verb: "setup", VM: "mpd-150", Log: "/l", Hint: "mpd-virt diag 150", Err: sick.Err()}, "set up")
		if exitCode(t.Context(), err) != exitUnhealthy {
			t.Errorf("exit %d", exitCode(t.Context(), err))
		}
		a.complain(err)
	})
	check(t, stdout, "\nmust hold\n  FAIL ping          no answer\n\n")
	check(t, stderr, "mpd-virt: setup mpd-150: not healthy: ping failed\n  log:  /l\n  next: mpd-virt diag 150\n")

	failed := &mpdvirt.Error{Verb: "setup", VM: "mpd-150", Step: "push", Err: errors.New("x")}
	stdout, _ = rendered(t, func(a *app) {
		if err := a.writeSetup(&mpdvirt.SetupResult{VM: vm}, failed, "set up"); err != failed {
			t.Errorf("error is %v", err)
		}
	})
	check(t, stdout, "")
}

func TestWriteList(t *testing.T) {
	vms := []mpdvirt.VM{
		{Octet: 150, Name: "mpd-150", Backend: "parallels", Addr: netip.MustParseAddr("10.211.55.150"), User: "dev", State: "running"},
		{Octet: 151, Name: "mpd-151", Backend: "general", Addr: netip.MustParseAddr("192.168.64.151"), User: "dev"},
		{Octet: 152, Name: "mpd-152", State: mpdvirt.Broken, Error: "/Users/dev/.mpd-virt/152/env:3: MPD_VM_IP: not an address"},
		{Octet: 153, Name: "mpd-153", State: mpdvirt.Unfinished, Next: "mpd-virt setup 153"},
		{Octet: 154, Name: "mpd-154", Backend: "utm", User: "dev", Error: "utmctl: exit status 1"},
	}
	stdout, stderr := rendered(t, func(a *app) { a.writeList(vms) })
	check(t, stdout, `NNN  NAME     BACKEND    IP              USER  STATE
150  mpd-150  parallels  10.211.55.150   dev   running
151  mpd-151  general    192.168.64.151  dev   -
152  mpd-152  -          -               -     broken: ~/.mpd-virt/152/env:3: MPD_VM_IP: not an address
153  mpd-153  -          -               -     unfinished
154  mpd-154  utm        -               dev   not known: utmctl: exit status 1
`)
	check(t, stderr, "mpd-153 is unfinished; next:\n  mpd-virt setup 153\n")
}

func TestListNothing(t *testing.T) {
	got := runArgs(t)
	if got.code != 0 || got.stdout != "" {
		t.Errorf("exit %d, stdout %q", got.code, got.stdout)
	}
	contains(t, "stderr", got.stderr, "\n  mpd-virt setup 150 --backend=general")
	got = runArgs(t, "--json")
	if got.code != 0 || got.stdout != "[]\n" || got.stderr != "" {
		t.Errorf("--json: %+v", got)
	}
}

func TestWriteShow(t *testing.T) {
	r := &mpdvirt.ShowResult{
		Schema: mpdvirt.ShowSchema,
		VM: mpdvirt.VM{Octet: 150, Name: "mpd-150", Backend: "utm", Addr: netip.MustParseAddr("192.168.64.150"), User: "dev",
			State: "running", UUID: "A-B", RAM: 8 << 30, Disk: 80 << 30},
		Answers: true, HostKeys: []string{"SHA256:abc", "SHA256:def"}, Alias: "mpd-150", Dir: "/Users/dev/.mpd-virt/150",
		ClientConf: "/Users/dev/.mpd-virt/conf/wireguard/150/mpd-150.conf", LastLog: "/Users/dev/.mpd-virt/150/logs/x.log",
		Repo: "https://example.test/mpd.git", Branch: "main",
	}
	stdout, _ := rendered(t, func(a *app) { a.writeShow(r) })
	check(t, stdout, `mpd-150
  backend     utm
  address     192.168.64.150, answers a ping
  user        dev
  state       running
  uuid        A-B
  memory      8.0 GiB
  disk        80.0 GiB
  host key    SHA256:abc
  host key    SHA256:def
  log in      ssh mpd-150
  tunnel      ~/.mpd-virt/conf/wireguard/150/mpd-150.conf
  mpd from    https://example.test/mpd.git main
  folder      ~/.mpd-virt/150
  last log    ~/.mpd-virt/150/logs/x.log
`)
	stdout, stderr := rendered(t, func(a *app) {
		a.writeShow(&mpdvirt.ShowResult{VM: mpdvirt.VM{Name: "mpd-151", State: mpdvirt.Broken, Error: "env:1: x", Next: "mpd-virt delete 151"}})
	})
	check(t, stdout, "mpd-151\n  state       broken: env:1: x\n")
	check(t, stderr, "Next:\n  mpd-virt delete 151\n")
}

func TestWriteBackends(t *testing.T) {
	stdout, _ := rendered(t, func(a *app) {
		a.writeBackends([]mpdvirt.BackendInfo{
			{Name: "general", Available: true, Default: true, Verbs: []string{"setup", "diag"}},
			{Name: "utm", Reason: "utmctl is not installed", Verbs: []string{"setup", "create"}},
		})
	})
	check(t, stdout, `NAME     DEFAULT  CAN           HERE
general  yes      setup diag    yes
utm      -        setup create  no: utmctl is not installed
`)
}

func TestWriteDelete(t *testing.T) {
	res := &mpdvirt.DeleteResult{Schema: mpdvirt.DeleteSchema, Name: "mpd-150",
		Removed: []string{"/Users/dev/.mpd-virt/150"}, Left: []string{"the VM itself: the general backend manages no VMs"}}
	stdout, _ := rendered(t, func(a *app) { a.writeDelete(res, nil) })
	check(t, stdout, `mpd-150 is removed
  removed     ~/.mpd-virt/150
  left        the VM itself: the general backend manages no VMs
`)
	// A delete that failed half way shows what is gone and does not call it done.
	failed := errors.New("x")
	stdout, _ = rendered(t, func(a *app) {
		if err := a.writeDelete(res, failed); err != failed {
			t.Errorf("error is %v", err)
		}
	})
	if strings.Contains(stdout, "is removed") || !strings.Contains(stdout, "  removed ") {
		t.Errorf("after a failure:\n%s", stdout)
	}
}

// JSON has the whole value, paths as they are, also after a failure.
func TestJSONOnFailure(t *testing.T) {
	res := &mpdvirt.SetupResult{Schema: mpdvirt.SetupSchema, Log: "/Users/dev/<log>",
		Steps: []mpdvirt.StepResult{{ID: "ssh", Status: mpdvirt.Fail, Summary: "a & b"}}}
	failed := errors.New("x")
	stdout, _ := rendered(t, func(a *app) {
		a.json = true
		if err := a.writeSetup(res, failed, "set up"); err != failed {
			t.Errorf("error is %v", err)
		}
	})
	var back mpdvirt.SetupResult
	if err := json.Unmarshal([]byte(stdout), &back); err != nil || back.Log != res.Log || back.Steps[0] != res.Steps[0] {
		t.Errorf("%v: %s", err, stdout)
	}
	contains(t, "JSON", stdout, "/Users/dev/<log>", "a & b")
}

func TestTable(t *testing.T) {
	stdout, _ := rendered(t, func(a *app) {
		a.table([][]string{{"A", "B"}, {"日本", ""}, {"x\x1b[1m", "tail "}})
	})
	check(t, stdout, "A     B\n日本  -\nx     tail \n")
}
