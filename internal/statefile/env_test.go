package statefile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseEnvValues(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"plain", "KEY=value", "value"},
		{"empty", "KEY=", ""},
		{"spaces round all", " \tKEY \t= \t value \t", "value"},
		{"inline comment", "KEY=value # said by Jo's $HOME", "value"},
		{"inline comment after tab", "KEY=value\t#c", "value"},
		{"only a comment", "KEY= # none yet", ""},
		{"number sign in value", "KEY=a#b", "a#b"},
		{"number sign first", "KEY=#b", "#b"},
		{"equals sign in value", "KEY=a=b", "a=b"},
		{"blank in value", "KEY=a b", "a b"},
		{"double quotes", `KEY="a # b"`, "a # b"},
		{"single quotes", "KEY='a \"b\" $c `d` \\e'", "a \"b\" $c `d` \\e"},
		{"empty quotes", `KEY=""`, ""},
		{"quotes and comment", `KEY="a" # b`, "a"},
		{"quotes and blanks", `KEY="a"  `, "a"},
		{"CRLF", "KEY=value\r\n", "value"},
		{"cut between CR and LF", "KEY=value\r", "value"},
		{"byte order mark", "\ufeffKEY=value", "value"},
		{"not ASCII", "KEY=škoda", "škoda"},
		{"braces", "KEY={0f-1e}", "{0f-1e}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseEnv("f", []byte(tt.line))
			if err != nil {
				t.Fatalf("ParseEnv(%q): %v", tt.line, err)
			}
			if got, line, ok := e.Get("KEY"); got != tt.want || line != 1 || !ok {
				t.Errorf("ParseEnv(%q): Get = %q, %d, %v, want %q, 1, true", tt.line, got, line, ok, tt.want)
			}
			if got := string(e.Bytes()); got != tt.line {
				t.Errorf("ParseEnv(%q).Bytes() = %q", tt.line, got)
			}
		})
	}
}

func TestParseEnvErrors(t *testing.T) {
	tests := []struct {
		name, text string
		want       string
	}{
		{"NUL", "A=1\nB=x\x00y\n", "f:2: control character 0x00"},
		{"escape in a comment", "# \x1b[2J\n", "f:1: control character 0x1b"},
		{"CR inside", "A=1\rB=2\n", "f:1: control character 0x0d"},
		{"no equals sign", "A=1\n\nhello\n", "f:3: not KEY=value"},
		{"bad key", "1A=1\n", `f:1: "1A" is not a key`},
		{"export", "export A=1\n", `f:1: "export A" is not a key`},
		{"no key", "=1\n", `f:1: "" is not a key`},
		{"key with foreign letter", "\u0410=1\n", `f:1: "\u0410" is not a key`},
		{"long bad key is shortened", strings.Repeat("-", 50) + "=", "f:1: \"" + strings.Repeat("-", 40) + "...\" is not a key"},
		{"duplicate", "A=1\n#\nA=1\n", "f:3: A: given again, first in line 1"},
		{"open double quote", "A=\"x\n", "f:1: A: quote without end"},
		{"open single quote", "A='x\n", "f:1: A: quote without end"},
		{"quotes that do not match", "A=\"x'\n", "f:1: A: quote without end"},
		{"text after quote", `A="x"y`, "f:1: A: text after the closing quote"},
		{"comment stuck to the quote", `A="x"#y`, "f:1: A: text after the closing quote"},
		{"quote inside", `A=x"y"`, "f:1: A: quote inside a value that does not start with one"},
		{"variable", "A=$HOME/x", "f:1: A: " + expandMsg},
		{"command", "A=`id`", "f:1: A: " + expandMsg},
		{"backslash", `A=a\b`, "f:1: A: " + expandMsg},
		{"command in double quotes", `A="$(id)"`, "f:1: A: " + expandMsg},
		{"too big", strings.Repeat("#\n", MaxEnv/2+1), "f: more than 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseEnv("f", []byte(tt.text))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || err.Error() != tt.want || e != nil {
				t.Errorf("ParseEnv(%.60q) = %v, %v, want nil and %q", tt.text, e, err, tt.want)
			}
		})
	}
}

func TestEnvEdit(t *testing.T) {
	set := func(key, value string) func(*Env) error {
		return func(e *Env) error { return e.Set(key, value) }
	}
	del := func(key string) func(*Env) error {
		return func(e *Env) error { e.Delete(key); return nil }
	}
	tests := []struct {
		name, text string
		edit       func(*Env) error
		want       string
	}{
		{"in place, comment kept", "# top\nA=1 # why\nB=2\n", set("A", "3"), "# top\nA=3 # why\nB=2\n"},
		{"empty value before comment", "A= # why\n", set("A", "3"), "A=3 # why\n"},
		{"quotes dropped when not needed", "A='x y'\n", set("A", "z"), "A=z\n"},
		{"quotes added when needed", "A=z\n", set("A", "x # y"), "A=\"x # y\"\n"},
		{"same value stays as written", "A = 'z'\n", set("A", "z"), "A = 'z'\n"},
		{"to nothing", "A=z # c\n", set("A", ""), "A= # c\n"},
		{"append to nothing", "", set("A", "1"), "A=1\n"},
		{"append", "A=1\n", set("B", "2"), "A=1\nB=2\n"},
		{"append without last line end", "A=1", set("B", "2"), "A=1\nB=2\n"},
		{"append to CRLF", "A=1\r\n", set("B", "2"), "A=1\r\nB=2\r\n"},
		{"append to CRLF cut short", "A=1\r\nC=3\r", set("B", "2"), "A=1\r\nC=3\r\nB=2\r\n"},
		{"append after comment without line end", "# end", set("B", "2"), "# end\nB=2\n"},
		{"append after byte order mark", "\ufeff", set("B", "2"), "\ufeffB=2\n"},
		{"delete", "A=1\nB=2 # c\nC=3\n", del("B"), "A=1\nC=3\n"},
		{"delete the first keeps the mark", "\ufeffA=1\nB=2\n", del("A"), "\ufeffB=2\n"},
		{"delete what is not there", "A=1\n# B\n", del("B"), "A=1\n# B\n"},
		{"delete nothing", "# c\n", del(""), "# c\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseEnv("f", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.edit(e); err != nil {
				t.Fatal(err)
			}
			if got := string(e.Bytes()); got != tt.want {
				t.Errorf("%q became %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestEnvSetRefuses(t *testing.T) {
	values := []string{"a\nB=2", "a\rb", "a\x00", "a\"b", "a'b", "$a", "`a`", `a\b`, "é", "\x7f", "a\tb"}
	for _, v := range values {
		e, _ := ParseEnv("f", []byte("A=1\n"))
		if err := e.Set("A", v); err == nil || string(e.Bytes()) != "A=1\n" {
			t.Errorf("Set(A, %q) = %v and left %q", v, err, e.Bytes())
		}
	}
	for _, k := range []string{"", "1", "A B", "A=B", "A\nB", "é"} {
		e := new(Env)
		if err := e.Set(k, "1"); err == nil || len(e.Bytes()) != 0 {
			t.Errorf("Set(%q) = %v and left %q", k, err, e.Bytes())
		}
	}
	e := new(Env)
	if err := e.Set("A", strings.Repeat("x", MaxEnv)); !errors.Is(err, errEnvFull) {
		t.Errorf("Set of a huge value = %v, want errEnvFull", err)
	}
}

func TestEnvZero(t *testing.T) {
	var e Env
	if _, _, ok := e.Get("A"); ok || len(e.Keys()) != 0 || len(e.Bytes()) != 0 {
		t.Error("the zero Env is not empty")
	}
}

// FuzzParseEnv: what parses, renders to the same bytes, and no key stands
// twice; on error there is no result.
func FuzzParseEnv(f *testing.F) {
	for _, s := range []string{
		"", "A=1\n", "\ufeffA=1\r\nB='x y' # c\r\n", "A=1\nA=2\n", "A = \"x\" #\n\n# c", "A=\x00", "A=$x", "A= # c", "A=1\r",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEnv("f", data)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || e != nil {
				t.Fatalf("ParseEnv(%q) = %v, %v", data, e, err)
			}
			return
		}
		if got := e.Bytes(); string(got) != string(data) {
			t.Fatalf("%q renders to %q", data, got)
		}
		keys := slices.Sorted(slices.Values(e.Keys()))
		if len(slices.Compact(slices.Clone(keys))) != len(keys) {
			t.Fatalf("%q: keys %q", data, keys)
		}
	})
}

// FuzzEnvSet: a value that Set takes is read back the same, and is nothing but
// the value of that key: all others stay, and none is added.
func FuzzEnvSet(f *testing.F) {
	f.Add([]byte("A=1\n"), "A", "2")
	f.Add([]byte("A= # c\r\nB=\"x\""), "A", "x # y")
	f.Add([]byte("# c"), "A", "a\nB=1")
	f.Add([]byte("A=1\r"), "C", " lead")
	f.Add([]byte("\ufeff"), "C", "#x")
	f.Fuzz(func(t *testing.T, data []byte, key, value string) {
		e, err := ParseEnv("f", data)
		if err != nil || e.Set(key, value) != nil {
			return
		}
		want := map[string]string{}
		before, _ := ParseEnv("f", data)
		for _, k := range before.Keys() {
			want[k], _, _ = before.Get(k)
		}
		want[key] = value
		back, err := ParseEnv("f", e.Bytes())
		if err != nil {
			t.Fatalf("%q with %s=%q is %q: %v", data, key, value, e.Bytes(), err)
		}
		got := map[string]string{}
		for _, k := range back.Keys() {
			got[k], _, _ = back.Get(k)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%q with %s=%q is %q: %q, want %q", data, key, value, e.Bytes(), got, want)
		}
		back.Delete(key)
		if _, _, ok := back.Get(key); ok {
			t.Fatalf("%q: Delete left %s", e.Bytes(), key)
		}
	})
}

func ExampleParseEnv() {
	env, err := ParseEnv("150/env", []byte("# mine\nMPD_VM_IP = 10.211.55.150 # static\nMY_NOTE=\"keep me\"\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := env.Set("MPD_VM_IP", "192.168.64.150"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(env.Bytes()))
	// Output:
	// # mine
	// MPD_VM_IP = 192.168.64.150 # static
	// MY_NOTE="keep me"
}
