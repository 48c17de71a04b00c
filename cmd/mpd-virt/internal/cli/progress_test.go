package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
)

// screen is what a stream got, safe to be written by the timer as well.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.buf.Reset()
	return s.buf.String()
}

func start(p *progress, step string) {
	p.observe(mpdvirt.Event{Kind: mpdvirt.StepStarted, Step: step})
}

func says(p *progress, step, line string) {
	p.observe(mpdvirt.Event{Kind: mpdvirt.StepOutput, Step: step, Text: line})
}

func ends(p *progress, step string, s mpdvirt.Status, text string, d time.Duration) {
	p.observe(mpdvirt.Event{Kind: mpdvirt.StepEnded, Step: step, Status: s, Text: text, Elapsed: d})
}

// someSetup plays the events of a setup that fails.
func someSetup(p *progress) {
	p.observe(mpdvirt.Event{Kind: mpdvirt.VerbStarted, Text: "mpd-150 on general, dev@10.211.55.37"})
	start(p, "ssh")
	p.observe(mpdvirt.Event{Kind: mpdvirt.Debug, Text: "ssh: id_ed25519 offered"})
	ends(p, "ssh", mpdvirt.OK, "id_ed25519 accepted", 100*time.Millisecond)
	start(p, "30-networking")
	says(p, "30-networking", "==> Address")
	ends(p, "30-networking", mpdvirt.OK, "10.211.55.37 → 10.211.55.150", 2700*time.Millisecond)
	p.observe(mpdvirt.Event{Kind: mpdvirt.Note, Text: "waiting for another run to write /Users/dev/.ssh/config"})
	start(p, "40-install-software")
	ends(p, "40-install-software", mpdvirt.Fail, "exit status 100", 8200*time.Millisecond)
	p.close()
}

func TestProgressWithoutTerminal(t *testing.T) {
	tests := []struct {
		name string
		set  func(*progress)
		want string
	}{
		{"plain", func(*progress) {}, `mpd-150 on general, dev@10.211.55.37
  ok   ssh                   id_ed25519 accepted                                           0.1s
  ok   30-networking         10.211.55.37 → 10.211.55.150                                  2.7s
  waiting for another run to write ~/.ssh/config
  FAIL 40-install-software   exit status 100                                               8.2s
`},
		{"verbose", func(p *progress) { p.verbose = true }, `mpd-150 on general, dev@10.211.55.37
  ok   ssh                   id_ed25519 accepted                                           0.1s
    30-networking: ==> Address
  ok   30-networking         10.211.55.37 → 10.211.55.150                                  2.7s
  waiting for another run to write ~/.ssh/config
  FAIL 40-install-software   exit status 100                                               8.2s
`},
		{"debug", func(p *progress) { p.verbose, p.debug = true, true }, `mpd-150 on general, dev@10.211.55.37
    debug: ssh: id_ed25519 offered
  ok   ssh                   id_ed25519 accepted                                           0.1s
    30-networking: ==> Address
  ok   30-networking         10.211.55.37 → 10.211.55.150                                  2.7s
  waiting for another run to write ~/.ssh/config
  FAIL 40-install-software   exit status 100                                               8.2s
`},
		{"quiet", func(p *progress) { p.quiet = true }, "  waiting for another run to write ~/.ssh/config\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out screen
			p := newProgress(&out, look{utf8: true, home: "/Users/dev"}, &liveTerminal{})
			tt.set(p)
			someSetup(p)
			if got := out.take(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// A step that runs for long says so every 30 seconds, and only while it runs.
func TestProgressPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out screen
		p := newProgress(&out, look{utf8: true}, &liveTerminal{})
		defer p.close()
		start(p, "20-git-clone")
		<-time.After(10 * time.Second)
		ends(p, "20-git-clone", mpdvirt.OK, "", 10*time.Second)
		out.take()
		start(p, "40-install-software")
		says(p, "40-install-software", "Setting up podman (5.4.2-2) …")
		says(p, "40-install-software", "   ")
		<-time.After(29 * time.Second)
		synctest.Wait()
		if got := out.take(); got != "" {
			t.Errorf("after 29 s: %q", got)
		}
		<-time.After(62 * time.Second)
		synctest.Wait()
		want := "  ..   40-install-software   Setting up podman (5.4.2-2) …                                 30s\n" +
			"  ..   40-install-software   Setting up podman (5.4.2-2) …                                 1m00s\n" +
			"  ..   40-install-software   Setting up podman (5.4.2-2) …                                 1m30s\n"
		if got := out.take(); got != want {
			t.Errorf("after 91 s:\n%s\nwant\n%s", got, want)
		}
		ends(p, "40-install-software", mpdvirt.OK, "", 91*time.Second)
		out.take()
		<-time.After(5 * time.Minute)
		synctest.Wait()
		if got := out.take(); got != "" {
			t.Errorf("while nothing runs: %q", got)
		}
	})
}

func richLook(width int) look {
	return look{rich: true, utf8: true, width: func() int { return width }}
}

const runningMark = "\x1b[36m▸\x1b[0m"

func TestProgressLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out screen
		live := &liveTerminal{}
		p := newProgress(&out, richLook(100), live)
		start(p, "40-install-software")
		says(p, "40-install-software", "Setting up podman")
		out.take()
		<-time.After(72*time.Second + tick/2)
		synctest.Wait()
		frames := strings.Split(out.take(), "\r")
		want := "  " + runningMark + " 40-install-software   Setting up podman" + strings.Repeat(" ", 43) + "  1m12s\x1b[K"
		if got := frames[len(frames)-1]; got != want {
			t.Errorf("live line\n%q\nwant\n%q", got, want)
		}
		if live.line == nil {
			t.Error("nobody could undo the live line")
		}
		ends(p, "40-install-software", mpdvirt.OK, "done", 72*time.Second)
		if got, want := out.take(), eraseLine+"  \x1b[32m✓\x1b[0m 40-install-software   done"+strings.Repeat(" ", 58)+"1m12s\n"; got != want {
			t.Errorf("end\n%q\nwant\n%q", got, want)
		}
		start(p, "50-build")
		resume := p.pause()
		if got := out.take(); !strings.HasSuffix(got, eraseLine) {
			t.Errorf("the live line stays while a question is asked: %q", got)
		}
		<-time.After(time.Second)
		synctest.Wait()
		if got := out.take(); got != "" {
			t.Errorf("drawn into a question: %q", got)
		}
		resume()
		if got := out.take(); !strings.Contains(got, "50-build") {
			t.Errorf("the live line does not come back: %q", got)
		}
		p.close()
		if got := out.take(); got != eraseLine || live.line != nil {
			t.Errorf("close leaves the live line: %q", got)
		}
	})
}

// The live line is never wider than the terminal, whatever a VM prints.
func TestLiveLineWidth(t *testing.T) {
	for _, width := range []int{1, 5, 12, 20, 40, 80, 200} {
		for _, text := range []string{"short", strings.Repeat("日本語", 60), "a\x1b[31mb\u202e", ""} {
			var out screen
			p := newProgress(&out, richLook(width), &liveTerminal{})
			start(p, "40-install-software")
			says(p, "40-install-software", text)
			p.observe(mpdvirt.Event{Kind: mpdvirt.StepStarted, Step: "x"})
			line := strings.NewReplacer("\r", "", "\x1b[K", "", runningMark, "▸").Replace(out.take())
			line = line[strings.LastIndex(line, "▸"):]
			if columns(line)+2 > max(width, 6) || strings.ContainsAny(line, "\x1b\n") {
				t.Errorf("width %d, text %q: %d columns: %q", width, text, columns(line), line)
			}
			p.close()
		}
	}
}

func TestProgressBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &step{name: "image", began: time.Now()}
		s.moved(50<<20, 1126<<20) // what was there already
		if got := s.now(look{}); got != "50.0 MiB of 1.1 GiB" {
			t.Errorf("at once: %q", got)
		}
		<-time.After(10 * time.Second)
		s.moved(100<<20, 1126<<20)
		if got := s.now(look{}); got != "100.0 MiB of 1.1 GiB, 5.0 MiB/s, 3m25s left" {
			t.Errorf("after 10 s: %q", got)
		}
		s.total = 0
		if got := s.now(look{}); got != "100.0 MiB, 5.0 MiB/s" {
			t.Errorf("of unknown size: %q", got)
		}
	})
}

// Checks run side by side: a quiet verb shows which are still on.
func TestProgressQuietLive(t *testing.T) {
	var out screen
	p := newProgress(&out, richLook(100), &liveTerminal{})
	p.quiet = true
	for _, id := range []string{"ping", "platform", "dns-identity"} {
		start(p, id)
	}
	ends(p, "platform", mpdvirt.OK, "", 0)
	contains(t, "stderr", out.take(), "checking              ping, dns-identity")
	ends(p, "ping", mpdvirt.OK, "", 0)
	ends(p, "dns-identity", mpdvirt.Fail, "x", 0)
	p.close()
	if got := out.take(); !strings.HasSuffix(got, eraseLine) || strings.Contains(got, "\n") {
		t.Errorf("something stays on the screen: %q", got)
	}
}

func TestCloseWithoutSteps(t *testing.T) {
	var out screen
	newProgress(&out, richLook(80), &liveTerminal{}).close()
	if got := out.take(); got != "" {
		t.Errorf("wrote %q", got)
	}
}
