package mpdvirttest

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/mutms/mpd-virt-macos/mpdvirt"
	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

// Places of the mpd project in a VM.
const (
	mpdDir      = "/opt/mpd"
	mpdBinary   = mpdDir + "/bin/mpd"
	dataDir     = "/var/lib/mpd"
	confDir     = dataDir + "/conf"
	platformEnv = confDir + "/platform.env"
	pushedConf  = confDir + "/wireguard/mpd0.conf"
	tunnelConf  = "/etc/wireguard/mpd0.conf"
	tunnelUnit  = "wg-quick@mpd0"
)

// stepProgram is what the scripts call: the name of a step and its arguments.
func (v *VM) stepProgram(ctx context.Context, p *debian.Process, args []string) int {
	if len(args) < 2 {
		return p.Errorf("usage: mpdvirttest-step NAME [ARGS]")
	}
	name, args := args[1], args[2:]
	work := map[string]func(context.Context, *debian.Process, Fault, []string) int{
		StepSudo: v.step10, StepClone: v.step20, StepNetworking: v.step30, StepInstall: v.step40,
		StepBuild: v.step50, StepWireGuard: v.step60,
		StepUpdate: func(context.Context, *debian.Process, Fault, []string) int { return 0 },
	}[name]
	switch {
	case name == "setup-option":
		p.Printf("%s\n", v.setupOption())
		return 0
	case work == nil:
		return p.Errorf("mpdvirttest-step: no step %q", name)
	}
	return v.step(ctx, p, name, func(f Fault) int { return work(ctx, p, f, args) })
}

func title(p *debian.Process, format string, a ...any) { p.Printf("\n==> "+format+"\n", a...) }
func ok(p *debian.Process, format string, a ...any)    { p.Printf("    ok: "+format+"\n", a...) }

func bad(p *debian.Process, format string, a ...any) int {
	return p.Errorf("Error: "+format, a...)
}

var goodHost = regexp.MustCompile(`^mpd-(template|sandbox)(-.+)?$|^mpd-[0-9]{3}$`)

func (v *VM) step10(ctx context.Context, p *debian.Process, _ Fault, _ []string) int {
	title(p, "Hostname gate")
	host := v.Hostname()
	if !goodHost.MatchString(host) {
		return bad(p, "hostname '%s' is not one of mpd-template, mpd-sandbox, mpd-NNN", host)
	}
	ok(p, "hostname '%s' accepted", host)
	title(p, "OS gate")
	release, err := v.root.ReadFile("/etc/os-release")
	if err != nil || !bytes.Contains(release, []byte("\nID=debian\n")) || !bytes.Contains(release, []byte("VERSION_CODENAME=trixie\n")) {
		return bad(p, "this is not Debian Trixie")
	}
	ok(p, "Debian Trixie")
	title(p, "Passwordless sudo for %s", p.User)
	quiet := *p
	quiet.Stderr = &bytes.Buffer{}
	if quiet.Run(ctx, []string{"sudo", "-n", "true"}) != 0 {
		p.Printf("    root's password is needed once\n")
		if status := p.Run(ctx, []string{"su", "-", "-c", "true"}); status != 0 {
			return bad(p, "root's password was not accepted")
		}
	}
	ok(p, "already configured (sudo -n works)")
	return 0
}

// needSudo is the gate of most steps.
func needSudo(ctx context.Context, p *debian.Process) bool {
	return p.Run(ctx, []string{"sudo", "-n", "true"}) == 0
}

func (v *VM) step20(ctx context.Context, p *debian.Process, _ Fault, _ []string) int {
	if !needSudo(ctx, p) {
		return bad(p, "passwordless sudo is not configured; run 10-passwordless-sudo.sh first")
	}
	title(p, "Folders")
	for _, dir := range []string{mpdDir, dataDir} {
		if err := v.root.MkdirAll(dir, 0o755); err != nil {
			return bad(p, "%v", err)
		}
		if err := v.root.Chown(dir, userID); err != nil {
			return bad(p, "%v", err)
		}
	}
	ok(p, "%s and %s belong to %s", mpdDir, dataDir, p.User)
	title(p, "git")
	if err := v.addPackages([]string{"git", "ca-certificates"}, map[string]debian.Program{"git": v.git}); err != nil {
		return bad(p, "%v", err)
	}
	ok(p, "git installed")
	repo, branch := p.Env["MPD_REPO"], p.Env["MPD_BRANCH"]
	if repo == "" {
		repo = mpdvirt.DefaultRepo
	}
	if branch == "" {
		branch = mpdvirt.DefaultBranch
	}
	title(p, "%s at %s", repo, branch)
	return v.clone(p, repo, branch)
}

// clone makes /opt/mpd hold a branch of the repository.
func (v *VM) clone(p *debian.Process, repo, branch string) int {
	if _, known := v.w.commit(branch); !known {
		p.Errorf("fatal: Remote branch %s not found in upstream origin", branch)
		return 128
	}
	_, err := v.root.Stat(mpdDir + "/.git")
	list, _ := v.root.ReadDir(mpdDir) // it was just made
	if err != nil && len(list) > 0 {
		p.Errorf("fatal: destination path '%s' already exists and is not an empty directory.", mpdDir)
		return 128
	}
	commit, _ := v.w.commit(branch)
	files := map[string]string{
		".git/HEAD":               "ref: refs/heads/" + branch + "\n",
		".git/refs/heads/current": commit + "\n",
		".git/config":             "[remote \"origin\"]\n\turl = " + repo + "\n",
		"Makefile":                "install:\n\t@echo built\n",
	}
	for name, text := range scripts {
		files["bootstrap/"+name] = text
	}
	as := v.sys.FS.As(userID)
	for name, text := range files {
		if err := as.WriteFile(mpdDir+"/"+name, []byte(text), 0o755&^0o111); err != nil {
			p.Errorf("fatal: %v", err)
			return 128
		}
	}
	ok(p, "%s at %s", branch, commit[:7])
	return 0
}

func (v *VM) step30(ctx context.Context, p *debian.Process, f Fault, args []string) int {
	if len(args) != 1 {
		return bad(p, "usage: 30-networking.sh NNN")
	}
	if !regexp.MustCompile(`^(000|1[0-9][0-9]|2[0-4][0-9]|25[0-4])$`).MatchString(args[0]) {
		return bad(p, "'%s' is not 000 or a number from 100 to 254", args[0])
	}
	if !needSudo(ctx, p) {
		return bad(p, "passwordless sudo is not configured")
	}
	octet := args[0]
	title(p, "Host name")
	if err := v.SetHostname("mpd-" + octet); err != nil {
		return bad(p, "%v", err)
	}
	ok(p, "mpd-%s", octet)
	title(p, "Address")
	if octet == "000" {
		return v.platform(p, "sandbox", "", octet)
	}
	var n byte
	fmt.Sscan(octet, &n) // the pattern above fits
	from := v.Addr()
	to := from.As4()
	to[3] = n
	target := netip.AddrFrom4(to)
	if status := v.platform(p, "managed", target.String(), octet); status != 0 {
		return status
	}
	network := fmt.Sprintf("[Match]\nName=enp0s5\n\n[Network]\nAddress=%v/24\nGateway=%v\n", target, target.String()[:strings.LastIndex(target.String(), ".")]+".1")
	if err := v.root.WriteFile("/etc/systemd/network/05-mpd.network", []byte(network), 0o644); err != nil {
		return bad(p, "%v", err)
	}
	ok(p, "wrote /etc/systemd/network/05-mpd.network")
	if target == from && f.Kind != CutForeground {
		ok(p, "the address is %v already", target)
		return 0
	}
	p.Printf("    warn: the address changes to %v: SSH about to drop, this is expected\n", target)
	return v.move(ctx, f, target)
}

// platform writes platform.env as the user does.
func (v *VM) platform(p *debian.Process, kind, addr, octet string) int {
	text := "# mpd platform identity, written by bootstrap/30-networking.sh.\n" +
		"MPD_PLATFORM=" + kind + "\nMPD_VM_IP=" + addr + "\nMPD_VM_ID=" + octet + "\n"
	if err := p.FS.WriteFile(platformEnv, []byte(text), 0o644); err != nil {
		return bad(p, "%v", err)
	}
	ok(p, "wrote %s", platformEnv)
	return 0
}

// move changes the VM's address after the step, or as the fault says.
func (v *VM) move(ctx context.Context, f Fault, target netip.Addr) int {
	if f.Kind == WrongAddr {
		target = f.Addr
	}
	// Taken addresses stay with those who have them, which is what a client
	// then finds.
	change := func() {
		switch f.Kind {
		case Stays:
		case NeverBack:
			_ = v.SetAddr(netip.Addr{})
		case Late:
			_ = v.SetAddr(netip.Addr{})
			v.w.later(f.After, func() { _ = v.SetAddr(target) })
		case Lingers:
			v.w.later(f.After, func() { _ = v.SetAddr(target) })
		default:
			_ = v.SetAddr(target)
		}
		if f.Kind == LocksDpkg {
			v.LockDpkg()
			v.w.later(f.After, v.UnlockDpkg)
		}
	}
	s := sessionOf(ctx)
	if f.Kind == CutForeground {
		s.do(func() { s.mute = true })
		change()
		return 0
	}
	s.do(func() { s.after = append(s.after, change) })
	return 0
}

// platformPackages are what step 40 installs.
var platformPackages = strings.Fields(`aardvark-dns bash bind9-dnsutils build-essential ca-certificates catatonit coreutils curl git
	iproute2 iputils-ping jq less libnss3-tools lsof make nftables openssl pkg-config podman psmisc qemu-guest-agent sudo
	swiftlang systemd tcpdump traceroute vim-tiny wireguard wireguard-tools`)

func (v *VM) step40(ctx context.Context, p *debian.Process, _ Fault, _ []string) int {
	if !needSudo(ctx, p) {
		return bad(p, "passwordless sudo is not configured")
	}
	title(p, "Packages")
	installed := v.Packages()
	missing := slices.DeleteFunc(slices.Clone(platformPackages), func(name string) bool { return slices.Contains(installed, name) })
	if len(missing) == 0 {
		ok(p, "all installed already")
		return 0
	}
	if v.dpkgLocked() {
		p.Errorf("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 873 (apt-get)")
		p.Errorf("E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?")
		return 100
	}
	for _, name := range missing {
		p.Printf("Setting up %s (1.0-1) ...\r\n", name)
	}
	stub := func(context.Context, *debian.Process, []string) int { return 0 }
	err := v.addPackages(missing, map[string]debian.Program{"podman": stub, "nft": stub, "jq": stub, "wg": v.wg, "curl": v.curl, "make": stub})
	if err != nil {
		p.Errorf("E: %v", err)
		return 100
	}
	v.SetUnit("podman-restart", true)
	ok(p, "%d packages installed", len(missing))
	return 0
}

func (v *VM) step50(_ context.Context, p *debian.Process, _ Fault, _ []string) int {
	title(p, "Build")
	if _, err := p.FS.Stat(mpdDir + "/Makefile"); err != nil {
		return bad(p, "%s/Makefile is missing; run 20-git-clone.sh first", mpdDir)
	}
	if !slices.Contains(v.Packages(), "make") {
		p.Errorf("make: command not found")
		return 127
	}
	v.sys.Define("mpd", v.mpd)
	if err := p.FS.WriteFile(mpdBinary, debian.Binary("mpd"), 0o755); err != nil {
		return bad(p, "%v", err)
	}
	ok(p, "%s", mpdBinary)
	const line = "export PATH=\"/opt/mpd/bin:$PATH\" # mpd\n"
	rc, err := p.FS.ReadFile(p.Home + "/.bashrc")
	if err == nil && !bytes.HasPrefix(rc, []byte(line)) {
		err = p.FS.WriteFile(p.Home+"/.bashrc", append([]byte(line), rc...), 0o644)
	}
	if err != nil {
		return bad(p, "%v", err)
	}
	ok(p, "%s/.bashrc puts it on PATH", p.Home)
	return 0
}

func (v *VM) step60(ctx context.Context, p *debian.Process, _ Fault, _ []string) int {
	title(p, "WireGuard")
	if !needSudo(ctx, p) {
		return bad(p, "passwordless sudo is not configured")
	}
	conf, err := v.root.ReadFile(pushedConf)
	if err != nil {
		ok(p, "no %s, skipping", pushedConf)
		return 0
	}
	if err := v.root.MkdirAll("/etc/wireguard", 0o700); err != nil {
		return bad(p, "%v", err)
	}
	if err := v.root.WriteFile(tunnelConf, conf, 0o600); err != nil {
		return bad(p, "%v", err)
	}
	if _, err := parseConf(conf); err != nil {
		v.SetUnit(tunnelUnit, false)
		return p.Errorf("Job for wg-quick@mpd0.service failed because the control process exited with error code.")
	}
	v.SetUnit(tunnelUnit, true)
	ok(p, "%s is active", tunnelUnit)
	return 0
}
