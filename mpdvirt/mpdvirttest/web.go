package mpdvirttest

import (
	"context"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

// WebKind is what goes wrong with a download.
type WebKind string

// What can go wrong with a download.
const (
	WebMissing WebKind = "404"          // the server answers 404
	WebBroken  WebKind = "503"          // the server answers 503
	WebNoHost  WebKind = "no host"      // the server's name does not resolve
	WebBadCert WebKind = "bad cert"     // the server's certificate is not trusted
	WebEmpty   WebKind = "empty"        // 200 with an empty body
	WebHTML    WebKind = "html"         // 200 with a login page, as of a captive portal
	WebCut     WebKind = "cut"          // 200, and only the first N bytes; nobody notices
	WebDropped WebKind = "dropped"      // 200, and the connection breaks after N bytes
	WebHangs   WebKind = "hangs"        // never answers
	WebOther   WebKind = "another file" // 200 with the content of Text
)

// WebFault is something that goes wrong when a VM downloads a file; see [World.Web].
type WebFault struct {
	File  string  // base name of the file; "" is any
	Kind  WebKind // "": nothing, this time
	N     int     // bytes, of WebCut and WebDropped; not negative
	Text  string  // of WebOther
	Times int     // how often; 0: once, negative: always
}

// Web makes downloads of the VMs, by wget or curl, go wrong. The first fault that
// fits a file is taken.
func (w *World) Web(f WebFault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	w.web = append(w.web, &f)
}

// ClearWeb forgets all faults of downloads that did not happen yet.
func (w *World) ClearWeb() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.web = nil
}

func (w *World) webFault(file string) WebFault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.web {
		if f.Times != 0 && (f.File == "" || f.File == file) {
			if f.Times > 0 {
				f.Times--
			}
			return *f
		}
	}
	return WebFault{}
}

// download is what a web server said: body as far as it came, and how it went
// wrong, "" if it did not.
type download struct {
	body []byte
	bad  WebKind
}

// fetch answers https://ANYTHING/BRANCH/bootstrap/NAME for the scripts that a
// VM downloads.
func (w *World) fetch(ctx context.Context, url string) download {
	where, file := path.Split(url)
	where, isScript := strings.CutSuffix(where, "/bootstrap/")
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		return download{bad: WebNoHost}
	}
	fault := w.webFault(file)
	switch fault.Kind {
	case WebHangs:
		<-ctx.Done()
		return download{bad: WebHangs}
	case WebMissing, WebBroken, WebNoHost, WebBadCert:
		return download{bad: fault.Kind}
	case WebEmpty:
		return download{}
	case WebHTML:
		return download{body: []byte("<!DOCTYPE html>\n<html><head><title>Welcome to the hotel</title></head>\n<body>Please log in.</body></html>\n")}
	case WebOther:
		return download{body: []byte(fault.Text)}
	}
	text, known := scripts[file]
	if _, branch := w.branchIn(where); !isScript || !known || !branch {
		return download{bad: WebMissing}
	}
	d := download{body: []byte(text)}
	if fault.Kind == WebCut || fault.Kind == WebDropped {
		d.body = d.body[:min(fault.N, len(d.body))]
	}
	if fault.Kind == WebDropped {
		d.bad = WebDropped
	}
	return d
}

// branchIn finds the branch that ends a URL: the longest that exists, for a
// branch may hold slashes.
func (w *World) branchIn(url string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	best, found := "", false
	for b := range w.branches {
		if strings.HasSuffix(url, "/"+b) && len(b) >= len(best) {
			best, found = b, true
		}
	}
	return best, found
}

// wgetStatus and curlStatus are the exit statuses of the two programs.
var (
	wgetStatus = map[WebKind]int{WebMissing: 8, WebBroken: 8, WebNoHost: 4, WebBadCert: 5, WebDropped: 4, WebHangs: 4}
	curlStatus = map[WebKind]int{WebMissing: 22, WebBroken: 22, WebNoHost: 6, WebBadCert: 60, WebDropped: 18, WebHangs: 28}
)

var webMessages = map[WebKind]string{
	WebMissing: "ERROR 404: Not Found.",
	WebBroken:  "ERROR 503: Service Unavailable.",
	WebNoHost:  "unable to resolve host address",
	WebBadCert: "cannot verify the server's certificate",
	WebDropped: "Read error: Connection reset by peer.",
	WebHangs:   "Read error (Connection timed out) in headers.",
}

func (v *VM) wget(ctx context.Context, p *debian.Process, args []string) int {
	return v.get(ctx, p, args, "O", wgetStatus)
}

func (v *VM) curl(ctx context.Context, p *debian.Process, args []string) int {
	return v.get(ctx, p, args, "o", curlStatus)
}

// get is both programs, whose options differ in what names the output.
func (v *VM) get(ctx context.Context, p *debian.Process, args []string, outFlag string, statuses map[WebKind]int) int {
	out, url, flags := webArgs(args[1:], outFlag)
	if url == "" {
		p.Errorf("%s: missing URL", args[0])
		return 2
	}
	if out == "" && args[0] == "wget" {
		out = path.Base(url)
	}
	patience, cancel := context.WithTimeout(ctx, webPatience(args))
	defer cancel()
	d := v.w.fetch(patience, url)
	quiet := strings.Contains(flags, "q") || strings.Contains(flags, "s") && !strings.Contains(flags, "S")
	if d.bad != "" && !quiet {
		p.Errorf("%s: %s: %s", args[0], url, webMessages[d.bad])
	}
	status := statuses[d.bad]
	if args[0] == "curl" && status == 22 && !strings.Contains(flags, "f") {
		d.body, status = []byte("404: Not Found"), 0
	}
	if status != 0 && args[0] == "curl" && len(d.body) == 0 {
		return status
	}
	if out == "" || out == "-" {
		p.Stdout.Write(d.body)
		return status
	}
	f, err := p.FS.Open(p.Path(out), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err == nil {
		_, err = f.Write(d.body)
	}
	if err != nil {
		p.Errorf("%s: %s: %v", args[0], out, err)
		return map[string]int{"wget": 3, "curl": 23}[args[0]]
	}
	return status
}

// webArgs reads the options that both programs have in common: short ones come
// in groups, of which only some take a value.
func webArgs(args []string, outFlag string) (out, url, flags string) {
	takeValue := outFlag + "tTUmX"
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, given := strings.Cut(arg, "=")
		switch {
		case name == "--output-document" || name == "--output":
			if !given && i+1 < len(args) {
				i++
				value = args[i]
			}
			out = value
		case name == "--fail" || name == "--silent" || name == "--quiet" || name == "--show-error":
			flags += map[string]string{"--fail": "f", "--silent": "s", "--quiet": "q", "--show-error": "S"}[name]
		case strings.HasPrefix(arg, "--"):
			if !given && i+1 < len(args) && longTakesValue(name) {
				i++
			}
		case arg == "-nv":
		case strings.HasPrefix(arg, "-") && len(arg) > 1:
			for j, c := range arg[1:] {
				flags += string(c)
				if !strings.ContainsRune(takeValue, c) {
					continue
				}
				value := arg[1+j+1:]
				if value == "" && i+1 < len(args) {
					i++
					value = args[i]
				}
				if string(c) == outFlag {
					out = value
				}
				break
			}
		default:
			url = arg
		}
	}
	return out, url, flags
}

// webPatience is how long a program waits for a server that says nothing: the
// product of its options for time and tries.
func webPatience(args []string) time.Duration {
	limit, tries := 15*time.Minute, 1
	for i, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if !given && i+1 < len(args) {
			value = args[i+1]
		}
		n, err := strconv.Atoi(value)
		if err != nil || n <= 0 {
			continue
		}
		switch name {
		case "--timeout", "--max-time", "-T", "-m":
			limit = time.Duration(n) * time.Second
		case "--tries", "-t":
			tries = n
		}
	}
	return limit * time.Duration(tries)
}

// longTakesValue knows the options of both programs whose value may stand
// apart.
func longTakesValue(name string) bool {
	switch name {
	case "--tries", "--timeout", "--max-time", "--connect-timeout", "--retry", "--proto", "--max-redirs", "--user-agent", "--max-filesize", "--retry-delay", "--retry-max-time", "--speed-time", "--speed-limit":
		return true
	}
	return false
}
