package mpdvirt

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestReportErr(t *testing.T) {
	ok, warn := Check{ID: "ping", Phase: Mandatory, Status: OK}, Check{ID: "backend", Phase: Mandatory, Status: Warn}
	fail := Check{ID: "platform", Phase: Mandatory, Status: Fail, Summary: "no answer"}
	refused := Check{ID: "ssh-alias", Phase: Mandatory, Status: Fail, Summary: "another key", Refused: true}
	skip := Check{ID: "ssh-alias", Phase: Mandatory, Status: Skipped}
	optional := Check{ID: "resolver", Phase: Optional, Status: Fail, Summary: "nothing", Refused: true}
	tests := []struct {
		name   string
		checks []Check
		kind   error
		text   string
	}{
		{"nothing asked", nil, nil, ""},
		{"all well", []Check{ok}, nil, ""},
		{"warnings hold", []Check{ok, warn}, nil, ""},
		{"optional checks do not count", []Check{ok, optional}, nil, ""},
		{"one failed", []Check{ok, fail, skip, optional}, ErrUnhealthy, "not healthy: platform: no answer"},
		{"refused outweighs", []Check{fail, refused}, ErrRefused, "refused: platform: no answer; ssh-alias: another key"},
		{"refused first", []Check{refused, fail}, ErrRefused, "refused: ssh-alias: another key; platform: no answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{Checks: tt.checks}
			err := r.Err()
			if r.Healthy() != (tt.kind == nil) || !errors.Is(err, tt.kind) {
				t.Fatalf("Healthy %v, Err %v, want %v", r.Healthy(), err, tt.kind)
			}
			if err != nil && err.Error() != tt.text {
				t.Errorf("Err() = %q, want %q", err, tt.text)
			}
			if errors.Is(err, ErrUnhealthy) && errors.Is(err, ErrRefused) {
				t.Error("it is both")
			}
		})
	}
}

func TestReportCheck(t *testing.T) {
	r := &Report{Checks: []Check{{ID: "ping", Summary: "1 ms"}, {ID: "backend"}}}
	if got := r.Check("ping"); got.Summary != "1 ms" {
		t.Errorf("Check(ping) = %+v", got)
	}
	if got := r.Check("none"); got.ID != "" || got.Status != "" {
		t.Errorf("Check(none) = %+v", got)
	}
	c := r.Check("ping")
	c.Summary = "changed"
	if r.Checks[0].Summary != "1 ms" {
		t.Error("Check gives a way into the Report")
	}
	r.find("ping").Summary = "changed"
	r.find("none").Summary = "nowhere"
	if r.Checks[0].Summary != "changed" || len(r.Checks) != 2 {
		t.Errorf("after find: %+v", r.Checks)
	}
}

// What has no value is not in the JSON, but what a reader must find always is.
func TestReportJSON(t *testing.T) {
	data, err := json.Marshal(&Report{Schema: ReportSchema, Octet: 150, Name: "mpd-150", Checks: []Check{{ID: "ping", Phase: Mandatory, Status: OK}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"schema":"mpd-virt/report/1","octet":150,"name":"mpd-150","checks":[` +
		`{"id":"ping","phase":"mandatory","status":"ok","summary":""}],"verdict":""}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || back.Addr.IsValid() || len(back.Checks) != 1 {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestMPDVirtFix(t *testing.T) {
	if f := mpdVirt("start", "150"); strings.Join(f.Argv, " ") != "mpd-virt start 150" || f.Root {
		t.Errorf("%+v", f)
	}
}
