package mpdvirt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"mvdan.cc/sh/v3/shell"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/statefile"
	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// stage is what a plan is about, and who saw what happened there.
type stage struct {
	t     *testing.T
	world *mpdvirttest.World
	m     *mpdvirt.Manager
	// vms are those whose scripts are counted: again after the run, since it may
	// make one.
	vms func() []*mpdvirttest.VM
	// standins are texts of the run, by patterns, and what the plan has for them.
	standins map[string]string
	absent   string // a program that this machine lacks, however often it is tried
}

// asks says whether a command only asks. It is the test's own list: what is not
// on it changes something.
func asks(argv []string) bool {
	arg := func(n int) string {
		if n < len(argv) {
			return argv[n]
		}
		return ""
	}
	switch name := argv[0][strings.LastIndex(argv[0], "/")+1:]; name {
	case "ping", "ssh", "scutil", "sw_vers", "netstat", "ifconfig", "defaults", "id", "dig":
		return true
	case "route":
		return arg(1) == "-n" && arg(2) == "get"
	case "prlctl":
		return arg(1) == "list" || arg(1) == "--version"
	case "prlsrvctl":
		return arg(1) == "info" || arg(1) == "net" && arg(2) == "info"
	case "utmctl":
		return arg(1) == "list" || arg(1) == "status" || arg(1) == "version"
	case "osascript":
		return slices.Contains([]string{"running", "list", "drives"}, arg(2))
	case "tar":
		return strings.HasPrefix(arg(1), "-t")
	case "security":
		return slices.Contains([]string{"find-certificate", "verify-cert", "trust-settings-export", "dump-trust-settings"}, arg(1))
	case "sudo": // the session itself
		return arg(1) == "-k" || arg(len(argv)-1) == "-v"
	}
	return false
}

// changes are the commands that were started from the n-th on and change
// something, with those of root as the plan writes them.
func (s *stage) changes(n int) (out []string) {
	for _, c := range s.world.Commands()[n:] {
		if asks(c.Argv) || s.absent != "" && strings.HasSuffix(c.Argv[0], s.absent) {
			continue
		}
		argv := slices.Clone(c.Argv)
		if argv[0] == "/usr/bin/sudo" && argv[1] == "-n" { // the password was asked for before
			argv = append([]string{"sudo"}, argv[2:]...)
		}
		out = append(out, s.plain(fmt.Sprintf("%q < %q", argv, c.Stdin)))
	}
	return out
}

// plain puts the plan's stand-ins into a text of the run.
func (s *stage) plain(text string) string {
	for pattern, standin := range s.standins {
		text = regexp.MustCompile(pattern).ReplaceAllLiteralString(text, standin)
	}
	return text
}

// questions are the scripts that only ask, by the names that they get in the VM.
var questions = []string{"survey", "dpkg lock", "platform.env", "cloud-init", "wireguard conf", "wireguard key", "dns"}

// scripts are those that were sent to the VMs and change something.
func (s *stage) scripts(seen map[*mpdvirttest.VM]int) (out []string) {
	for _, vm := range s.vms() {
		for _, line := range vm.Commands()[seen[vm]:] {
			words, err := shell.Fields(line, nil)
			if err != nil || len(words) < 4 || words[0] != "bash" {
				continue // the SSH alias is tried with "true"
			}
			if slices.Contains(questions, words[3]) {
				continue
			}
			text := regexp.MustCompile(`mpd-virt-[A-Z2-7]{26}`).ReplaceAllString(words[2], "MARK")
			text = strings.TrimPrefix(text, `printf '\n%s\n' MARK; `)
			if inner, ok := strings.CutPrefix(text, "printf '%s\\n' MARK\n("); ok {
				text = strings.TrimSuffix(inner, "\n); s=$?; printf '%s\\n' MARK; exit $s")
			}
			if path, ok := strings.CutPrefix(words[3], "push "); ok {
				out = append(out, "push "+path+" "+words[5])
				continue
			}
			out = append(out, s.plain(fmt.Sprintf("%q %q", text, words[4:])))
		}
	}
	return out
}

func (s *stage) seen() map[*mpdvirttest.VM]int {
	n := map[*mpdvirttest.VM]int{}
	for _, vm := range s.vms() {
		n[vm] = len(vm.Commands())
	}
	return n
}

// home is the Mac's home folder, path by path.
func (s *stage) home() map[string]string { return tree(s.t, s.world.Home()) }

func tree(t *testing.T, root string) map[string]string {
	all := map[string]string{}
	check(t, fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() && info.Size() < 1<<20 {
			data, err := os.ReadFile(root + "/" + name)
			if err != nil {
				return err
			}
			text += "\n" + string(data)
		}
		all[root+"/"+name] = text
		return nil
	}))
	return all
}

// world is all that a plan must not change.
func (s *stage) all() map[string]string {
	all := s.home()
	maps.Copy(all, tree(s.t, s.world.Root()))
	for i, vm := range s.vms() {
		for name, text := range vm.Tree() {
			all[fmt.Sprint("VM ", i, " ", name)] = text
		}
	}
	return all
}

// told are a plan's commands, scripts and files.
func (s *stage) told(p *mpdvirt.Plan) (commands, scripts []string, files map[string][]mpdvirt.FileChange) {
	files = map[string][]mpdvirt.FileChange{}
	for _, step := range p.Steps {
		for _, a := range step.Actions {
			switch a.Kind {
			case mpdvirt.PlanCommand, mpdvirt.PlanRoot:
				commands = append(commands, fmt.Sprintf("%q < %q", a.Argv, a.Stdin))
			case mpdvirt.PlanScript:
				scripts = append(scripts, fmt.Sprintf("%q %q", a.Script, append([]string{}, a.Args...)))
			case mpdvirt.PlanPush:
				scripts = append(scripts, "push "+a.File.Path+" "+a.File.Mode)
			case mpdvirt.PlanFile:
				files[a.File.Path] = append(files[a.File.Path], *a.File)
			}
		}
	}
	return commands, scripts, files
}

// holds makes the plan of req and then runs the verb: the plan must change
// nothing, and the run do what the plan said.
func (s *stage) holds(req mpdvirt.PlanRequest, run func() error) *mpdvirt.Plan {
	s.t.Helper()
	if s.vms == nil {
		s.vms = func() []*mpdvirttest.VM { return nil }
	}
	before, n, seen := s.all(), len(s.world.Commands()), s.seen()
	plan, err := s.m.Plan(s.t.Context(), req)
	check(s.t, err)
	if after := s.all(); !maps.Equal(before, after) {
		s.t.Fatalf("the plan changed something:\n%s", difference(before, after))
	}
	if did := s.changes(n); len(did) > 0 {
		s.t.Fatalf("the plan ran %q", did)
	}
	if did := s.scripts(seen); len(did) > 0 {
		s.t.Fatalf("the plan ran in a VM %q", did)
	}
	commands, scripts, files := s.told(plan)
	home := s.home()
	s.secret(plan, home)
	n, seen = len(s.world.Commands()), s.seen()
	check(s.t, run())
	s.same("commands", commands, s.changes(n))
	s.same("scripts", scripts, s.scripts(seen))
	s.sameFiles(files, home, s.home())
	return plan
}

// secretName are the files of the home folder that nobody may see.
var secretName = regexp.MustCompile(`/private$|\.private$|-key\.pem$|\.conf$|\.mobileconfig$|/id_[a-z0-9]+$`)

// secret fails if a secret is in a plan, be it of the home folder or made for the
// plan.
func (s *stage) secret(p *mpdvirt.Plan, home map[string]string) {
	s.t.Helper()
	data, err := json.Marshal(p)
	check(s.t, err)
	text := strings.ReplaceAll(string(data), `\n`, "\n")
	words := []string{"PRIVATE KEY", "PrivateKey ="}
	for path, content := range home {
		if !secretName.MatchString(path) {
			continue
		}
		for _, line := range strings.Split(content, "\n")[1:] {
			if _, value, ok := strings.Cut(line, "PrivateKey = "); ok {
				line = value
			}
			if keyText.MatchString(line) {
				words = append(words, line)
			}
		}
	}
	for _, w := range words {
		if strings.Contains(text, w) {
			s.t.Errorf("the plan shows the secret %q", w)
		}
	}
}

// keyText is a line of a key.
var keyText = regexp.MustCompile(`^[A-Za-z0-9+/]{40,}=*$`)

func (s *stage) same(what string, told, done []string) {
	s.t.Helper()
	if !slices.Equal(told, done) {
		s.t.Errorf("the %s of the plan\n\t%s\nare not those of the run\n\t%s", what, strings.Join(told, "\n\t"), strings.Join(done, "\n\t"))
	}
}

// unplanned are the files that no plan has: locks and logs.
var unplanned = regexp.MustCompile(`/\.lock[^/]*$|/logs/[^/]*\.log$`)

// sameFiles compares what became of the home folder with what was told.
func (s *stage) sameFiles(told map[string][]mpdvirt.FileChange, before, after map[string]string) {
	s.t.Helper()
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if unplanned.MatchString(path) || before[path] == after[path] {
			continue
		}
		change, ok := last(told, path)
		if !ok {
			s.t.Errorf("%s changed, of which the plan says nothing", path)
			continue
		}
		_, there := after[path]
		if gone := change.Change == mpdvirt.FileRemove; gone == there {
			s.t.Errorf("%s: the plan says %s", path, change.Change)
		}
		mode, now, isFile := strings.Cut(after[path], "\n")
		_, old, _ := strings.Cut(before[path], "\n")
		if there && modeOf(mode) != change.Mode {
			s.t.Errorf("%s: the plan says mode %s, and it is %s", path, change.Mode, mode)
		}
		if diff := udiff.Unified(path, path, old, s.plain(now)); isFile && !change.Hidden && len(told[path]) == 1 && change.Diff != diff {
			s.t.Errorf("%s: the plan says\n%s\nand it is\n%s", path, change.Diff, diff)
		}
	}
	for path, changes := range told {
		if _, was := before[path]; !was {
			if end, _ := last(told, path[:strings.LastIndex(path, "/")]); end.Change == mpdvirt.FileRemove {
				continue // made, and removed with its folder
			}
		}
		// What is made anew may be what it was: the clock of a bubble may give a
		// journal the times that it had.
		end := changes[len(changes)-1]
		if before[path] == after[path] && !(end.Hidden && !end.New) && end.Change != mpdvirt.FileRemove {
			s.t.Errorf("%s did not change; the plan says %+v", path, changes)
		}
	}
}

// last is the last word of a plan on a path: its own, or that a folder above it
// is removed.
func last(told map[string][]mpdvirt.FileChange, path string) (mpdvirt.FileChange, bool) {
	if own := told[path]; len(own) > 0 {
		return own[len(own)-1], true
	}
	for at := path; strings.Contains(at, "/"); {
		at = at[:strings.LastIndex(at, "/")]
		if own := told[at]; len(own) > 0 && own[len(own)-1].Change == mpdvirt.FileRemove {
			return own[len(own)-1], true
		}
	}
	return mpdvirt.FileChange{}, false
}

// modeOf is the mode of "-rw-r--r--" in octal.
func modeOf(text string) string {
	n := 0
	for _, c := range text[len(text)-9:] {
		n <<= 1
		if c != '-' {
			n |= 1
		}
	}
	return fmt.Sprintf("%04o", n)
}

func difference(before, after map[string]string) string {
	var out []string
	for path := range before {
		if before[path] != after[path] {
			out = append(out, path+": "+after[path])
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			out = append(out, path+" is new")
		}
	}
	return strings.Join(out, "\n")
}

// on is the stage of a lab.
func (l *lab) on(t *testing.T) *stage {
	return &stage{t: t, world: l.world, m: l.Manager,
		vms:      func() []*mpdvirttest.VM { return []*mpdvirttest.VM{l.vm} },
		standins: map[string]string{`"/tmp/mpd-virt\.[A-Za-z0-9]{8}"`: `"/tmp/mpd-virt.RANDOM"`},
	}
}

func TestPlanSetup(t *testing.T) {
	ctx := context.Background()
	bubble(t, "first", func(t *testing.T) {
		l := newLab(t, options{})
		p := l.on(t).holds(adoption, func() error { _, err := l.Setup(ctx, adoption); return err })
		if p.Schema != mpdvirt.PlanSchema || p.Verb != "setup" || p.VM != "mpd-150" || len(p.Standins) != 1 {
			t.Errorf("plan %+v", p)
		}
		text, err := json.Marshal(p)
		check(t, err)
		for _, secret := range []string{"PRIVATE KEY", "PrivateKey", strings.TrimSpace(l.read(".mpd-virt/conf/wireguard/mac.private"))} {
			if strings.Contains(string(text), secret) {
				t.Errorf("the plan shows a secret: %s", text)
			}
		}
	})
	bubble(t, "healthy", func(t *testing.T) {
		l := adopted(t, options{})
		p := l.on(t).holds(alone, func() error { _, err := l.Setup(ctx, alone); return err })
		if len(p.Steps) < 10 {
			t.Errorf("only %d steps", len(p.Steps))
		}
		for _, s := range p.Steps {
			for _, a := range s.Actions {
				if a.Kind != mpdvirt.PlanWait {
					t.Errorf("%s: nothing is to be done, but %+v", s.ID, a)
				}
			}
			if s.Summary == "" && len(s.Actions) == 0 {
				t.Errorf("%s says nothing", s.ID)
			}
		}
	})
	for _, from := range []string{"20-git-clone", "push", "30-networking"} {
		bubble(t, "from "+from, func(t *testing.T) {
			l := adopted(t, options{})
			req := mpdvirt.SetupRequest{Octet: octet, From: from}
			l.on(t).holds(req, func() error { _, err := l.Setup(ctx, req); return err })
		})
	}
	bubble(t, "half done", func(t *testing.T) {
		l := newLab(t, options{})
		l.vm.Inject(mpdvirttest.Fault{Step: mpdvirttest.StepInstall, Kind: mpdvirttest.Exit, Status: 1, Times: 1})
		l.refused(adoption)
		l.on(t).holds(alone, func() error { _, err := l.Setup(ctx, alone); return err })
	})
	bubble(t, "another source", func(t *testing.T) {
		l := adopted(t, options{})
		l.world.SetBranch("next", "abcdef0")
		req := mpdvirt.SetupRequest{Octet: octet, Branch: "next"}
		l.on(t).holds(req, func() error { _, err := l.Setup(ctx, req); return err })
	})
}

func TestPlanRefuses(t *testing.T) {
	bubble(t, "off", func(t *testing.T) {
		l := adopted(t, options{})
		l.vm.PowerOff()
		before := l.tree()
		p, err := l.Plan(t.Context(), alone)
		var lost *mpdvirt.UnreachableError
		if !errors.As(err, &lost) || p == nil || p.Verb != "setup" {
			t.Errorf("plan %+v, error %v", p, err)
		}
		l.wantTree(t, before)
	})
	bubble(t, "busy", func(t *testing.T) {
		l := adopted(t, options{config: func(c *mpdvirt.Config) { c.LockWait = time.Hour }})
		lock, err := statefile.Acquire(t.Context(), l.path(".mpd-virt/.lock-150"), "update", 0)
		check(t, err)
		defer lock.Unlock()
		var busy *mpdvirt.LockedError
		if _, err := l.Plan(t.Context(), alone); !errors.As(err, &busy) || busy.Verb != "update" {
			t.Errorf("error %v", err)
		}
	})
	bubble(t, "another host key", func(t *testing.T) {
		l := adopted(t, options{})
		check(t, l.vm.RotateHostKeys())
		_, err := l.Plan(t.Context(), alone)
		wantError(t, err, mpdvirt.ErrRefused)
	})
	bubble(t, "not registered", func(t *testing.T) {
		l := newLab(t, options{})
		for _, req := range []mpdvirt.PlanRequest{
			mpdvirt.UpdateRequest{Octet: octet}, mpdvirt.DeleteRequest{Octet: octet}, mpdvirt.StartRequest{Octet: octet},
			mpdvirt.StopRequest{Octet: octet}, mpdvirt.DiagRequest{Octet: octet},
		} {
			_, err := l.Plan(t.Context(), req)
			wantError(t, err, mpdvirt.ErrNotRegistered)
		}
		if l.exists(".mpd-virt") {
			t.Error("there is a state folder now")
		}
	})
	bubble(t, "usage", func(t *testing.T) {
		l := newLab(t, options{})
		for _, req := range []mpdvirt.PlanRequest{
			mpdvirt.SetupRequest{Octet: 3}, mpdvirt.CreateRequest{Octet: octet, Backend: "nobody"}, mpdvirt.DefaultBackendRequest{Name: "nobody"},
		} {
			_, err := l.Plan(t.Context(), req)
			wantError(t, err, mpdvirt.ErrUsage)
		}
	})
	bubble(t, "cancelled", func(t *testing.T) {
		l := adopted(t, options{})
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if _, err := l.Plan(ctx, alone); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestPlanOfVM(t *testing.T) {
	ctx := context.Background()
	bubble(t, "update", func(t *testing.T) {
		l := adopted(t, options{})
		l.world.SetBranch("next", "abcdef0")
		req := mpdvirt.UpdateRequest{Octet: octet, Branch: "next"}
		l.on(t).holds(req, func() error { _, err := l.Update(ctx, req); return err })
	})
	bubble(t, "delete", func(t *testing.T) {
		l := adopted(t, options{})
		req := mpdvirt.DeleteRequest{Octet: octet}
		p := l.on(t).holds(req, func() error { _, err := l.Delete(ctx, mpdvirt.DeleteRequest{Octet: octet, Yes: true}); return err })
		if a := p.Steps[0].Actions[0]; a.Kind != mpdvirt.PlanQuestion || !strings.Contains(a.Text, "mpd-150") {
			t.Errorf("first %+v", a)
		}
	})
	bubble(t, "diag", func(t *testing.T) {
		l := adopted(t, options{})
		req := mpdvirt.DiagRequest{Octet: octet}
		p := l.on(t).holds(req, func() error { _, err := l.Diag(ctx, req); return err })
		if len(p.Steps) != 0 {
			t.Errorf("steps %+v", p.Steps)
		}
		check(t, os.Remove(l.path(".ssh/config")))
		p = l.on(t).holds(req, func() error { _, err := l.Diag(ctx, req); return err })
		if len(p.Steps) == 0 {
			t.Error("the SSH entries are not in the plan")
		}
	})
	bubble(t, "default backend", func(t *testing.T) {
		l := newLab(t, options{})
		l.on(t).holds(mpdvirt.DefaultBackendRequest{Name: "general"}, func() error { return l.SetDefaultBackend(ctx, "general") })
	})
}

// machine is the stage of a Mac with Parallels.
func (f *prlMac) on(t *testing.T) *stage {
	return &stage{t: t, world: f.World, m: f.m,
		vms: func() []*mpdvirttest.VM {
			if vm := f.parallels.VM(f.parallels.UUID("mpd-150")); vm != nil {
				return []*mpdvirttest.VM{vm}
			}
			return nil
		},
		standins: map[string]string{
			`"/tmp/mpd-virt\.[A-Za-z0-9]{8}"`: `"/tmp/mpd-virt.RANDOM"`,
			`"[0-9a-f]{32}"`:                  `"MACHINE-ID"`,
		},
	}
}

func TestPlanParallels(t *testing.T) {
	ctx := context.Background()
	sized := order(octet)
	sized.RAM, sized.Disk, sized.Linked = 6*hypervisor.GiB, 0, true
	for name, req := range map[string]mpdvirt.CloneRequest{"clone": order(octet), "clone with sizes": sized} {
		bubble(t, name, func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{})
			s := f.on(t)
			plan, err := f.m.Plan(ctx, req)
			check(t, err)
			if len(plan.Standins) < 3 {
				t.Errorf("stand-ins %+v", plan.Standins)
			}
			s.holds(req, func() error {
				_, err := f.m.Clone(ctx, req)
				s.standins["(?i)"+f.parallels.UUID("mpd-150")] = hypervisor.NilUUID
				return err
			})
		})
	}
	bubble(t, "life", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		_, err := f.m.Clone(ctx, order(octet))
		check(t, err)
		stop, kill, start := mpdvirt.StopRequest{Octet: octet}, mpdvirt.StopRequest{Octet: octet, Kill: true}, mpdvirt.StartRequest{Octet: octet}
		starts := func() error { _, err := f.m.Start(ctx, start); return err }
		for i, act := range []struct {
			req mpdvirt.PlanRequest
			run func() error
		}{
			{start, starts}, // it runs
			{stop, func() error { return f.m.Stop(ctx, stop) }},
			{start, starts},
			{kill, func() error { return f.m.Stop(ctx, kill) }},
			{kill, func() error { return f.m.Stop(ctx, kill) }},
			{start, starts},
			{mpdvirt.DeleteRequest{Octet: octet}, func() error {
				_, err := f.m.Delete(ctx, mpdvirt.DeleteRequest{Octet: octet, Yes: true})
				return err
			}},
		} {
			p := f.on(t).holds(act.req, act.run)
			acts := false
			for _, s := range p.Steps {
				acts = acts || slices.ContainsFunc(s.Actions, func(a mpdvirt.PlanAction) bool { return a.Kind == mpdvirt.PlanCommand })
			}
			if want := i != 0 && i != 4; acts != want {
				t.Errorf("%d: %+v", i, p)
			}
		}
	})
	bubble(t, "adopt", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		vm, err := f.parallels.AddVM("Debian 13", mpdvirttest.VMOptions{User: "dev"})
		check(t, err)
		req := mpdvirt.SetupRequest{Octet: octet, Backend: "parallels", User: "dev", Addr: vm.Addr()}
		s := f.on(t)
		s.vms = func() []*mpdvirttest.VM { return []*mpdvirttest.VM{vm} }
		s.holds(req, func() error { _, err := f.m.Setup(ctx, req); return err })
	})
}

// silent is a backend that does not tell what it would do.
type silent struct {
	hypervisor.Hypervisor
	hypervisor.Cloner
	hypervisor.Adopter
}

func TestPlanOfSilentBackend(t *testing.T) {
	bubble(t, "clone and life", func(t *testing.T) {
		f := newMac(t, mpdvirttest.ParallelsOptions{})
		b := f.backends[0]
		cfg := f.Config()
		cfg.Backends = []hypervisor.Hypervisor{silent{b, b.(hypervisor.Cloner), b.(hypervisor.Adopter)}}
		m, err := mpdvirt.New(cfg)
		check(t, err)
		backends := func(req mpdvirt.PlanRequest) (texts []string) {
			before, n := tree(t, f.Home()), len(f.World.Commands())
			p, err := m.Plan(t.Context(), req)
			check(t, err)
			s := &stage{t: t, world: f.World}
			if did := s.changes(n); len(did) > 0 || !maps.Equal(before, tree(t, f.Home())) {
				t.Errorf("the plan did %q", did)
			}
			for _, step := range p.Steps {
				for _, a := range step.Actions {
					switch a.Kind {
					case mpdvirt.PlanBackend:
						texts = append(texts, a.Text)
					case mpdvirt.PlanCommand:
						t.Errorf("%s: %q", step.ID, a.Argv)
					}
				}
			}
			return texts
		}
		want := []string{"parallels: clone " + templateName + " as mpd-150", "parallels: turn on mpd-150, " + hypervisor.NilUUID, "parallels: adopt mpd-150"}
		if got := backends(order(octet)); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		_, err = m.Clone(t.Context(), order(octet))
		check(t, err)
		uuid := f.parallels.UUID("mpd-150")
		for want, req := range map[string]mpdvirt.PlanRequest{
			"parallels: save the memory of mpd-150, " + uuid + ", and stop it": mpdvirt.StopRequest{Octet: octet},
			"parallels: cut the power of mpd-150, " + uuid:                     mpdvirt.StopRequest{Octet: octet, Kill: true},
			"parallels: destroy mpd-150, " + uuid + ", and its disk":           mpdvirt.DeleteRequest{Octet: octet},
			"parallels: turn on mpd-150, " + uuid:                              mpdvirt.StartRequest{Octet: octet},
		} {
			if got := backends(req); !slices.Equal(got, []string{want}) {
				t.Errorf("told %q, want %q", got, want)
			}
		}
	})
}

func TestPlanUTM(t *testing.T) {
	ctx := context.Background()
	bubble(t, "create", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		s := f.on(t)
		req := creation(octet)
		requests := len(f.ImageRequests())
		p := s.holds(req, func() error {
			if len(f.ImageRequests()) != requests {
				t.Error("the plan asked for the image")
			}
			_, err := f.Create(ctx, req)
			f.named(s)
			return err
		})
		if !slices.ContainsFunc(p.Steps, func(s mpdvirt.PlanStep) bool {
			return slices.ContainsFunc(s.Actions, func(a mpdvirt.PlanAction) bool {
				return a.Kind == mpdvirt.PlanDownload && a.URL != "" && len(a.SHA512) == 128
			})
		}) {
			t.Error("the download is not in the plan")
		}
		// The next VM is made from what is in the cache.
		next, err := f.Plan(ctx, creation(octet+1))
		check(t, err)
		for _, st := range next.Steps {
			for _, a := range st.Actions {
				if a.Kind == mpdvirt.PlanDownload || len(a.Argv) > 0 && a.Argv[0] == "tar" {
					t.Errorf("%s: %+v, although the image is there", st.ID, a)
				}
			}
		}
	})
}

func TestPlanMac(t *testing.T) {
	ctx := context.Background()
	bubble(t, "trust and not", func(t *testing.T) {
		l := owned(t, yes)
		s := l.on(t)
		p := s.holds(mpdvirt.TrustRequest{}, func() error { _, err := l.Trust(ctx, mpdvirt.TrustRequest{}); return err })
		if len(p.Steps) != 1 || p.Steps[0].Actions[0].Kind != mpdvirt.PlanQuestion {
			t.Errorf("plan %+v", p.Steps)
		}
		if p, err := l.Plan(ctx, mpdvirt.TrustRequest{}); err != nil || len(p.Steps) > 0 {
			t.Errorf("a second time %+v, %v", p, err)
		}
		remove := mpdvirt.TrustRequest{Remove: true}
		s.holds(remove, func() error { _, err := l.Trust(ctx, remove); return err })
	})
	bubble(t, "ca rotate", func(t *testing.T) {
		l, vm := pair(t, yes, mpdvirttest.Options{})
		s := l.on(t)
		s.vms = func() []*mpdvirttest.VM { return []*mpdvirttest.VM{l.vm, vm} }
		req := mpdvirt.CARotateRequest{}
		p := s.holds(req, func() error { _, err := l.CARotate(ctx, req); return err })
		of := map[string]bool{}
		for _, st := range p.Steps {
			of[st.VM] = true
		}
		if !of["mpd-150"] || !of["mpd-151"] || !of[""] || p.VM != "" {
			t.Errorf("plan of %v", of)
		}
	})
	for name, req := range map[string]mpdvirt.UninstallRequest{"uninstall": removal, "uninstall by force": forced} {
		bubble(t, name, func(t *testing.T) {
			l, _ := unregistered(t, attended())
			if req.Force {
				register(l, octet, "general")
			}
			l.on(t).holds(req, func() error { _, err := l.Uninstall(ctx, req); return err })
			if p, err := l.Plan(ctx, req); err != nil || len(p.Steps) > 0 {
				t.Errorf("a second time %+v, %v", p, err)
			}
		})
	}
}

// on is the stage of a Mac with UTM.
func (f *utmMac) on(t *testing.T) *stage {
	return &stage{t: t, world: f.World, m: f.Manager,
		vms: func() []*mpdvirttest.VM {
			if vm := f.utm.VM(f.utm.UUID("mpd-150")); vm != nil {
				return []*mpdvirttest.VM{vm}
			}
			return nil
		},
		standins: map[string]string{
			`"/tmp/mpd-virt\.[A-Za-z0-9]{8}"`: `"/tmp/mpd-virt.RANDOM"`,
			`\.extract-[0-9]+`:                ".extract-RANDOM",
			`([0-9a-f]{2}:){5}[0-9a-f]{2}`:    "02:00:00:00:00:01",
		},
	}
}

// named puts the stand-ins of a VM that the run has made into the stage.
func (f *utmMac) named(s *stage) {
	s.standins["(?i)"+f.utm.UUID("mpd-150")] = hypervisor.NilUUID
	for _, c := range f.World.Commands() {
		if len(c.Argv) > 5 && c.Argv[2] == "detach" {
			s.standins[c.Argv[4]], s.standins[c.Argv[5]] = "SEED-OF-THE-NEW-VM", "DISK-OF-THE-NEW-VM"
		}
	}
}

// A plan is also true of what an earlier run has left.
func TestPlanResumes(t *testing.T) {
	ctx := context.Background()
	for _, step := range []string{"image", "disk", "create", "first-boot", "remove-seed", "start", "10-passwordless-sudo", "register", "mpd-setup"} {
		bubble(t, "create stopped at "+step, func(t *testing.T) {
			f := newUTM(t, mpdvirttest.UTMOptions{})
			_, err := f.Create(f.cancelAt(step), creation(octet))
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			f.watch = nil
			made := f.utm.UUID("mpd-150") != ""
			s := f.on(t)
			s.holds(creation(octet), func() error {
				_, err := f.Create(ctx, creation(octet))
				if !made {
					f.named(s)
				}
				return err
			})
		})
	}
	for _, verb := range []string{"clone", "set", "start"} {
		bubble(t, "clone stopped at "+verb, func(t *testing.T) {
			f := newMac(t, mpdvirttest.ParallelsOptions{})
			sized := order(octet)
			sized.RAM = 6 * hypervisor.GiB
			stopped, stop := context.WithCancel(ctx)
			done := f.stopAt(verb, stop)
			_, err := f.m.Clone(stopped, sized)
			done()
			if err == nil {
				t.Fatal("it was not stopped")
			}
			made := f.parallels.UUID("mpd-150") != ""
			s := f.on(t)
			s.holds(sized, func() error {
				_, err := f.m.Clone(ctx, sized)
				if !made {
					s.standins["(?i)"+f.parallels.UUID("mpd-150")] = hypervisor.NilUUID
				}
				return err
			})
		})
	}
	for _, step := range []string{
		mpdvirttest.StepSudo, mpdvirttest.StepClone, mpdvirttest.StepNetworking, mpdvirttest.StepInstall, mpdvirttest.StepBuild,
		mpdvirttest.StepWireGuard, mpdvirttest.StepSetup,
	} {
		bubble(t, "setup failed at "+step, func(t *testing.T) {
			l := newLab(t, options{})
			l.vm.Inject(mpdvirttest.Fault{Step: step, Kind: mpdvirttest.Exit, Status: 1, Times: 1})
			l.refused(adoption)
			l.on(t).holds(alone, func() error { _, err := l.Setup(ctx, alone); return err })
		})
	}
	bubble(t, "delete of what was not finished", func(t *testing.T) {
		f := newUTM(t, mpdvirttest.UTMOptions{})
		if _, err := f.Create(f.cancelAt("first-boot"), creation(octet)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		f.watch = nil
		req := mpdvirt.DeleteRequest{Octet: octet, Yes: true}
		f.on(t).holds(req, func() error { _, err := f.Delete(ctx, req); return err })
	})
}
