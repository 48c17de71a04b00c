package macemu

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mutms/mpd-virt-macos/internal/statefile"
)

// dumpTrustSettings tells labels and never a fingerprint. C. A setting whose
// certificate is in no keychain is not told. A
func (c *call) dumpTrustSettings() (int, error) {
	o, rest, ok := getopt(c.args, "d")
	if !ok || len(rest) > 0 {
		return c.notPlayed()
	}
	records := 0
	err := c.look(func(st *state, _ time.Time) {
		domain := *st.domain(o)
		if records = len(domain); records == 0 {
			return
		}
		known := slices.DeleteFunc(slices.Clone(domain), func(r record) bool {
			return !slices.ContainsFunc(slices.Concat(st.System, st.Login), func(der []byte) bool { return string(der) == string(r.DER) })
		})
		fmt.Fprintf(c.out, "Number of trusted certs = %d\n", len(known))
		for i, r := range known {
			fmt.Fprintf(c.out, "Cert %d: %s\n   Number of trust settings : 1\n   Trust Setting 0:\n", i, label(r.DER))
			if r.Trust == TrustDeny {
				fmt.Fprintf(c.out, "      Result Type            : kSecTrustSettingsResultDeny\n") // A on the blanks
			}
		}
	})
	if err != nil || records == 0 {
		return c.failed("SecTrustSettingsCopyCertificates", textNoSettings, err)
	}
	return 0, nil
}

func label(der []byte) string {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return "?"
	}
	return cert.Subject.CommonName
}

// exportTrustSettings writes the settings of a domain to a file. C
func (c *call) exportTrustSettings() (int, error) {
	o, rest, ok := getopt(c.args, "d")
	if !ok || len(rest) != 1 || !filepath.IsAbs(rest[0]) {
		return c.notPlayed()
	}
	text := ""
	err := c.look(func(st *state, _ time.Time) {
		if domain := *st.domain(o); len(domain) > 0 {
			text = settingsList(domain)
		}
	})
	if err != nil || text == "" {
		return c.failed("SecTrustSettingsCreateExternalRepresentation", textNoSettings, err)
	}
	if !c.dry {
		if err := statefile.Write(rest[0], []byte(text), 0o644); err != nil { // A on the text
			return c.say(1, "Error writing file %s", rest[0])
		}
	}
	fmt.Fprintln(c.out, "...Trust Settings exported successfully.")
	return 0, nil
}

// Frame of a property list.
const (
	plistHead = xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n<plist version=\"1.0\">\n"
	plistTail = "</plist>\n"
)

// settingsList is the property list of trust settings. C for its keys
func settingsList(domain []record) string {
	var b strings.Builder
	b.WriteString(plistHead + "<dict>\n\t<key>trustList</key>\n\t<dict>\n")
	for _, r := range slices.SortedFunc(slices.Values(domain), func(a, b record) int { return strings.Compare(a.SHA1, b.SHA1) }) {
		cert, err := x509.ParseCertificate(r.DER)
		if err != nil {
			continue
		}
		setting := "<dict/>"
		if r.Trust == TrustDeny {
			setting = "<dict>\n\t\t\t\t\t<key>kSecTrustSettingsResult</key>\n\t\t\t\t\t<integer>3</integer>\n\t\t\t\t</dict>"
		}
		fmt.Fprintf(&b, "\t\t<key>%s</key>\n\t\t<dict>\n\t\t\t<key>issuerName</key>\n\t\t\t<data>\n\t\t\t%s\n\t\t\t</data>\n", r.SHA1,
			base64.StdEncoding.EncodeToString(cert.RawIssuer))
		fmt.Fprintf(&b, "\t\t\t<key>modDate</key>\n\t\t\t<date>%s</date>\n\t\t\t<key>serialNumber</key>\n\t\t\t<data>\n\t\t\t%s\n\t\t\t</data>\n",
			r.Made.UTC().Format(time.RFC3339), base64.StdEncoding.EncodeToString(cert.SerialNumber.Bytes()))
		fmt.Fprintf(&b, "\t\t\t<key>trustSettings</key>\n\t\t\t<array>\n\t\t\t\t%s\n\t\t\t</array>\n\t\t</dict>\n", setting)
	}
	b.WriteString("\t</dict>\n\t<key>trustVersion</key>\n\t<integer>1</integer>\n</dict>\n" + plistTail)
	return b.String()
}
