package mpdvirttest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

// cloudTime is how cloud-init writes a time for people.
const cloudTime = "Mon, 02 Jan 2006 15:04:05 -0700"

// statusOptions are the parsed arguments of cloud-init status.
type statusOptions struct{ wait, long, json bool }

// cloudInit plays "cloud-init status" with --wait, --long and --format, and
// "cloud-init --version".
func (v *VM) cloudInit(ctx context.Context, p *debian.Process, args []string) int {
	if len(args) == 2 && (args[1] == "--version" || args[1] == "-v") {
		p.Printf("/usr/bin/cloud-init %s\n", cloudVersion)
		return 0
	}
	if len(args) < 2 || args[1] != "status" {
		return p.Errorf("cloud-init: not played by mpdvirttest: %s", strings.Join(args[1:], " "))
	}
	o, wrong := parseStatus(args[2:])
	if wrong != "" {
		p.Errorf("usage: cloud-init status [-h] [-f {json,tabular,yaml}] [-l] [-w]\ncloud-init status: error: unrecognized arguments: %s", wrong)
		return 2
	}
	v.mu.Lock()
	st := v.cloud
	v.mu.Unlock()
	if st == nil { // its guest has the program, and was never booted by a hypervisor
		st = &cloudState{code: "disabled-by-generator", disabled: "Cloud-init disabled by cloud-init-generator"}
	}
	if o.wait && st.disabled == "" && !st.await(ctx, p, !o.json) {
		return 143
	}
	return st.print(p, o)
}

func parseStatus(args []string) (o statusOptions, wrong string) {
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		switch name {
		case "--wait", "-w":
			o.wait = true
		case "--long", "-l":
			o.long = true
		case "--format", "-f":
			if !given && i+1 < len(args) {
				i++
				value = args[i]
			}
			if value != "json" && value != "tabular" {
				return o, args[i]
			}
			o.json = value == "json"
		default:
			return o, args[i]
		}
	}
	return o, ""
}

// await waits for the end, and prints a dot four times a second meanwhile, also
// where nobody looks. False is that ctx ended before.
func (st *cloudState) await(ctx context.Context, p *debian.Process, dots bool) bool {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	waited := false
	for {
		select {
		case <-st.done:
			if waited && dots {
				p.Printf("\n")
			}
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
			if waited = true; dots {
				p.Printf(".")
			}
		}
	}
}

// cloudReport is the status in the words of cloud-init.
type cloudReport struct {
	Code        string              `json:"boot_status_code"`
	Source      string              `json:"datasource"`
	Detail      string              `json:"detail"`
	Errors      []string            `json:"errors"`
	Extended    string              `json:"extended_status"`
	Last        string              `json:"last_update"`
	Recoverable map[string][]string `json:"recoverable_errors"`
	Stage       *string             `json:"stage"`
	Status      string              `json:"status"`
	exit        int
}

const (
	cloudFailure = "('resizefs', ProcessExecutionError(\"Unexpected error while running command.\\nCommand: ('resize2fs', '/dev/vda1')\\nExit code: 1\\n" +
		"Reason: -\\nStdout: \\nStderr: resize2fs: No space left on device While checking for on-line resizing support\"))"
	cloudComplaint = "Invalid cloud-config provided: Please run 'sudo cloud-init schema --system' to see the schema errors."
)

func (st *cloudState) report() cloudReport {
	r := cloudReport{Code: st.code, Detail: st.disabled, Errors: []string{}, Recoverable: map[string][]string{}, Status: "disabled", Extended: "disabled"}
	if st.disabled != "" {
		return r
	}
	r.Code, r.Source, r.Detail = "enabled-by-generator", "nocloud", cloudSource
	last := st.begun
	select {
	case <-st.done:
		last = st.ended
		r.Status, r.Extended = "done", "done"
	default:
		stage := "modules-final"
		r.Status, r.Extended, r.Stage = "running", "running", &stage
	}
	r.Last = last.UTC().Format(cloudTime)
	switch {
	case r.Status == "running":
	case st.outcome == CloudInitError:
		r.Status, r.Extended, r.exit = "error", "error - done", 1
		r.Errors = []string{cloudFailure}
	case st.outcome == CloudInitDegraded:
		r.Extended, r.exit = "degraded done", 2
		r.Recoverable["WARNING"] = []string{cloudComplaint}
	}
	return r
}

func (st *cloudState) print(p *debian.Process, o statusOptions) int {
	r := st.report()
	if o.json {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return p.Errorf("cloud-init: %v", err)
		}
		p.Printf("%s\n", text)
		return r.exit
	}
	p.Printf("status: %s\n", r.Status)
	if !o.long {
		return r.exit
	}
	p.Printf("extended_status: %s\nboot_status_code: %s\n", r.Extended, r.Code)
	if r.Last != "" {
		p.Printf("last_update: %s\n", r.Last)
	}
	p.Printf("detail: %s\nerrors:%s\n", r.Detail, bullets(r.Errors, " []"))
	if len(r.Recoverable) == 0 {
		p.Printf("recoverable_errors: {}\n")
		return r.exit
	}
	p.Printf("recoverable_errors:\n")
	for level, texts := range r.Recoverable {
		p.Printf("%s:%s\n", level, bullets(texts, ""))
	}
	return r.exit
}

func bullets(texts []string, none string) string {
	if len(texts) == 0 {
		return none
	}
	return "\n\t- " + strings.Join(texts, "\n\t- ")
}

// uptime is how many seconds the boot took.
func (st *cloudState) uptime() float64 { return st.ended.Sub(st.begun).Seconds() }

// logs are what cloud-init adds to its two logs at the end of a boot: all of it,
// and what it printed.
func (st *cloudState) logs() (log, printed string) {
	at := st.ended.UTC().Format("2006-01-02 15:04:05,000")
	begin := fmt.Sprintf("Cloud-init v. %s running 'modules:final' at %s. Up %.2f seconds.\n", cloudVersion, st.ended.UTC().Format(cloudTime), st.uptime())
	end := fmt.Sprintf("Cloud-init v. %s finished at %s. Datasource %s.  Up %.2f seconds\n", cloudVersion, st.ended.UTC().Format(cloudTime), cloudSource, st.uptime())
	log, printed = at+" - util.py[DEBUG]: "+begin, begin
	switch st.outcome {
	case CloudInitError:
		const module = "resizefs (<module 'cloudinit.config.cc_resizefs' from '/usr/lib/python3/dist-packages/cloudinit/config/cc_resizefs.py'>)"
		warning := at + " - log_util.py[WARNING]: Running module " + module + " failed\n"
		printed += warning
		log += warning + at + " - log_util.py[DEBUG]: Running module " + module + ` failed
Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/cloudinit/config/cc_resizefs.py", line 290, in do_resize
    subp.subp(resize_cmd)
cloudinit.subp.ProcessExecutionError: Unexpected error while running command.
Command: ('resize2fs', '/dev/vda1')
Exit code: 1
Reason: -
Stdout: 
Stderr: resize2fs: No space left on device While checking for on-line resizing support
`
	case CloudInitDegraded:
		log += at + " - schema.py[WARNING]: " + cloudComplaint + "\n"
		printed += at + " - schema.py[WARNING]: " + cloudComplaint + "\n"
	}
	return log + at + " - util.py[DEBUG]: " + end, printed + end
}
