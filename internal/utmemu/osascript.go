package utmemu

import (
	"errors"
	"fmt"
	"strings"
)

// osascriptStatus: each refusal is status 1 and one line on standard error. R
func (c *call) osascriptStatus(err error) (int, error) {
	var f *failure
	switch {
	case err == nil:
		c.out.WriteString("\n")
		return 0, nil
	case !errors.As(err, &f):
		return 0, err
	}
	c.out.Reset()
	text := "execution error: UTM got an error: " + f.text
	if f.number == -1743 || c.set.Absent { // R: it is macOS that says so
		text = "execution error: " + f.text
	}
	fmt.Fprintf(&c.errs, "-:36:81: %s (%d)\n", text, f.number)
	return 1, nil
}

// says is whether the script holds a text.
func (c *call) says(text string) bool { return strings.Contains(c.script, text) }

// commands is what of UTM's dictionary stands for a word. C for the commands,
// and for the ways of stopping
func (c *call) commands() []string {
	return map[string][]string{
		"list":    {"virtual machines"},
		"running": {"application id \"com.utmapp.UTM\" is running"},
		"start":   {"start "},
		"suspend": {"suspend "},
		"kill":    {"stop "},
		"force":   {"stop "},
		"request": {"stop "},
		"delete":  {"delete "},
		"make":    {"make new virtual machine with properties", "backend:qemu", "POSIX file"},
		"drives":  {"drives of"},
		"detach":  {"update configuration", "drives of"},
	}[c.verb]
}

// syntax is the error of a script that is not one, or not one that does what its
// first argument says; "" is none. R for the form
func (c *call) syntax() string {
	why := ""
	for _, b := range []byte(c.script) {
		if b >= 0x80 {
			why = "Expected end of line but found unknown token."
		}
	}
	if !c.says("on run argv") || !c.says(`application id "com.utmapp.UTM"`) || c.commands() == nil {
		why = "A unknown token can\u2019t go here."
	}
	for _, text := range c.commands() {
		if !c.says(text) {
			why = "Expected expression but found " + c.verb + "."
		}
	}
	for _, value := range c.args { // a value that became a part of the program
		if len(value) > 6 && c.says(value) {
			why = "A value is in the script."
		}
	}
	if why == "" {
		return ""
	}
	return "-:1:1: syntax error: " + why + " (-2741)\n"
}

// table prints records as the client's scripts do: a word and a line end, then
// fields that end with U+001F and records that end with U+001E.
func (c *call) table(head string, n int, record func(i int) []string) {
	c.out.WriteString(head + "\n")
	for i := range n {
		c.out.WriteString(strings.Join(record(i), "\x1f") + "\x1e")
	}
}

// stops gives the word of a stop the meaning that its script has: without a way,
// UTM cuts the power. C
func (c *call) stops() {
	if c.tool != "osascript" || c.verb != "kill" && c.verb != "request" {
		return
	}
	switch {
	case c.says(" by kill"):
		c.verb = "kill"
	case c.says(" by request"):
		c.verb = "request"
	default:
		c.verb = "force"
	}
}

// running tells whether UTM runs, without starting it, and asks it for
// something only if it does.
func (c *call) running() error {
	switch {
	case c.set.Absent:
		return noApp()
	case c.set.NotRunning:
		c.out.WriteString("no")
		return nil
	case c.set.Denied:
		return denied()
	}
	c.out.WriteString("yes")
	return nil
}
