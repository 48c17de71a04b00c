package macos

import (
	"context"
	"regexp"
	"strings"

	"github.com/mutms/mpd-virt-macos/internal/plaintext"
)

// SystemKeychain is the keychain of all users of the Mac, in which a CA must
// be that all of them trust.
const SystemKeychain = "/Library/Keychains/System.keychain"

// Fingerprints name one certificate: digests of its DER form, in upper-case
// hexadecimal without colons.
type Fingerprints struct {
	SHA256 string // 64 digits; "" from macOS 10.13 and older
	SHA1   string // 40 digits, by which macOS files its trust records
	// Label is the certificate's name in the keychain, cleaned, for people;
	// "" if the keychain has it in a form that is no plain text.
	Label string
}

// Find returns the certificates in the system keychain whose common name
// contains commonName, upper and lower case being the same: security knows no
// stricter search, so the caller compares fingerprints. None is no error. That a
// certificate is there does not mean that it is trusted.
func (m *Mac) Find(ctx context.Context, commonName string) ([]Fingerprints, error) {
	res, err := m.ask(ctx, securityTool, "find-certificate", "-a", "-c", commonName, "-Z", SystemKeychain)
	if err != nil {
		return nil, err
	}
	const what = "security find-certificate"
	switch res.Status {
	case 0:
		return parseFind(what, string(res.Stdout))
	case 44: // low byte of errSecItemNotFound, -25300
		return nil, nil
	}
	return nil, strange(what, res)
}

var (
	sha256Line = regexp.MustCompile(`^SHA-256 hash: ([0-9A-F]{64})$`)
	sha1Line   = regexp.MustCompile(`^SHA-1 hash: ([0-9A-F]{40})$`)
	labelLine  = regexp.MustCompile(`^ +"labl"<blob>="(.*)"$`)
)

// parseFind reads what `find-certificate -a -Z` prints: for each certificate
// the two digests and then its attributes. No output is no certificate.
func parseFind(what, text string) ([]Fingerprints, error) {
	var found []Fingerprints
	sha256 := "" // of the certificate whose SHA-1 comes next
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		m256, m1, label := sha256Line.FindStringSubmatch(line), sha1Line.FindStringSubmatch(line), labelLine.FindStringSubmatch(line)
		switch {
		case sha256 != "" && m1 == nil:
			return nil, unclear(what, "a SHA-256 without a SHA-1: %s", line)
		case m256 != nil:
			sha256 = m256[1]
		case m1 != nil:
			found = append(found, Fingerprints{SHA256: sha256, SHA1: m1[1]})
			sha256 = ""
		case strings.HasPrefix(line, "SHA-"):
			return nil, unclear(what, "%s", line)
		case label != nil && len(found) > 0:
			found[len(found)-1].Label = plaintext.Short(label[1])
		}
	}
	if sha256 != "" {
		return nil, unclear(what, "the output ends early")
	}
	if len(found) == 0 && strings.TrimSpace(text) != "" {
		return nil, unclear(what, "no digest in: %s", text)
	}
	return found, nil
}

// Trust is macOS's verdict about a certificate.
type Trust string

// The verdicts. The zero value goes with an error and means nothing.
const (
	Trusted   Trust = "trusted"
	Untrusted Trust = "not trusted" // in a keychain or not
	Expired   Trust = "expired"
	Denied    Trust = "denied" // a person said "never trust"
	// TrustUnclear goes with ErrUnclear.
	TrustUnclear Trust = "cannot tell"
)

// Verify says whether macOS trusts exactly the certificate of the PEM file, by
// the settings of the user, the administrator and the system together. It
// needs no network and no root, and macOS asks nobody. The path is absolute.
func (m *Mac) Verify(ctx context.Context, pemFile string) (Trust, error) {
	const what = "security verify-cert"
	// -L: use what is on this Mac, no network.
	res, err := m.ask(ctx, securityTool, "verify-cert", "-L", "-c", pemFile)
	switch {
	case err != nil:
		return TrustUnclear, err
	case res.Status == 0 && strings.Contains(string(res.Stdout), "certificate verification successful."):
		return Trusted, nil
	case res.Status != 1:
		return TrustUnclear, strange(what, res)
	case has(res, "CSSMERR_TP_NOT_TRUSTED"):
		return Untrusted, nil
	case has(res, "CSSMERR_TP_CERT_EXPIRED"):
		return Expired, nil
	case has(res, "kSecTrustResultDeny"):
		return Denied, nil
	}
	return TrustUnclear, strange(what, res)
}

// TrustCommands make macOS trust the CA in the PEM file, for all users of the
// Mac. It is safe to repeat. If the person refuses the dialog, the certificate
// stays in the keychain, untrusted.
func TrustCommands(pemFile string) []Command {
	return []Command{{
		Argv: []string{securityTool, "add-trusted-cert", "-d", "-r", "trustRoot", "-k", SystemKeychain, pemFile},
		Root: true, Dialog: true,
		Note: "after the password for sudo, macOS asks on the screen for that of an administrator, or Touch ID",
	}}
}

// UntrustCommands take certificates out of the system keychain, each with its
// trust record: by fingerprint, since a name may fit others too. Without
// fingerprints, they remove the trust record of the certificate in the PEM
// file, which may be left when the certificate is gone; with "" for the file
// there is then nothing to do.
func UntrustCommands(found []Fingerprints, pemFile string) []Command {
	const note = "macOS asks on the screen for the password of an administrator, or Touch ID"
	var cmds []Command
	for _, f := range found {
		digest := f.SHA256
		if digest == "" {
			digest = f.SHA1
		}
		// -t: without it the trust record stays, and would trust the same
		// certificate again as soon as it comes back.
		cmds = append(cmds, Command{
			Argv: []string{securityTool, "delete-certificate", "-Z", digest, "-t", SystemKeychain},
			Root: true, Dialog: true, Note: note,
		})
	}
	if len(cmds) == 0 && pemFile != "" {
		cmds = append(cmds, Command{
			Argv: []string{securityTool, "remove-trusted-cert", "-d", pemFile},
			Root: true, Dialog: true, Note: note,
		})
	}
	return cmds
}
