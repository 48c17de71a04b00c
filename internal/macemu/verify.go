package macemu

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// What verify-cert says. C, where not marked
const (
	sayNotTrusted  = "Cert Verify Result: CSSMERR_TP_NOT_TRUSTED"
	sayExpired     = "Cert Verify Result: CSSMERR_TP_CERT_EXPIRED"
	sayNotYet      = "Cert Verify Result: CSSMERR_TP_CERT_NOT_VALID_YET" // A
	sayDenied      = "SecTrustEvaluate result: kSecTrustResultDeny"
	sayUsage       = "Cert Verify Result: Invalid Extended Key Usage for policy"
	sayTooLong     = "Cert Verify Result: CSSMERR_TP_CERT_SUSPENDED"         // A
	sayWrongHost   = "Cert Verify Result: CSSMERR_APPLETP_HOSTNAME_MISMATCH" // A
	sayUnsupported = "Cert Verify Result: CSSMERR_TP_VERIFY_ACTION_FAILED"   // A
	saySuccess     = "...certificate verification successful."
	sayMore        = "...the certificate is not an extended validation certificate" // A: that there is more is C
)

// verifyCert judges a certificate by all trust settings. It needs no root and
// asks nobody. C
func (c *call) verifyCert() (int, error) {
	o, rest, ok := getopt(c.args, "c:p:n:s:LlR:q")
	policy := or(o.last('p'), "basic")
	switch {
	case !ok, len(rest) > 0, policy != "basic" && policy != "ssl":
		return c.notPlayed()
	case !o.has('c'):
		c.out.WriteString("***No certs specified.\nUsage: verify-cert [<options>] [<url>]\n") // A on the second line
		return 2, nil
	}
	certs, problem := readAll(o['c'])
	if problem != "" {
		fmt.Fprintln(c.out, problem)
		return 1, nil
	}
	verdict := ""
	err := c.look(func(st *state, now time.Time) {
		verdict = st.verdict(now, certs, policy == "ssl", or(o.last('n'), o.last('s')))
	})
	switch {
	case err != nil:
		return 0, err
	case o.has('q') && verdict != "":
		return 1, nil
	case o.has('q'):
		return 0, nil
	case verdict != "":
		return c.say(1, "%s", verdict)
	}
	fmt.Fprintln(c.out, saySuccess)
	if policy == "ssl" {
		fmt.Fprintln(c.out, sayMore)
	}
	return 0, nil
}

func readAll(names []string) (certs []*x509.Certificate, problem string) {
	for _, name := range names {
		data, err := readFile(name)
		if err != nil {
			return nil, "***Error reading file " + name
		}
		cert, err := readPEM(data)
		if err != nil {
			return nil, "Error decoding cert file " + name
		}
		certs = append(certs, cert)
	}
	return certs, ""
}

// verdict is what is wrong with the first of the certificates, the others being
// those that a server would send with it; "" is nothing.
func (st *state) verdict(now time.Time, certs []*x509.Certificate, ssl bool, host string) string {
	leaf := certs[0]
	anchored := st.trusted(leaf) == TrustRoot
	switch {
	case st.trusted(leaf) == TrustDeny:
		return sayDenied
	case now.After(leaf.NotAfter):
		return sayExpired
	case now.Before(leaf.NotBefore):
		return sayNotYet
	case !anchored:
		if problem := st.chain(now, certs); problem != "" {
			return problem
		}
	}
	switch {
	case !ssl:
		return ""
	case !serves(leaf):
		return sayUsage
	case !anchored && tooLong(leaf):
		return sayTooLong
	case host != "" && leaf.VerifyHostname(host) != nil:
		return sayWrongHost
	}
	return ""
}

// chain looks for a way from a certificate to one that is trusted. C that a
// keychain's certificates and those given may be in it, and that the name
// constraints of a trusted certificate hold
func (st *state) chain(now time.Time, certs []*x509.Certificate) string {
	how := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	denied := false
	for _, cert := range slices.Concat(certs[1:], certificates(st.System), certificates(st.Login)) {
		switch st.trusted(cert) {
		case TrustRoot:
			how.Roots.AddCert(cert)
		case TrustDeny:
			denied = denied || certs[0].CheckSignatureFrom(cert) == nil
		default:
			how.Intermediates.AddCert(cert)
		}
	}
	if denied {
		return sayDenied
	}
	_, err := certs[0].Verify(how)
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return sayExpired
	case errors.As(err, &invalid):
		return sayUnsupported
	}
	return sayNotTrusted
}

// serves says whether a certificate is for servers: an extension that says what
// it is for must not leave them out. C
func serves(cert *x509.Certificate) bool {
	return len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 ||
		slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// tooLong says whether a certificate of a server is valid for more than 825 days
// and an hour, if it is from the time since that is refused. C
func tooLong(cert *x509.Certificate) bool {
	since := time.Date(2019, time.July, 1, 0, 0, 0, 0, time.UTC)
	return !cert.NotBefore.Before(since) && cert.NotAfter.Sub(cert.NotBefore) > 825*24*time.Hour+time.Hour
}
