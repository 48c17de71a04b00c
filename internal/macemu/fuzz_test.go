package macemu

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutms/mpd-virt-macos/hypervisor"
)

// What the app takes, it takes again when it is written anew, as the same.
func FuzzParseConf(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	f.Add("[Interface]\nPrivateKey = " + key + "\nAddress = 10.164.0.1/30, fd00::1\nDNS = 10.163.0.3, mpd.test\nMTU = 1420\n" +
		"[Peer]\nPublicKey = " + key + "\nEndpoint = [::1]:51820\nAllowedIPs = 10.163.0.0/24\nPersistentKeepalive = 25\n")
	f.Add("# x\r\n[interface]\nprivatekey=" + key + "#\nPostUp = x\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseConf(text)
		if err != nil {
			if !reflect.DeepEqual(c, Conf{}) {
				t.Fatalf("%+v beside %v", c, err)
			}
			return
		}
		again, err := ParseConf(render(c))
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%q\n%+v\n%+v, %v", text, c, again, err)
		}
	})
}

func render(c Conf) string {
	var b strings.Builder
	line := func(key string, value any) {
		if value != "" && value != uint16(0) {
			fmt.Fprintf(&b, "%s = %v\n", key, value)
		}
	}
	line("[Interface]\nPrivateKey", c.PrivateKey)
	line("ListenPort", c.ListenPort)
	line("MTU", c.MTU)
	for _, a := range c.Address {
		line("Address", a)
	}
	for _, a := range c.DNS {
		line("DNS", a)
	}
	for _, s := range c.Search {
		line("DNS", s)
	}
	for _, p := range c.Peers {
		line("[Peer]\nPublicKey", p.PublicKey)
		line("PresharedKey", p.PresharedKey)
		line("Endpoint", p.Endpoint)
		line("PersistentKeepalive", p.PersistentKeepalive)
		for _, a := range p.AllowedIPs {
			line("AllowedIPs", a)
		}
	}
	return b.String()
}

// What a property list holds, it holds when it is written anew.
func FuzzPlist(f *testing.F) {
	f.Add([]byte(plistHead + "<dict><key>a</key><array><string>x &amp; y</string><integer>-1</integer><true/><data>AAE=</data><date>2026-01-01T00:00:00Z</date></array></dict>" + plistTail))
	f.Add([]byte("<plist><dict><key>a</key></dict></plist>"))
	f.Add([]byte("<plist><string>x</string><string>y</string></plist>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parsePlist(data)
		if err != nil {
			return
		}
		var b strings.Builder
		writePlist(&b, v)
		again, err := parsePlist([]byte("<plist>" + b.String() + "</plist>"))
		if err != nil || !reflect.DeepEqual(v, again) {
			t.Fatalf("%q\n%#v\n%#v, %v", data, v, again, err)
		}
	})
}

func writePlist(b *strings.Builder, v any) {
	element := func(name, text string) {
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(b, []byte(text)) // a builder takes all
		b.WriteString("</" + name + ">")
	}
	switch v := v.(type) {
	case string:
		element("string", v)
	case date:
		element("date", string(v))
	case int64:
		element("integer", fmt.Sprint(v))
	case []byte:
		element("data", base64.StdEncoding.EncodeToString(v))
	case bool:
		fmt.Fprintf(b, "<%t/>", v)
	case []any:
		b.WriteString("<array>")
		for _, item := range v {
			writePlist(b, item)
		}
		b.WriteString("</array>")
	case map[string]any:
		b.WriteString("<dict>")
		for key, item := range v {
			element("key", key)
			writePlist(b, item)
		}
		b.WriteString("</dict>")
	}
}

// A file of /etc/resolver never gives more than macOS takes.
func FuzzResolver(f *testing.F) {
	f.Add("nameserver 10.163.0.3\nport 5353\n")
	f.Add("domain x.\n nameserver 1.2.3.4\nnameserver 1.2.3.4.5\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := parseResolver("mpd.test", text)
		if len(r.servers) > 3 || r.port < 0 || r.port > 65535 || !ok && len(r.servers) > 0 || strings.ContainsAny(r.domain, " \t\n") {
			t.Fatalf("%q: %+v, %t", text, r, ok)
		}
		if s, ok := r.server(); ok && !s.IsValid() {
			t.Fatalf("%q: server %v", text, s)
		}
	})
}

// Whatever the arguments are, a tool ends, with a status that a tool can have.
func FuzzCommand(f *testing.F) {
	for _, line := range []string{
		"security find-certificate -a -c x -Z /Library/Keychains/System.keychain", "security verify-cert -L -c /x", "sudo -n route -n add -net 10.0.0.0/8 192.168.1.9",
		"sudo rm -f /etc/resolver/x", "scutil --nc start mpd-150", "route -n get 10.0.0.1", "netstat -rn -f inet", "ifconfig -a", "env LC_CTYPE=UTF-8 pbcopy",
		"dscacheutil -q host -a name x", "open -R /x", "sudo -k -- -v", "env -", "security -", "ifconfig ", "route -n delete 010.0.0.0/99",
	} {
		f.Add(line)
	}
	now := time.Unix(1800000000, 0)
	f.Fuzz(func(t *testing.T, line string) {
		argv := strings.Split(line, " ")
		// It writes where it is told to.
		if slices.Contains(argv, "trust-settings-export") || strings.ContainsAny(line, "\x00") {
			t.Skip()
		}
		e, err := New(Options{Now: func() time.Time { return now }, Settings: Settings{Sudo: SudoAsksNot}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := e.Runner()(context.Background(), hypervisor.Command{Argv: argv})
		if Plays(argv[0]) != (err == nil) {
			t.Fatalf("%q: %+v, %v", argv, r, err)
		}
		if err == nil && !slices.Contains([]int{0, 1, 2, 44, 64, 68, 77, 127}, r.Status) {
			t.Fatalf("%q: status %d", argv, r.Status)
		}
	})
}
