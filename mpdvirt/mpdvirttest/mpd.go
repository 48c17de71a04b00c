package mpdvirttest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/mpdvirt/mpdvirttest/internal/debian"
)

func (v *VM) setupOption() string {
	if v.opts.VMSetup {
		return "--vm-setup"
	}
	return "--setup"
}

// mpd is the program that step 50 builds.
func (v *VM) mpd(ctx context.Context, p *debian.Process, args []string) int {
	switch {
	case slices.Contains(args, v.setupOption()):
		return v.step(ctx, p, StepSetup, func(Fault) int { return v.setup(p) })
	case len(args) == 1 || args[1] == "--help" || args[1] == "-h":
		p.Printf("Usage: mpd [OPTION]\n\n  %-12s set the platform up on this machine\n  --version    print the version\n  --help       print this text\n", v.setupOption())
		return 0
	case args[1] == "--version":
		p.Printf("mpd 1.0\n")
		return 0
	}
	p.Errorf("Error: Unknown option '%s'", args[1])
	return 64
}

// setup is mpd --setup.
func (v *VM) setup(p *debian.Process) int {
	title(p, "Requirements")
	var missing []string
	for program, name := range map[string]string{"podman": "podman", "nft": "nftables", "jq": "jq", "dig": "bind9-dnsutils"} {
		if !slices.Contains(v.Packages(), name) {
			missing = append(missing, program)
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		return bad(p, "Bootstrap incomplete — missing: %s", strings.Join(missing, ", "))
	}
	env, err := p.FS.ReadFile(platformEnv)
	if err != nil {
		return bad(p, "%s is missing", platformEnv)
	}
	values := parseEnv(string(env))
	if kind := values["MPD_PLATFORM"]; kind != "managed" && kind != "sandbox" {
		return bad(p, "%s: MPD_PLATFORM '%s' is not valid", platformEnv, kind)
	}
	ok(p, "bootstrap complete")
	title(p, "Certificates")
	if status := v.certificates(p); status != 0 {
		return status
	}
	title(p, "Containers")
	for i, name := range []string{"dnsmasq", "portal", "fileaccess", "adminer"} {
		ok(p, "%s 10.163.0.%d", name, 3+i)
	}
	record, _ := netip.ParseAddr(values["MPD_VM_IP"]) // a sandbox has none
	v.mu.Lock()
	v.dns.running, v.dns.record = true, record
	v.mu.Unlock()
	p.Printf("\n\x1b[32m✓ mpd --setup complete.\x1b[0m\n")
	return 0
}

// parseEnv reads a KEY=value file as the program in the VM does.
func parseEnv(text string) map[string]string {
	values := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		key, value, found := strings.Cut(line, "=")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		values[key] = value
	}
	return values
}

// certificates uses the pushed CA, or makes one if there is none, for what the
// portal shows from now on.
func (v *VM) certificates(p *debian.Process) int {
	dir := confDir + "/caroot"
	if err := p.FS.MkdirAll(dir, 0o700); err != nil {
		return bad(p, "%v", err)
	}
	if err := p.FS.Chmod(dir, 0o700); err != nil {
		return bad(p, "%v", err)
	}
	cert, err := p.FS.ReadFile(dir + "/rootCA.pem")
	if err != nil {
		var key []byte
		if cert, key, err = ownCA(v.now()); err != nil {
			return bad(p, "%v", err)
		}
		for name, data := range map[string][]byte{"rootCA.pem": cert, "rootCA-key.pem": key} {
			if err := p.FS.WriteFile(dir+"/"+name, data, 0o600); err != nil {
				return bad(p, "%v", err)
			}
		}
		ok(p, "made a CA")
	}
	key, err := p.FS.ReadFile(dir + "/rootCA-key.pem")
	if err != nil {
		return bad(p, "%s/rootCA-key.pem is missing", dir)
	}
	ca, err := parseAuthority(cert, key)
	if err != nil {
		return bad(p, "%s: %v", dir, err)
	}
	made := v.now()
	v.mu.Lock()
	v.portal.ca, v.portal.made = ca, made
	v.mu.Unlock()
	ok(p, "certificates for mpd.test")
	return 0
}

// ownCA makes a CA, as the program does to which none was pushed.
func ownCA(now time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the VM's own CA"},
		NotBefore: now, NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs}), nil
}
