package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/guest"
	"github.com/mutms/mpd-virt-macos/internal/hint"
	"github.com/mutms/mpd-virt-macos/internal/identity"
)

// goodRun is a run on a VM that is through.
func goodRun(t *testing.T) *run {
	f, err := parseFacts([]byte(fullSurvey))
	if err != nil {
		t.Fatal(err)
	}
	j := allDone()
	j.MachineID = f.MachineID
	f.MissingPackages = nil
	f.DNS = f.DNS[:1]
	f.Platform = []byte(goodPlatform)
	id := &identity.Identity{ServerConf: []byte("conf"), CACert: []byte("cert"), CAKey: []byte("key")}
	f.WireGuardDigest = digest(id.ServerConf)
	f.Files = map[string]FileFact{
		pushedWG: fact(0o600, id.ServerConf), pushedCA: fact(0o644, id.CACert), pushedCAKey: fact(0o600, id.CAKey),
	}
	return &run{
		Config: Config{Octet: 150, User: "dev", Journal: j, Now: func() time.Time { return f.Time }},
		conn:   &guest.Conn{}, facts: f, id: id,
	}
}

// TestGate is faults F34 and F47.
func TestGate(t *testing.T) {
	host := func(name string) func(*Facts) { return func(f *Facts) { f.Host = name } }
	skew := func(d time.Duration) func(*Facts) { return func(f *Facts) { f.Time = f.Time.Add(d) } }
	tests := []struct {
		name    string
		change  func(f *Facts)
		refused string // part of the refusal
		failed  string // part of an error that is no refusal
		warned  string // part of the warning
	}{
		{name: "good", change: func(*Facts) {}},
		{name: "arm64", change: func(f *Facts) { f.Arch = "aarch64" }},
		{name: "template", change: host("mpd-template")},
		{name: "template with suffix", change: host("mpd-template-trixie")},
		{name: "sandbox", change: host("mpd-sandbox-2")},

		{name: "another octet", change: host("mpd-151"), refused: "its host name is mpd-151, not mpd-150"},
		{name: "a stranger", change: host("printer"), refused: "printer"},
		{name: "no host name", change: host(""), refused: "its host name is"},
		{name: "longer than a template", change: host("mpd-templatex"), refused: "mpd-templatex"},
		{name: "template and more lines", change: host("mpd-template\nx"), refused: "host name"},
		{name: "octet and more", change: host("mpd-1500"), refused: "mpd-1500"},
		{name: "capital letters", change: host("MPD-150"), refused: "MPD-150"},
		{name: "Debian 12", change: func(f *Facts) { f.Codename = "bookworm" }, refused: "it runs Linux debian bookworm"},
		{name: "Ubuntu", change: func(f *Facts) { f.ID, f.Codename = "ubuntu", "noble" }, refused: "Linux ubuntu noble"},
		{name: "a Mac", change: func(f *Facts) { f.System, f.ID, f.Codename = "Darwin", "", "" }, refused: "it runs Darwin, but"},
		{name: "no answer", change: func(f *Facts) { *f = Facts{} }, refused: "it runs an unknown system"},
		{name: "32 bit", change: func(f *Facts) { f.Arch = "armv7l" }, refused: "its processor is armv7l"},
		{name: "no machine-id", change: func(f *Facts) { f.MachineID = "" }, refused: "no /etc/machine-id"},

		{name: "clock five minutes ahead", change: skew(5 * time.Minute)},
		{name: "clock an hour ahead", change: skew(time.Hour), warned: "its clock is off by 1h0m0s"},
		{name: "clock an hour behind", change: skew(-time.Hour), warned: "off by -1h0m0s"},
		{name: "clock a day behind", change: skew(-24*time.Hour - time.Second), failed: "its clock is off by -24h0m1s"},
		{name: "clock in ten years", change: skew(10 * 365 * 24 * time.Hour), failed: "certificates would not be valid"},
		{name: "1970", change: func(f *Facts) { f.Time = time.Unix(0, 0) }, failed: "its clock is off by"},
		{name: "beyond all years", change: func(f *Facts) { f.Time = time.Unix(1<<62, 0) }, failed: "its clock is off by"},
		{name: "before all years", change: func(f *Facts) { f.Time = time.Unix(-1<<62, 0) }, failed: "its clock is off by"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := goodRun(t)
			tt.change(&r.facts)
			_, err := gate(t.Context(), r)
			var w warning
			switch {
			case tt.refused != "":
				if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("gate: %v, want a refusal with %q", err, tt.refused)
				}
			case tt.failed != "":
				if err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.failed) || !strings.Contains(hint.Of(err), "timedatectl") {
					t.Errorf("gate: %v (hint %q), want an error with %q", err, hint.Of(err), tt.failed)
				}
			case tt.warned != "":
				if !errors.As(err, &w) || !strings.Contains(string(w), tt.warned) {
					t.Errorf("gate: %v, want a warning with %q", err, tt.warned)
				}
			case err != nil:
				t.Errorf("gate: %v", err)
			}
		})
	}
}

func TestGateAnotherMachine(t *testing.T) {
	r := goodRun(t)
	if _, err := gate(t.Context(), r); err != nil || len(r.Journal.Done) != len(Steps()) {
		t.Fatalf("the same machine lost steps: %v, %v", err, r.Journal.Done)
	}
	r.facts.MachineID = "another"
	if _, err := gate(t.Context(), r); err != nil || len(r.Journal.Done) != 0 || r.Journal.MachineID != "another" {
		t.Errorf("another machine: %v, done %v, machine %s", err, r.Journal.Done, r.Journal.MachineID)
	}
	if got := r.Journal.Addresses(); len(got) != 2 {
		t.Errorf("it may be at %v, want both addresses", got)
	}
}

// TestPostConditions is fault F39: a step that ends well but did not do its
// work is no step that is done.
func TestPostConditions(t *testing.T) {
	tests := []struct {
		name, step string
		change     func(r *run)
		want       string
	}{
		{"sudo", StepSudoers, func(r *run) { r.facts.Sudo = false }, "sudo still asks"},
		{"clone", StepClone, func(r *run) { r.facts.Clone = false }, "/opt/mpd/bootstrap/30-networking.sh is not there"},
		{"file missing", StepPush, func(r *run) { delete(r.facts.Files, pushedCA) }, pushedCA},
		{"file open", StepPush, func(r *run) { r.facts.Files[pushedCAKey] = fact(0o644, r.id.CAKey) }, pushedCAKey},
		{"file differs", StepPush, func(r *run) { r.id.ServerConf = []byte("new") }, pushedWG},
		{"host name", StepNetwork, func(r *run) { r.facts.Host = "mpd-template" }, "the host name is mpd-template, not mpd-150"},
		{"address", StepNetwork, func(r *run) {}, "not at 10.211.55.150"}, // a Conn without an address
		{"package", StepPackages, func(r *run) { r.facts.MissingPackages = []string{"jq", "make"} }, "not installed: jq, make"},
		{"program", StepBuild, func(r *run) { r.facts.MPD = false }, "/opt/mpd/bin/mpd does not run"},
		{"tunnel", StepWireGuard, func(r *run) { r.facts.WireGuard = false }, "not active"},
		{"tunnel of another conf", StepWireGuard, func(r *run) { r.facts.WireGuardDigest = "" }, "not the one that was sent"},
		{"no DNS", StepMPD, func(r *run) { r.facts.DNS = nil }, "vm.service.mpd.test is [] on the VM"},
		{"another address", StepMPD, func(r *run) { r.facts.DNS = []netip.Addr{firstAddr} }, "not 10.211.55.150"},
		{"two addresses", StepMPD, func(r *run) { r.facts.DNS = []netip.Addr{canonicalAddr, firstAddr} }, "not 10.211.55.150"},
	}
	for _, s := range pipeline {
		if s.holds != nil && s.id != StepNetwork {
			if missing := s.holds(goodRun(t)); missing != "" {
				t.Errorf("%s on a good VM: %s", s.id, missing)
			}
		}
	}
	for _, tt := range tests {
		t.Run(tt.step+"/"+tt.name, func(t *testing.T) {
			r := goodRun(t)
			tt.change(r)
			for _, s := range pipeline {
				if s.id != tt.step {
					continue
				}
				if got := s.holds(r); !strings.Contains(got, tt.want) || got == "" {
					t.Errorf("holds says %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestStepsAreNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range Steps() {
		if seen[id] || id == "" || id == StepUpdate {
			t.Errorf("step %q stands there twice or does not belong there", id)
		}
		seen[id] = true
	}
}

func TestRunRefusesUnknownStep(t *testing.T) {
	_, _, err := Run(t.Context(), Config{From: "99-nothing", Journal: allDone()})
	if err == nil || !strings.Contains(err.Error(), `"99-nothing"`) {
		t.Errorf("Run: %v", err)
	}
}

// A step that runs again is not done while it runs, also for a run that finds
// the journal after a kill.
func TestStepThatRunsAgainIsNotDone(t *testing.T) {
	for _, id := range []string{StepPackages, StepNetwork} {
		t.Run(id, func(t *testing.T) {
			r := goodRun(t)
			r.Journal.file = filepath.Join(t.TempDir(), "journal.json")
			killed := errors.New("killed")
			s := step{id: id, holds: func(*run) string { return "" }, do: func(context.Context, *run) (string, error) {
				j, err := LoadJournal(nil, r.Journal.file, 150)
				if err != nil {
					t.Fatal(err)
				}
				if _, done := j.Done[id]; done {
					t.Error("the journal says that the step is done while it runs")
				}
				if addrs := j.Addresses(); addrs[0] != canonicalAddr {
					t.Errorf("the next run looks at %v", addrs)
				}
				return "", killed
			}}
			if err := r.step(t.Context(), s, true); !errors.Is(err, killed) {
				t.Errorf("step: %v", err)
			}
		})
	}
}

func TestStepNews(t *testing.T) {
	plain, long := errors.New("x failed"), fmt.Errorf("push: %w", fs.ErrPermission)
	tests := []struct {
		name    string
		result  error
		err     string // of the step
		warning bool
		summary string
	}{
		{"done", nil, "", false, "as it should"},
		{"warning", warning("but look"), "", true, "but look"},
		{"failed", plain, "x failed", false, "as it should"},
		{"failed, with its own name", long, "permission denied", false, "as it should"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var news []string
			var out Outcome
			r := goodRun(t)
			r.Observer = Observer{
				Started: func(id string) { news = append(news, "start "+id) },
				Ended:   func(id string, o Outcome) { news, out = append(news, "end "+id), o },
			}
			err := r.step(t.Context(), step{id: "push", do: func(context.Context, *run) (string, error) { return "as it should", tt.result }}, false)
			if got := strings.Join(news, ", "); got != "start push, end push" {
				t.Errorf("news: %s", got)
			}
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if out.Warning != tt.warning || out.Summary != tt.summary || (out.Err == nil) != (tt.err == "") {
				t.Errorf("outcome %+v", out)
			}
			if tt.result == long && !errors.Is(err, fs.ErrPermission) {
				t.Error("the cause is lost")
			}
		})
	}
	if err := goodRun(t).step(t.Context(), step{id: "x", do: func(context.Context, *run) (string, error) { return "", nil }}, false); err != nil {
		t.Errorf("without an observer: %v", err)
	}
}

func TestRefused(t *testing.T) {
	err := fmt.Errorf("x: %w", refused{hint.Wrap(fs.ErrExist, "turn it off")})
	if !errors.Is(err, ErrRefused) || !errors.Is(err, fs.ErrExist) || hint.Of(err) != "turn it off" || err.Error() != "x: file already exists" {
		t.Errorf("%v, hint %q", err, hint.Of(err))
	}
}
