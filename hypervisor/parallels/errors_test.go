package parallels

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

// What the tool says, as recorded or assumed (testdata/prlctl/README.md says
// how sure the forms are), and what this package takes it for.
func TestMeaning(t *testing.T) {
	for _, tc := range []struct {
		text string
		want kind
		is   error
	}{
		{saysDown, login, hypervisor.ErrService}, // with another status than 253
		{saysLogin, login, hypervisor.ErrService},
		{saysUnknown, noVM, hypervisor.ErrNoMachine},
		{saysUnknown + " Contact the Parallels support team for assistance.", noVM, hypervisor.ErrNoMachine},
		{"This feature is not available in this edition of Parallels Desktop. ", edition, hypervisor.ErrLicense},
		{saysExpired, expired, hypervisor.ErrLicense},
		{"Searching for installed licenses...\nNo licenses installed.", expired, hypervisor.ErrLicense},
		{"\nFailed to clone the VM: The operation failed. To perform this operation, you must enter the host OS administrator's credentials.", password, nil},
		{`To start "X", allow the Parallels Hypervisor System Extension and restart your Mac`, extension, nil},
		{"The name you specified for this virtual machine is already taken. Choose another.", taken, hypervisor.ErrTaken},
		{`A virtual machine or folder with the name of "mpd-150" already exists in /Users/u/Parallels.`, taken, hypervisor.ErrTaken},
		{"Failed to resize: This virtual hard disk cannot be resized because it has one or more snapshots. To resize the disk, delete the snapshots and try again.\n" + configured, snapshots, nil},
		{saysBusy, busy, nil},
		{"Failed to start the VM: Unable to complete the operation. This operation cannot be completed because \"Windows 11\" is in the \"resuming\" state.", busy, nil},
		{`You cannot rename the virtual machine when it is running. Stop the virtual machine "X" and try again.`, busy, nil},
		{"This virtual machine is suspended. To be able to edit the configuration of this virtual machine, you need to stop it.", suspended, nil},

		{saysOther, other, nil},
		{"Operation canceled.", other, nil},
		{"Unable to start the virtual machine. The virtual machine cannot be started.", other, nil},
		{`Failed to start the VM: The virtual machine "mpd-130" is running. You or another user have already started this virtual machine.`, other, nil},
		{`Failed to start the VM: Unable to perform the operation because "mpd-130" is not stopped. This operation can be performed for stopped virtual machines only.`, other, nil},
		{"This virtual machine is paused and cannot be suspended. Resume the virtual machine and try again.", other, nil},
		{"Failed to resize: The specified disk size is too small.\n" + configured, other, nil},
		{"PrlJob_GetRetCode: Invalid argument. An invalid argument was passed.", other, nil},
		{"", other, nil},
	} {
		r := refused([]string{"prlctl", "verb"}, hypervisor.Result{Stderr: []byte(tc.text), Status: 255})
		if r.kind != tc.want {
			t.Errorf("%q is kind %d, want %d", tc.text, r.kind, tc.want)
		}
		for _, sentinel := range []error{hypervisor.ErrService, hypervisor.ErrNoMachine, hypervisor.ErrLicense, hypervisor.ErrTaken, hypervisor.ErrToolMissing} {
			if got := errors.Is(advised(r), sentinel); got != (sentinel == tc.is) {
				t.Errorf("%q is %v: %t", tc.text, sentinel, got)
			}
		}
		if tc.is != nil && tc.is != hypervisor.ErrNoMachine && tc.is != hypervisor.ErrTaken && hint.Of(advised(r)) == "" {
			t.Errorf("%q has no hint", tc.text)
		}
	}
}

// F57: the error holds the tool's own line.
func TestReason(t *testing.T) {
	for _, tc := range []struct{ name, stdout, stderr, want string }{
		{"one line", "Starting the VM...\n", saysOther + "\n", saysOther},
		{"an empty line first", "Clone the T VM to VM mpd-150...\n\r\n", "\nFailed to clone the VM: no space\n", "Failed to clone the VM: no space"},
		{"the line before the last of set", "", "Failed to resize: no\n" + configured + "\n", "Failed to resize: no"},
		{"that line alone", "", configured + "\n", configured},
		{"progress", "", "Copying 1 %\rCopying 2 %\rstopped\n", "stopped"},
		{"standard output if the other is empty", "This feature is not available.\n", " \n", "This feature is not available."},
		{"nothing", "", "", ""},
		{"control characters", "", "a\x1b[2Jb\x07\n", "ab"},
		{"long", "", strings.Repeat("ü", 1000), strings.Repeat("ü", 300) + "…"},
	} {
		r := refused([]string{"prlctl", "set"}, hypervisor.Result{Stdout: []byte(tc.stdout), Stderr: []byte(tc.stderr), Status: 255})
		want := "prlctl set: exit status 255"
		if tc.want != "" {
			want += ": " + tc.want
		}
		if r.Error() != want {
			t.Errorf("%s: %q, want %q", tc.name, r, want)
		}
	}
}

func TestRefusedByStatus(t *testing.T) {
	for text, want := range map[string]kind{"": noService, saysDown: noService, saysOther: noService, saysLogin: login} {
		r := refused([]string{"prlctl", "list"}, hypervisor.Result{Status: 253, Stderr: []byte(text)})
		if !errors.Is(r, hypervisor.ErrService) || r.kind != want {
			t.Errorf("status 253 with %q is kind %d, %v, want %d", text, r.kind, r, want)
		}
	}
	// What the edition does not have may stand on standard output.
	r := refused([]string{"prlctl", "start"}, hypervisor.Result{Status: 255, Stdout: []byte("This feature is not available in this edition of Parallels Desktop. \n")})
	if !errors.Is(r, hypervisor.ErrLicense) {
		t.Errorf("%v, want ErrLicense", r)
	}
}

func TestWithoutRunner(t *testing.T) {
	b := New(Config{})
	if _, err := b.States(t.Context()); !errors.Is(err, hypervisor.ErrToolMissing) {
		t.Errorf("States = %v, want ErrToolMissing", err)
	}
	if b.Name() != "parallels" || b.leases != DefaultLeaseFile {
		t.Errorf("%q, lease file %q", b.Name(), b.leases)
	}
	if p, err := b.Network(context.Background()); err != nil || p.String() != "10.211.55.0/24" {
		t.Errorf("Network = %v, %v", p, err)
	}
}
