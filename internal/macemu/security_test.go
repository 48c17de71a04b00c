package macemu_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mutms/mpd-virt-macos/hypervisor"
	"github.com/mutms/mpd-virt-macos/internal/macemu"
)

func hashes(c authority) string {
	return fmt.Sprintf("SHA-256 hash: %X\nSHA-1 hash: %X\n", sha256.Sum256(c.Raw), sha1.Sum(c.Raw))
}

func sha1Of(c authority) string { return fmt.Sprintf("%X", sha1.Sum(c.Raw)) }

// macos-host.md 1.1
func TestFindCertificate(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	find := "security find-certificate "
	missing := "security: SecKeychainSearchCopyNext: The specified item could not be found in the keychain.\n"
	m.says(find+"-a -c mpd -Z "+keychain, 0, "", "")
	m.says(find+"-c mpd -Z "+keychain, 44, "", missing)

	ca, other := root(t, "mpd Root CA", "2026-01-01", "2036-01-01"), root(t, "old MPD root ca 2", "2020-01-01", "2021-01-01")
	m.must(m.AddCertificate([]byte(ca.pem())))
	m.must(m.AddCertificate([]byte(other.pem())))
	m.must(m.AddCertificate([]byte(other.pem()))) // once is enough
	all := hashes(ca) + ca.pem() + hashes(other) + other.pem()
	m.says("/usr/bin/"+find+"-a -Z -p "+keychain, 0, all, "")
	m.says(find+"-aZp", 0, all, "") // login and System
	m.says(find+"-Z -p "+keychain, 0, hashes(ca)+ca.pem(), "")
	m.says(find+"-a -p /Users/dev/Library/Keychains/login.keychain-db", 0, "", "")
	named := m.command(hypervisor.Command{Argv: []string{"security", "find-certificate", "-a", "-c", "mpd Root CA", "-Z", "-p", keychain}})
	if string(named.Stdout) != all {
		t.Errorf("by a part of the name: %s", named.Stdout)
	}
	named = m.command(hypervisor.Command{Argv: []string{"security", "find-certificate", "-a", "-c", "ROOT ca 2", "-p", keychain}})
	if string(named.Stdout) != other.pem() {
		t.Errorf("by the end of the name: %s", named.Stdout)
	}
}

func TestAttributes(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	ca := root(t, "mpd Root CA", "2026-01-01", "2036-01-01")
	m.must(m.AddCertificate([]byte(ca.pem())))
	got := string(m.run("security find-certificate -a -Z " + keychain).Stdout)
	for _, want := range []string{
		hashes(ca) + "keychain: \"" + keychain + "\"\nversion: 256\nclass: 0x80001000 \nattributes:\n    \"alis\"<blob>=\"mpd Root CA\"\n",
		"    \"cenc\"<uint32>=0x00000003 \n    \"ctyp\"<uint32>=0x00000001 \n    \"hpky\"<blob>=0x",
		fmt.Sprintf("    \"skid\"<blob>=0x%X  \"", ca.SubjectKeyId), "    \"snbr\"<blob>=0x01  \"\\001\"\n", "    \"labl\"<blob>=\"mpd Root CA\"\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q\nis not in\n%s", want, got)
		}
	}
}

// macos-host.md 1.2 and 2
func TestVerifyCert(t *testing.T) {
	ca, old := root(t, "mpd Root CA", "2026-01-01", "2036-01-01"), root(t, "mpd Root CA", "2016-01-01", "2026-01-01")
	later := root(t, "mpd Root CA", "2027-01-01", "2036-01-01")
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	result := func(code string) string { return "Cert Verify Result: " + code + "\n" }
	const good = "...certificate verification successful.\n"
	for _, tt := range []struct {
		name    string
		cert    authority
		trust   macemu.Trust // of cert, or of ca if it is a leaf
		options string
		status  int
		answer  string // on standard output if the status is 0
	}{
		{"trusted", ca, macemu.TrustRoot, "", 0, good},
		{"unknown", ca, macemu.TrustNone, "", 1, result("CSSMERR_TP_NOT_TRUSTED")},
		{"expired", old, macemu.TrustRoot, "", 1, result("CSSMERR_TP_CERT_EXPIRED")},
		{"not valid yet", later, macemu.TrustRoot, "", 1, result("CSSMERR_TP_CERT_NOT_VALID_YET")},
		{"denied", ca, macemu.TrustDeny, "", 1, "SecTrustEvaluate result: kSecTrustResultDeny\n"},
		{"as Homebrew asks", ca, macemu.TrustRoot, "-l -R offline", 0, good},
		{"quiet", ca, macemu.TrustRoot, "-q", 0, ""},
		{"quiet, not trusted", ca, macemu.TrustNone, "-q", 1, ""},
		{"a leaf", leaf(t, ca, "www.mpd.test", "2026-01-01", "2027-01-01", server), macemu.TrustRoot, "-p ssl -n www.mpd.test", 0, good},
		{"a leaf of a root that is not trusted", leaf(t, ca, "www.mpd.test", "2026-01-01", "2027-01-01", server), macemu.TrustNone, "-p ssl", 1, result("CSSMERR_TP_NOT_TRUSTED")},
		{"a leaf of a root that is denied", leaf(t, ca, "www.mpd.test", "2026-01-01", "2027-01-01", server), macemu.TrustDeny, "", 1, "SecTrustEvaluate result: kSecTrustResultDeny\n"},
		{"a leaf that has expired", leaf(t, ca, "www.mpd.test", "2026-01-01", "2026-02-01", server), macemu.TrustRoot, "", 1, result("CSSMERR_TP_CERT_EXPIRED")},
		{"no usage is any usage", leaf(t, ca, "www.mpd.test", "2026-01-01", "2027-01-01"), macemu.TrustRoot, "-p ssl", 0, good},
		{"another usage", leaf(t, ca, "www.mpd.test", "2026-01-01", "2027-01-01", client), macemu.TrustRoot, "-p ssl", 1, result("Invalid Extended Key Usage for policy")},
		{"another usage is basic enough", leaf(t, ca, "www.mpd.test", "2026-01-01", "2027-01-01", client), macemu.TrustRoot, "", 0, good},
		{"825 days", leaf(t, ca, "www.mpd.test", "2026-01-01", "2028-04-05", server), macemu.TrustRoot, "-p ssl", 0, good},
		{"826 days", leaf(t, ca, "www.mpd.test", "2026-01-01", "2028-04-06", server), macemu.TrustRoot, "-p ssl", 1, result("CSSMERR_TP_CERT_SUSPENDED")},
		{"another host", leaf(t, ca, "www.mpd.test", "2026-01-01", "2027-01-01", server), macemu.TrustRoot, "-p ssl -n php.mpd.test", 1, result("CSSMERR_APPLETP_HOSTNAME_MISMATCH")},
		{"outside of the name constraints", leaf(t, ca, "example.com", "2026-01-01", "2027-01-01", server), macemu.TrustRoot, "-p ssl", 1, result("CSSMERR_TP_VERIFY_ACTION_FAILED")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, macemu.Settings{Localised: true})
			of := tt.cert
			if !of.IsCA {
				of = ca
			}
			m.must(m.AddCertificate([]byte(of.pem())))
			m.must(m.SetTrust([]byte(of.pem()), tt.trust))
			r := m.run("security verify-cert -L -c " + m.file("cert.pem", tt.cert.pem()) + " " + tt.options)
			got, empty := string(r.Stdout), string(r.Stderr)
			if tt.status != 0 {
				got, empty = empty, got
			}
			if strings.Contains(tt.options, "-p ssl") && tt.status == 0 { // there is more behind
				got = got[:min(len(got), len(tt.answer))]
			}
			if r.Status != tt.status || got != tt.answer || empty != "" {
				t.Errorf("status %d, want %d\nstdout %q\nstderr %q\nwant %q", r.Status, tt.status, r.Stdout, r.Stderr, tt.answer)
			}
		})
	}
}

func TestVerifyCertFiles(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	bad := m.file("bad.pem", "no certificate")
	m.says("security verify-cert -c /does/not/exist", 1, "***Error reading file /does/not/exist\n", "")
	m.says("security verify-cert -c "+bad, 1, "Error decoding cert file "+bad+"\n", "")
	if r := m.run("security verify-cert -L"); r.Status != 2 || !strings.HasPrefix(string(r.Stdout), "***No certs specified.\n") {
		t.Errorf("no file: %d %s", r.Status, r.Stdout)
	}
}

// macos-host.md 1.3: what the dialog decides, and the half that is left.
func TestAddTrustedCert(t *testing.T) {
	ca := root(t, "mpd Root CA", "2026-01-01", "2036-01-01")
	for _, tt := range []struct {
		name   string
		set    macemu.Settings
		sudo   bool
		status int
		stderr string
		inside int          // certificates in the keychain
		trust  macemu.Trust // afterwards
	}{
		{"allowed", macemu.Settings{}, true, 0, "", 1, macemu.TrustRoot},
		{"no root", macemu.Settings{}, false, 1, "SecCertificateAddToKeychain: Write permissions error.\n", 0, macemu.TrustNone},
		{"cancelled", macemu.Settings{Dialog: macemu.DialogCancelled}, true, 1, "SecTrustSettingsSetTrustSettings: The authorization was canceled by the user.\n", 1, macemu.TrustNone},
		{"headless", macemu.Settings{Dialog: macemu.DialogHeadless}, true, 1,
			"SecTrustSettingsSetTrustSettings: The authorization was denied since no user interaction was possible.\n", 1, macemu.TrustNone},
		{"in Japanese", macemu.Settings{Dialog: macemu.DialogHeadless, Localised: true}, true, 1,
			"SecTrustSettingsSetTrustSettings: ユーザとの対話ができないため、認証は拒否されました。\n", 1, macemu.TrustNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMac(t, tt.set)
			file, prefix := m.file("rootCA.pem", ca.pem()), ""
			if tt.sudo {
				m.admit()
				prefix = "sudo -n "
			}
			for range 2 { // the second is the same as the first
				m.says(prefix+"security add-trusted-cert -d -r trustRoot -k "+keychain+" "+file, tt.status, "", tt.stderr)
			}
			certs, err := m.Certificates()
			m.must(err)
			trust, err := m.TrustSettings()
			m.must(err)
			if len(certs) != tt.inside || trust[sha1Of(ca)] != tt.trust {
				t.Errorf("%d certificates, trust %v", len(certs), trust)
			}
		})
	}
}

func TestAddTrustedCertFiles(t *testing.T) {
	m := newMac(t, macemu.Settings{Sudo: macemu.SudoAsksNot})
	m.says("sudo security add-trusted-cert -d -k "+keychain+" /does/not/exist", 1, "", "Error reading file /does/not/exist\n")
	if r := m.run("sudo security add-trusted-cert -d"); r.Status != 2 {
		t.Errorf("without a file: status %d", r.Status)
	}
	ca := root(t, "mpd Root CA", "2026-01-01", "2036-01-01")
	m.says("security add-trusted-cert "+m.file("ca.pem", ca.pem()), 0, "", "") // for this user alone
	if trust, err := m.TrustSettings(); err != nil || len(trust) > 0 {
		t.Errorf("the administrators' settings are %v, %v", trust, err)
	}
	if r := m.run("security verify-cert -c " + m.file("ca.pem", ca.pem())); r.Status != 0 {
		t.Errorf("the user's own trust: %s", r.Stderr)
	}
}

// F111: the dialog that nobody answers.
func TestDialogHangs(t *testing.T) {
	m := newMac(t, macemu.Settings{Dialog: macemu.DialogHang, Sudo: macemu.SudoAsksNot})
	ca := root(t, "mpd Root CA", "2026-01-01", "2036-01-01")
	file := m.file("rootCA.pem", ca.pem())
	m.must(m.SetTrust([]byte(ca.pem()), macemu.TrustRoot))
	for _, line := range []string{
		"sudo security add-trusted-cert -d -r trustRoot -k " + keychain + " " + file,
		"sudo security remove-trusted-cert -d " + file,
		"sudo security delete-certificate -Z " + sha1Of(ca) + " -t " + keychain,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := short(t)
			defer cancel()
			_, err := m.Runner()(ctx, hypervisor.Command{Argv: strings.Fields(line)})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", line, err)
			}
		})
	}
	if certs, err := m.Certificates(); err != nil || len(certs) != 1 {
		t.Errorf("after it: %v, %v", certs, err)
	}
}

// macos-host.md 1.4
func TestDeleteCertificate(t *testing.T) {
	m := newMac(t, macemu.Settings{Sudo: macemu.SudoAsksNot})
	ca, other := root(t, "mpd Root CA", "2026-01-01", "2036-01-01"), root(t, "mpd Root CA", "2025-01-01", "2036-01-01")
	file := m.file("rootCA.pem", ca.pem())
	for _, c := range []authority{ca, other} {
		m.must(m.AddCertificate([]byte(c.pem())))
		m.must(m.SetTrust([]byte(c.pem()), macemu.TrustRoot))
	}
	m.says("sudo security delete-certificate -Z 00 "+keychain, 1, "", `Unable to delete certificate matching "00"`)
	m.says("sudo security delete-certificate -c mpd "+keychain, 1, "",
		"security: \"mpd\" is ambiguous, matches more than one certificate\nUnable to delete certificate matching \"mpd\"")
	m.says("security delete-certificate -Z "+sha1Of(ca)+" "+keychain, 1, "", "security: SecKeychainItemDelete: Write permissions error.\n")

	// Without -t the trust stays, and waits for the certificate.
	m.says("sudo security delete-certificate -Z "+sha1Of(ca)+" "+keychain, 0, "", "")
	m.says("security verify-cert -L -c "+file, 0, "...certificate verification successful.\n", "")
	m.says("sudo security delete-certificate -Z "+sha1Of(ca)+" "+keychain, 1, "", `Unable to delete certificate matching "`+sha1Of(ca)+`"`)
	m.says("sudo security remove-trusted-cert -d "+file, 0, "", "")
	m.says("sudo security remove-trusted-cert -d "+file, 1, "", "SecTrustSettingsRemoveTrustSettings: No Trust Settings were found.\n")

	// By the other hash and with -t, all is gone.
	hash := fmt.Sprintf("%x", sha256.Sum256(other.Raw))
	m.must(m.Change(func(s *macemu.Settings) { s.Dialog = macemu.DialogCancelled }))
	m.says("sudo security delete-certificate -Z "+hash+" -t "+keychain, 1, "", "SecTrustSettingsRemoveTrustSettings: The authorization was canceled by the user.\n")
	m.must(m.Change(func(s *macemu.Settings) { s.Dialog = macemu.DialogAllowed }))
	m.says("sudo security delete-certificate -Z "+hash+" -t "+keychain, 0, "", "")
	certs, err := m.Certificates()
	m.must(err)
	trust, err := m.TrustSettings()
	m.must(err)
	if len(certs)+len(trust) > 0 {
		t.Errorf("left: %v, %v", certs, trust)
	}
}

// macos-host.md 1.5
func TestTrustSettings(t *testing.T) {
	m := newMac(t, macemu.Settings{})
	file := filepath.Join(t.TempDir(), "settings.plist")
	m.says("security dump-trust-settings -d", 1, "", "SecTrustSettingsCopyCertificates: No Trust Settings were found.\n")
	m.says("security trust-settings-export -d "+file, 1, "", "SecTrustSettingsCreateExternalRepresentation: No Trust Settings were found.\n")

	ca := root(t, "mpd Root CA", "2026-01-01", "2036-01-01")
	m.must(m.SetTrust([]byte(ca.pem()), macemu.TrustRoot))
	m.says("security dump-trust-settings -d", 0, "Number of trusted certs = 0\n", "") // an orphan
	m.must(m.AddCertificate([]byte(ca.pem())))
	m.says("security dump-trust-settings -d", 0, "Number of trusted certs = 1\nCert 0: mpd Root CA\n   Number of trust settings : 1\n   Trust Setting 0:\n", "")
	m.says("security trust-settings-export -d "+file, 0, "...Trust Settings exported successfully.\n", "")
	data, err := os.ReadFile(file)
	m.must(err)
	for _, want := range []string{"<key>" + sha1Of(ca) + "</key>", "<key>trustVersion</key>\n\t<integer>1</integer>", "<key>issuerName</key>", "<dict/>"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not in\n%s", want, data)
		}
	}
}
