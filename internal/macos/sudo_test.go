package macos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/hint"
)

const (
	probeTicket = "/usr/bin/sudo -n -v"
	askPassword = "/usr/bin/sudo -v"
	dropRight   = "/usr/bin/sudo -k"
	asked       = askPassword + " (terminal)"
	groups      = "/usr/bin/id -Gn"
)

var (
	wanted  = answer{errs: "sudo: a password is required\n", status: 1}
	fine    = answer{}
	asRoot  = func(line string) string { return "/usr/bin/sudo -n " + line }
	first   = Command{Argv: []string{"/bin/first", "a"}, Root: true}
	second  = Command{Argv: []string{"/bin/second"}, Root: true, After: true, Stdin: []byte("in")}
	third   = Command{Argv: []string{"/bin/third"}, Root: true}
	dialog  = Command{Argv: []string{"/usr/bin/security", "x"}, Root: true, Dialog: true}
	plain   = Command{Argv: []string{"/usr/sbin/scutil", "--nc", "stop", "mpd-150"}}
	delRule = Command{Argv: []string{"/sbin/route", "-n", "delete"}, Root: true}
)

// sudoMac is a Mac whose sudo asks once, with the answers given besides.
func sudoMac(more map[string]answer) (*Mac, *script) {
	s := &script{answers: map[string][]answer{
		probeTicket: {wanted}, askPassword: {fine}, dropRight: {fine}, groups: {{out: "staff admin\n"}},
		asRoot("/bin/first a"): {fine}, asRoot("/bin/second"): {fine}, asRoot("/bin/third"): {fine},
		asRoot("/usr/bin/security x"): {fine}, plain.String(): {fine}, asRoot("/sbin/route -n delete"): {{out: "delete net 10.163.0.0\n"}},
	}}
	for line, a := range more {
		s.answers[line] = []answer{a}
	}
	return New(s.run), s
}

func TestSudo(t *testing.T) {
	m, s := sudoMac(nil)
	var shown []string
	if err := m.Sudo(t.Context(), []Command{first, second, plain, dialog, delRule}, func(c Command) { shown = append(shown, c.Argv[0]) }); err != nil {
		t.Fatal(err)
	}
	want := []string{probeTicket, asked, asRoot("/bin/first a"), asRoot("/bin/second"), plain.String(),
		asRoot("/usr/bin/security x") + " (terminal)", asRoot("/sbin/route -n delete"), dropRight}
	if diff := cmp.Diff(want, s.lines()); diff != "" {
		t.Error(diff)
	}
	if want := []string{"/bin/first", "/bin/second", "/usr/sbin/scutil", "/usr/bin/security", "/sbin/route"}; !slices.Equal(shown, want) {
		t.Errorf("shown %v", shown)
	}
	if c := s.calls[3]; string(c.Stdin) != "in" || c.Terminal {
		t.Errorf("second got %q", c.Stdin)
	}
	for _, c := range s.calls {
		if c.Limit <= 0 || c.Limit > DialogLimit {
			t.Errorf("%v: limit %v", c, c.Limit)
		}
	}
}

func TestSudoNothingToDo(t *testing.T) {
	m, s := sudoMac(nil)
	if err := m.Sudo(t.Context(), nil, nil); err != nil || len(s.calls) != 0 {
		t.Errorf("%v, ran %v", err, s.lines())
	}
	if err := m.Sudo(t.Context(), []Command{plain}, nil); err != nil || !slices.Equal(s.lines(), []string{plain.String()}) {
		t.Errorf("%v, ran %v", err, s.lines())
	}
}

// F112: sudo gives no right. Nothing ran, the right is taken back, and all that
// is left to do is told.
func TestSudoRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		more   map[string]answer
		absent bool // no terminal
		want   error
		ran    []string
	}{
		{"cancelled", map[string]answer{askPassword: {status: 130}}, false, ErrSudoCancelled, []string{asked}},
		{"wrong password", map[string]answer{askPassword: {status: 1}}, false, ErrSudoPassword, []string{asked, groups}},
		{"not in sudoers", map[string]answer{askPassword: {status: 1}, groups: {out: "staff everyone\n"}}, false, ErrNotAdmin, []string{asked, groups}},
		{"not in sudoers, at once", map[string]answer{probeTicket: {errs: "kim is not in the sudoers file.\n", status: 1}}, false, ErrNotAdmin, nil},
		{"for a reason unknown", map[string]answer{askPassword: {status: 1}, groups: {status: 1}}, false, ErrSudoRefused, []string{asked, groups}},
		{"no terminal", nil, true, ErrNoTerminal, nil},
		{"does not start", map[string]answer{askPassword: {err: errors.New("no")}}, false, ErrUnclear, []string{asked}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, s := sudoMac(tt.more)
			m.NoTerminal = tt.absent
			err := m.Sudo(t.Context(), []Command{first, second}, func(c Command) { t.Errorf("%v was shown", c) })
			var sudo *SudoError
			if !errors.Is(err, tt.want) || !errors.As(err, &sudo) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if len(sudo.Failed) != 0 || len(sudo.Left) != 2 || !strings.Contains(err.Error(), "not done: /bin/first a; /bin/second") {
				t.Errorf("%v: failed %v, left %v", err, sudo.Failed, sudo.Left)
			}
			if h := hint.Of(err); !strings.Contains(h, "\nsudo /bin/first a\nprintf %s in | sudo /bin/second") {
				t.Errorf("hint %q", h)
			}
			if want := append(append([]string{probeTicket}, tt.ran...), dropRight); !slices.Equal(s.lines(), want) {
				t.Errorf("ran %v, want %v", s.lines(), want)
			}
		})
	}
}

func TestSudoAbsent(t *testing.T) {
	s := &script{}
	if err := New(s.run).Sudo(t.Context(), []Command{first}, nil); !errors.Is(err, hypervisor.ErrToolMissing) {
		t.Error(err)
	}
}

func TestSudoWithoutPassword(t *testing.T) {
	m, s := sudoMac(map[string]answer{probeTicket: fine})
	m.NoTerminal = true
	if err := m.Sudo(t.Context(), []Command{first}, nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{probeTicket, asRoot("/bin/first a"), dropRight}; !slices.Equal(s.lines(), want) {
		t.Errorf("ran %v", s.lines())
	}
}

func TestSudoCommandsFail(t *testing.T) {
	no := answer{errs: "rm: \x1b[31mno\n", status: 1}
	for _, tt := range []struct {
		name         string
		cmds         []Command
		more         map[string]answer
		noTerminal   bool
		failed, left []string
		want         error  // nil: a CommandError
		text         string // in the error
	}{
		{"those after it are left", []Command{first, second, third}, map[string]answer{asRoot("/bin/first a"): no}, false,
			[]string{"/bin/first"}, []string{"/bin/second"}, nil, "/bin/first a: exit status 1: rm: no"},
		{"two", []Command{first, third}, map[string]answer{asRoot("/bin/first a"): no, asRoot("/bin/third"): no}, false,
			[]string{"/bin/first", "/bin/third"}, nil, nil, "and 1 more failed"},
		{"route exits with 0", []Command{delRule}, map[string]answer{asRoot("/sbin/route -n delete"): {
			out: "delete net 10.163.0.0: not in table\n", errs: "route: writing to routing socket: not in table\n"}}, false,
			[]string{"/sbin/route"}, nil, nil, "failed: route: writing to routing socket: not in table"},
		{"the dialog is refused", []Command{dialog, third}, map[string]answer{asRoot("/usr/bin/security x"): {status: 1}}, false,
			[]string{"/usr/bin/security"}, nil, nil, "/usr/bin/security x: exit status 1"},
		{"the password is not remembered", []Command{first, third}, map[string]answer{asRoot("/bin/first a"): wanted}, false,
			nil, []string{"/bin/first", "/bin/third"}, ErrNoTicket, "not done"},
		{"a command's own 1 is no question of sudo's", []Command{first}, map[string]answer{
			asRoot("/bin/first a"): {errs: "a password is required\n", status: 1}}, false, []string{"/bin/first"}, nil, nil, "exit status 1"},
		{"a dialog and nobody there", []Command{dialog, third}, map[string]answer{probeTicket: fine}, true,
			nil, []string{"/usr/bin/security"}, ErrNoTerminal, "not done: /usr/bin/security x"},
		{"a tool is not there", []Command{first, second}, map[string]answer{asRoot("/bin/first a"): {err: hypervisor.ErrToolMissing}}, false,
			nil, []string{"/bin/first", "/bin/second"}, hypervisor.ErrToolMissing, ""},
		{"the right is not taken back", []Command{first}, map[string]answer{dropRight: {status: 1, errs: "sudo: no"}}, false,
			nil, nil, nil, "take the right of sudo back"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, s := sudoMac(tt.more)
			m.NoTerminal = tt.noTerminal
			err := m.Sudo(t.Context(), tt.cmds, nil)
			var sudo *SudoError
			if !errors.As(err, &sudo) || !errors.Is(err, tt.want) && tt.want != nil {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			var failure *CommandError
			if errors.As(err, &failure) != (len(tt.failed) > 0) {
				t.Errorf("%#v", err)
			}
			if diff := cmp.Diff([][]string{tt.failed, tt.left}, [][]string{tools(sudo.Failed), tools(sudo.Left)}); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q does not say %q", err, tt.text)
			}
			harmless(t, err.Error())
			if got := s.lines(); got[len(got)-1] != dropRight {
				t.Errorf("the last is %s", got[len(got)-1])
			}
		})
	}
}

func tools(cmds []Command) (out []string) {
	for _, c := range cmds {
		out = append(out, c.Argv[0])
	}
	return out
}

// The end of ctx ends everything but the taking back of the right.
func TestSudoInterrupted(t *testing.T) {
	for _, at := range []string{probeTicket, askPassword, asRoot("/bin/first a")} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, s := sudoMac(map[string]answer{at: {hang: true}})
				ctx, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				begun := time.Now()
				err := m.Sudo(ctx, []Command{first, third}, nil)
				var sudo *SudoError
				if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &sudo) || len(sudo.Left) != 2 || time.Since(begun) != time.Second {
					t.Errorf("%v after %v", err, time.Since(begun))
				}
				if errors.Is(err, ErrSudoCancelled) != (at == askPassword) {
					t.Errorf("%v at %s", err, at)
				}
				if got := s.lines(); got[len(got)-1] != dropRight {
					t.Errorf("ran %v", got)
				}
			})
		})
	}
}

func TestCommandString(t *testing.T) {
	c := Command{Argv: []string{"/bin/x", "a b", "$(id)"}, Stdin: []byte{}}
	if got, want := c.String(), "printf %s '' | /bin/x 'a b' '$(id)'"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := fmt.Sprint(first); got != "sudo /bin/first a" {
		t.Errorf("printed as %s", got)
	}
}
