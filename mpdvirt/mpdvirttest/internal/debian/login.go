package debian

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Login runs a command as sshd does: the user's login shell reads the text. A
// bash reads ~/.bashrc before, as Debian's does for commands of sshd. shell is
// the path of the login shell: bash, sh, dash, zsh, fish, or something that is
// no shell.
func (p *Process) Login(ctx context.Context, shell, command string) int {
	s := script{lang: syntax.LangBash, name: path.Base(shell), text: command}
	switch s.name {
	case "bash":
		if rc := p.Home + "/.bashrc"; p.FS.Access(rc, 4) == nil {
			s.rc = rc
		}
	case "zsh": // near enough for a command
	case "sh", "dash":
		s.lang = syntax.LangPOSIX
	case "fish":
		words, err := fishWords(command)
		if err != nil {
			p.Errorf("fish: %v", err)
			return 127
		}
		return p.Run(ctx, words)
	case "nologin":
		p.Printf("This account is currently not available.\n")
		return 1
	default:
		return 1
	}
	return p.shell(ctx, s)
}

// fishWords splits a simple command as fish does. In fish a backslash escapes
// a quote or a backslash inside single quotes too, which is where quoting for
// other shells goes wrong. Everything else of fish's language is an error.
func fishWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	begun := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == ' ' || c == '\t':
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		case c == '\'' || c == '"':
			end, err := fishQuoted(s[i+1:], c, &word)
			if err != nil {
				return nil, err
			}
			i, begun = i+1+end, true
		case c == '\\' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			begun = true
		case strings.IndexByte(";&|<>()$*?~#{}\n\\", c) >= 0 && (c != '~' && c != '#' || !begun):
			return nil, errors.New("only a simple command is played, not " + string(c))
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("no command")
	}
	return words, nil
}

// fishQuoted reads up to the closing quote and says where that is.
func fishQuoted(s string, quote byte, word *strings.Builder) (int, error) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i, nil
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == quote || s[i+1] == '\\'):
			i++
		case s[i] == '$' && quote == '"':
			return 0, errors.New("only a simple command is played, not $")
		}
		word.WriteByte(s[i])
	}
	return 0, errors.New("unexpected end of string, quotes are not balanced")
}

// shellProgram is the programs bash, sh and dash.
func shellProgram(lang syntax.LangVariant) Program {
	return func(ctx context.Context, p *Process, args []string) int {
		s := script{lang: lang, name: args[0]}
		fromStdin, command := false, false
		rest := args[1:]
	options:
		for len(rest) > 0 && len(rest[0]) > 1 && strings.IndexByte("-+", rest[0][0]) >= 0 {
			opt := rest[0]
			rest = rest[1:]
			switch {
			case opt == "--":
				break options
			case strings.HasPrefix(opt, "--"): // --norc, --noprofile, --login
				continue
			case opt == "-o" || opt == "+o":
				if len(rest) == 0 {
					return p.Errorf("%s: -o: option requires an argument", args[0])
				}
				s.opts = append(s.opts, opt, rest[0])
				rest = rest[1:]
				continue
			}
			for _, flag := range opt[1:] {
				switch flag {
				case 'c':
					command = true
				case 's':
					fromStdin = true
				case 'n':
					s.check = true
				case 'l', 'i': // a login or interactive shell reads files that no machine here has
				case 'e', 'u', 'x', 'f', 'a':
					s.opts = append(s.opts, opt[:1]+string(flag))
				default:
					p.Errorf("%s: -%c: invalid option", args[0], flag)
					return 2
				}
			}
		}
		if status := p.scriptText(&s, rest, command, fromStdin); status != 0 {
			return status
		}
		return p.shell(ctx, s)
	}
}

// scriptText finds out what a shell with these arguments reads.
func (p *Process) scriptText(s *script, rest []string, command, fromStdin bool) int {
	switch {
	case command:
		if len(rest) == 0 {
			p.Errorf("%s: -c: option requires an argument", s.name)
			return 2
		}
		s.text = rest[0]
		if len(rest) > 1 {
			s.name = rest[1]
		}
		s.args = rest[min(2, len(rest)):]
		return 0
	case fromStdin || len(rest) == 0:
		text, err := io.ReadAll(p.Stdin)
		if err != nil {
			return p.Errorf("%s: %v", s.name, err)
		}
		s.text, s.args = string(text), rest
		return 0
	}
	text, err := p.readFile(rest[0])
	if err != nil {
		p.Errorf("%s: %s: %v", s.name, rest[0], reason(err))
		return 127
	}
	s.name, s.text, s.args = rest[0], string(text), rest[1:]
	return 0
}
