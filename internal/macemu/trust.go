package macemu

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/emu"
)

// dialog asks for an administrator on the screen; text is why that failed, ""
// that it did not. C
func (c *call) dialog() (text string, err error) {
	switch c.set.Dialog {
	case DialogCancelled:
		return textCancelled, nil
	case DialogHeadless:
		return textNoScreen, nil
	case DialogHang:
		return "", c.from.Hang(c.ctx, false)
	}
	return "", nil
}

// domain are the trust settings that a command is about: with -d those of the
// administrators.
func (st *state) domain(o options) *[]record {
	if o.has('d') {
		return &st.Admin
	}
	return &st.User
}

// readOne is the certificate of a file. If it cannot be read, the tool has said
// so.
func (c *call) readOne(name string) *x509.Certificate {
	certs, problem := readAll([]string{name})
	if problem != "" { // C
		fmt.Fprintln(c.errs, "Error reading file "+name)
		return nil
	}
	return certs[0]
}

// addTrustedCert puts a certificate into a keychain and then trusts it; when the
// second fails, the first stays. C
func (c *call) addTrustedCert() (int, error) {
	o, rest, ok := getopt(c.args, "dr:k:")
	result := or(o.last('r'), "trustRoot")
	switch {
	case !ok, len(rest) > 1, result != "trustRoot" && result != "deny", (&state{}).keychain(o.last('k')) == nil:
		return c.notPlayed()
	case len(rest) == 0:
		return c.say(2, "Usage: add-trusted-cert [<options>] [certFile]") // A on the text
	case !c.root && o.last('k') == systemKeychain: // A on the text
		return c.say(1, "SecCertificateAddToKeychain: %s", c.spoken(textReadOnly))
	}
	cert := c.readOne(rest[0])
	if cert == nil {
		return 1, nil
	}
	err := c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		st.add(o.last('k'), cert)
		return nil
	})
	if err != nil {
		return 0, err
	}
	// A: what is not a root cannot be trusted as one.
	refusal := textParameter
	if result == "deny" || string(cert.RawIssuer) == string(cert.RawSubject) {
		refusal, err = c.dialog()
	}
	if err != nil || refusal != "" {
		return c.failed("SecTrustSettingsSetTrustSettings", refusal, err)
	}
	return 0, c.change(func(st *state, now time.Time, _ *emu.Later) error {
		st.trust(st.domain(o), cert, map[string]Trust{"trustRoot": TrustRoot, "deny": TrustDeny}[result], now)
		return nil
	})
}

func (c *call) failed(function, text string, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return c.say(1, "%s: %s", function, c.spoken(text))
}

// removeTrustedCert takes away the trust settings and leaves the certificate. C
func (c *call) removeTrustedCert() (int, error) {
	o, rest, ok := getopt(c.args, "d")
	if !ok || len(rest) != 1 {
		return c.notPlayed()
	}
	const function = "SecTrustSettingsRemoveTrustSettings"
	cert := c.readOne(rest[0])
	if cert == nil {
		return 1, nil
	}
	there := false
	err := c.look(func(st *state, _ time.Time) {
		there = slices.ContainsFunc(*st.domain(o), func(r record) bool { return r.SHA1 == sha1Of(cert) })
	})
	if err != nil || !there {
		return c.failed(function, textNoSettings, err)
	}
	if refusal, err := c.dialog(); err != nil || refusal != "" {
		return c.failed(function, refusal, err)
	}
	return 0, c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		st.distrust(st.domain(o), cert)
		return nil
	})
}

// deleteCertificate deletes one certificate, found by its fingerprint or by a
// part of its name; only with -t its trust settings go, too. C
func (c *call) deleteCertificate() (int, error) {
	o, rest, ok := getopt(c.args, "Z:c:t")
	if !ok || len(rest) > 1 || o.has('Z') == o.has('c') {
		return c.notPlayed()
	}
	keychain := ""
	if len(rest) == 1 {
		keychain = rest[0]
	}
	var found []*x509.Certificate
	err := c.look(func(st *state, _ time.Time) {
		if k := st.keychain(keychain); k == nil {
			ok = false
		} else {
			found = wanted(certificates(*k), o)
		}
	})
	what := or(o.last('Z'), o.last('c'))
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return c.notPlayed()
	case len(found) > 1:
		fmt.Fprintf(c.errs, "security: \"%s\" is ambiguous, matches more than one certificate\n", what)
		fallthrough
	case len(found) == 0: // C: no end of the line
		fmt.Fprintf(c.errs, "Unable to delete certificate matching \"%s\"", what)
		return 1, nil
	case !c.root && keychain == systemKeychain: // A on the text
		return c.say(1, "security: SecKeychainItemDelete: %s", c.spoken(textReadOnly))
	}
	if o.has('t') {
		if status, err := c.untrust(found[0]); status != 0 || err != nil {
			return status, err
		}
	}
	return 0, c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		k := st.keychain(keychain)
		*k = slices.DeleteFunc(*k, func(der []byte) bool { return string(der) == string(found[0].Raw) })
		return nil
	})
}

// wanted are the certificates that delete-certificate is told to delete. A name
// that fits exactly is a better match than a part of one. C, A for the second
func wanted(certs []*x509.Certificate, o options) (out []*x509.Certificate) {
	exact := false
	for _, cert := range certs {
		switch {
		case o.has('Z'):
			if h := upper(o.last('Z')); h == sha1Of(cert) || h == sha256Of(cert) {
				return []*x509.Certificate{cert}
			}
		case !exact && strings.EqualFold(cert.Subject.CommonName, o.last('c')):
			exact, out = true, []*x509.Certificate{cert}
		case commonNameHas(cert, o.last('c')) && (!exact || strings.EqualFold(cert.Subject.CommonName, o.last('c'))):
			out = append(out, cert)
		}
	}
	return out
}

// untrust is what -t adds: the user's settings go, and as root those of the
// administrators, for which the dialog asks. A: after a refusal the certificate
// stays
func (c *call) untrust(cert *x509.Certificate) (int, error) {
	there := false
	err := c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		st.distrust(&st.User, cert)
		there = c.root && slices.ContainsFunc(st.Admin, func(r record) bool { return r.SHA1 == sha1Of(cert) })
		return nil
	})
	if err != nil || !there {
		return 0, err
	}
	if refusal, err := c.dialog(); err != nil || refusal != "" {
		return c.failed("SecTrustSettingsRemoveTrustSettings", refusal, err)
	}
	return 0, c.change(func(st *state, _ time.Time, _ *emu.Later) error {
		st.distrust(&st.Admin, cert)
		return nil
	})
}
