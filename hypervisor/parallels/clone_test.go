package parallels

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

const (
	theClone       = "prlctl clone " + uTpl + " --name mpd-150"
	tplName        = "mpd-template-trixie"
	saysCloned     = "Clone the mpd-template-trixie VM to VM mpd-150...\n\rCopying hard disk 1 ... 12 %\rCopying hard disk 1 ... 100 %\n\nThe VM has been successfully cloned.\n"
	saysSnapshots  = "Failed to resize: This virtual hard disk cannot be resized because it has one or more snapshots. To resize the disk, delete the snapshots and try again.\n" + configured
	saysConfigured = "The VM has been successfully configured.\n"
)

// inventory are the calls of CanClone behind Available.
func inventory(vms ...string) []call {
	return []call{full(vms...), templates(uTpl+" stopped - "+tplName, u151+" stopped - other")}
}

func tplDetail(t *testing.T) call {
	return call{argv: "prlctl list " + uTpl + " -i -j", stdout: fixture(t, "detail-template.json")}
}

// cloneDetail is the long form of the new VM with these sizes.
func cloneDetail(t *testing.T, ram, disk string) call {
	return detailOf(t, `"running"`, `"stopped"`, `"8192Mb"`, `"`+ram+`Mb"`, `"65536Mb"`, `"`+disk+`Mb"`)
}

func TestCanClone(t *testing.T) {
	spec := hypervisor.CloneSpec{Octet: 150, Template: tplName}
	with := func(change func(*hypervisor.CloneSpec)) hypervisor.CloneSpec { s := spec; change(&s); return s }
	disk := func(s hypervisor.Size) hypervisor.CloneSpec {
		return with(func(c *hypervisor.CloneSpec) { c.Disk = s })
	}
	badSize := errors.New("a *ValueError")
	for _, tc := range []struct {
		name  string
		spec  hypervisor.CloneSpec
		calls []call // behind those of Available
		err   error  // nil: it can be cloned
		says  string
	}{
		{"yes", spec, inventory(), nil, ""},
		{"beside others", spec, inventory(u150+" running 10.211.55.151 mpd-151", u151+" stopped 10.211.55.150 old"), nil, ""},
		{"the name is taken", spec, inventory(u150 + " suspended - mpd-150"), hypervisor.ErrTaken, u150},
		{"the name is taken in other letters", spec, inventory(u150 + " stopped - MPD-150"), hypervisor.ErrTaken, `"MPD-150"`},
		{"F59: the name is that of a template", spec, []call{full(), templates(uTpl+" stopped - "+tplName, u150+" stopped - Mpd-150")}, hypervisor.ErrTaken, u150},
		{"the address is taken", spec, inventory(u150 + " running fe80::1,10.211.55.150 printer"), hypervisor.ErrTaken, `10.211.55.150 is taken by another VM: "printer"`},
		{"F65: no such template", with(func(c *hypervisor.CloneSpec) { c.Template = "mpd-template-sid" }), inventory(), hypervisor.ErrNoTemplate, "there are: mpd-template-trixie, other"},
		{"other letters", with(func(c *hypervisor.CloneSpec) { c.Template = "MPD-template-trixie" }), inventory(), hypervisor.ErrNoTemplate, tplName},
		{"no templates", spec, []call{full(), templates()}, hypervisor.ErrNoTemplate, "there are none"},
		{"two of the name", spec, []call{full(), templates(uTpl+" stopped - "+tplName, u150+" stopped - "+tplName)}, hypervisor.ErrAmbiguous, u150},
		{"a larger disk", disk(80 * hypervisor.GiB), append(inventory(), tplDetail(t)), nil, ""},
		{"the same disk", disk(64 * hypervisor.GiB), append(inventory(), tplDetail(t)), nil, ""},
		{"a smaller disk", disk(64*hypervisor.GiB - hypervisor.MiB), append(inventory(), tplDetail(t)), badSize, "has 64G"},
		{"the disk is not told", disk(80 * hypervisor.GiB), append(inventory(),
			call{argv: "prlctl list " + uTpl + " -i -j", stdout: strings.Replace(fixture(t, "detail-template.json"), `"hdd0":`, `"nvme0":`, 1)}), nil, "not told"},
		{"templates cannot be read", spec, []call{full(), {argv: "prlctl list -t -o uuid,name -j"}}, nil, "cannot be read"},
		{"VMs cannot be read", spec, []call{{argv: "prlctl list -a -f -j", stdout: "[{", status: 0}}, nil, "cannot be read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := backend(t, join(available(t), tc.calls)...).CanClone(t.Context(), tc.spec)
			switch {
			case tc.err == nil && tc.says == "":
				if err != nil {
					t.Errorf("CanClone = %v", err)
				}
			case err == nil, !strings.Contains(err.Error(), tc.says):
				t.Errorf("CanClone = %v, want one that says %q", err, tc.says)
			case tc.err == badSize && !errors.As(err, new(*hypervisor.ValueError)), tc.err != nil && tc.err != badSize && !errors.Is(err, tc.err):
				t.Errorf("CanClone = %v, want %v", err, tc.err)
			}
		})
	}
}

// F122; what is refused here starts no tool.
func TestTemplateNames(t *testing.T) {
	for _, name := range []string{"", "-a", "--name", "a\nb", "a\x00", "a\x7f", "\u0085", "\xff", strings.Repeat("a", 256)} {
		err := backend(t).CanClone(t.Context(), hypervisor.CloneSpec{Octet: 150, Template: name})
		var v *hypervisor.ValueError
		if !errors.As(err, &v) || v.Kind != "template" || v.Text != name {
			t.Errorf("template %q: %v", name, err)
		}
	}
	for _, name := range []string{"x --name y", `it's "one"`, "Übung", "../a", "trailing ", strings.Repeat("a", 255)} {
		b := backend(t, join(available(t), []call{full(), templates()})...)
		if err := b.CanClone(t.Context(), hypervisor.CloneSpec{Octet: 150, Template: name}); !errors.Is(err, hypervisor.ErrNoTemplate) {
			t.Errorf("template %q: %v", name, err)
		}
	}
}

func TestNoTemplateButVM(t *testing.T) {
	b := backend(t, join(available(t), []call{full(u150 + " stopped - " + tplName), templates()})...)
	err := b.CanClone(t.Context(), hypervisor.CloneSpec{Octet: 150, Template: tplName})
	if !errors.Is(err, hypervisor.ErrNoTemplate) || !strings.Contains(hint.Of(err), "prlctl set "+u150+" --template on") {
		t.Errorf("%v, hint %q", err, hint.Of(err))
	}
}

func TestClone(t *testing.T) {
	const gib = hypervisor.GiB
	cloned := call{argv: theClone, stdout: saysCloned}
	made := list(u150 + " stopped - mpd-150")
	ram := call{argv: "prlctl set " + u150 + " --memsize 16384", stdout: saysConfigured}
	disk := call{argv: "prlctl set " + u150 + " --device-set hdd0 --size 81920", stdout: saysConfigured}
	fails := func(c call, text string) call { c.stdout, c.stderr, c.status = "", text, 255; return c }
	sizes := hypervisor.CloneSpec{RAM: 16 * gib, Disk: 80 * gib}
	for _, tc := range []struct {
		name  string
		spec  hypervisor.CloneSpec
		calls []call // behind those of CanClone
		uuid  string // of Made
		warns []string
		err   error
		says  string // "": no error
		most  time.Duration
	}{
		{"full", hypervisor.CloneSpec{}, []call{cloned, made}, u150, nil, nil, "", 0},
		{"linked", hypervisor.CloneSpec{Linked: true}, []call{{argv: theClone + " --linked"}, made}, u150, nil, nil, "", 0},
		{"listed late", hypervisor.CloneSpec{}, []call{cloned, list(), list(u150 + " cloning - mpd-150"), made}, u150, nil, nil, "", 2 * time.Second},
		{"one bad list", hypervisor.CloneSpec{}, []call{cloned, {argv: "prlctl list -a -j"}, made}, u150, nil, nil, "", time.Second},
		{"sizes", sizes, []call{tplDetail(t), cloned, made, ram, disk, cloneDetail(t, "16384", "81920")}, u150, nil, nil, "", 0},
		{"the template's sizes", hypervisor.CloneSpec{RAM: 8 * gib, Disk: 64 * gib}, []call{tplDetail(t), cloned, made}, u150, nil, nil, "", 0},
		{"F66: the disk is refused", hypervisor.CloneSpec{Disk: 80 * gib}, []call{tplDetail(t), cloned, made, fails(disk, saysSnapshots), cloneDetail(t, "8192", "65536")},
			u150, []string{"the disk is 64G, not 80G: a disk with snapshots cannot grow"}, nil, "", 0},
		{"F66: both are refused", sizes, []call{tplDetail(t), cloned, made, fails(ram, saysOther+"\n"+configured), fails(disk, saysOther), cloneDetail(t, "8192", "65536")},
			u150, []string{"the memory is 8G, not 16G: prlctl set: exit status 255: " + saysOther, "the disk is 64G, not 80G: "}, nil, "", 0},
		{"refused, and yet done", sizes, []call{tplDetail(t), cloned, made, fails(ram, saysOther), disk, cloneDetail(t, "16384", "81920")}, u150, nil, nil, "", 0},
		{"said to be done, and not", sizes, []call{tplDetail(t), cloned, made, ram, disk, cloneDetail(t, "16384", "65536")}, u150, []string{"the disk is 64G, not 80G"}, nil, "", 0},
		{"busy at first", sizes, []call{tplDetail(t), cloned, made, fails(ram, saysBusy), ram, disk, cloneDetail(t, "16384", "81920")}, u150, nil, nil, "", 2 * time.Second},
		{"the service goes down", sizes, []call{tplDetail(t), cloned, made, {argv: ram.argv, stderr: saysDown, status: 253}}, u150, nil, hypervisor.ErrService, "Service", 0},
		{"the sizes cannot be read back", sizes, []call{tplDetail(t), cloned, made, ram, disk, {argv: "prlctl list " + u150 + " -a -i -j"}}, u150, nil, nil, "cannot be read", 0},
		{"F65: no space", hypervisor.CloneSpec{}, []call{fails(cloned, "\nFailed to clone the VM: not enough space"), list()}, "", nil, nil, "not enough space", 0},
		{"F65: taken meanwhile", hypervisor.CloneSpec{}, []call{fails(cloned, "\nFailed to clone the VM: The name you specified for this virtual machine is already taken.")},
			"", nil, hypervisor.ErrTaken, "already taken", 0},
		{"F54: taken meanwhile, with status 0", hypervisor.CloneSpec{}, []call{{argv: theClone, stderr: "The name you specified for this virtual machine is already taken."}},
			"", nil, hypervisor.ErrTaken, "already taken", 0},
		{"F54: an unknown error with status 0", hypervisor.CloneSpec{}, []call{{argv: theClone, stderr: saysOther}, made}, u150, nil, nil, "", 0},
		{"F65: the template runs", hypervisor.CloneSpec{}, []call{fails(cloned, "\nFailed to clone the VM: "+saysBusy), list()}, "", nil, nil, "busy", 0},
		{"F57: a password is wanted", hypervisor.CloneSpec{}, []call{fails(cloned, "Failed to clone the VM: The operation failed. To perform this operation, you must enter the host OS administrator's credentials."), list()},
			"", nil, nil, "credentials", 0},
		{"another linked clone", hypervisor.CloneSpec{Linked: true}, []call{{argv: theClone + " --linked", stderr: "\nFailed to clone the VM: The virtual machine could not be found.", status: 255}, list()},
			"", nil, nil, "could not be found", 0},
		{"failed, but there", hypervisor.CloneSpec{}, []call{fails(cloned, "Operation canceled."), made}, u150, nil, nil, "perhaps not whole", 0},
		{"F53: it hangs", hypervisor.CloneSpec{}, []call{{argv: theClone, err: context.DeadlineExceeded}, list()}, "", nil, context.DeadlineExceeded, "", 0},
		{"F54: said to be done, and not there", hypervisor.CloneSpec{}, slices.Concat([]call{cloned}, slices.Repeat([]call{list()}, 8)), "", nil, nil, "does not list", 12 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec := tc.spec
			spec.Octet, spec.Template = 150, tplName
			calls := join(available(t), inventory(), tc.calls)
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				got, err := backend(t, calls...).Clone(t.Context(), spec, nil)
				if (err == nil) != (tc.says == "" && tc.err == nil) || tc.err != nil && !errors.Is(err, tc.err) || err != nil && !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("Clone = %+v, %v, want %v that says %q", got, err, tc.err, tc.says)
				}
				if errors.Is(err, hypervisor.ErrNoMachine) {
					t.Errorf("%v: nobody asked for a VM that is not there", err)
				}
				if got.UUID != tc.uuid || tc.uuid != "" && (got.Name != "mpd-150" || got.State != hypervisor.Stopped) {
					t.Errorf("Made %+v, want %q", got, tc.uuid)
				}
				if !slices.EqualFunc(got.Warnings, tc.warns, strings.HasPrefix) {
					t.Errorf("warnings %q, want %q", got.Warnings, tc.warns)
				}
				if took := time.Since(begin); took > tc.most {
					t.Errorf("it took %v, want at most %v", took, tc.most)
				}
			})
		})
	}
}

// The UUID is lost if the list cannot be read, but not that a VM was made.
func TestCloneThatCannotBeListed(t *testing.T) {
	calls := join(available(t), inventory(), []call{{argv: theClone, stdout: saysCloned}}, slices.Repeat([]call{{argv: "prlctl list -a -j", stdout: "?"}}, 8))
	synctest.Test(t, func(t *testing.T) {
		got, err := backend(t, calls...).Clone(t.Context(), hypervisor.CloneSpec{Octet: 150, Template: tplName}, nil)
		if err == nil || got.Name != "mpd-150" || got.UUID != "" {
			t.Errorf("Clone = %+v, %v", got, err)
		}
	})
}

func TestCloneHints(t *testing.T) {
	for text, want := range map[string]string{
		"\nFailed to clone the VM: not enough space":                                         "mpd-150.pvm",
		"To perform this operation, you must enter the host OS administrator's credentials.": "--require-pwd clone-vm:off",
	} {
		b := backend(t, join(available(t), inventory(), []call{{argv: theClone, stderr: text, status: 255}, list()})...)
		_, err := b.Clone(t.Context(), hypervisor.CloneSpec{Octet: 150, Template: tplName}, nil)
		if h := hint.Of(err); !strings.Contains(h, want) || !strings.Contains(h, "mpd-150.pvm") {
			t.Errorf("%v: hint %q, want %q", err, h, want)
		}
	}
}

func TestCloneProgressAndLimit(t *testing.T) {
	var lines []string
	calls := join(available(t), inventory(), []call{tplDetail(t), {argv: theClone}, list(u150 + " stopped - mpd-150"),
		{argv: "prlctl set " + u150 + " --memsize 16384"}, {argv: "prlctl set " + u150 + " --device-set hdd0 --size 81920"}, cloneDetail(t, "16384", "81920")})
	inner := backend(t, calls...)
	b := New(Config{Run: func(ctx context.Context, c hypervisor.Command) (hypervisor.Result, error) {
		if c.Argv[1] == "clone" && c.Limit != 30*time.Minute {
			t.Errorf("the limit of a clone is %v", c.Limit)
		}
		return inner.run(ctx, c)
	}})
	_, err := b.Clone(t.Context(), hypervisor.CloneSpec{Octet: 150, Template: tplName, RAM: 16 * hypervisor.GiB, Disk: 80 * hypervisor.GiB},
		func(s string) { lines = append(lines, s) })
	want := []string{"looking at templates, names and addresses", "copying the template mpd-template-trixie, which can take minutes",
		"setting the memory to 16G", "growing the disk to 80G"}
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("progress %q, %v, want %q", lines, err, want)
	}
}

// Ctrl-C during the copy: nothing more is started.
func TestCloneInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := backend(t, join(available(t), inventory(), []call{{argv: theClone, err: context.Canceled, then: cancel}})...)
	got, err := b.Clone(ctx, hypervisor.CloneSpec{Octet: 150, Template: tplName}, nil)
	if !errors.Is(err, context.Canceled) || got.Name != "" {
		t.Errorf("Clone = %+v, %v", got, err)
	}
}
