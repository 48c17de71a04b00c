package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmdtest"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

var update = flag.Bool("update", false, "write what the commands print into the golden scripts")

// goldenDir has the golden scripts, one for each subject.
const goldenDir = "../../../../testdata/cli"

// TestGolden runs the scripts in mpdvirttest's world, a fresh one for each.
// Besides mpd-virt they have the commands of worldCommands. stdout and stderr
// are one stream, in the order in which a terminal would show them.
func TestGolden(t *testing.T) { runGolden(t, goldenDir, nil) }

// runGolden runs the scripts of a folder, with further commands.
func runGolden(t *testing.T, dir string, more func(g *golden) map[string]func([]string) (string, error)) {
	g := &golden{t: t}
	defer g.close()
	suite, err := cmdtest.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	extra := map[string]func([]string) (string, error){}
	if more != nil {
		extra = more(g)
	}
	suite.Setup = g.setup
	suite.DisableLogging = true
	suite.Commands["mpd-virt"] = g.mpdVirt
	for _, commands := range []map[string]func([]string) (string, error){
		g.worldCommands(), g.parallelsCommands(), g.utmCommands(), {"interrupt": g.interrupt}, extra,
	} {
		for name, run := range commands {
			suite.Commands[name] = g.worldCommand(name, run)
		}
	}
	suite.Run(t, *update)
}

// golden is the world of the script that runs.
type golden struct {
	t     *testing.T
	world *mpdvirttest.World
	vms   map[string]*mpdvirttest.VM // by the last number of their first address

	parallels *mpdvirttest.Parallels // nil if it is not installed
	utm       *mpdvirttest.UTM       // likewise
	called    int                    // calls of their tools that the script has seen

	configured func(cfg *mpdvirt.Config) // changes the next command's Config; nil does not
}

func (g *golden) close() {
	if g.world == nil {
		return
	}
	if err := g.world.Close(); err != nil {
		g.t.Error(err)
	}
	g.world = nil
}

// setup makes a world for a script. cmdtest leaves the environment of one
// script to the next, so everything that is read is set here.
func (g *golden) setup(root string) error {
	g.close()
	root, err := filepath.EvalSymlinks(root) // macOS has its temporary folder behind a link
	if err != nil {
		return err
	}
	os.Setenv("ROOTDIR", root)
	for name, value := range map[string]string{"LANG": "C.UTF-8", "MPD_REPO": "", "MPD_BRANCH": "", "LOGIN": "dev", "EMPTY": "", "SPACE": "a b"} {
		os.Setenv(name, value)
	}
	home := filepath.Join(root, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	g.vms, g.parallels, g.utm = map[string]*mpdvirttest.VM{}, nil, nil
	g.world, err = mpdvirttest.New(mpdvirttest.Options{Home: home})
	return err
}

// random is what differs from run to run: keys that are made with real
// randomness.
var random = regexp.MustCompile(`(\b(?:CA|SHA-256|SHA-1) |-Z |/previous/|"sha(?:1|256)": ")(?:[0-9A-F]{40,64}|[0-9a-f]{64}|[0-9a-f]{8})`)

func (g *golden) mpdVirt(args []string, input string) ([]byte, error) {
	return g.run(g.t.Context(), args, input)
}

func (g *golden) run(ctx context.Context, args []string, input string) ([]byte, error) {
	var stdin *os.File
	if input != "" {
		f, err := os.Open(input)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		stdin = f
	}
	var out bytes.Buffer
	env := g.env(args, &out)
	if stdin != nil {
		env.Stdin = stdin
	}
	// A golden is a bug report if it hangs.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	code := Run(ctx, env)
	return g.hide(out.Bytes()), exitOfScript(code)
}

// hide takes away what differs from run to run.
func (g *golden) hide(out []byte) []byte {
	return g.hideHostKeys(random.ReplaceAll(out, []byte("${1}00000000")))
}

// env is that of a command line in the script's world, whose output goes to out.
func (g *golden) env(args []string, out io.Writer) Env {
	env := Env{
		Args: args, Stdout: out, Stderr: out, Config: g.world.Config(),
		Login: func() (string, error) { return os.Getenv("LOGIN"), nil },
		Build: Build{Version: "v1.2.3", Commit: "0123456789ab", Go: "go1.26", OS: "darwin", Arch: "arm64"},
		Exec: func(argv, _ []string) error {
			fmt.Fprintln(out, "becomes:", strings.Join(argv, " "))
			return nil
		},
	}
	if g.configured != nil {
		g.configured(&env.Config)
	}
	for _, name := range []string{"LANG", "MPD_REPO", "MPD_BRANCH"} {
		env.Environ = append(env.Environ, name+"="+os.Getenv(name))
	}
	return env
}
