package cli

import (
	"strings"
	"testing"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest"
)

// sitting runs a command line at a terminal, where a person gives the answers to
// the questions, and returns what they saw.
func sitting(t *testing.T, world *mpdvirttest.World, args, answers []string, code int) string {
	t.Helper()
	p := openPTY(t)
	env := Env{Args: args, Stdin: p.file, Stdout: p.file, Stderr: p.file, Environ: []string{"LANG=C.UTF-8", "TERM=dumb"}, Config: world.Config()}
	ended := make(chan int)
	go func() { ended <- Run(t.Context(), env) }()
	for i := 0; i < len(answers); i += 2 {
		p.until(answers[i] + " [y/N] ")
		p.typed(t, answers[i+1]+"\n")
	}
	got := <-ended
	p.file.WriteString("the end")
	seen := p.until("the end")
	if got != code {
		t.Errorf("%q: exit %d, want %d:\n%s", args, got, code, seen)
	}
	return seen
}

// At a terminal, the trust is given, exchanged and taken away, and each command is
// shown whole before the question about it.
func TestTrustOnTerminal(t *testing.T) {
	world, err := mpdvirttest.New(mpdvirttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	if _, err := world.AddVM(mpdvirttest.VMOptions{Addr: at("37")}); err != nil {
		t.Fatal(err)
	}
	sitting(t, world, []string{"setup", "150", "--backend=general", "--ip=10.211.55.37", "--username=dev"}, nil, 0)
	const (
		file  = "~/.mpd-virt/conf/caroot/rootCA.pem"
		adds  = "    sudo /usr/bin/security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain " + file + "\r\n"
		takes = "    sudo /usr/bin/security delete-certificate -Z "
	)
	for _, tt := range []struct {
		args, answers []string
		code, records int
		seen          []string // in this order
	}{
		{[]string{"trust"}, []string{"for all users of this Mac?", "n"}, 1, 0, []string{adds, "?", "not trusted", "not confirmed"}},
		{[]string{"trust"}, []string{"for all users of this Mac?", "y"}, 0, 1, []string{adds, "?", "macOS trusts the CA now"}},
		{[]string{"trust"}, nil, 0, 1, []string{"already"}},
		{[]string{"ca", "rotate"}, []string{"Make a new CA, which this Mac and every VM then have to get?", "y", "for all users of this Mac?", "y", "from this Mac?", "y"}, 0, 1,
			[]string{"Make", "ca  ", adds, "trust  ", "1 of 1 with the new CA", takes, "retire  ", "150  mpd-150  yes", "is the CA of this Mac and of all VMs"}},
		{[]string{"trust", "--remove", "--yes"}, nil, 0, 0, []string{takes, "no CA of mpd-virt any more"}},
		{[]string{"trust", "--remove"}, nil, 0, 0, []string{"nothing to do"}},
	} {
		seen := sitting(t, world, tt.args, tt.answers, tt.code)
		rest := seen
		for _, want := range tt.seen {
			_, after, ok := strings.Cut(rest, want)
			if !ok {
				t.Errorf("%q: no %q, or not in this place:\n%s", tt.args, want, seen)
				break
			}
			rest = after
		}
		if records, err := world.Mac().TrustSettings(); err != nil || len(records) != tt.records {
			t.Errorf("%q: the Mac trusts %d, %v; want %d", tt.args, len(records), err, tt.records)
		}
	}
}
