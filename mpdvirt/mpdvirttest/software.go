package mpdvirttest

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/memfs"
)

// Sudo is how the VM's sudo behaves for its user.
type Sudo string

// The behaviours of sudo.
const (
	SudoFree     Sudo = ""         // asks for no password
	SudoPassword Sudo = "password" // wants one
	SudoHangs    Sudo = "hangs"    // never answers, as with a stuck PAM module
	SudoLectures Sudo = "lectures" // prints its lecture and wants a password
)

// SetSudo changes how sudo behaves from now on.
func (v *VM) SetSudo(s Sudo) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sudo = s
}

func (v *VM) sudoMode() Sudo {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sudo
}

const lecture = `We trust you have received the usual lecture from the local System
Administrator. It usually boils down to these three things:

    #1) Respect the privacy of others.
    #2) Think before you type.
    #3) With great power comes great responsibility.
`

func (v *VM) sudoProgram(ctx context.Context, p *debian.Process, args []string) int {
	rest, never := args[1:], false
	for len(rest) > 0 && strings.HasPrefix(rest[0], "-") {
		flag := rest[0]
		rest = rest[1:]
		never = never || flag == "-n" || flag == "--non-interactive"
		if flag == "-u" && len(rest) > 0 {
			rest = rest[1:]
		}
		if flag == "--" {
			break
		}
	}
	switch mode := v.sudoMode(); {
	case mode == SudoHangs:
		<-ctx.Done()
		return 143
	case mode != SudoFree && p.FS.UID() != memfs.Root:
		if mode == SudoLectures {
			p.Errorf("%s", lecture)
		}
		if never {
			return p.Errorf("sudo: a password is required")
		}
		return p.Errorf("sudo: a terminal is required to read the password; either use ssh's -t option or configure an askpass helper")
	case len(rest) == 0:
		return p.Errorf("usage: sudo -h | -K | -k | -V")
	}
	root := p.As(memfs.Root, "root", "/root")
	root.Env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for len(rest) > 1 {
		name, value, isVar := strings.Cut(rest[0], "=")
		if !isVar {
			break
		}
		root.Env[name] = value
		rest = rest[1:]
	}
	if root.LookPath(rest[0]) == "" {
		return p.Errorf("sudo: %s: command not found", rest[0])
	}
	return root.Run(ctx, rest)
}

// su knows no password that fits.
func (v *VM) su(_ context.Context, p *debian.Process, _ []string) int {
	fmt.Fprint(p.Stderr, "Password: ")
	_, _ = io.Copy(io.Discard, io.LimitReader(p.Stdin, 1)) // nothing to read is an answer too
	return p.Errorf("su: Authentication failure")
}

func (v *VM) hostnameProgram(_ context.Context, p *debian.Process, args []string) int {
	name := v.Hostname()
	if slices.Contains(args, "-I") {
		name = v.Addr().String()
	} else if slices.Contains(args, "-s") {
		name, _, _ = strings.Cut(name, ".")
	}
	p.Printf("%s\n", name)
	return 0
}

func (v *VM) hostnamectl(_ context.Context, p *debian.Process, args []string) int {
	switch {
	case slices.Contains(args, "set-hostname") && p.FS.UID() != memfs.Root:
		return p.Errorf("Could not set static hostname: Access denied")
	case slices.Contains(args, "set-hostname"):
		if err := v.SetHostname(args[len(args)-1]); err != nil {
			return p.Errorf("%v", err)
		}
	default:
		p.Printf("%s\n", v.Hostname())
	}
	return 0
}

func (v *VM) systemctl(_ context.Context, p *debian.Process, args []string) int {
	var verb string
	var units []string
	quiet := false
	for _, arg := range args[1:] {
		switch {
		case arg == "-q" || arg == "--quiet":
			quiet = true
		case strings.HasPrefix(arg, "-"):
		case verb == "":
			verb = arg
		default:
			units = append(units, strings.TrimSuffix(arg, ".service"))
		}
	}
	if slices.Contains([]string{"restart", "reload", "try-restart", "reload-or-restart"}, verb) && p.FS.UID() == memfs.Root &&
		(slices.Equal(units, []string{"ssh"}) || slices.Equal(units, []string{"sshd"})) {
		return v.restartSSH(p)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch verb {
	case "is-active", "is-enabled":
		words := map[bool]string{true: "active", false: "inactive"}
		if verb == "is-enabled" {
			words = map[bool]string{true: "enabled", false: "disabled"}
		}
		status := 3
		for _, u := range units {
			if v.units[u] {
				status = 0
			}
			if !quiet {
				p.Printf("%s\n", words[v.units[u]])
			}
		}
		return status
	case "is-system-running":
		p.Printf("running\n")
		return 0
	case "start", "restart", "enable", "stop", "disable", "daemon-reload":
		if p.FS.UID() != memfs.Root {
			return p.Errorf("Failed to %s unit: Interactive authentication required.", verb)
		}
		for _, u := range units {
			v.units[u] = verb == "start" || verb == "restart" || v.units[u] && verb == "enable" || verb == "enable" && slices.Contains(args, "--now")
		}
		return 0
	}
	return p.Errorf("Unknown command verb '%s'.", verb)
}

// SetUnit says whether a systemd unit (without ".service") is active. Of
// wg-quick@mpd0 it is whether the VM's end of the tunnel is up; others only tell it.
func (v *VM) SetUnit(unit string, active bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.units[unit] = active
}

func (v *VM) unitActive(unit string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.units[unit]
}

func (v *VM) dpkgQuery(_ context.Context, p *debian.Process, args []string) int {
	format := "${Package}\t${Version}\n"
	var names []string
	for i := 1; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-f" && i+1 < len(args):
			i++
			format = args[i]
		case strings.HasPrefix(arg, "-f="), strings.HasPrefix(arg, "--showformat="):
			_, format, _ = strings.Cut(arg, "=")
		case strings.HasPrefix(arg, "-f"):
			format = arg[2:]
		case strings.HasPrefix(arg, "-"):
		default:
			names = append(names, arg)
		}
	}
	if len(names) == 0 {
		names = v.Packages()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	status := 0
	for _, name := range names {
		if !v.packages[name] {
			status = p.Errorf("dpkg-query: no packages found matching %s", name)
			continue
		}
		p.Printf("%s", strings.NewReplacer(`\n`, "\n", `\t`, "\t", "${Package}", name, "${binary:Package}", name, "${Version}", "1.0-1",
			"${db:Status-Status}", "installed", "${db:Status-Abbrev}", "ii ", "${Status}", "install ok installed").Replace(format))
	}
	return status
}

func (v *VM) dpkg(_ context.Context, p *debian.Process, args []string) int {
	if len(args) == 2 && args[1] == "--print-architecture" {
		p.Printf("%s\n", map[bool]string{true: "arm64", false: "amd64"}[*v.kernel.arch.Load() == "aarch64"])
		return 0
	}
	return p.Errorf("dpkg: not played by mpdvirttest: %s", path.Join(args[1:]...))
}
