package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ok reboot: no restart is needed
	// warn reboot: the VM should be restarted because of linux-image-cloud-arm64
	//      ssh mpd-150 sudo systemctl reboot   # restarts it
}

func TestJudge(t *testing.T) {
	tests := []struct {
		name, out string
		status    mpdvirt.Status
		summary   string
	}{
		{"no", "no\n", mpdvirt.OK, "no restart is needed"},
		{"no packages", "yes\n", mpdvirt.Warn, "the VM should be restarted"},
		{"many packages", "yes\na\nb\nc\nd\n", mpdvirt.Warn, "the VM should be restarted because of a, b, c"},
		{"nothing", "", mpdvirt.Fail, `cannot read the VM's answer: ""`},
		{"anything", "\x1b[2Jyes\n", mpdvirt.Fail, `cannot read the VM's answer: "\x1b[2Jyes"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := judge("mpd-150", tt.out)
			if c.Status != tt.status || c.Summary != tt.summary || (len(c.Fixes) > 0) != (tt.status == mpdvirt.Warn) {
				t.Errorf("%+v", c)
			}
		})
	}
	if c := judge("mpd-150", "yes\n"+strings.Repeat("x\n", 100)); c.Facts["packages"] != "100" {
		t.Errorf("%+v", c)
	}
}
