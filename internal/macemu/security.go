package macemu

import (
	"crypto/sha1" // macOS names keys so
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// security is the tool for keychains and trust. C for its verbs and options
func (c *call) security() (int, error) {
	if len(c.args) == 0 {
		return c.notPlayed()
	}
	verb := c.args[0]
	c.args = c.args[1:]
	switch verb {
	case "find-certificate":
		return c.findCertificate()
	case "verify-cert":
		return c.verifyCert()
	case "add-trusted-cert":
		return c.addTrustedCert()
	case "delete-certificate":
		return c.deleteCertificate()
	case "remove-trusted-cert":
		return c.removeTrustedCert()
	case "dump-trust-settings":
		return c.dumpTrustSettings()
	case "trust-settings-export":
		return c.exportTrustSettings()
	}
	return c.notPlayed()
}

// Texts of the Security framework, which macOS translates. C in English, A in
// Japanese
const (
	textNotFound   = "The specified item could not be found in the keychain."
	textNoSettings = "No Trust Settings were found."
	textNoScreen   = "The authorization was denied since no user interaction was possible."
	textCancelled  = "The authorization was canceled by the user."                 // A
	textReadOnly   = "Write permissions error."                                    // A
	textParameter  = "One or more parameters passed to a function were not valid." // A
)

// spoken is a text of the framework in the language of the Mac.
func (c *call) spoken(text string) string {
	if !c.set.Localised {
		return text
	}
	switch text {
	case textNotFound:
		return "指定された項目がキーチェーンに見つかりませんでした。"
	case textNoSettings:
		return "信頼設定が見つかりませんでした。"
	case textNoScreen:
		return "ユーザとの対話ができないため、認証は拒否されました。"
	case textCancelled:
		return "認証はユーザによってキャンセルされました。"
	case textReadOnly:
		return "書き込みアクセス権のエラーです。"
	}
	return "関数に渡された1つ以上のパラメータが無効です。"
}

// keychainsOf are the keychains that are named, or those that are searched when
// none is. C: login and System
func (st *state) keychainsOf(names []string) (out map[string][][]byte, order []string, ok bool) {
	if len(names) == 0 {
		names = []string{"/Users/" + st.Settings.user() + "/Library/Keychains" + loginKeychain, systemKeychain}
	}
	out = map[string][][]byte{}
	for _, n := range names {
		k := st.keychain(n)
		if k == nil {
			return nil, nil, false
		}
		out[n] = *k
	}
	return out, names, true
}

func commonNameHas(cert *x509.Certificate, part string) bool {
	return strings.Contains(strings.ToLower(cert.Subject.CommonName), strings.ToLower(part))
}

// findCertificate: what it does not find is an empty answer and status 0 with
// -a. C
func (c *call) findCertificate() (int, error) {
	o, names, ok := getopt(c.args, "ac:Zp")
	if !ok {
		return c.notPlayed()
	}
	found := 0
	err := c.look(func(st *state, _ time.Time) {
		var content map[string][][]byte
		if content, names, ok = st.keychainsOf(names); !ok {
			return
		}
		for _, n := range names {
			for _, cert := range certificates(content[n]) {
				if commonNameHas(cert, o.last('c')) && (found == 0 || o.has('a')) {
					c.show(n, cert, o)
					found++
				}
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return c.notPlayed()
	case found == 0 && !o.has('a'):
		return c.say(44, "security: SecKeychainSearchCopyNext: %s", c.spoken(textNotFound))
	}
	return 0, nil
}

// show prints a certificate as find-certificate does. C
func (c *call) show(keychain string, cert *x509.Certificate, o options) {
	if o.has('Z') {
		fmt.Fprintf(c.out, "SHA-256 hash: %s\nSHA-1 hash: %s\n", sha256Of(cert), sha1Of(cert))
	}
	if o.has('p') {
		_ = pem.Encode(c.out, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}) // a buffer takes all
		return
	}
	fmt.Fprintf(c.out, "keychain: \"%s\"\nversion: 256\nclass: 0x80001000 \nattributes:\n", keychain)
	for _, line := range [][2]string{
		{`"alis"<blob>`, blob([]byte(cert.Subject.CommonName))},
		{`"cenc"<uint32>`, "0x00000003 "},
		{`"ctyp"<uint32>`, "0x00000001 "},
		{`"hpky"<blob>`, blob(keyHash(cert))},
		{`"issu"<blob>`, blob(cert.RawIssuer)},
		{`"labl"<blob>`, blob([]byte(cert.Subject.CommonName))},
		{`"skid"<blob>`, blob(cert.SubjectKeyId)},
		{`"snbr"<blob>`, blob(cert.SerialNumber.Bytes())},
		{`"subj"<blob>`, blob(cert.RawSubject)},
	} {
		fmt.Fprintf(c.out, "    %s=%s\n", line[0], line[1])
	}
}

// blob is bytes as the attribute dump writes them: quoted, after their hex
// digits if they are not all printable. C
func blob(data []byte) string {
	if len(data) == 0 {
		return "<NULL>"
	}
	var quoted strings.Builder
	plain := true
	for _, b := range data {
		if b >= ' ' && b <= '~' && b != '"' && b != '\\' {
			quoted.WriteByte(b)
			continue
		}
		plain = false
		fmt.Fprintf(&quoted, `\%03o`, b)
	}
	if plain {
		return `"` + quoted.String() + `"`
	}
	return fmt.Sprintf(`0x%X  "%s"`, data, quoted.String())
}

// keyHash is the SHA-1 of the bits of the public key.
func keyHash(cert *x509.Certificate) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info); err != nil {
		return nil
	}
	sum := sha1.Sum(info.Key.Bytes)
	return sum[:]
}
